// npm run bench:compare [-- [base] [names of workloads, startup] [--short] [--rounds=N] [--node=<path>]]
//
// Compares the build of this working tree with that of another commit, by default the one where the branch left the
// main one: the same applications under both, measured in turns. The base runs twice, and what differs between the
// two is what the method cannot tell from nothing. Prints the change, and never fails on one.
import { parseArgs } from 'node:util';
import { prepareApps } from './lib/apps.mjs';
import { buildCommit, defaultBase, resolveCommit } from './lib/base.mjs';
import { compareText, toChange } from './lib/changes.mjs';
import { startProcess } from './lib/processes.mjs';
import { measureWorkload } from './lib/run-workload.mjs';
import { createServices } from './lib/services.mjs';
import { bare, exportTo, hookline } from './lib/variants.mjs';
import { startUpRounds } from './startup.mjs';
import { WORKLOADS } from './workloads.mjs';

/** Without servers to bring up. */
const SHORT = ['http', 'grpc', 'startup'];

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, rounds: { type: 'string' }, node: { type: 'string' } },
});
const isName = (word) => word === 'startup' || Object.hasOwn(WORKLOADS, word);
const names = positionals.filter(isName);
const given = positionals.find((word) => !isName(word));
const commit = given === undefined ? defaultBase() : resolveCommit(given);
if (commit === undefined) {
  // Such as in a shallow clone: nothing to compare with is no mistake of the change's.
  console.log(`bench: there is no ${given ?? 'commit to compare with'}`);
  process.exit(given === undefined ? 0 : 1);
}
const asked = names.length > 0 ? names : values.short ? SHORT : [...Object.keys(WORKLOADS), 'startup'];

console.error(`bench: building ${commit.slice(0, 12)}`);
const root = buildCommit(commit);
const apps = await prepareApps();
const load = await startProcess('lib/load.mjs');
const receiver = await startProcess('lib/receiver.mjs');
receiver.env = exportTo(receiver.ready.url);
const services = createServices();
const variants = [
  hookline({ root, name: 'base' }),
  hookline({ name: 'head' }),
  hookline({ root, name: 'again' }),
  bare(),
];
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
const bench = { node: values.node ?? process.execPath, apps, load, receiver, services, quick: values.short };

const changes = [];
for (const name of asked) {
  console.error(`bench: ${name}`);
  if (name === 'startup') {
    const settings = { ...bench, rounds: (rounds ?? (values.short ? 2 : 5)) * 10 };
    const measured = await startUpRounds(`${apps}/empty.mjs`, 'import', settings, variants);
    changes.push(toChange('start-up, empty ES module', 'ms', measured));
  } else {
    const settings = { ...bench, rounds: rounds ?? (values.short ? 2 : 5) };
    changes.push(toChange(WORKLOADS[name].title, 'µs', await measureWorkload(WORKLOADS[name], settings, variants)));
  }
}
await Promise.all([load.stop(), receiver.stop(), services.close()]);
console.log(compareText(changes, commit.slice(0, 12)));
process.exit();
