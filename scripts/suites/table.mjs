// The test suites that run under the preload. By entry:
//
//   name          of the library, and its line of versions where there are several
//   scope         the instrumentation whose spans have to arrive
//   version, ref  of the package, and the tag of its repository that holds the tests of that version
//   node          the oldest Node.js that it runs on, where that is not the oldest that we support
//   packages      the package and what belongs to it, exact
//   needs         what its tests need besides, in the versions of the `manifests` in the repository or in one given here
//   copies        paths of the repository, and where they are laid
//   finish        arguments of a Node.js that is run when all is there
//   server        `postgres`, `mysql` or `amqp`: what has to be there, with the variables that say where
//   suites        a runner with the files that it is given; `skip` has files that are not run, with the reason; `preload` is the flag
//                 of the preload, where it is not `import`
import { readdirSync, readFileSync } from 'node:fs';
import { isAtLeast } from '../versions-table.mjs';

/** For mocha, whose 2 seconds a busy machine does not always keep. */
const PATIENT = ['--timeout', '20000'];

/** Certificates that tests bring have keys of 1024 bits, which newer versions of OpenSSL refuse. */
const WEAK_KEYS = '--tls-cipher-list=DEFAULT@SECLEVEL=0';

const BUILT = 'wants a file that only a build of the repository makes';

const UNDICI_6 = [
  ...['', 'fetch/', 'busboy/', 'cache/', 'cookie/', 'eventsource/', 'interceptors/', 'node-fetch/', 'node-test/'],
  ...['webidl/', 'websocket/'],
];
const UNDICI_7 = [...UNDICI_6, 'cache-interceptor/', 'infra/', 'subresource-integrity/', 'websocket/[^/]+/'];

const undici = (version, node, directories) => ({
  name: `undici ${version.split('.')[0]}`,
  scope: 'undici',
  version,
  node,
  repository: 'nodejs/undici',
  ref: `v${version}`,
  packages: [`undici@${version}`],
  manifests: ['package.json'],
  needs: [
    '@fastify/busboy',
    '@matteo.collina/tspl',
    '@sinonjs/fake-timers',
    'abort-controller',
    'dns-packet',
    'fast-check',
    'proxy',
    'ws',
    '@metcoder95/https-pem',
  ],
  copies: ['test', 'docs/examples'].map((path) => [path, `node_modules/undici/${path}`]),
  // Makes certificates.
  finish: ['--eval', "require('@metcoder95/https-pem/install')"],
  suites: [
    {
      runner: 'node:test',
      cwd: 'node_modules/undici',
      files: directories.map((directory) => new RegExp(`^test/${directory}[^/]+\\.js$`)),
      flags: ['--expose-gc', WEAK_KEYS],
      // One of them collects garbage in full two thousand times.
      timeoutMs: 180_000,
      skip: {
        'test/fetch/bundle.js': BUILT,
        'test/fetch/export-env-proxy-agent.js': BUILT,
        'test/fetch/issue-1447.js': BUILT,
        'test/fetch/user-agent.js': BUILT,
        'test/node-fetch/utils/chai-setup.js': 'is no test',
      },
    },
  ],
});

const express = (version, needs) => ({
  name: `express ${version.split('.')[0]}`,
  scope: 'http',
  version,
  repository: 'expressjs/express',
  ref: `v${version}`,
  packages: [`express@${version}`],
  manifests: ['package.json'],
  needs: [
    'after',
    'cookie-parser',
    'cookie-session',
    'ejs',
    'express-session',
    'hbs',
    'marked',
    'method-override',
    ...needs,
  ],
  copies: ['test', 'examples'].map((path) => [path, `node_modules/express/${path}`]),
  suites: [
    {
      runner: 'mocha',
      cwd: 'node_modules/express',
      files: [/^test\/[^/]+\.js$/, /^test\/acceptance\/[^/]+\.js$/],
      flags: ['--require', './test/support/env', '--check-leaks', ...PATIENT],
    },
  ],
});

