// The same for mocha, of any version: it knows no reporter that all of them have and that tells of a test before the run is over.
const { appendFileSync } = require('node:fs');

module.exports = function Reporter(runner, { reporterOptions }) {
  const write = (test, outcome, why) =>
    appendFileSync(reporterOptions.file, `${JSON.stringify({ name: test.fullTitle(), outcome, why })}\n`);
  runner.on('pass', (test) => write(test, 'passed'));
  runner.on('fail', (test, error) => write(test, 'failed', String(error?.stack ?? error)));
  runner.on('pending', (test) => write(test, 'skipped'));
};
