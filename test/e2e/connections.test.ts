import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createRequire } from 'node:module';
import type { AddressInfo, Server, Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCertificate } from '../support/certificate';
import { decodeTraceRequest } from '../support/otlp-decode';
import { nodeVersion, testPackage } from '../support/packages';
import { permissionFlags } from '../support/permission';
import { type ProxyOptions, startProxy } from '../support/proxy';
import { nodeBinary, root, runApp } from '../support/run-app';

// How the connection to the collector is made, while the process runs and for the spans of its last moment.

type Json = any;
type Env = Record<string, string>;

/** A name that no resolver knows: what reaches it came through the proxy, which sends everything to this machine. */
const HOST = 'collector.test';
const GRPC_METHOD = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

const folder = mkdtempSync(join(tmpdir(), 'hookline-connections-'));
const server = createCertificate(HOST);
const client = createCertificate();
const stranger = createCertificate(HOST);
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const files = {
  server: file('server.pem', server.cert),
  client: file('client.pem', client.cert),
  clientKey: file('client-key.pem', client.key),
  stranger: file('stranger.pem', stranger.cert),
};

let grpc: Json;
let app: string;
const closers: (() => void)[] = [];

beforeAll(async () => {
  const api = join(await testPackage('@opentelemetry/api@1.9.1'), 'node_modules/@opentelemetry/api');
  grpc = createRequire(join(await testPackage('@grpc/grpc-js@1.14.7'), 'noop.js'))('@grpc/grpc-js');
  app = file(
    'app.cjs',
    `
// With these loaded, a request of the exporter's own that were traced would show as another span.
for (const name of ['http', 'https', 'http2', 'net', 'tls']) require(name);
const { trace } = require(${JSON.stringify(api)});
trace.getTracer('app').startSpan('a span').end();
console.log('served');
if (process.argv[2] === 'at process.exit()') process.exit(3);
require(${JSON.stringify(join(root, 'dist', 'index.js'))}).forceFlush().then(() => (process.exitCode = 3));
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Delivery {
  readonly url: string;
  readonly host: string | undefined;
  readonly encoding: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly names: string[];
}
let deliveries: Delivery[] = [];
/** What the proxy was asked: method and target. */
let asked: string[] = [];

beforeEach(() => {
  deliveries = [];
  asked = [];
});
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Where the last spans are to arrive: a worker that is slow to start, on a busy machine, is not what is tested here. */
const PATIENT = { HOOKLINE_EXIT_TIMEOUT: '20000' };

/** Must not add a second proxy to the first. Node.js 22 warns of it. */
const NODES_OWN_PROXY = { NODE_USE_ENV_PROXY: '1', NODE_NO_WARNINGS: '1' };

const MODES = ['while it runs', 'at process.exit()'] as const;
type Mode = (typeof MODES)[number];

/** The same end of the application in every case, however the export goes. */
async function run(mode: Mode, env: Env, execArgv: string[] = []) {
  const { stdout, stderr, code } = await runApp(app, { receiver: false, args: [mode], env, execArgv });
  expect({ stdout, code }).toEqual({ stdout: 'served\n', code: 3 });
  const lines = stderr.split('\n').slice(0, -1);
  for (const line of lines) expect(line).toMatch(/^hookline: /);
  return lines;
}

async function expectDelivery(mode: Mode, env: Env, execArgv?: string[]): Promise<Delivery> {
  const lines = await run(mode, { ...PATIENT, ...env }, execArgv);
  expect(lines).toEqual([]);
  expect(deliveries.map(({ names }) => names)).toEqual([['a span']]);
  return deliveries[0]!;
}

async function listen(at: Server, where: string | { host: string } = { host: '127.0.0.1' }): Promise<number> {
  const sockets = new Set<Socket>();
  at.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    at.once('error', reject);
    if (typeof where === 'string') at.listen(where, resolve);
    else at.listen(0, where.host, resolve);
  });
  closers.push(() => {
    at.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = at.address();
  return typeof address === 'string' ? 0 : (address as AddressInfo).port;
}

const namesIn = (type: string | undefined, body: Buffer): string[] => {
  if (type === 'application/x-protobuf') return decodeTraceRequest(body).map(({ name }) => name);
  const value = JSON.parse(body.toString());
  if (Array.isArray(value)) return value.map(({ name }) => name);
  return value.resourceSpans.flatMap(({ scopeSpans }: Json) =>
    scopeSpans.flatMap(({ spans }: Json) => spans.map(({ name }: Json) => name)),
  );
};

function collect(answer: (response: ServerResponse) => void = (response) => void response.end()): RequestListener {
  return async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const { headers, url = '' } = request;
    const encoding = headers['content-encoding'];
    const names = namesIn(headers['content-type'], encoding === 'gzip' ? gunzipSync(bytes) : bytes);
    deliveries.push({ url, host: headers.host, encoding, headers, names });
    answer(response);
  };
}

type Options = { where?: string | { host: string }; tls?: 'server' | 'mutual'; listener?: RequestListener };

function httpCollector({ where, tls, listener = collect() }: Options = {}): Promise<number> {
  if (tls === undefined) return listen(createHttpServer(listener), where);
  const mutual = tls === 'mutual' ? { ca: client.cert, requestCert: true, rejectUnauthorized: true } : {};
  return listen(createHttpsServer({ ...server, ...mutual }, listener), where);
}

/** Made with the gRPC library itself. */
async function grpcCollector(address: string, tls?: 'server' | 'mutual', answer = Buffer.alloc(0)): Promise<number> {
  const made = new grpc.Server();
  const bytes = (value: Buffer): Buffer => value;
  const shape = { requestStream: false, responseStream: false };
  const codec = {
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  made.addService(
    { Export: { path: GRPC_METHOD, ...shape, ...codec } },
    {
      Export: (call: Json, callback: (error: null, value: Buffer) => void) => {
        const names = decodeTraceRequest(call.request).map(({ name }) => name);
        deliveries.push({
          ...{ url: GRPC_METHOD, host: call.getHost?.(), encoding: undefined, names },
          headers: call.metadata.getMap(),
        });
        callback(null, answer);
      },
    },
  );
  const pair = { private_key: Buffer.from(server.key), cert_chain: Buffer.from(server.cert) };
  const credentials =
    tls === undefined
      ? grpc.ServerCredentials.createInsecure()
      : grpc.ServerCredentials.createSsl(Buffer.from(client.cert), [pair], tls === 'mutual');
  closers.push(() => made.forceShutdown());
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, port: number) => (error === null ? resolve(port) : reject(error));
    made.bindAsync(address, credentials, done);
  });
}

const CREDENTIALS = 'us er:s@cret';
const USER = 'us%20er:s%40cret@';

/** Wants credentials. */
async function proxyServer(options: ProxyOptions & { secure?: boolean } = {}): Promise<string> {
  const { secure = false, ...rest } = options;
  const proxy = await startProxy({ credentials: CREDENTIALS, ...rest, ...(secure && { tls: server }) });
  asked = proxy.asked;
  closers.push(() => proxy.close());
  return proxy.url;
}

const withUser = (proxy: string): string => proxy.replace('//', `//${USER}`);
const withWrongUser = (proxy: string): string => proxy.replace('//', '//us%20er:wr0ng@');

describe.each(MODES)('through a proxy, %s', (mode) => {
  it.each(['http/protobuf', 'http/json'])('%s over http: the request itself is handed to it', async (protocol) => {
    const port = await httpCollector();
    const proxy = await proxyServer();
    const { host, encoding, headers } = await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${HOST}:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      HTTP_PROXY: withUser(proxy),
      ...NODES_OWN_PROXY,
    });
    expect(asked).toEqual([`POST http://${HOST}:${port}/v1/traces`]);
    expect({ host, encoding }).toEqual({ host: `${HOST}:${port}`, encoding: 'gzip' });
    expect(headers).not.toHaveProperty('proxy-authorization');
  });

  it.each(['http/protobuf', 'http/json'])('%s over https: through a tunnel', async (protocol) => {
    const port = await httpCollector({ tls: 'mutual' });
    const proxy = await proxyServer();
    const { url, encoding, headers } = await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `https://${HOST}:${port}/custom`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: files.client,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: files.clientKey,
      https_proxy: withUser(proxy),
      HTTPS_PROXY: 'http://127.0.0.1:1',
      ...NODES_OWN_PROXY,
    });
    expect(asked).toEqual([`CONNECT ${HOST}:${port}`]);
    expect({ url, encoding }).toEqual({ url: '/custom', encoding: 'gzip' });
    expect(headers).not.toHaveProperty('proxy-authorization');
  });

  it.each(['server', undefined] as const)('grpc with TLS of %s: through a tunnel', async (tls) => {
    const port = await grpcCollector('127.0.0.1:0', tls);
    const proxy = await proxyServer();
    await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${tls ? 'https' : 'http'}://${HOST}:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      ALL_PROXY: withUser(proxy),
    });
    expect(asked).toEqual([`CONNECT ${HOST}:${port}`]);
  });

  it('Zipkin', async () => {
    const port = await httpCollector();
    const { url } = await expectDelivery(mode, {
      OTEL_TRACES_EXPORTER: 'zipkin',
      OTEL_EXPORTER_ZIPKIN_ENDPOINT: `http://${HOST}:${port}`,
      http_proxy: withUser(await proxyServer()),
    });
    expect(url).toBe('/api/v2/spans');
    expect(asked).toEqual([`POST http://${HOST}:${port}/api/v2/spans`]);
  });

  it.each(['http', 'https', 'grpc'])('that speaks TLS itself: %s', async (kind) => {
    const port =
      kind === 'grpc'
        ? await grpcCollector('127.0.0.1:0', 'server')
        : await httpCollector({ ...(kind === 'https' && { tls: 'server' as const }) });
    const proxy = withUser(await proxyServer({ secure: true }));
    await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${kind === 'http' ? 'http' : 'https'}://${HOST}:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: kind === 'grpc' ? 'grpc' : 'http/protobuf',
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      NODE_EXTRA_CA_CERTS: files.server,
      ...{ HTTP_PROXY: proxy, HTTPS_PROXY: proxy },
    });
    expect(asked).toEqual([kind === 'http' ? `POST http://${HOST}:${port}/v1/traces` : `CONNECT ${HOST}:${port}`]);
  });

  it.each([
    ['an address', '0.0.0.0'],
    ['a network', 'example.com, 0.0.0.0/8'],
    ['a port', '0.0.0.0:PORT'],
  ])('not where NO_PROXY has %s', async (_name, noProxy) => {
    // An address of this machine that does not count as this machine.
    const port = await httpCollector({ where: { host: '0.0.0.0' } });
    await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://0.0.0.0:${port}`,
      HTTP_PROXY: await proxyServer(),
      NO_PROXY: noProxy.replace('PORT', String(port)),
    });
    expect(asked).toEqual([]);
  });

  it('never to this machine', async () => {
    const port = await httpCollector();
    await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${port}`,
      ...{ HTTP_PROXY: 'http://127.0.0.1:1', ALL_PROXY: 'not a proxy' },
    });
  });
});

// A child process sends the last spans where the permission model allows no workers.
describe.runIf(permissionFlags)('from a child process at the end', () => {
  const execArgv = [...(permissionFlags ?? []), '--no-warnings', '--allow-child-process'];

  it.each(['http/protobuf', 'grpc'])('through a proxy, with a client certificate: %s', async (protocol) => {
    const port =
      protocol === 'grpc' ? await grpcCollector('127.0.0.1:0', 'mutual') : await httpCollector({ tls: 'mutual' });
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `https://${HOST}:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: files.client,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: files.clientKey,
      HTTPS_PROXY: withUser(await proxyServer()),
      ...NODES_OWN_PROXY,
    };
    await expectDelivery('at process.exit()', env, execArgv);
    expect(asked).toEqual([`CONNECT ${HOST}:${port}`]);
  });

  it('to a unix socket', async () => {
    const where = join(folder, 'child.sock');
    await httpCollector({ where });
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `unix:${where}` };
    await expectDelivery('at process.exit()', env, execArgv);
  });
});

