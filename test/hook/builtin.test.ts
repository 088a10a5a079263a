import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { writeFolder } from '../support/packages';
import { runApp } from '../support/run-app';

/** In a process of its own: the watch is for the life of the process, and the runner has loaded most built-ins. */
async function runWatched(code: string) {
  const folder = writeFolder({ 'app.cjs': `const { watchBuiltins } = require('./watch.cjs');\n${code}` });
  const source = fileURLToPath(new URL('../../src/hook/builtin.ts', import.meta.url));
  await build({
    entryPoints: [source],
    outfile: join(folder, 'watch.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
  });
  return runApp(join(folder, 'app.cjs'), { preload: 'none', receiver: false });
}

it('tells of each wanted built-in once, with its complete exports, however it was loaded', async () => {
  const { stdout, stderr } = await runWatched(`
    const seen = [];
    const watch = watchBuiltins((name) => ['http', 'http2', 'zlib'].includes(name), (name, exports) => seen.push(name + typeof (exports.request ?? exports.connect ?? exports.gzip)));
    console.log(seen.join(), seen.length);
    require('node:http2'); watch.drain();
    console.log(seen.join());
    import('node:zlib').then(() => { console.log(seen.join()); watch.scan(); console.log(seen.length); });
  `);
  expect({ stdout, stderr }).toEqual({
    stdout: ' 0\nhttpfunction,http2function\nhttpfunction,http2function,zlibfunction\n6\n',
    stderr: '',
  });
});

it('hands over one after the other, and what is loaded while work is under way behind it', async () => {
  const { stdout, stderr } = await runWatched(`
    const seen = [];
    const watch = watchBuiltins((name) => ['http', 'http2', 'zlib'].includes(name), (name) => {
      seen.push('<' + name);
      watch.drain();
      watch.hold(() => watch.drain());
      seen.push(name + '>');
    });
    require('node:http2');
    watch.drain();
    const result = watch.hold(() => {
      require('node:zlib');
      watch.drain();
      seen.push('held');
      return 7;
    });
    console.log(seen.join(' '), result);
  `);
  expect({ stdout, stderr }).toEqual({ stdout: '<http http> <http2 http2> held <zlib zlib> 7\n', stderr: '' });
});

it('leaves the list of loaded modules an array like any other', async () => {
  const { stdout } = await runWatched(`
    const before = process.moduleLoadList.length;
    watchBuiltins(() => false, () => {});
    require('http2');
    const list = process.moduleLoadList;
    console.log(Array.isArray(list), list.length > before, list.indexOf('NativeModule http2') >= before, list.every((entry) => typeof entry === 'string'), list instanceof Array, Object.keys(list).length === list.length, list[list.length], JSON.stringify(list).includes('http2'), list.filter(Boolean).length === list.length);
  `);
  expect(stdout).toBe('true true true true true true undefined true true\n');
});

it('does without where there is no such list', async () => {
  const { stdout } = await runWatched(`
    Object.defineProperty(process, 'moduleLoadList', { value: undefined });
    const watch = watchBuiltins(() => true, () => console.log('seen'));
    require('http'); watch.drain(); watch.scan();
    console.log('fine');
  `);
  expect(stdout).toBe('fine\n');
});
