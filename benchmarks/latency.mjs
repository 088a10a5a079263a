// How much longer does the slowest hundredth of the requests take under the agent, at 70 % of what the bare server can do?
import { join } from 'node:path';
import { startProcess } from './lib/processes.mjs';
import { quantile } from './lib/statistics.mjs';

const LOAD = 0.7;

/** @type {import('./index.mjs').Benchmark} */
export const LATENCY = {
  name: 'latency',
  group: 'scenarios',
  async run(bench) {
    const windowMs = bench.counts ? 100 : bench.quick ? 1000 : 3000;
    const windows = bench.counts ? 1 : bench.quick ? 3 : 8;
    const warmUp = bench.counts ? 50 : 1500;
    const rounds = [];
    for (let round = 0; round < (bench.rounds ?? (bench.quick ? 1 : 5)); round++)
      rounds.push(await measureRound(bench, { windowMs, windows, warmUp }));
    return [
      {
        name: 'latency',
        title: `99th percentile at ${LOAD * 100} % load, server with 0.3 ms of work`,
        unit: 'ms',
        compare: 'difference',
        rounds,
        target: { over: 0.05 },
      },
    ];
  },
};

async function measureRound({ apps, node, load, receiver, bare, hookline, peers }, { windowMs, windows, warmUp }) {
  const started = [];
  try {
    for (const variant of [bare, hookline, ...peers]) {
      const app = await startProcess(join(apps, 'work-server.js'), {
        node,
        nodeArguments: variant.flags[variant.preload],
        env: { ...receiver.env, ...variant.env },
      });
      started.push({ name: variant.name, app, samples: [] });
      await load.ask({ port: app.ready.port, count: warmUp });
    }
    for (let i = 0; i < windows; i++) {
      // Once per turn: what the machine has left for us changes.
      const perSecond = LOAD * (await capacity(started[0].app, load, warmUp));
      for (const { app, samples } of i % 2 === 0 ? started : [...started].reverse()) {
        const { latenciesMs } = await load.ask({ port: app.ready.port, perSecond, durationMs: windowMs });
        samples.push(quantile(latenciesMs, 0.99));
      }
    }
    await receiver.ask('count');
    return Object.fromEntries(started.map(({ name, samples }) => [name, { samples }]));
  } finally {
    await Promise.all(started.map(({ app }) => app.stop()));
  }
}

/** Requests per second that the server answers when it always has some waiting. */
async function capacity(app, load, count) {
  const startMs = performance.now();
  await load.ask({ port: app.ready.port, count });
  return count / ((performance.now() - startMs) / 1000);
}
