// Whole applications, and single calls in them: what does one operation cost under each agent?

/**
 * @typedef {object} Workload
 * @property {string} group what selects it, beside its own name
 * @property {string} title
 * @property {string} app below apps/
 * @property {boolean} [http] operations are requests of the load generator; else the application makes them itself
 * @property {Record<string, string>} [env]
 * @property {'upstream' | 'postgres' | 'mysql' | 'amqp'} [service] what the application has under URL
 * @property {number} spans that the agent makes of one operation
 * @property {{ quick: Counts, full: Counts }} counts
 * @property {import('./lib/targets.mjs').Target} [target]
 * @typedef {{ warmUp: number, window: number, windows: number, budgetMs?: number }} Counts
 */

/** Thousands of operations to warm up and per window. */
const counts = (warmUp, window) => ({
  // Once, after a long warm-up: what is compiled late would be charged to whoever runs more code.
  quick: { warmUp: warmUp * 1200, window: window * 1000, windows: 10, budgetMs: 4000 },
  full: { warmUp: warmUp * 1500, window: window * 1000, windows: 20 },
});

/** @type {Record<string, Workload>} */
export const WORKLOADS = {
  http: {
    group: 'scenarios',
    title: 'http hello',
    app: 'http-server.js',
    http: true,
    spans: 1,
    counts: counts(20, 5),
    target: { ratio: 0.2, atMost: 3.7 },
  },
  'http-http': {
    group: 'scenarios',
    title: 'http server and one keep-alive http call',
    app: 'http-client-server.js',
    http: true,
    env: { CALL: 'http' },
    service: 'upstream',
    spans: 2,
    counts: counts(10, 2),
    target: { ratio: 0.25 },
  },
  'http-fetch': {
    group: 'scenarios',
    title: 'http server and one fetch',
    app: 'http-client-server.js',
    http: true,
    env: { CALL: 'fetch' },
    service: 'upstream',
    spans: 2,
    counts: counts(8, 1),
    target: { ratio: 0.25 },
  },
  'express-pg': {
    group: 'scenarios',
    title: 'express and one pg pool query',
    app: 'express-server.js',
    http: true,
    env: { LIBRARY: 'pg' },
    service: 'postgres',
    spans: 2,
    counts: counts(8, 1),
    target: { ratio: 0.25 },
  },
  'express-mysql2': {
    group: 'scenarios',
    title: 'express and one mysql2 query',
    app: 'express-server.js',
    http: true,
    env: { LIBRARY: 'mysql2' },
    service: 'mysql',
    spans: 2,
    counts: counts(8, 1),
    target: { ratio: 0.25 },
  },
  grpc: {
    group: 'scenarios',
    title: 'gRPC unary, client and server in one process',
    app: 'call.js',
    env: { LIBRARY: 'grpc' },
    spans: 2,
    counts: counts(8, 1),
    target: { ratio: 0.25 },
  },
  amqplib: {
    group: 'scenarios',
    title: 'amqplib publish and consume',
    app: 'call.js',
    env: { LIBRARY: 'amqplib' },
    service: 'amqp',
    spans: 2,
    counts: counts(15, 3),
    target: { ratio: 0.25 },
  },
  pg: {
    group: 'calls',
    title: 'one pg query of a pool',
    app: 'call.js',
    env: { LIBRARY: 'pg' },
    service: 'postgres',
    spans: 1,
    counts: counts(10, 2),
    target: { ratio: 0.15 },
  },
  mysql2: {
    group: 'calls',
    title: 'one mysql2 query of a pool',
    app: 'call.js',
    env: { LIBRARY: 'mysql2' },
    service: 'mysql',
    spans: 1,
    counts: counts(10, 2),
    target: { ratio: 0.15 },
  },
  'http-call': {
    group: 'calls',
    title: 'one keep-alive http call',
    app: 'call.js',
    env: { LIBRARY: 'http' },
    service: 'upstream',
    spans: 1,
    counts: counts(10, 3),
    target: { ratio: 0.25 },
  },
  'fetch-call': {
    group: 'calls',
    title: 'one fetch call',
    app: 'call.js',
    env: { LIBRARY: 'fetch' },
    service: 'upstream',
    spans: 1,
    counts: counts(8, 2),
    target: { ratio: 0.25 },
  },
  ...Object.fromEntries(
    Object.entries({
      'http-server': 1,
      'http-client': 1,
      undici: 1,
      pg: 1,
      mysql2: 1,
      amqplib: 2,
    }).map(([library, spans]) => [
      `wrapper-${library}`,
      {
        group: 'wrappers',
        title: `${library} over a socket in memory`,
        app: 'wrapper.js',
        env: { LIBRARY: library },
        spans,
        counts: counts(20, 5),
      },
    ]),
  ),
};