describe('a proxy that is of no help', () => {
  const HIDDEN = /cret|wr0ng|us er|us%20er/;

  it.each([
    ['http/protobuf', 'http'],
    ['http/protobuf', 'https'],
    ['grpc', 'https'],
  ])('refuses the credentials: %s over %s, one line', async (protocol, scheme) => {
    const proxy = await proxyServer();
    const env = {
      ...PATIENT,
      OTEL_EXPORTER_OTLP_ENDPOINT: `${scheme}://${HOST}:1`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      ...{ HTTP_PROXY: withWrongUser(proxy), HTTPS_PROXY: withWrongUser(proxy) },
    };
    const lines = await run('while it runs', env);
    const at = `${scheme}://${HOST}:1/${protocol === 'grpc' ? '' : 'v1/traces'}`;
    const variable = scheme === 'http' ? 'HTTP_PROXY' : 'HTTPS_PROXY';
    const said = `it answered 407 Proxy Authentication Required; see user and password in ${variable}`;
    expect(lines[0]).toBe(`hookline: cannot export traces to ${at}: proxy ${proxy}: ${said}`);
    // The spans are kept until the end, which says that they are lost.
    expect(lines.slice(1)).toEqual([expect.stringMatching(/1 span was not delivered|1 spans were not delivered/)]);
    expect(lines.join()).not.toMatch(HIDDEN);
    // Once while it ran, and once at the end: wrong credentials are not tried again and again.
    expect(asked).toHaveLength(2);
    asked.length = 0;
    const last = await run('at process.exit()', env);
    expect(last).toEqual([expect.stringContaining('not delivered')]);
    expect(asked).toHaveLength(1);
  });

  it.each([
    [403, 'Forbidden'],
    [502, 'Bad Gateway'],
  ])('answers %i', async (status, text) => {
    const proxy = await proxyServer({ status });
    const lines = await run('while it runs', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `https://${HOST}:1`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      HTTPS_PROXY: withUser(proxy),
    });
    const later = status === 502 ? '; trying again later' : '';
    expect(lines[0]).toBe(
      `hookline: cannot export traces to https://${HOST}:1/v1/traces: proxy ${proxy}: it answered ${status} ${text}${later}`,
    );
    expect(lines).toHaveLength(2);
    expect(lines.join()).not.toMatch(HIDDEN);
  });

  it.each(['http/protobuf', 'grpc'])('is silent: %s', async (protocol) => {
    const proxy = await proxyServer({ silent: true });
    const lines = await run('while it runs', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `https://${HOST}:1`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_TIMEOUT: '1200',
      HTTPS_PROXY: withUser(proxy),
    });
    expect(lines[0]).toContain(`proxy ${proxy}: no answer in time; trying again later`);
    expect(lines).toHaveLength(2);
  });

  it('is not there', async () => {
    const lines = await run('while it runs', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${HOST}:1`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      HTTP_PROXY: 'http://127.0.0.1:1',
    });
    expect(lines[0]).toContain('proxy http://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1; trying again later');
    expect(lines).toHaveLength(2);
  });

  it.each([
    ['has a certificate that nobody vouches for', true, /^proxy https:.*certificate.*; see NODE_EXTRA_CA_CERTS$/],
    ['does not speak TLS', false, /^proxy https:.*; does it speak TLS on this port\?$/],
  ])('%s', async (_name, secure, said) => {
    const proxy = (await proxyServer({ secure })).replace('http:', 'https:');
    const lines = await run('while it runs', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `https://${HOST}:1`,
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      HTTPS_PROXY: withUser(proxy),
    });
    expect(lines[0]?.split('/v1/traces: ')[1]).toMatch(said);
    expect(lines).toHaveLength(2);
  });

  it('has a URL that is none: one line, and the connection is direct', async () => {
    const port = await httpCollector({ where: { host: '0.0.0.0' } });
    const lines = await run('while it runs', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://0.0.0.0:${port}`,
      HTTP_PROXY: 'socks5://us er:s@cret@127.0.0.1:1',
    });
    expect(lines).toEqual([expect.stringMatching(/^hookline: HTTP_PROXY is .*; connecting directly$/)]);
    expect(lines.join()).not.toMatch(HIDDEN);
    expect(deliveries).toHaveLength(1);
  });
});

