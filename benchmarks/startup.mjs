// How much CPU does a process take from its start to its end, all of its threads included?
import { join } from 'node:path';
import { runScript } from './lib/processes.mjs';
import { byRound, interleave } from './lib/statistics.mjs';

/** [name, title, script, flag, target]. */
const CASES = [
  ['startup-import-esm', 'empty ES module, --import', 'empty.mjs', 'import', { atMost: 8 }],
  ['startup-import-cjs', 'empty CommonJS script, --import', 'empty.js', 'import', { atMost: 12 }],
  ['startup-require', 'empty CommonJS script, --require', 'empty.js', 'require', { atMost: 6 }],
  [
    'startup-app-cjs',
    'application that loads 6 libraries, CommonJS',
    'load-all.js',
    'import',
    { atMost: 12, over: 0.1 },
  ],
  [
    'startup-app-esm',
    'application that loads 6 libraries, ES modules',
    'load-all.mjs',
    'import',
    { atMost: 12, over: 0.1 },
  ],
];

/** @type {import('./index.mjs').Benchmark[]} */
export const STARTUP = CASES.map(([name, title, script, flag, target]) => ({
  name,
  group: 'startup',
  async run(bench) {
    const rounds = await startUpRounds(join(bench.apps, script), flag, bench);
    return [{ name, title: `start-up: ${title}`, unit: 'ms', compare: 'difference', rounds, target }];
  },
}));

/** Milliseconds of CPU time, one sample per round. */
export async function startUpRounds(script, flag, bench, compared = [bench.bare, bench.hookline, ...bench.peers]) {
  const variants = {};
  for (const variant of compared) variants[variant.name] = () => ({ samples: [startUp(script, flag, variant, bench)] });
  return byRound(await interleave(variants, { rounds: bench.rounds ?? (bench.quick ? 5 : 40) }));
}

function startUp(script, flag, variant, { node, receiver }) {
  const { user, system } = runScript(script, {
    node,
    nodeArguments: variant.flags[flag],
    env: { ...receiver.env, ...variant.env },
  });
  return (user + system) / 1000;
}
