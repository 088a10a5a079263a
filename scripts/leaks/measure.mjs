// One run of app.cjs, bare or under the agent.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createCertificate } from '../../test/support/certificate.ts';
import { installPackages } from '../packages.mjs';
import { root } from '../suite.mjs';
import { selectVersions } from '../versions-table.mjs';
import { slopeOf } from './slope.mjs';

/** By library: the package whose newest version is taken, and the server it needs. */
export const LIBRARIES = {
  http: {},
  https: { tls: true },
  http2: {},
  undici: { versions: 'undici' },
  pg: { versions: 'pg', service: 'postgres', variable: 'POSTGRES_URL' },
  mysql2: { versions: 'mysql2', service: 'mysql', variable: 'MYSQL_URL' },
  amqplib: { versions: 'amqplib', service: 'amqp', variable: 'AMQP_URL' },
  grpc: { versions: 'grpc' },
  api: {},
};

/** Spans that wait where no collector answers; few, so that they are as many from the first look on. */
const QUEUE_WHEN_DOWN = 256;

/**
 * What stays does not depend on how the code is compiled, but compiling leaves things on the heap, for thousands of operations:
 * with these flags a program that keeps nothing is flat within a few KiB from the first look on.
 */
const STEADY = ['--no-opt', '--no-sparkplug', '--no-lazy-feedback-allocation', '--no-flush-bytecode'];

export async function measure(library, options) {
  const { mode, operations, points, serviceUrl, variants = '', plant = '', node = process.execPath } = options;
  const { tls, versions, variable } = LIBRARIES[library];
  const collector = mode === 'up' ? await startCollector() : undefined;
  const kept = Object.entries(process.env).filter(([name]) => !/^(OTEL_|HOOKLINE_|NODE_OPTIONS$|PG[A-Z])/.test(name));
  const env = {
    ...Object.fromEntries(kept),
    ...{ LIBRARY: library, OPERATIONS: operations, POINTS: points, VARIANTS: variants, PLANT: plant, COLLECTOR: mode },
    ...(variable && { [variable]: serviceUrl }),
    ...(versions && { PACKAGES: await installPackages(...newest(versions)) }),
    ...(tls && tlsVariables()),
    ...{ OTEL_LOG_LEVEL: 'none', OTEL_BSP_SCHEDULE_DELAY: 50, HOOKLINE_EXIT_TIMEOUT: 1 },
    ...(mode === 'up' && { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }),
    // Nobody listens on the discard port.
    ...(mode === 'down' && {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_BSP_MAX_QUEUE_SIZE: QUEUE_WHEN_DOWN,
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: QUEUE_WHEN_DOWN / 4,
    }),
  };
  const flags = STEADY.concat((await hasMaglev(node)) ? '--no-maglev' : []);
  const preload = mode === 'bare' ? [] : ['--import', pathToFileURL(join(root, 'register.mjs')).href];
  try {
    const printed = await run(node, ['--expose-gc', ...flags, ...preload, join(root, 'scripts/leaks/app.cjs')], env);
    const { samples, variants: ran, export: spans } = JSON.parse(printed);
    const dropped = Object.values(spans?.dropped ?? {}).reduce((sum, count) => sum + count, 0);
    return { samples, bytesPerOperation: slopeOf(samples), variants: ran, exported: spans?.exported ?? 0, dropped };
  } finally {
    collector?.close();
  }
}

/** What one look at the heap of a program that keeps nothing differs by from another, in bytes. */
const NOISE = 48 * 1024;

/**
 * What is wrong with the traced runs, compared with the bare one. The longer they are, the less growth per operation goes for
 * noise: 1 byte from 50,000 operations on, 24 for 2,000.
 */
export function verdictOf({ bare, up, down }, operations) {
  const limit = Math.max(1, NOISE / operations);
  const problems = [];
  for (const [name, run] of Object.entries({ up, down })) {
    if (run === undefined) continue;
    const { bytesPerOperation, exported, dropped } = run;
    const more = bytesPerOperation - Math.max(0, bare.bytesPerOperation);
    if (more > limit) {
      problems.push(
        `with the collector ${name}, ${more.toFixed(2)} bytes more are kept for each operation (limit ${limit})`,
      );
    }
    // Otherwise the runs compared say nothing.
    const spans = name === 'up' ? exported : dropped;
    if (spans < operations / 4) problems.push(`with the collector ${name}, only ${spans} spans were made`);
  }
  return problems;
}

const newest = (library) => selectVersions(library, 'newest', process.versions.node).selected[0].packages;

const maglev = new Map();
/** A compiler that older versions have no flag for. */
async function hasMaglev(node) {
  if (!maglev.has(node)) maglev.set(node, run(node, ['--v8-options'], process.env));
  return (await maglev.get(node)).includes('--maglev ');
}

let certificate;
function tlsVariables() {
  certificate ??= createCertificate();
  return { TLS_KEY: certificate.key, TLS_CERT: certificate.cert };
}

/** Takes everything and looks at nothing. */
async function startCollector() {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
    request.on('error', () => {});
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Resolves with what the program printed; rejects with what it complained about. */
function run(program, args, env) {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0 && stdout !== '') resolve(stdout);
      else reject(new Error(`ended with ${signal ?? `exit code ${code}`}\n${stderr}`));
    });
  });
}
