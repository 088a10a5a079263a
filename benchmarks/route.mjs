// How much CPU does it cost to find the route of a request? A framework's own work, and the span that is recorded either way,
// are in both columns: the left one leaves out the framework's instrumentation alone. Without a network, whose noise is
// many times what is looked for.
import { installPackages } from '../scripts/packages.mjs';
import { PRELOADS, startProcess } from './lib/processes.mjs';
import { interleave } from './lib/statistics.mjs';

const FRAMEWORKS = [
  { name: 'express', packages: ['express@5.3.0'] },
  { name: 'fastify', packages: ['fastify@5.12.8'] },
  { name: 'koa', packages: ['koa@3.3.0', '@koa/router@15.7.0'] },
];

export async function run({ quick }) {
  const warmUp = quick ? 10_000 : 30_000;
  const count = quick ? 20_000 : 60_000;
  const receiver = await startProcess('lib/receiver.mjs');
  const rows = [];
  for (const { name, packages } of FRAMEWORKS) {
    const folder = await installPackages(...packages);
    const measure = async (disabled) => {
      const app = await startProcess('apps/route.js', {
        nodeArguments: PRELOADS.import,
        env: {
          FRAMEWORK: name,
          PACKAGES: folder,
          NODE_ENV: 'production',
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.ready.url,
          OTEL_NODE_DISABLED_INSTRUMENTATIONS: disabled,
        },
      });
      await app.ask(warmUp);
      const { us } = await app.ask(count);
      await app.stop();
      return us;
    };
    const { without, agent } = await interleave(
      { without: () => measure(name), agent: () => measure('') },
      quick ? 5 : 15,
    );
    rows.push({ name: `route, ${name}`, unit: 'µs CPU', base: without, agent, note: 'without: the span, no route' });
  }
  await receiver.stop();
  return rows;
}
