import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createSecureServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OtlpConfig } from '../../src/config';
import { OTLP_GRPC, OTLP_PROTOBUF } from '../../src/export/http-format';
import { HttpSender } from '../../src/export/http-sender';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { createCertificate } from '../support/certificate';
import { type ForwardProxy, type ProxyOptions, startProxy } from '../support/proxy';
import { otlpConfig, until } from './support';

// What the transports of HTTP and gRPC do in the same way with their connections.

const BODY = Buffer.from('a request');
const MS = 10_000;
const SENT = expect.objectContaining({ kind: 'sent', rejectedSpans: 0 });
const HOST = 'collector.test';

const folder = mkdtempSync(join(tmpdir(), 'hookline-transport-'));
const server = createCertificate(HOST);
const clients = [createCertificate(), createCertificate()] as const;
const file = (name: string): string => join(folder, name);
/** Replaced as a whole, as those who rotate certificates do. */
const put = (name: string, text: string): string => {
  writeFileSync(file(`${name}.new`), text);
  renameSync(file(`${name}.new`), file(name));
  return file(name);
};
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let lines: string[] = [];
/** The certificates that clients have shown, one per request. */
let shown: (string | undefined)[] = [];
let sockets = new Set<Socket>();
const closers: (() => void)[] = [];
beforeEach(() => {
  lines = [];
  shown = [];
  sockets = new Set();
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});
afterEach(() => {
  setLogSink(undefined);
  for (const close of closers.splice(0)) close();
});

const thumbprint = (socket: Socket): string | undefined =>
  (socket as TLSSocket).getPeerCertificate?.()?.raw?.toString('base64');
const thumbprintOf = ({ cert }: { cert: string }): string => cert.split('\n').slice(1, -2).join('');

async function listen(made: Server): Promise<number> {
  made.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    made.close();
    for (const socket of sockets) socket.destroy();
  });
  return (made.address() as AddressInfo).port;
}

function collector(protocol: string): Promise<number> {
  const options = { ...server, ca: clients.map(({ cert }) => cert), requestCert: true, rejectUnauthorized: false };
  if (protocol !== 'grpc') {
    const listener: RequestListener = async (request: IncomingMessage, response) => {
      for await (const _ of request);
      shown.push(thumbprint(request.socket));
      response.end();
    };
    return listen(createHttpsServer(options, listener));
  }
  const made = createHttp2Server(options);
  made.on('stream', async (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    for await (const _ of stream);
    shown.push(thumbprint(stream.session?.socket as Socket));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end();
  });
  return listen(made);
}

function open(protocol: string, url: string, changes: Partial<OtlpConfig> = {}): HttpSender {
  const format = protocol === 'grpc' ? OTLP_GRPC : OTLP_PROTOBUF;
  const config = otlpConfig(url, { certificateFile: put('server.pem', server.cert), ...changes });
  const sender = new HttpSender(config, format);
  closers.push(() => sender.close());
  return sender;
}

async function proxied(options?: ProxyOptions): Promise<[ForwardProxy, Partial<OtlpConfig>]> {
  const proxy = await startProxy(options);
  closers.push(() => proxy.close());
  return [proxy, { proxy: { variable: 'HTTPS_PROXY', url: proxy.url, noProxy: '' } }];
}

