// A reporter for node:test that writes one line of JSON for each test and suite: what it is called, with the names of those it is in, and
// how it ended. It is loaded into the process of the tests, so it uses nothing that they may have replaced.
const { stringify } = JSON;

export default async function* report(source) {
  const open = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      open.length = data.nesting;
      open.push(data.name);
    } else if (type === 'test:pass' || type === 'test:fail') {
      const name = [...open.slice(0, data.nesting), data.name].join(' > ');
      const skipped = data.skip !== undefined || data.todo !== undefined;
      const outcome = skipped ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed';
      const { error } = data.details ?? {};
      yield `${stringify({ name, outcome, why: outcome === 'failed' ? String(error?.cause?.stack ?? error) : undefined })}\n`;
    }
  }
}