export const TABLE = [
  undici('6.28.0', '18.17.0', UNDICI_6),
  undici('7.29.0', '20.18.1', UNDICI_7),
  undici('8.10.0', '22.19.0', UNDICI_7),
  {
    name: 'pg',
    scope: 'pg',
    version: '8.23.0',
    repository: 'brianc/node-postgres',
    ref: 'pg@8.23.0',
    packages: ['pg@8.23.0', 'pg-pool@3.14.0', 'pg-cursor@2.22.0', 'pg-query-stream@4.17.0'],
    manifests: ['pg', 'pg-pool', 'pg-query-stream'].map((name) => `packages/${name}/package.json`),
    needs: [
      ...['async', 'bluebird', 'co', 'pg-copy-streams', 'expect.js', 'lodash', 'mocha'],
      ...['JSONStream', 'concat-stream', 'stream-spec', 'tsx@4.23.15'],
    ],
    copies: [
      ...['pg', 'pg-pool', 'pg-cursor', 'pg-query-stream'].map((name) => [
        `packages/${name}/test`,
        `node_modules/${name}/test`,
      ]),
      // Its tests are written against the sources, which are not published.
      ['packages/pg-query-stream/src', 'node_modules/pg-query-stream/src'],
    ],
    server: 'postgres',
    suites: [
      {
        runner: 'script',
        cwd: 'node_modules/pg',
        files: [/^test\/(unit|integration)\/.*-tests\.js$/],
        prints: { passed: /^ {2}(\S.*) ✔$/, failed: /^ {2}(\S.*) FAILED!$/ },
        serial: true,
      },
      { runner: 'mocha', cwd: 'node_modules/pg-pool', files: [/^test\/[^/]+\.js$/], flags: PATIENT, serial: true },
      { runner: 'mocha', cwd: 'node_modules/pg-cursor', files: [/^test\/[^/]+\.js$/], flags: PATIENT, serial: true },
      {
        runner: 'mocha',
        cwd: 'node_modules/pg-query-stream',
        files: [/^test\/[^/]+\.ts$/],
        flags: ['--require', 'tsx/cjs', ...PATIENT],
        serial: true,
      },
    ],
  },
  {
    name: 'mysql2',
    scope: 'mysql2',
    version: '3.23.4',
    node: '20.0.0',
    repository: 'sidorares/node-mysql2',
    ref: 'v3.23.4',
    packages: ['mysql2@3.23.4'],
    manifests: ['package.json'],
    needs: ['poku', 'assert-diff', 'error-stack-parser', 'portfinder', 'tsx'],
    copies: ['test', 'tools', 'fixtures'].map((path) => [path, `node_modules/mysql2/${path}`]),
    server: 'mysql',
    suites: [
      {
        runner: 'script',
        cwd: 'node_modules/mysql2',
        files: [/^test\/(unit|integration|global)\/.*\.test\.mts$/],
        flags: ['--import', 'tsx'],
        prints: { passed: /^ *✔ (.*?)(?: › .*)?$/, failed: /^ *✘ (.*?)(?: › .*)?$/ },
        serial: true,
      },
    ],
  },
  express('4.22.2', ['mocha@^10.7.3', 'morgan', 'pbkdf2-password', 'supertest', 'vhost', 'connect-redis']),
  express('5.2.1', ['mocha', 'morgan', 'pbkdf2-password', 'supertest', 'vhost', 'connect-redis']),
  {
    name: 'fastify',
    scope: 'http',
    version: '5.12.1',
    node: '20.0.0',
    repository: 'fastify/fastify',
    ref: 'v5.12.1',
    packages: ['fastify@5.12.1'],
    manifests: ['package.json'],
    needs: [
      ...['ajv', 'ajv-errors', 'ajv-formats', 'ajv-i18n', 'ajv-merge-patch', 'fast-json-body', 'fastify-plugin'],
      ...['fluent-json-schema', 'h2url', 'http-errors', 'joi', 'JSONStream', 'node-forge', 'proxyquire', 'split2'],
      ...['typebox', 'undici', 'vary', 'yup'],
    ],
    copies: ['test', 'examples', 'build'].map((path) => [path, `node_modules/fastify/${path}`]),
    suites: [{ runner: 'node:test', cwd: 'node_modules/fastify', files: [/^test\/.*\.test\.m?js$/] }],
  },
  {
    name: 'amqplib',
    scope: 'amqplib',
    version: '2.0.1',
    repository: 'amqp-node/amqplib',
    ref: 'v2.0.1',
    packages: ['amqplib@2.0.1'],
    manifests: ['package.json'],
    needs: ['claire'],
    copies: ['test', 'bin'].map((path) => [path, `node_modules/amqplib/${path}`]),
    server: 'amqp',
    suites: [{ runner: 'node:test', cwd: 'node_modules/amqplib', files: [/^test\/[^/]+\.test\.js$/], serial: true }],
  },
  {
    name: 'grpc-js',
    scope: 'grpc',
    version: '1.14.3',
    repository: 'grpc/grpc-node',
    ref: '@grpc/grpc-js@1.14.3',
    packages: ['@grpc/grpc-js@1.14.3', '@grpc/proto-loader@0.8.0'],
    manifests: ['packages/grpc-js/package.json'],
    needs: ['lodash', 'semver', 'mocha@^11.7.5', 'ts-node', 'typescript'],
    copies: [['packages/grpc-js/test', 'node_modules/@grpc/grpc-js/build/test']],
    suites: [
      {
        runner: 'mocha',
        cwd: 'node_modules/@grpc/grpc-js',
        files: [/^build\/test\/test-[^/]+\.ts$/],
        nodeFlags: [WEAK_KEYS],
        // The package itself registers what a few of the files expect to be there.
        flags: ['--require', 'ts-node/register', '--require', './build/src/index.js', ...PATIENT],
        skip: { 'build/test/test-pick-first.ts': 'wants constants that only a compiler with all types puts in' },
        env: {
          GRPC_EXPERIMENTAL_ENABLE_OUTLIER_DETECTION: 'true',
          TS_NODE_SKIP_IGNORE: 'true',
          TS_NODE_SKIP_PROJECT: 'true',
          TS_NODE_TRANSPILE_ONLY: 'true',
          TS_NODE_COMPILER_OPTIONS: '{"module":"commonjs","target":"es2021","esModuleInterop":false}',
        },
      },
    ],
  },
];

