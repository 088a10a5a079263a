// Every benchmark by name, in the order of the table.
import { runMicro } from './lib/micro.mjs';
import { runWorkload } from './lib/run-workload.mjs';
import { STARTUP } from './startup.mjs';
import { WORKLOADS } from './workloads.mjs';

/**
 * @typedef {object} Benchmark
 * @property {string} name
 * @property {string} group
 * @property {(bench: object) => Promise<object[]>} run resolves to rows
 */

const MICRO = {
  span: { title: 'span with 8 attributes, start to encoded', target: { ratio: 0.15 } },
};

/** @type {Benchmark[]} */
export const BENCHMARKS = [
  ...Object.entries(WORKLOADS).map(([name, workload]) => ({
    name,
    group: workload.group,
    run: async (bench) => [await runWorkload(name, workload, bench)],
  })),
  ...STARTUP,
  ...Object.entries(MICRO).map(([name, { title, target }]) => ({
    name,
    group: 'micro',
    run: async (bench) => {
      const { unit, rounds, question } = await runMicro(name, bench);
      return [{ name, title, question, unit, compare: 'absolute', rounds, target }];
    },
  })),
];
