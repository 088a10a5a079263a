import { readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { amqpFrames } from '../support/amqp-frames';
import { createCertificate } from '../support/certificate';
import { expectSameAsBare } from '../support/compare';
import { startHttpOrigin } from '../support/http-origin';
import { http2FrameReader, isHttp2, type ReadFrames } from '../support/http2-frames';
import { startHttp2Origin } from '../support/http2-origin';
import { mysqlPackets } from '../support/mysql-packets';
import { testPackage, writeFolder } from '../support/packages';
import { type Preload, root, runApp } from '../support/run-app';
import { amqpBroker, mysqlDatabase, postgresDatabase } from '../support/servers';
import { httpText, pgBytes, startTap, type Tap } from '../support/tap';
import { newestVersion, type TestedVersion, testedVersions } from '../support/versions';
import { NO_OPERATIONS } from './fixtures/equivalence/no-operations';

const FIXTURES = join(root, 'test/e2e/fixtures/equivalence');

/** A module system, the preload that is usual for it, and whether the forms of calls are all that is tried. */
type System = readonly ['cjs' | 'mjs', Exclude<Preload, 'none'>, 'in full' | 'in brief'];

/** `npm run test:equivalence`; as a part of other runs each form of a call is tried once, with the newest version. */
const FULL = process.env.HOOKLINE_TEST_EQUIVALENCE === 'full';

const SYSTEMS: readonly System[] = FULL
  ? [
      ['cjs', 'require', 'in full'],
      ['mjs', 'import', 'in brief'],
    ]
  : [['cjs', 'require', 'in brief']];

const isNewest = (library: string, { label }: TestedVersion): boolean => label === newestVersion(library).label;

const versionsOf = (library: string): readonly TestedVersion[] =>
  testedVersions(library).filter((version) => FULL || isNewest(library, version));

/** The newest in both systems, others in the one that their users are likely to have. */
function systemsOf(library: string, version: TestedVersion): readonly System[] {
  return isNewest(library, version) ? SYSTEMS : [['cjs', 'require', 'in brief']];
}

/** Whose instrumentations count no failure of their own when an object of the application's throws. */
const TOLERANT = new Set(['http', 'http2']);

const RACES = 'connections of one process overtake each other, and timers are late on a busy machine';

/** What a script is played with. */
interface Play {
  /** File of the script. */
  library: string;
  /** Name in the script: specifier. */
  modules: Record<string, string>;
  /** Where packages are installed. */
  packages?: string;
  env: Record<string, string>;
  /** What servers received, after each run. */
  observe: () => unknown;
  /** Names of instrumentations whose spans have to be there. */
  traced: string;
}

/** Writes an application that plays the script of a library with these modules, as one module system gives them. */
function writeApp(system: 'cjs' | 'mjs', { library, modules, packages }: Play): string {
  const names = Object.keys(modules);
  const script = join(FIXTURES, 'run.cjs');
  const specifiers = names.map((name) => JSON.stringify(modules[name]));
  const lines =
    system === 'cjs'
      ? [
          ...names.map((name, at) => `const ${name} = require(${specifiers[at]});`),
          `require(${JSON.stringify(script)}).play(${JSON.stringify(library)}, { ${names.join(', ')} });`,
        ]
      : [
          ...names.map((name, at) => `import * as ${name} from ${specifiers[at]};`),
          `import { play } from ${JSON.stringify(pathToFileURL(script).href)};`,
          // Names that Node cannot tell from the source of a CommonJS package are in its default export alone.
          'const whole = (it) => (typeof it.default === "function" || !Object.keys(it.default ?? {}).every((name) => name in it) ? it.default : it);',
          `play(${JSON.stringify(library)}, { ${names.map((name) => `${name}: whole(${name})`).join(', ')} });`,
        ];
  const folder = writeFolder({ [`app.${system}`]: `${lines.join('\n')}\n` });
  if (packages !== undefined) symlinkSync(join(packages, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, `app.${system}`);
}

/** Plays the script without and with the agent; the agent must have traced, and never failed. */
async function expectEquivalent([system, preload, extent]: System, play: Play): Promise<void> {
  const app = writeApp(system, play);
  const status = join(app, '..', 'status.json');
  const { traced } = await expectSameAsBare(app, {
    preloads: [preload],
    env: { ...play.env, AGENT_STATUS: status, ...(extent === 'in brief' && { BRIEF: '1' }) },
    observe: play.observe,
    races: RACES,
    timeoutMs: 200_000,
    anyConventions: true,
  });
  const scopes = new Set(traced[preload]!.spans.map(({ scope }) => scope.name));
  expect(scopes).toContain(`hookline/${play.traced}`);
  const { failures, provoked } = JSON.parse(readFileSync(status, 'utf8')) as { failures: number; provoked: number };
  const tolerated = TOLERANT.has(play.library) ? 0 : provoked;
  expect(failures, 'internal errors').toBeLessThanOrEqual(tolerated);
}

/**
 * Fails for each public function of a library that its script never calls itself and that is not listed as none that
 * starts an operation.
 */
async function expectComplete(play: Play): Promise<void> {
  const app = writeApp('cjs', play);
  const report = join(app, '..', 'uncalled.json');
  const { code, stderr } = await runApp(app, {
    preload: 'none',
    receiver: false,
    env: { ...play.env, UNCALLED: report },
    timeoutMs: 200_000,
  });
  await play.observe();
  expect(code, stderr).toBe(0);
  const uncalled = JSON.parse(readFileSync(report, 'utf8')) as string[];
  const listed = NO_OPERATIONS[play.library] ?? [];
  expect(uncalled.filter((name) => !listed.some(([pattern]) => pattern.test(name)))).toEqual([]);
}

const TIMEOUT_MS = 600_000;

describe('http and https', () => {
  let play: Play;
  const closing: { close(): unknown }[] = [];
  beforeAll(async () => {
    const origin = await startHttpOrigin();
    const tap = await startTap({ port: origin.port, host: '127.0.0.1' });
    const { key, cert } = createCertificate();
    const secure = await startTap({ port: origin.port, host: '127.0.0.1' }, { tls: { key, cert } });
    closing.push(tap, secure, origin);
    play = {
      library: 'http',
      modules: { http: 'node:http', https: 'node:https' },
      env: {
        ORIGIN: `http://127.0.0.1:${tap.port}`,
        SECURE_ORIGIN: `https://127.0.0.1:${secure.port}`,
        KEY: key,
        CERT: cert,
      },
      observe: async () => ({ plain: (await tap.take()).map(httpText), secure: (await secure.take()).map(httpText) }),
      traced: 'http',
    };
  });
  afterAll(() => Promise.all(closing.map((it) => it.close())));
  it.each(SYSTEMS)('%s under %s, %s', (...system) => expectEquivalent(system, play), TIMEOUT_MS);
  it.runIf(FULL)('every public function is in the script', () => expectComplete(play), TIMEOUT_MS);
});

describe('http2', () => {
  let play: Play;
  const closing: { close(): unknown }[] = [];
  beforeAll(async () => {
    const { key, cert } = createCertificate();
    const origin = await startHttp2Origin();
    const tap = await startTap({ port: origin.port, host: '127.0.0.1' });
    const tls = { key, cert, ALPNProtocols: ['h2'] };
    const secure = await startTap({ port: origin.port, host: '127.0.0.1' }, { tls });
    const read = await http2FrameReader();
    closing.push(tap, secure, origin);
    play = {
      library: 'http2',
      modules: { http2: 'node:http2' },
      env: {
        ORIGIN: `http://127.0.0.1:${tap.port}`,
        SECURE_ORIGIN: `https://127.0.0.1:${secure.port}`,
        KEY: key,
        CERT: cert,
      },
      observe: () => Promise.all([tap, secure].map(async (it) => (await it.take()).map(read))),
      traced: 'http2',
    };
  });
  afterAll(() => Promise.all(closing.map((it) => it.close())));
  it.each(SYSTEMS)('%s under %s, %s', (...system) => expectEquivalent(system, play), TIMEOUT_MS);
  it.runIf(FULL)('every public function is in the script', () => expectComplete(play), TIMEOUT_MS);
});

describe('fetch and undici', () => {
  let tap: Tap;
  let readHttp2: ReadFrames;
  const closing: { close(): unknown }[] = [];
  beforeAll(async () => {
    const origin = await startHttpOrigin();
    tap = await startTap({ port: origin.port, host: '127.0.0.1' });
    readHttp2 = await http2FrameReader();
    closing.push(tap, origin);
  });
  afterAll(() => Promise.all(closing.map((it) => it.close())));
  const play = (library: string, modules: Record<string, string>, packages?: string): Play => ({
    library,
    modules,
    ...(packages !== undefined && { packages }),
    env: { ORIGIN: `http://127.0.0.1:${tap.port}` },
    // H2CClient begins with HTTP/2, which the origin does not know.
    observe: async () => (await tap.take()).map((bytes) => (isHttp2(bytes) ? readHttp2(bytes) : httpText(bytes))),
    traced: 'undici',
  });
  it.each(SYSTEMS)('global, %s under %s, %s', (...system) => expectEquivalent(system, play('fetch', {})), TIMEOUT_MS);
  it.runIf(FULL)(
    'every public function is in the script',
    async () => {
      const packages = await testPackage(...newestVersion('undici').packages);
      await expectComplete(play('undici', { undici: 'undici' }, packages));
    },
    TIMEOUT_MS,
  );
  describe.each(versionsOf('undici'))('undici $label', (version) => {
    it.each(systemsOf('undici', version))(
      '%s under %s',
      async (...system) => {
        const packages = await testPackage(...version.packages);
        await expectEquivalent(system, play('undici', { undici: 'undici' }, packages));
      },
      TIMEOUT_MS,
    );
  });
});

describe('pg', () => {
  let tap: Tap;
  let url: URL;
  beforeAll(async () => {
    url = new URL(await postgresDatabase());
    tap = await startTap({ port: Number(url.port || 5432), host: url.hostname });
    url.host = `127.0.0.1:${tap.port}`;
  });
  afterAll(() => tap.close());
  const play = (packages: string): Play => ({
    library: 'pg',
    modules: { pg: 'pg', Cursor: 'pg-cursor', QueryStream: 'pg-query-stream', copy: 'pg-copy-streams' },
    packages,
    env: { DATABASE_URL: url.href },
    observe: async () => (await tap.take()).map(pgBytes),
    traced: 'pg',
  });
  it.runIf(FULL)(
    'every public function is in the script',
    async () => {
      await expectComplete(play(await testPackage(...newestVersion('pg').packages)));
    },
    TIMEOUT_MS,
  );
  describe.each(versionsOf('pg'))('$label', (version) => {
    it.each(systemsOf('pg', version))(
      '%s under %s',
      async (...system) => {
        await expectEquivalent(system, play(await testPackage(...version.packages)));
      },
      TIMEOUT_MS,
    );
  });
});

describe('mysql2', () => {
  let tap: Tap;
  let url: URL;
  beforeAll(async () => {
    url = new URL(await mysqlDatabase());
    tap = await startTap({ port: Number(url.port || 3306), host: url.hostname });
    url.host = `127.0.0.1:${tap.port}`;
  });
  afterAll(() => tap.close());
  const play = (packages: string): Play => ({
    library: 'mysql2',
    modules: { mysql: 'mysql2', promised: 'mysql2/promise' },
    packages,
    env: { DATABASE_URL: url.href },
    observe: async () => (await tap.take()).map(mysqlPackets),
    traced: 'mysql2',
  });
  it.runIf(FULL)(
    'every public function is in the script',
    async () => {
      await expectComplete(play(await testPackage(...newestVersion('mysql2').packages)));
    },
    TIMEOUT_MS,
  );
  describe.each(versionsOf('mysql2'))('$label', (version) => {
    it.each(systemsOf('mysql2', version))(
      '%s under %s',
      async (...system) => {
        await expectEquivalent(system, play(await testPackage(...version.packages)));
      },
      TIMEOUT_MS,
    );
  });
});

describe('amqplib', () => {
  let tap: Tap;
  let direct: URL;
  let prefix: string;
  beforeAll(async () => {
    const broker = await amqpBroker();
    direct = new URL(broker.url);
    prefix = broker.prefix;
    tap = await startTap({ port: Number(direct.port || 5672), host: direct.hostname });
  });
  afterAll(() => tap.close());
  const play = (packages: string): Play => {
    const url = new URL(direct);
    url.host = `127.0.0.1:${tap.port}`;
    return {
      library: 'amqplib',
      modules: { amqp: 'amqplib', callbacks: 'amqplib/callback_api' },
      packages,
      env: { AMQP_URL: url.href, ADMIN_URL: direct.href, PREFIX: prefix },
      observe: async () => (await tap.take()).map(amqpFrames),
      traced: 'amqplib',
    };
  };
  it.runIf(FULL)(
    'every public function is in the script',
    async () => {
      await expectComplete(play(await testPackage(...newestVersion('amqplib').packages)));
    },
    TIMEOUT_MS,
  );
  describe.each(versionsOf('amqplib'))('$label', (version) => {
    it.each(systemsOf('amqplib', version))(
      '%s under %s',
      async (...system) => {
        await expectEquivalent(system, play(await testPackage(...version.packages)));
      },
      TIMEOUT_MS,
    );
  });
});

describe('grpc', () => {
  let tap: Tap;
  let read: ReadFrames;
  const closing: { close(): unknown }[] = [];
  beforeAll(async () => {
    const require = createRequire(import.meta.url);
    const grpc = require('@grpc/grpc-js') as typeof import('@grpc/grpc-js');
    const { definition, implementation } = require(join(FIXTURES, 'grpc.cjs'));
    const server = new grpc.Server();
    server.addService(definition, { ...implementation(grpc), Missing: undefined });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    tap = await startTap({ port, host: '127.0.0.1' });
    read = await http2FrameReader();
    closing.push(tap, { close: () => server.forceShutdown() });
  });
  afterAll(() => Promise.all(closing.map((it) => it.close())));
  const play = (packages: string): Play => ({
    library: 'grpc',
    modules: { grpc: '@grpc/grpc-js' },
    packages,
    env: { TARGET: `127.0.0.1:${tap.port}` },
    observe: async () => (await tap.take()).map(read),
    traced: 'grpc',
  });
  it.runIf(FULL)(
    'every public function is in the script',
    async () => {
      await expectComplete(play(await testPackage(...newestVersion('grpc').packages)));
    },
    TIMEOUT_MS,
  );
  describe.each(versionsOf('grpc'))('$label', (version) => {
    it.each(systemsOf('grpc', version))(
      '%s under %s',
      async (...system) => {
        await expectEquivalent(system, play(await testPackage(...version.packages)));
      },
      TIMEOUT_MS,
    );
  });
});
