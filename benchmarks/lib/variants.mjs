// What is compared: the bare application, the agent, and other agents, in exact versions that are installed on demand.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { installPackages } from '../../scripts/packages.mjs';

/** This working tree. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What the applications under measurement are made of. */
export const LIBRARIES = [
  'express@5.3.0',
  'pg@8.23.1',
  'mysql2@3.24.5',
  'amqplib@2.3.1',
  '@grpc/grpc-js@1.14.7',
  'undici@6.29.1',
];

const TRACED = 'http,undici,express,pg,mysql2,amqplib,grpc';

/** The newest of each that runs on the Node.js: [oldest major version of Node.js, packages]. */
const PACKAGES = {
  otel: [
    [22, ['@opentelemetry/auto-instrumentations-node@0.82.0', '@opentelemetry/api@1.10.0']],
    [18, ['@opentelemetry/auto-instrumentations-node@0.81.2', '@opentelemetry/api@1.9.1']],
  ],
  dd: [
    [22, ['dd-trace@6.21.0']],
    [18, ['dd-trace@5.132.0']],
  ],
  elastic: [[18, ['@elastic/opentelemetry-node@1.18.0']]],
};

/** What each flag reads, by its specifier; where `import` finds another file than `require`, by its path. */
const ENTRIES = {
  otel: {
    require: '@opentelemetry/auto-instrumentations-node/register',
    import: '@opentelemetry/auto-instrumentations-node/register',
  },
  dd: { require: 'dd-trace/init', import: 'dd-trace/initialize.mjs' },
  elastic: { require: '@elastic/opentelemetry-node', import: './node_modules/@elastic/opentelemetry-node/import.mjs' },
};

/** The comparisons that `--peers` names. The ratios are to `otel`. */
export const PEERS = {
  otel: {
    title: 'OpenTelemetry, traces only',
    packages: 'otel',
    env: {
      OTEL_NODE_ENABLED_INSTRUMENTATIONS: TRACED,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
    },
  },
  'otel-default': { title: 'OpenTelemetry, default', packages: 'otel', env: {} },
  dd: { title: 'dd-trace', packages: 'dd', env: { DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false' } },
  elastic: { title: 'Elastic EDOT', packages: 'elastic', env: {} },
};

/** Nobody is to win by dropping: all have room for what they record. */
const ROOM = { OTEL_BSP_MAX_QUEUE_SIZE: '65536' };

/**
 * @typedef {object} Variant
 * @property {string} name
 * @property {string} title
 * @property {Record<string, string>} env
 * @property {{ import: string[], require: string[] }} flags Node's arguments, by the way to preload
 * @property {'import' | 'require'} preload the way that CommonJS applications use
 * @property {string[]} [packages] what a peer is installed from
 * @property {string} [folder] where a peer is installed
 */

/** @returns {Variant} */
export function bare() {
  return { name: 'bare', title: 'bare or floor', env: {}, flags: { import: [], require: [] }, preload: 'import' };
}

/**
 * The agent as built in a working tree.
 * @returns {Variant}
 */
export function hookline({ root = ROOT, name = 'hookline', title = 'Hookline', env = {} } = {}) {
  return {
    name,
    title,
    env: { ...ROOM, ...env },
    flags: {
      import: ['--import', pathToFileURL(join(root, 'register.mjs')).href],
      require: ['--require', join(root, 'dist/register.js')],
    },
    preload: 'import',
  };
}

/**
 * @param {keyof typeof PEERS} name
 * @param {string} nodeVersion
 * @returns {Promise<Variant>}
 */
export async function peer(name, nodeVersion) {
  const { title, packages: key, env } = PEERS[name];
  const specs = packagesFor(key, nodeVersion);
  const folder = await installPackages(...specs);
  const entry = (flag) => createRequire(join(folder, 'package.json')).resolve(ENTRIES[key][flag]);
  return {
    name,
    title,
    env: { ...ROOM, ...env },
    flags: { import: ['--import', pathToFileURL(entry('import')).href], require: ['--require', entry('require')] },
    // Their documentation's way for CommonJS; Elastic's has one way for all.
    preload: key === 'elastic' ? 'import' : 'require',
    packages: specs,
    folder,
  };
}

export function packagesFor(key, nodeVersion) {
  const major = Number.parseInt(nodeVersion, 10);
  return PACKAGES[key].find(([oldest]) => major >= oldest)[1];
}

/** Tells an agent where the receiver is, in all of the ways that agents are told. */
export function exportTo(url) {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: url, DD_TRACE_AGENT_URL: url, OTEL_SERVICE_NAME: 'bench', DD_SERVICE: 'bench' };
}
