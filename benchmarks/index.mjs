// Every benchmark by name, in the order of the table.
import { AWAIT } from './await.mjs';
import { GRAPH } from './graph.mjs';
import { runWorkload } from './lib/run-workload.mjs';
import { MICRO } from './micro.mjs';
import { SAMPLING } from './sampling.mjs';
import { STARTUP } from './startup.mjs';
import { WORKLOADS } from './workloads.mjs';

/**
 * @typedef {object} Benchmark
 * @property {string} name
 * @property {string} group
 * @property {(bench: object) => Promise<object[]>} run resolves to rows without their summaries
 */

/** @type {Benchmark[]} */
export const BENCHMARKS = [
  ...Object.entries(WORKLOADS).map(([name, workload]) => ({
    name,
    group: workload.group,
    run: async (bench) => [await runWorkload(name, workload, bench)],
  })),
  SAMPLING,
  AWAIT,
  ...STARTUP,
  ...GRAPH,
  ...MICRO,
];
