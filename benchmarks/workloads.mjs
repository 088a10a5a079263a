// Whole applications, and single calls in them: what does one operation cost under each agent?

/**
 * @typedef {object} Workload
 * @property {string} group what selects it, beside its own name
 * @property {string} title
 * @property {string} app below apps/
 * @property {boolean} [http] operations are requests of the load generator
 * @property {number} spans that the agent makes of one operation
 * @property {[quick: Counts, full: Counts]} counts
 * @property {import('./lib/targets.mjs').Target} [target]
 * @typedef {{ warmUp: number, window: number, windows: number }} Counts
 */

/** @type {Record<string, Workload>} */
export const WORKLOADS = {
  http: {
    group: 'scenarios',
    title: 'http hello',
    app: 'http-server.js',
    http: true,
    spans: 1,
    counts: [
      { warmUp: 20_000, window: 5_000, windows: 6 },
      { warmUp: 30_000, window: 5_000, windows: 20 },
    ],
    target: { ratio: 0.2, atMost: 3.7 },
  },
};
