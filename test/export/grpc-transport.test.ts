import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OtlpConfig } from '../../src/config';
import { retryDelay, toHttpStatus } from '../../src/export/grpc-call';
import { OTLP_GRPC } from '../../src/export/http-format';
import { HttpSender } from '../../src/export/http-sender';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { createCertificate } from '../support/certificate';
import { testPackage } from '../support/packages';
import { encode, otlpConfig } from './support';

let grpc: any;
const BODY = Buffer.from('a request');
const MS = 10_000;
const SENT = expect.objectContaining({ kind: 'sent', rejectedSpans: 0 });
const PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

interface Call {
  readonly body: Buffer;
  readonly metadata: Record<string, unknown>;
}

let calls: Call[] = [];
let lines: string[] = [];
const closers: (() => void)[] = [];

beforeAll(async () => {
  const folder = await testPackage('@grpc/grpc-js@1.14.7');
  grpc = createRequire(join(folder, 'noop.js'))('@grpc/grpc-js');
});
beforeEach(() => {
  calls = [];
  lines = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});
afterEach(() => {
  setLogSink(undefined);
  for (const close of closers.splice(0)) close();
});

type Answer = (callback: (error: object | null, value?: Buffer) => void, count: number) => void;

/** A collector made with the gRPC library itself; gives its port. */
async function collector(answer: Answer, credentials = grpc.ServerCredentials.createInsecure()): Promise<number> {
  const server = new grpc.Server();
  const bytes = (value: Buffer): Buffer => value;
  const method = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  server.addService(
    { Export: method },
    {
      Export: (call: any, callback: any) => {
        calls.push({ body: call.request, metadata: call.metadata.getMap() });
        answer(callback, calls.length);
      },
    },
  );
  closers.push(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error: Error | null, port: number) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

function open(port: number, changes: Partial<OtlpConfig> = {}, scheme = 'http'): HttpSender {
  const sender = new HttpSender(
    otlpConfig(`${scheme}://localhost:${port}/`, { protocol: 'grpc', ...changes }),
    OTLP_GRPC,
  );
  closers.push(() => sender.close());
  return sender;
}

const ok: Answer = (callback) => callback(null, Buffer.alloc(0));
const failing =
  (code: number, metadata?: object): Answer =>
  (callback) =>
    callback({ code, details: 'said the server', metadata });

/** google.rpc.Status with a RetryInfo of so many seconds and nanoseconds, by hand: `Status{details: [Any]}`. */
function retryInfo(seconds: number, nanos: number): Buffer {
  const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
  const field = (tag: number, bytes: readonly number[]): number[] => [tag, ...varint(bytes.length), ...bytes];
  const duration = [0x08, ...varint(seconds), 0x10, ...varint(nanos)];
  const type = [...Buffer.from('type.googleapis.com/google.rpc.RetryInfo')];
  return Buffer.from([0x08, 8, ...field(0x1a, [...field(0x0a, type), ...field(0x12, field(0x0a, duration))])]);
}

function withRetryInfo(seconds: number, nanos: number): object {
  const metadata = new grpc.Metadata();
  metadata.set('grpc-status-details-bin', retryInfo(seconds, nanos));
  return metadata;
}

describe('a call', () => {
  it('carries the request and the headers to the trace service', async () => {
    const sender = open(await collector(ok), { headers: { 'x-api-key': 'secret', authorization: 'Bearer abc' } });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(await sender.send(Buffer.alloc(200_000, 'x'), MS)).toEqual(SENT);
    expect(calls.map(({ body }) => body.length)).toEqual([BODY.length, 200_000]);
    expect(calls[0]?.body).toEqual(BODY);
    expect(calls[0]?.metadata).toMatchObject({
      'x-api-key': 'secret',
      authorization: 'Bearer abc',
      'user-agent': expect.stringMatching(/^hookline\//),
    });
    expect(lines).toEqual([]);
  });

  it('is compressed when asked for', async () => {
    const sender = open(await collector(ok), { compression: 'gzip' });
    expect(await sender.send(Buffer.alloc(50_000, 'x'), MS)).toEqual(SENT);
    const [body] = calls.map((call) => call.body);
    // The library may or may not unpack it.
    expect(body?.length === 50_000 ? body : gunzipSync(body as Buffer)).toEqual(Buffer.alloc(50_000, 'x'));
  });

  it('tells how many spans were rejected', async () => {
    const response = encode('ExportTraceServiceResponse', {
      partialSuccess: { rejectedSpans: 3, errorMessage: 'too old' },
    });
    const sender = open(await collector((callback) => callback(null, response)));
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'sent', rejectedSpans: 3 });
    expect(lines[0]).toContain('rejected 3 spans of a batch: too old');
  });

  it.each([1, 4, 10, 11, 14, 15])('is tried again after status %i', async (code) => {
    const sender = open(await collector((callback, count) => (count === 1 ? failing(code) : ok)(callback, count)));
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(calls).toHaveLength(2);
  });

  it.each([
    [3, 'INVALID_ARGUMENT'],
    [16, 'UNAUTHENTICATED (see OTEL_EXPORTER_OTLP_HEADERS)'],
    [7, 'PERMISSION_DENIED (see OTEL_EXPORTER_OTLP_HEADERS)'],
    [8, 'RESOURCE_EXHAUSTED'],
    [12, 'UNIMPLEMENTED (does it take OTLP over gRPC on this port? It is usually 4317)'],
    [13, 'INTERNAL'],
  ])('is given up after status %i', async (code, said) => {
    const port = await collector(failing(code));
    expect(await open(port).send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(calls).toHaveLength(1);
    expect(lines).toEqual([expect.stringContaining(`traces are dropped: http://localhost:${port}/ answered ${said}`)]);
  });

  it('waits as long as a busy server asks', async () => {
    const busy = failing(8, withRetryInfo(0, 1_000));
    const sender = open(await collector((callback, count) => (count === 1 ? busy : ok)(callback, count)));
    const startMs = performance.now();
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(performance.now() - startMs).toBeGreaterThan(900);
    const later = open(await collector(failing(8, withRetryInfo(60, 0))));
    expect(await later.send(BODY, MS)).toEqual({ kind: 'unreachable', retryAfterMs: 60_000 });
  });

  it('finds its way back after the connection was closed, also while idle', async () => {
    const sockets = new Set<Socket>();
    const port = await collector(ok);
    const proxy = createTcpServer((socket) => {
      sockets.add(socket);
      const upstream = createTcpConnection(port, socket);
      socket.on('error', () => {}).on('close', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    closers.push(() => proxy.close());
    const sender = open((proxy.address() as AddressInfo).port);
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    for (const socket of sockets) socket.resetAndDestroy();
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(calls).toHaveLength(3);
  });

  it('fails with one line when nobody listens, and goes on later', async () => {
    const sender = open(1, { timeoutMs: 300 });
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'unreachable' });
    expect(lines).toEqual([
      expect.stringMatching(/cannot export traces to http:\/\/localhost:1\/: connect ECONNREFUSED/),
    ]);
  });

  it('gives up on a server that accepts and is silent, within its time', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => {}).resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const startMs = performance.now();
    const sender = open((server.address() as AddressInfo).port, { timeoutMs: 500 });
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'unreachable' });
    expect(performance.now() - startMs).toBeLessThan(3_000);
  });

  it('says so when the port speaks HTTP/1.1', async () => {
    const server = createHttpServer((_request, response) => response.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const sender = open((server.address() as AddressInfo).port, { timeoutMs: 500 });
    expect((await sender.send(BODY, MS)).kind).not.toBe('sent');
    expect(lines).toHaveLength(1);
  });

  it('ends as given up when it is aborted', async () => {
    const sender = open(await collector(() => {}));
    const outcome = sender.send(BODY, MS);
    while (calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    sender.abort();
    expect(await outcome).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
  });
});

