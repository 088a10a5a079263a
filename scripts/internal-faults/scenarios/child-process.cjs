const childProcess = require('node:child_process');
const { promisify } = require('node:util');
const { called, events, once, outcome } = require('./tools.cjs');

const text = (out) => String(out);

exports.start = async () => ({
  async round(seen) {
    const options = { env: { OWN: 'mine' } };
    const child = childProcess.spawn('/bin/sh', ['-c', 'echo spawned $OWN'], options);
    const list = events(child, ['spawn', 'exit', 'close', 'error']);
    const out = events(child.stdout, ['data']);
    await once(child, 'close');
    seen.spawn = [list, out];
    seen.options = options;
    seen.exec = await called((done) => childProcess.exec('echo executed', done), text);
    seen.execFile = await called(
      (done) => childProcess.execFile('/bin/sh', ['-c', 'echo file $OWN'], options, done),
      text,
    );
    seen.promise = await outcome(promisify(childProcess.execFile)('echo', ['promised']));
    seen.sync = text(childProcess.spawnSync('echo', ['sync'], { encoding: 'utf8' }).stdout);
    seen.execSync = text(childProcess.execSync('echo sync'));
    seen.execFileSync = text(childProcess.execFileSync('/bin/sh', ['-c', 'echo sync $OWN'], options));
    seen.missing = await new Promise((resolve) =>
      childProcess.spawn('/no/such/program').on('error', ({ code }) => resolve(code)),
    );
    seen.missingSync = childProcess.spawnSync('/no/such/program').error.code;
    seen.invalid = await outcome(() => childProcess.spawn(7));
    seen.invalidSync = await outcome(() => childProcess.execFileSync('echo', ['x'], 'text'));
  },
  async stop() {},
});
