import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPackage, writeFolder } from '../support/packages';
import { runApp } from '../support/run-app';
import { postgresDatabase } from '../support/servers';
import { newestVersion } from '../support/versions';

// A request that makes no spans, whyever: what it calls makes none either, and is told so.

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

/** A server that is asked once, untraced, and asks others by http, fetch, gRPC and PostgreSQL before it answers. */
const APP = `
const http = require('node:http');
const net = require('node:net');
const { join } = require('node:path');
const grpc = require(join(process.env.GRPC, 'node_modules/@grpc/grpc-js'));
const { Client } = require(join(process.env.PG, 'node_modules/pg'));
const { path, headers, httpPort, grpcPort, database } = JSON.parse(process.env.CASE);

async function callAll() {
  const url = 'http://127.0.0.1:' + httpPort;
  await new Promise((resolve, reject) => http.get(url + '/http', (answer) => answer.resume().on('end', resolve)).on('error', reject));
  await (await fetch(url + '/fetch')).text();
  const client = new grpc.Client('127.0.0.1:' + grpcPort, grpc.credentials.createInsecure());
  const bytes = (value) => value;
  await new Promise((resolve, reject) =>
    client.makeUnaryRequest('/test.Service/Method', bytes, bytes, Buffer.alloc(0), (error) => (error ? reject(error) : resolve())));
  client.close();
  const pg = new Client({ connectionString: database });
  await pg.connect();
  const { rows } = await pg.query('SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()');
  await pg.end();
  return rows[0].query;
}

const server = http.createServer((request, response) => callAll().then((text) => response.end(text), (error) => {
  console.error(error);
  response.end();
}));
server.listen(0, '127.0.0.1', () => {
  const socket = net.connect(server.address().port, '127.0.0.1');
  const lines = Object.entries(headers).map(([name, value]) => name + ': ' + value + '\\r\\n').join('');
  socket.write('GET ' + path + ' HTTP/1.1\\r\\nHost: shop.test\\r\\nConnection: close\\r\\n' + lines + '\\r\\n');
  socket.on('data', (data) => process.stdout.write(data)).on('close', () => server.close());
});
`;

const received: Record<string, string | undefined>[] = [];
const httpServer = createServer(({ url, headers }, response) => {
  received.push({ url, traceparent: String(headers['traceparent']), tracestate: headers['tracestate'] as string });
  response.end();
});
/** As much of gRPC as one call with an empty answer needs. */
const grpcServer = createHttp2Server().on('stream', (stream, headers) => {
  const { traceparent, tracestate } = headers as Record<string, string | undefined>;
  received.push({ url: headers[':path'], traceparent: String(traceparent), tracestate });
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.alloc(5));
});
let packages: Record<string, string>;
let database: string;

beforeAll(async () => {
  httpServer.listen(0, '127.0.0.1');
  grpcServer.listen(0, '127.0.0.1');
  await Promise.all([once(httpServer, 'listening'), once(grpcServer, 'listening')]);
  database = await postgresDatabase();
  packages = {
    GRPC: await testPackage(...newestVersion('grpc').packages),
    PG: await testPackage(...newestVersion('pg').packages),
  };
});
afterAll(() => {
  httpServer.close();
  grpcServer.close();
});

async function run(env: Record<string, string>, path: string, headers: Record<string, string> = {}) {
  received.length = 0;
  const ports = {
    httpPort: (httpServer.address() as AddressInfo).port,
    grpcPort: (grpcServer.address() as AddressInfo).port,
  };
  const folder = writeFolder({ 'app.cjs': APP });
  const { stdout, stderr, code, spans } = await runApp(`${folder}/app.cjs`, {
    cwd: folder,
    env: {
      ...{ ...packages, OTEL_INSTRUMENTATION_PG_SQLCOMMENTER: 'true', ...env },
      CASE: JSON.stringify({ path, headers, database, ...ports }),
    },
  });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(received.map(({ url }) => url)).toEqual(['/http', '/fetch', '/test.Service/Method']);
  return { spans, query: stdout.split('\r\n\r\n')[1] ?? '', sent: received.map(({ traceparent }) => traceparent) };
}

describe('a request without spans', () => {
  it('is told from one with them', async () => {
    const { spans, query, sent } = await run({}, '/a');
    expect(spans.map(({ kind, scope }) => `${kind} ${scope.name}`).sort()).toEqual([
      ...['CLIENT hookline/grpc', 'CLIENT hookline/http', 'CLIENT hookline/pg', 'CLIENT hookline/undici'],
      'SERVER hookline/http',
    ]);
    const traceIds = new Set(spans.map(({ traceId }) => traceId));
    expect(traceIds.size).toBe(1);
    for (const traceparent of sent) expect(traceparent).toMatch(new RegExp(`^00-${[...traceIds][0]}-[0-9a-f]{16}-03$`));
    expect(query).toContain(`traceparent='00-${[...traceIds][0]}-`);
  });

  const rules = '[{"path":"/a","decision":"drop"}]';
  it.each([
    ['not sampled', { OTEL_TRACES_SAMPLER: 'always_off' }, '/a'],
    [
      'not sampled, but followed',
      { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' },
      '/a',
    ],
    ['dropped by a rule', { OTEL_TRACES_SAMPLER: 'rules', OTEL_TRACES_SAMPLER_ARG: rules }, '/a'],
    ['a muted health check', { HOOKLINE_MUTE_HEALTH_CHECKS: 'true' }, '/healthz'],
    ['ignored', { OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS: '/a' }, '/a'],
  ] as const)('%s: one trace goes on that is not sampled', async (_, env, path) => {
    const { spans, query, sent } = await run(env, path);
    expect(spans).toEqual([]);
    const traceId = String(sent[0]).slice(3, 35);
    for (const traceparent of sent) expect(traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-02$`));
    expect(query).toMatch(/^SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid\(\)/);
    expect(query).not.toMatch(/traceparent='00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]'/);
  });

  it("of a caller whose trace is not sampled: the caller's trace goes on, with its state", async () => {
    const headers = { traceparent: `00-${TRACE}-${CALLER}-00`, tracestate: 'a=b' };
    const { spans, sent } = await run({}, '/a', headers);
    expect(spans).toEqual([]);
    for (const traceparent of sent) expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    expect(received.map(({ tracestate }) => tracestate)).toEqual(['a=b', 'a=b', 'a=b']);
  });

  it.each([
    ['muted', { HOOKLINE_MUTE_HEALTH_CHECKS: 'true' }],
    ['ignored', { OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS: '/health*' }],
  ] as const)('%s, of a caller whose trace is sampled: it goes on as if we were not there', async (_, env) => {
    const headers = { traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: 'a=b' };
    const { spans, sent } = await run(env, '/healthz', headers);
    expect(spans).toEqual([]);
    expect(sent).toEqual([headers.traceparent, headers.traceparent, headers.traceparent]);
    expect(received.map(({ tracestate }) => tracestate)).toEqual(['a=b', 'a=b', 'a=b']);
  });
});