describe('TLS', () => {
  it('trusts the given certificate, and shows its own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hookline-grpc-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const server = createCertificate();
    const client = createCertificate();
    const put = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const port = await collector(
      ok,
      grpc.ServerCredentials.createSsl(
        Buffer.from(client.cert),
        [{ private_key: Buffer.from(server.key), cert_chain: Buffer.from(server.cert) }],
        true,
      ),
    );
    const trusted = {
      certificateFile: put('ca.pem', server.cert),
      clientCertificateFile: put('cert.pem', client.cert),
      clientKeyFile: put('key.pem', client.key),
    };
    expect(await open(port, trusted, 'https').send(BODY, MS)).toEqual(SENT);
    const stranger = await open(port, { timeoutMs: 500 }, 'https').send(BODY, MS);
    expect(stranger.kind).toBe('unreachable');
    expect(lines).toEqual([expect.stringContaining('see OTEL_EXPORTER_OTLP_CERTIFICATE')]);
  });
});

describe('statuses', () => {
  it('are those of HTTP that mean the same', () => {
    expect([0, 1, 3, 4, 5, 7, 13, 14, 16, 99].map((code) => toHttpStatus(code, false))).toEqual([
      ...[200, 503, 400, 503, 404, 403, 400, 503, 401, 400],
    ]);
    expect([toHttpStatus(8, true), toHttpStatus(8, false)]).toEqual([429, 400]);
  });

  it.each([
    [8, 'grpc: received message larger than max (5000000 vs. 4194304)'],
    [8, 'Received message larger than max (5000000 vs 4194304)'],
    [8, 'gRPC message exceeds maximum size 4194304: 5000000'],
    [8, 'grpc:%20received%20message%20after%20decompression%20larger%20than%20max%204194304'],
    [11, 'Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes'],
  ])('%i with "%s" is a request that is too large', (code, message) => {
    expect(toHttpStatus(code, false, message)).toBe(413);
  });

  it.each([
    [8, true, 'message larger than max', 429],
    [8, false, 'quota of messages exceeded', 400],
    [8, false, 'too many requests', 400],
    [11, false, 'offset is out of range', 503],
    [13, false, 'received message larger than max', 400],
  ])('%i (retry info: %s) with "%s" is none', (code, hasRetryInfo, message, status) => {
    expect(toHttpStatus(code, hasRetryInfo, message)).toBe(status);
  });

  it('come with the time to wait, if there is one', () => {
    expect(retryDelay(retryInfo(5, 0).toString('base64'))).toBe('5');
    expect(retryDelay(retryInfo(0, 200_000_000).toString('base64'))).toBe('1');
    for (const text of ['', '!!!', Buffer.from([0x08, 8]).toString('base64'), 'CAgaAA==']) {
      expect(retryDelay(text)).toBeUndefined();
    }
  });
});

function createTcpConnection(port: number, downstream: Socket): Socket {
  const { connect } = createRequire(import.meta.url)('node:net') as typeof import('node:net');
  const upstream = connect(port, '127.0.0.1');
  upstream.on('error', () => {}).on('close', () => downstream.destroy());
  downstream.pipe(upstream).pipe(downstream);
  return upstream;
}