describe('the start line', () => {
  it.each([
    [{ HTTPS_PROXY: 'http://us:s3cret@proxy.test:3128' }, ' through proxy http://proxy.test:3128;'],
    [{ HTTPS_PROXY: 'http://proxy.test:3128', NO_PROXY: '.test' }, 'traces;'],
    [{}, 'traces;'],
  ])('names the proxy that is used: %j', async (env, text) => {
    const { stderr } = await runApp(undefined, {
      receiver: false,
      execArgv: ['-e', ''],
      env: { ...env, OTEL_LOG_LEVEL: 'info', OTEL_EXPORTER_OTLP_ENDPOINT: `https://${HOST}` },
    });
    expect(stderr).toContain(`exporter otlp https://${HOST}/v1/traces`);
    expect(stderr).toContain(text);
    expect(stderr).not.toContain('s3cret');
  });

  it('names a socket', async () => {
    const { stderr } = await runApp(undefined, {
      receiver: false,
      execArgv: ['-e', ''],
      env: { OTEL_LOG_LEVEL: 'info', OTEL_EXPORTER_OTLP_ENDPOINT: 'unix:/run/otel.sock' },
    });
    expect(stderr).toContain('exporter otlp unix:///run/otel.sock:/v1/traces;');
  });
});

describe.each(MODES)('over a unix socket, %s', (mode) => {
  let count = 0;
  const socket = (): string => join(folder, `${mode.length}-${count++}.sock`);

  it.each([
    ['http/protobuf', '', '/v1/traces'],
    ['http/json', '', '/v1/traces'],
    ['http/protobuf', ':/custom?key=1', '/custom?key=1'],
  ])('%s with "%s"', async (protocol, behind, path) => {
    const where = socket();
    await httpCollector({ where });
    const { url, host, encoding } = await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `unix://${where}${behind}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      ALL_PROXY: 'http://127.0.0.1:1',
    });
    expect({ url, host, encoding }).toEqual({ url: path, host: 'localhost', encoding: 'gzip' });
  });

  it.each(['unix:', 'unix://'])('grpc at %s', async (prefix) => {
    const where = socket();
    await grpcCollector(`unix://${where}`);
    await expectDelivery(mode, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${prefix}${where}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    });
  });

  it('Zipkin', async () => {
    const where = socket();
    await httpCollector({ where });
    const { url } = await expectDelivery(mode, {
      OTEL_TRACES_EXPORTER: 'zipkin',
      OTEL_EXPORTER_ZIPKIN_ENDPOINT: `unix:${where}`,
    });
    expect(url).toBe('/api/v2/spans');
  });
});

