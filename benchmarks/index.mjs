// Every benchmark by name, in the order of the table.
import { AWAIT } from './await.mjs';
import { FLUSH_PAUSE } from './flush-pause.mjs';
import { FOOTPRINT } from './footprint.mjs';
import { GRAPH } from './graph.mjs';
import { LATENCY } from './latency.mjs';
import { runWorkload } from './lib/run-workload.mjs';
import { MEMORY } from './memory.mjs';
import { MICRO } from './micro.mjs';
import { ROUTE } from './route.mjs';
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
  ...ROUTE,
  SAMPLING,
  AWAIT,
  LATENCY,
  ...STARTUP,
  ...GRAPH,
  ...MEMORY,
  FOOTPRINT,
  FLUSH_PAUSE,
  ...MICRO,
];
