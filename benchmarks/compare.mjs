// npm run bench:compare [-- [base] [names] [--short] [--rounds=N] [--node=<path>]]
//
// Compares the build of this working tree with that of another commit, by default the one where the branch left the
// main one: the same applications under both, measured in turns. The base runs twice, and what differs between the
// two is what the method cannot tell from nothing. Prints the change, and never fails on one.
import { parseArgs } from 'node:util';
import { buildCommit, defaultBase, resolveCommit } from './lib/base.mjs';
import { openBench } from './lib/bench.mjs';
import { compareText, toChange } from './lib/changes.mjs';
import { compareMicro } from './lib/micro.mjs';
import { measureWorkload } from './lib/run-workload.mjs';
import { hookline, ROOT } from './lib/variants.mjs';
import { MICRO } from './micro.mjs';
import { startUpRounds } from './startup.mjs';
import { WORKLOADS } from './workloads.mjs';

/** Without servers to bring up, and those that tell small changes best. */
const SHORT = ['http', 'wrapper-pg', 'wrapper-amqplib', 'startup', 'span'];

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { short: { type: 'boolean', default: false }, rounds: { type: 'string' }, node: { type: 'string' } },
});
const ALL = [...Object.keys(WORKLOADS), 'startup', ...MICRO.map(({ name }) => name)];
const names = positionals.filter((word) => ALL.includes(word));
const given = positionals.find((word) => !ALL.includes(word));
const commit = given === undefined ? defaultBase() : resolveCommit(given);
if (commit === undefined) {
  // Such as in a shallow clone: nothing to compare with is no mistake of the change's.
  console.log(`bench: there is no ${given ?? 'commit to compare with'}`);
  process.exit(given === undefined ? 0 : 1);
}
const asked = names.length > 0 ? names : values.short ? SHORT : ALL;

console.error(`bench: building ${commit.slice(0, 12)}`);
const root = buildCommit(commit);
const bench = await openBench({ node: values.node, quick: values.short });
const variants = [
  hookline({ root, name: 'base' }),
  hookline({ name: 'head' }),
  hookline({ root, name: 'again' }),
  bench.bare,
];
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);

const changes = [];
for (const name of asked) {
  console.error(`bench: ${name}`);
  changes.push(await compare(name));
}
await bench.close();
console.log(compareText(changes.filter(Boolean), commit.slice(0, 12)));
process.exit();

async function compare(name) {
  const own = rounds ?? (values.short ? 2 : 5);
  if (name === 'startup') {
    const measured = await startUpRounds(`${bench.apps}/empty.mjs`, 'import', { ...bench, rounds: own * 10 }, variants);
    return toChange('start-up, empty ES module', 'ms', measured);
  }
  const workload = WORKLOADS[name];
  if (workload !== undefined) {
    const settings = { ...bench, rounds: own, counts: countsOf(workload) };
    return toChange(workload.title, 'µs', await measureWorkload(workload, settings, variants));
  }
  try {
    const roots = { base: root, head: ROOT, again: root };
    return toChange(name, 'ns', await compareMicro(name, roots, { ...bench, rounds: own * 3 }));
  } catch (error) {
    // It asks for parts by name, and those of the base may have others.
    console.error(`bench: ${name} cannot be compared: ${error.message.split('\n')[0]}`);
    return undefined;
  }
}

/** Many short windows: the more pairs, the smaller the change that can be told. */
function countsOf({ counts: { quick } }) {
  const { warmUp, window } = quick;
  return { warmUp, window: window / 2, windows: values.short ? 20 : 40, budgetMs: values.short ? 10_000 : 60_000 };
}
