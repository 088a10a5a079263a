// For how long does one flush of 512 spans keep the event loop from anything else?
import { join } from 'node:path';
import { startProcess } from './lib/processes.mjs';
import { byRound, interleave, median } from './lib/statistics.mjs';

/** @type {import('./index.mjs').Benchmark} */
export const FLUSH_PAUSE = {
  name: 'flush-pause',
  group: 'micro',
  async run(bench) {
    const flushes = bench.counts ? 3 : bench.quick ? 30 : 100;
    const variants = {};
    // dd-trace has no spans of the OpenTelemetry API by itself.
    for (const variant of [bench.hookline, ...bench.peers.filter(({ name }) => name !== 'dd')])
      variants[variant.name] = async () => {
        const app = await startProcess(join(bench.apps, 'flush-pause.js'), {
          node: bench.node,
          nodeArguments: variant.flags[variant.preload],
          env: {
            ...bench.receiver.env,
            ...variant.env,
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1024',
            OTEL_BSP_SCHEDULE_DELAY: '60000',
          },
        });
        try {
          await app.ask({ type: 'flushes', count: flushes });
          const { pauses } = await app.ask({ type: 'flushes', count: flushes });
          const { spans } = await bench.receiver.ask('count');
          if (spans < 2 * flushes * 512)
            throw new Error(`${variant.name}: ${spans} spans came of ${2 * flushes} flushes`);
          return { samples: [median(pauses)], pauses };
        } finally {
          await app.stop();
        }
      };
    const rounds = byRound(await interleave(variants, { rounds: bench.rounds ?? (bench.quick ? 2 : 5) }));
    return [
      {
        name: 'flush-pause',
        title: 'longest pause of one flush of 512 spans',
        unit: 'ms',
        compare: 'absolute',
        rounds,
        target: { atMost: 2 },
      },
    ];
  },
};
