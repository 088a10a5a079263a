// How much CPU does it cost to find the route of a request? A framework's own work, and the span that is recorded either way,
// are in both: `bare` leaves out the framework's instrumentation alone. Without a network, whose noise is many times what is
// looked for.
import { join } from 'node:path';
import { installPackages } from '../scripts/packages.mjs';
import { startProcess } from './lib/processes.mjs';
import { byRound, interleave } from './lib/statistics.mjs';

const FRAMEWORKS = [
  { framework: 'express', packages: ['express@5.3.0'] },
  { framework: 'fastify', packages: ['fastify@5.12.8'] },
  { framework: 'koa', packages: ['koa@3.3.0', '@koa/router@15.7.0'] },
];

/** @type {import('./index.mjs').Benchmark[]} */
export const ROUTE = FRAMEWORKS.map(({ framework, packages }) => ({
  name: `route-${framework}`,
  group: 'calls',
  async run(bench) {
    const warmUp = bench.counts?.warmUp ?? (bench.quick ? 10_000 : 30_000);
    const count = bench.counts?.operations ?? (bench.quick ? 20_000 : 60_000);
    const folder = await installPackages(...packages);
    const measure = async (disabled) => {
      const app = await startProcess(join(bench.apps, 'route.js'), {
        node: bench.node,
        nodeArguments: bench.hookline.flags.import,
        env: {
          ...bench.receiver.env,
          FRAMEWORK: framework,
          PACKAGES: folder,
          NODE_ENV: 'production',
          OTEL_NODE_DISABLED_INSTRUMENTATIONS: disabled,
        },
      });
      try {
        await app.ask(warmUp);
        const { us } = await app.ask(count);
        return { samples: [us] };
      } finally {
        await app.stop();
      }
    };
    const rounds = byRound(
      await interleave(
        { bare: () => measure(framework), hookline: () => measure('') },
        { rounds: bench.rounds ?? (bench.quick ? 3 : 9) },
      ),
    );
    return [
      {
        name: `route-${framework}`,
        title: `${framework}: finding the route`,
        unit: 'µs',
        compare: 'difference',
        rounds,
        note: 'bare: the span without its route',
      },
    ];
  },
}));