it.each(['http/protobuf', 'grpc'])('a unix socket that is not there is unreachable: %s', async (protocol) => {
  const where = join(folder, 'none.sock');
  const lines = await run('while it runs', {
    OTEL_EXPORTER_OTLP_ENDPOINT: `unix://${where}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_TIMEOUT: '300',
  });
  const at = `unix://${where}${protocol === 'grpc' ? '' : ':/v1/traces'}`;
  expect(lines[0]).toBe(`hookline: cannot export traces to ${at}: connect ENOENT ${where}; trying again later`);
  expect(lines).toHaveLength(2);
});

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

/** Node.js 22.23.3 matches no certificate with an IPv6 address, whoever asks. */
const CHECK = "String(tls.checkServerIdentity('::1', { subject: {}, subjectaltname: 'IP Address:0:0:0:0:0:0:0:1' }))";
const checksIpv6 = execFileSync(nodeBinary, ['-p', CHECK], { encoding: 'utf8' }).trim() === 'undefined';
if (!checksIpv6)
  console.log(`TLS to IPv6 addresses was not tested: Node.js ${nodeVersion} accepts no certificate for them`);
const TLS_OR_NOT = checksIpv6 ? ([undefined, 'server'] as const) : [undefined];

describe.skipIf(!hasIpv6)(`to an IPv6 address${hasIpv6 ? '' : ' (skipped: this machine has no ::1)'}`, () => {
  describe.each(MODES)('%s', (mode) => {
    it.each(TLS_OR_NOT)('http, with TLS of %s', async (tls) => {
      const port = await httpCollector({ where: { host: '::1' }, ...(tls && { tls }) });
      const { host } = await expectDelivery(mode, {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http${tls ? 's' : ''}://[::1]:${port}`,
        OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      });
      expect(host).toBe(`[::1]:${port}`);
    });

    it.each(TLS_OR_NOT)('grpc, with TLS of %s', async (tls) => {
      const port = await grpcCollector('[::1]:0', tls);
      const { host } = await expectDelivery(mode, {
        OTEL_EXPORTER_OTLP_ENDPOINT: `[::1]:${port}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
        OTEL_EXPORTER_OTLP_INSECURE: String(tls === undefined),
        OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      });
      expect(host).toBe(`[::1]:${port}`);
    });
  });
});

describe.each(['http/protobuf', 'grpc'])('TLS: %s', (protocol) => {
  const collector = (tls: 'server' | 'mutual'): Promise<number> =>
    protocol === 'grpc' ? grpcCollector('127.0.0.1:0', tls) : httpCollector({ tls });
  const endpoint = (port: number): Env => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: `https://localhost:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  });

  it.each(MODES)('a client certificate is shown, %s', async (mode) => {
    await expectDelivery(mode, {
      ...endpoint(await collector('mutual')),
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: files.client,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: files.clientKey,
    });
  });

  it('a collector that gets none says so in one line', async () => {
    const lines = await run('while it runs', {
      ...endpoint(await collector('mutual')),
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
    });
    expect(deliveries).toEqual([]);
    expect(lines[0]).toMatch(/ECONNRESET|socket hang up|OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE/);
    expect(lines).toHaveLength(2);
  });

  it.each(MODES)('half of a pair is told of, %s', async (mode) => {
    const lines = await run(mode, {
      ...PATIENT,
      ...endpoint(await collector('server')),
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: files.client,
    });
    expect(lines).toEqual([
      'hookline: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is of no use without OTEL_EXPORTER_OTLP_CLIENT_KEY; showing no client certificate',
    ]);
    expect(deliveries).toHaveLength(1);
  });

  it('a key of another certificate is one line', async () => {
    const lines = await run('while it runs', {
      ...endpoint(await collector('mutual')),
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.server,
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: files.stranger,
      OTEL_EXPORTER_OTLP_CLIENT_KEY: files.clientKey,
    });
    expect(lines[0]).toMatch(
      /key values mismatch.*OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY$/,
    );
    expect(lines).toHaveLength(2);
  });

  it('a wrong authority is one line', async () => {
    const lines = await run('while it runs', {
      ...endpoint(await collector('server')),
      OTEL_EXPORTER_OTLP_CERTIFICATE: files.stranger,
    });
    expect(deliveries).toEqual([]);
    expect(lines[0]).toMatch(/certificate.*; see OTEL_EXPORTER_OTLP_CERTIFICATE$/);
    expect(lines).toHaveLength(2);
  });
});

describe.each(MODES)('an answer without an end, %s', (mode) => {
  it('of HTTP does not take the success away', async () => {
    let closed = false;
    const endless = (response: ServerResponse): void => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
        if (!response.destroyed) response.once('drain', more);
      };
      response.on('close', () => {
        closed = true;
      });
      more();
    };
    const port = await httpCollector({ listener: collect(endless) });
    await expectDelivery(mode, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    await expect.poll(() => closed).toBe(true);
  });

  it('of gRPC is given up, and the batch is not sent again', async () => {
    const port = await grpcCollector('127.0.0.1:0', undefined, Buffer.alloc(1024 * 1024));
    const at = `http://127.0.0.1:${port}`;
    const env = { ...PATIENT, OTEL_EXPORTER_OTLP_ENDPOINT: at, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    const lines = await run(mode, env);
    expect(deliveries).toHaveLength(1);
    const reason = `hookline: traces are dropped: ${at}/ answered with more than 65536 bytes`;
    const loss = `hookline: 1 span was not delivered to ${at}/ before the process ended (export_failed 1)`;
    expect(lines).toEqual(mode === 'while it runs' ? [reason, loss] : [loss]);
  });
});

it.each(['http/protobuf', 'http/json'])('a redirect is not followed, %s', async (protocol) => {
  const port = await httpCollector({
    listener: collect((response) => void response.writeHead(308, { location: '/elsewhere' }).end()),
  });
  const lines = await run('while it runs', {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
  });
  expect(deliveries.map(({ url }) => url)).toEqual(['/v1/traces']);
  expect(lines).toEqual([
    expect.stringContaining('answered 308 (redirects are not followed: set the final URL)'),
    expect.stringContaining('(export_failed 1)'),
  ]);
});