describe.each(['http/protobuf', 'grpc'])('%s', (protocol) => {
  it('keeps its tunnel, and makes another one when the proxy has closed it', async () => {
    const [proxy, changes] = await proxied();
    const sender = open(protocol, `https://${HOST}:${await collector(protocol)}/`, changes);
    for (let i = 0; i < 3; i++) expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(proxy.asked).toHaveLength(1);
    proxy.drop();
    await until(() => [...sockets].every(({ destroyed }) => destroyed), 'the collector to notice');
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(proxy.asked).toHaveLength(2);
    expect(lines).toEqual([]);
  });

  it('waits for a proxy that comes back', async () => {
    const port = await collector(protocol);
    const busy = await startProxy({ status: 503 });
    closers.push(() => busy.close());
    const [proxy] = await proxied();
    let asked = 0;
    // Which proxy answers is decided by who is asked first.
    const { createServer: createTcpServer, connect } = await import('node:net');
    const front = createTcpServer((socket) => {
      const upstream = connect(Number(new URL(asked++ === 0 ? busy.url : proxy.url).port), '127.0.0.1');
      upstream.on('error', () => {}).on('close', () => socket.destroy());
      socket
        .on('error', () => {})
        .pipe(upstream)
        .pipe(socket);
    });
    const url = `http://127.0.0.1:${await listen(front)}`;
    const settings = { variable: 'HTTPS_PROXY', url, noProxy: '' };
    const sender = open(protocol, `https://${HOST}:${port}/`, { proxy: settings });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect({ asked, busy: busy.asked.length, lines }).toEqual({ asked: 2, busy: 1, lines: [] });
  });

  it('asks a proxy that refused again after a minute', async () => {
    const [proxy, changes] = await proxied({ credentials: 'me:right' });
    const sender = open(protocol, `https://${HOST}:1/`, changes);
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'unreachable', retryAfterMs: 60_000 });
    expect(proxy.asked).toHaveLength(1);
    expect(lines).toHaveLength(1);
  });

  it('gives a tunnel up that is being made', async () => {
    const [proxy, changes] = await proxied({ silent: true });
    const sender = open(protocol, `https://${HOST}:1/`, changes);
    const sending = sender.send(BODY, MS);
    await until(() => proxy.asked.length === 1, 'the proxy to be asked');
    sender.abort();
    expect(await sending).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    expect(lines).toEqual([]);
  });

  it.each([true, false])('shows new certificates on its next connection, through a tunnel: %s', async (tunnel) => {
    const [proxy, changes] = await proxied();
    const port = await collector(protocol);
    const pair = { clientCertificateFile: file('client.pem'), clientKeyFile: file('client.key') };
    const show = (client: { cert: string; key: string }): void => {
      put('client.pem', client.cert);
      put('client.key', client.key);
    };
    const url = `https://${tunnel ? HOST : 'localhost'}:${port}/`;
    const sender = open(protocol, url, { ...pair, ...(tunnel && changes) });
    show(clients[0]);
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    show(clients[1]);
    for (const socket of sockets) socket.destroy();
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(shown).toEqual(clients.map(thumbprintOf));
    expect(proxy.asked).toHaveLength(tunnel ? 2 : 0);
  });

  it.each([true, false])(
    'keeps spans while only one file of a pair is replaced, through a tunnel: %s',
    async (tunnel) => {
      const [, changes] = await proxied();
      const port = await collector(protocol);
      const sender = open(protocol, `https://${tunnel ? HOST : 'localhost'}:${port}/`, {
        clientCertificateFile: put('client.pem', clients[0].cert),
        clientKeyFile: put('client.key', clients[1].key),
        ...(tunnel && changes),
      });
      expect(await sender.send(BODY, MS)).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
      expect(lines).toEqual([expect.stringMatching(/: key values mismatch; see the files in OTEL_EXPORTER_OTLP_CERT/)]);
      put('client.pem', clients[1].cert);
      expect(await sender.send(BODY, MS)).toEqual(SENT);
      expect(shown).toEqual([thumbprintOf(clients[1])]);
    },
  );
});

it.each([
  [403, 'refused', 'traces are dropped: URL answered 403 through proxy PROXY (see OTEL_EXPORTER_OTLP_HEADERS)'],
  [502, 'unreachable', 'cannot export traces to URL: status 502 through proxy PROXY; trying again later'],
  [
    407,
    'unreachable',
    'cannot export traces to URL: proxy PROXY: it answered 407 Proxy Authentication Required; see user',
  ],
])('a request that the proxy has handed on: status %i', async (status, kind, text) => {
  const [proxy, changes] = await proxied({ status });
  const url = `http://${HOST}:1/v1/traces`;
  const sender = open('http/protobuf', url, { ...changes, timeoutMs: 200 });
  expect(await sender.send(BODY, MS)).toMatchObject({ kind });
  expect(lines).toEqual([expect.stringContaining(text.replace('URL', url).replace('PROXY', proxy.url))]);
});

it('requests that the proxy hands on share a connection', async () => {
  const [proxy, changes] = await proxied();
  const port = await listen(createServer((request, response) => void request.resume().on('end', () => response.end())));
  const sender = open('http/protobuf', `http://${HOST}:${port}/v1/traces?k=v`, changes);
  for (let i = 0; i < 2; i++) expect(await sender.send(BODY, MS)).toEqual(SENT);
  expect(proxy.asked).toEqual(new Array(2).fill(`POST http://${HOST}:${port}/v1/traces?k=v`));
});
