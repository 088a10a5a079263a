// How much memory does the agent take: after start, after load, per span that waits, and over millions of operations?

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startProcess } from './lib/processes.mjs';
import { byRound, interleave } from './lib/statistics.mjs';
import { exportTo } from './lib/variants.mjs';

const MIB = 1024 * 1024;

/** @type {import('./index.mjs').Benchmark[]} */
export const MEMORY = [
  { name: 'rss', group: 'memory', run: runResident },
  { name: 'buffered', group: 'memory', run: runBuffered },
  { name: 'heap', group: 'memory', run: runHeap },
];

/** Resident set of an HTTP server that has just started, and that has answered many requests. */
async function runResident(bench) {
  const requests = bench.counts?.operations ?? (bench.quick ? 10_000 : 60_000);
  const variants = {};
  for (const variant of [bench.bare, bench.hookline, ...bench.peers])
    variants[variant.name] = async () => {
      const app = await startServer(variant, bench, bench.receiver.env);
      try {
        // What an agent does beside the start of the application is part of it.
        await delay(bench.counts ? 0 : 300);
        const started = await app.ask({ type: 'memory' });
        await bench.load.ask({ port: app.ready.port, count: requests });
        await app.ask({ type: 'flush' });
        await bench.receiver.ask('count');
        const loaded = await app.ask({ type: 'memory' });
        return { started: started.rss / MIB, loaded: loaded.rss / MIB };
      } finally {
        await app.stop();
      }
    };
  const rounds = byRound(await interleave(variants, { rounds: bench.rounds ?? (bench.quick ? 2 : 9) }));
  const row = (name, title, key, target) => ({
    name,
    title,
    unit: 'MiB',
    compare: 'difference',
    rounds: samplesOf(rounds, (measured) => measured[key]),
    target,
  });
  return [
    row('rss-start', 'resident set after start', 'started', { atMost: 8 }),
    row('rss-load', `resident set after ${requests.toLocaleString('en')} requests`, 'loaded', { atMost: 16 }),
  ];
}

/** Bytes of a server span that waits for a collector that does not answer: on the heap, and outside of it. */
async function runBuffered(bench) {
  const spans = bench.counts?.operations ?? (bench.quick ? 5_000 : 10_000);
  const silent = await startProcess('lib/silent.mjs');
  const env = { ...exportTo(silent.ready.url), OTEL_BSP_MAX_QUEUE_SIZE: '65536' };
  // dd-trace holds requests, not spans.
  const peers = bench.peers.filter(({ name }) => name !== 'dd');
  const variants = {};
  for (const variant of [bench.bare, bench.hookline, ...peers])
    variants[variant.name] = async () => {
      const app = await startServer(variant, bench, env, ['--expose-gc']);
      try {
        const load = (count) => bench.load.ask({ port: app.ready.port, count });
        // Once warm, what is compiled and what is pooled stays as it is.
        await load(spans);
        const before = await app.ask({ type: 'memory' });
        await load(spans);
        const after = await app.ask({ type: 'memory' });
        const grown = (key) => (after[key] - before[key]) / spans;
        return { heap: grown('heapUsed'), all: grown('heapUsed') + grown('external') };
      } finally {
        await app.stop();
      }
    };
  try {
    const rounds = byRound(await interleave(variants, { rounds: bench.rounds ?? (bench.quick ? 2 : 5) }));
    const row = (name, title, key, target) => ({
      name,
      title,
      unit: 'bytes',
      compare: 'difference',
      rounds: samplesOf(rounds, (measured) => measured[key]),
      target,
    });
    return [
      row('buffered', 'buffered server span', 'all', { atMost: 450 }),
      row('buffered-heap', 'buffered server span, on the heap', 'heap', undefined),
    ];
  } finally {
    await silent.stop();
  }
}

/** How much the heap grows over millions of spans, with a collector and without one. */
async function runHeap(bench) {
  const spans = bench.counts?.operations ?? (bench.quick ? 200_000 : 10_000_000);
  const measure = async (env, isThere) => {
    const app = await startProcess(join(bench.apps, 'heap.js'), {
      node: bench.node,
      nodeArguments: [...bench.hookline.flags.import, '--expose-gc'],
      env: { ...env, OTEL_LOG_LEVEL: 'none' },
    });
    try {
      const steps = [];
      for (let step = 0; step < 10; step++) {
        await app.ask({ type: 'run', count: spans / 10 });
        // What waits to be sent is bounded, and not what is looked for.
        if (isThere) await app.ask({ type: 'flush' });
        const { heapUsed, external } = await app.ask({ type: 'memory' });
        steps.push((heapUsed + external) / 1024);
      }
      await bench.receiver.ask('count');
      return { samples: [growth(steps)], steps };
    } finally {
      await app.stop();
    }
  };
  const rounds = byRound(
    await interleave(
      {
        there: () => measure(bench.receiver.env, true),
        // Nobody listens on the port of an echo service.
        gone: () => measure(exportTo('http://127.0.0.1:7'), false),
      },
      { rounds: bench.rounds ?? (bench.quick ? 1 : 3) },
    ),
  );
  const millions = `${(spans / 1e6).toLocaleString('en')} million spans`;
  const row = (subject, title) => ({
    name: `heap-${subject}`,
    title,
    unit: 'KiB',
    compare: 'absolute',
    rounds,
    subject,
    target: { atMost: 512 },
  });
  return [
    row('there', `growth of the heap over ${millions}`),
    row('gone', `growth of the heap over ${millions}, no collector`),
  ];
}

/** From the second tenth on, when the queue is as full as it gets, to the last: the lower of three at each end. */
export function growth(steps) {
  return Math.min(...steps.slice(-3)) - Math.min(...steps.slice(1, 4));
}

function startServer(variant, { node, apps }, env, more = []) {
  return startProcess(join(apps, 'http-server.js'), {
    node,
    nodeArguments: [...variant.flags[variant.preload], ...more],
    env: { ...env, ...variant.env },
  });
}

function samplesOf(rounds, pick) {
  return rounds.map((round) =>
    Object.fromEntries(Object.entries(round).map(([name, measured]) => [name, { samples: [pick(measured)] }])),
  );
}
