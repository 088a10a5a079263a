// What does the agent add to an `await` in the application's own code?
import { measureWorkload } from './lib/run-workload.mjs';

const WORKLOAD = {
  app: 'await.js',
  counts: {
    quick: { warmUp: 200_000, window: 200_000, windows: 6 },
    full: { warmUp: 400_000, window: 400_000, windows: 20 },
  },
};

/** @type {import('./index.mjs').Benchmark} */
export const AWAIT = {
  name: 'await',
  group: 'scenarios',
  async run(bench) {
    // What one storage of the application's own costs is what the agent's may cost, before Node.js 24.
    const storage = { ...bench.bare, name: 'storage', env: { STORAGE: '1' } };
    const variants = [bench.bare, bench.hookline, ...bench.peers, storage];
    const rounds = await measureWorkload(WORKLOAD, bench, variants);
    for (const round of rounds)
      for (const measured of Object.values(round)) measured.samples = measured.samples.map((us) => us * 1000);
    return [
      {
        name: 'await',
        title: 'one await in a request',
        unit: 'ns',
        compare: 'difference',
        rounds,
        target: { asLittleAs: 'storage' },
        note: 'against one AsyncLocalStorage of the application',
      },
    ];
  },
};