/** What the names of Node's tests begin with that are about HTTP, and about all else that we take hold of: modules, context, processes. */
const HTTP = ['https?', 'http2', 'fetch', 'diagnostics?-channel-http', 'async-local-storage-http'].join('|');
const HOOKED = [
  ...['async-(?!local-storage-http)', 'child-process', 'cluster', 'diagnostics-channel(?!-http)', 'domain', 'module'],
  ...['preload', 'process', 'promise', 'require', 'unhandled', 'worker'],
].join('|');

/** Node's own tests, which are those of the version that runs them. */
export function nodeEntry(version) {
  const folders = ['parallel', 'sequential', 'es-module', 'common', 'fixtures'];
  if (isAtLeast(version, '24.0.0')) folders.push('module-hooks');
  const suite = (expressions, rest) => ({
    runner: 'script',
    cwd: '.',
    files: expressions.map((expression) => new RegExp(`^test/${expression}[^/]*\\.m?js$`)),
    flagsOf: flagsInside,
    timeoutMs: 60_000,
    ...rest,
  });
  const env = { TEST_PARALLEL: '1' };
  return {
    name: 'node',
    scope: 'http',
    version,
    repository: 'nodejs/node',
    ref: `v${version}`,
    copies: folders.map((folder) => [`test/${folder}`, `test/${folder}`]),
    suites: [
      suite([`parallel/test-(${HTTP})`], { env }),
      suite([`sequential/test-(${HTTP})`], { serial: true }),
      // Tests that count promises, loaders or turns of the event loop fail under any --import.
      suite([`parallel/test-(${HOOKED})`, 'es-module/test-', 'module-hooks/test-'], { env, preload: 'require' }),
    ],
  };
}

/** The first of its comments names the flags that a test of Node's needs. */
function flagsInside(path) {
  const [, flags = ''] = /^\/\/ Flags:(.*)$/m.exec(readFileSync(path, 'utf8')) ?? [];
  return flags.split(/\s+/).filter(Boolean);
}

/** Files of a suite below its folder, without those that it skips. */
export function filesOf({ cwd, files, skip = {} }) {
  const all = readdirSync(cwd, { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => files.some((pattern) => pattern.test(path)) && !(path in skip));
  return all.sort();
}
