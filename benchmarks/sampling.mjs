// What does the agent cost where nothing is recorded: by the sampler's decision, and switched off by a variable?
import { measureWorkload } from './lib/run-workload.mjs';
import { hookline } from './lib/variants.mjs';
import { WORKLOADS } from './workloads.mjs';

const CASES = {
  unsampled: {
    title: 'http hello, not sampled',
    env: { OTEL_TRACES_SAMPLER: 'always_off' },
    // Here to the agent's own cost with all requests sampled.
    target: { ratio: 0.33 },
    reference: 'hookline',
  },
  'sdk-disabled': {
    title: 'http hello, OTEL_SDK_DISABLED=true',
    env: { OTEL_SDK_DISABLED: 'true' },
    target: { nothing: true },
  },
  'instrumentation-disabled': {
    title: 'http hello, OTEL_INSTRUMENTATION_HTTP_ENABLED=false',
    env: { OTEL_INSTRUMENTATION_HTTP_ENABLED: 'false' },
    target: { nothing: true },
  },
};

/** @type {import('./index.mjs').Benchmark} */
export const SAMPLING = {
  name: 'unsampled',
  group: 'scenarios',
  async run(bench) {
    const off = Object.entries(CASES).map(([name, { env }]) => hookline({ name, env }));
    // The bare application once more: what differs there is what the method cannot tell from nothing.
    const again = { ...bench.bare, name: 'again' };
    const rounds = await measureWorkload(WORKLOADS.http, bench, [bench.bare, bench.hookline, ...off, again]);
    return Object.entries(CASES).map(([name, { title, target, reference }]) => ({
      name,
      title,
      unit: 'µs',
      compare: 'difference',
      rounds,
      subject: name,
      reference,
      target,
    }));
  },
};
