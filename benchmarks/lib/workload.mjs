// One round of a workload: the application once under every variant, each in a process of its own, all alive at the
// same time and measured in turns. What a slow second of the machine does to one window, it does to its neighbours.
import { startProcess } from './processes.mjs';

/** So many operations tell how many spans one makes. */
const COUNTED = 200;

/** Whatever the time that they take. */
const MIN_WINDOWS = 3;

/**
 * @param {object} workload
 * @param {string} workload.app absolute path
 * @param {boolean} [workload.http] requests come from the load generator; otherwise the application makes the operations itself
 * @param {Record<string, string>} [workload.env]
 * @param {import('./variants.mjs').Variant[]} variants
 * @param {{ node: string, load: object, receiver: object, warmUp: number, window: number, windows: number, budgetMs?: number }} bench
 *   `budgetMs`: all windows together take not much longer
 * @returns {Promise<Record<string, Measured>>} by variant
 *
 * @typedef {object} Measured
 * @property {number[]} samples CPU microseconds per operation, one per window
 * @property {number} spansPerOperation
 * @property {number} expectedSpans in all windows
 * @property {number} spans that arrived of them
 */
export async function measureRound(workload, variants, bench) {
  const { window, windows, budgetMs = Number.POSITIVE_INFINITY } = bench;
  const started = await Promise.allSettled(variants.map((variant) => start(workload, variant, bench)));
  const apps = started.flatMap(({ value }) => value ?? []);
  try {
    for (const { reason } of started) if (reason) throw reason;
    for (const app of apps) {
      // However long that takes: before what is run often is compiled, there is nothing to learn.
      await app.operate(bench.warmUp);
      await app.flush();
      const counted = Math.min(COUNTED, bench.warmUp);
      await app.operate(counted);
      await app.flush();
      app.perOperation = app.spans / counted;
    }
    const startMs = performance.now();
    for (let i = 0; i < windows && (i < MIN_WINDOWS || performance.now() - startMs < budgetMs); i++) {
      for (const app of i % 2 === 0 ? apps : [...apps].reverse()) {
        // Caches, and on some machines memory, go to the others while a process waits for its turn: all get them back unmeasured.
        await app.operate(Math.ceil(window / 5));
        await app.flush();
        await app.operate(window);
        const us = await app.flush();
        app.samples.push(us / window);
        app.total += app.spans;
      }
    }
    return Object.fromEntries(
      apps.map(({ name, samples, perOperation, total }) => [
        name,
        {
          samples,
          spansPerOperation: perOperation,
          expectedSpans: perOperation * window * samples.length,
          spans: total,
        },
      ]),
    );
  } finally {
    await Promise.all(apps.map((app) => app.stop()));
  }
}

async function start(workload, variant, { node, load, receiver }) {
  const process = await startProcess(workload.app, {
    node,
    nodeArguments: variant.flags[workload.preload ?? variant.preload],
    env: { ...receiver.env, ...workload.env, ...variant.env },
  });
  const { port } = process.ready;
  return {
    name: variant.name,
    samples: [],
    total: 0,
    /** Those that arrived before the last flush, since the one before. */
    spans: 0,
    operate: (count) => (workload.http ? load.ask({ port, count }) : process.ask({ type: 'run', count })),
    /** Resolves to the CPU time since the last one; what was recorded meanwhile is then at the receiver. */
    async flush() {
      const { us } = await process.ask({ type: 'flush' });
      const { spans, problem } = await receiver.ask('count');
      if (problem !== undefined) throw new Error(`the receiver did not understand a request: ${problem}`);
      this.spans = spans;
      return us;
    },
    stop: () => process.stop(),
  };
}
