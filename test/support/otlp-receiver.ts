import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { createCertificate } from './certificate';
import { decodeTraceRequest, encodeTraceResponse, type ReceivedSpan } from './otlp-decode';

export type { Attributes, AttributeValue, ReceivedSpan, SpanKind, StatusCode } from './otlp-decode';

export interface ReceivedRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  /** As sent, still compressed. */
  bytes: Buffer;
  /** Empty when the request was answered by an error or could not be decoded. */
  spans: ReceivedSpan[];
  receivedAtMs: number;
}

/** How one request is answered. Spans are collected only from requests answered with a 2xx status. */
export interface Reply {
  /** Default 200. */
  status?: number;
  headers?: Record<string, string>;
  /** Default: an empty ExportTraceServiceResponse. */
  body?: Uint8Array | string;
  /** Shorthand for a 200 with a partial success. */
  partialSuccess?: { rejectedSpans: number; errorMessage: string };
  /** Wait before answering. */
  delayMs?: number;
  /** Read the request, then never answer. */
  hang?: boolean;
  /** Read the request, then reset the connection. */
  reset?: boolean;
}

export interface ReceiverOptions {
  /** `true`: TLS with a self-signed certificate; `'mutual'`: the client must present that same certificate. */
  https?: boolean | 'mutual';
  /** Default: a free one. For a receiver that comes back where another one was. */
  port?: number;
}

export interface OtlpReceiver {
  /** Base URL for OTEL_EXPORTER_OTLP_ENDPOINT, without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Paths of the certificate and its key (PEM), when the receiver speaks TLS. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** Every span accepted so far, in order of arrival. */
  readonly spans: ReceivedSpan[];
  readonly requests: ReceivedRequest[];
  /** What was wrong with requests that are no valid OTLP; `waitForSpans` and `settled` throw the first. */
  readonly errors: Error[];
  /** Answers for the next requests, one each, in order; after them the default answer is given again. */
  replyNext(...replies: Reply[]): void;
  /** The answer for every request that has none of its own; a function sees the request and its index. */
  replyAlways(reply: Reply | ((request: ReceivedRequest, index: number) => Reply)): void;
  /** Resolves with all spans once there are at least `count`; rejects with what has arrived after the timeout. */
  waitForSpans(count: number, timeoutMs?: number): Promise<ReceivedSpan[]>;
  /** Resolves with all requests once there are at least `count`. */
  waitForRequests(count: number, timeoutMs?: number): Promise<ReceivedRequest[]>;
  /** Resolves when no connection is open: after a client process has ended, everything it sent has been read. */
  settled(timeoutMs?: number): Promise<void>;
  /** Forgets spans, requests, errors and replies. */
  clear(): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts an OTLP/HTTP (protobuf) trace receiver on a free port of 127.0.0.1. */
export async function startReceiver({
  https = false,
  port: wantedPort = 0,
}: ReceiverOptions = {}): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const requests: ReceivedRequest[] = [];
  const errors: Error[] = [];
  const sockets = new Set<Socket>();
  const changed = new Set<() => void>();
  let queue: Reply[] = [];
  let always: Reply | ((request: ReceivedRequest, index: number) => Reply) = {};

  const notify = () => {
    for (const listener of changed) listener();
  };
  const fail = (error: unknown) => {
    errors.push(error instanceof Error ? error : new Error(String(error)));
    notify();
  };

  async function handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk);
    const request: ReceivedRequest = {
      method: message.method ?? '',
      url: message.url ?? '',
      headers: message.headers,
      rawHeaders: message.rawHeaders,
      bytes: Buffer.concat(chunks),
      spans: [],
      receivedAtMs: Date.now(),
    };
    const index = requests.push(request) - 1;
    const reply = queue.shift() ?? (typeof always === 'function' ? always(request, index) : always);
    let { status = 200 } = reply;
    try {
      const decoded = decode(request);
      if (status < 300 && !reply.hang && !reply.reset) {
        request.spans = decoded;
        spans.push(...decoded);
      }
    } catch (error) {
      fail(error);
      status = 400;
    }
    notify();
    if (reply.hang) return;
    if (reply.delayMs) await delay(reply.delayMs);
    if (reply.reset) {
      message.socket.resetAndDestroy();
      return;
    }
    response.writeHead(status, { 'content-type': 'application/x-protobuf', ...reply.headers });
    response.end(reply.body ?? encodeTraceResponse(reply.partialSuccess));
  }

  const listener = (message: IncomingMessage, response: ServerResponse) => {
    // A client that ends in the middle of its request is some test's point, not an error of the harness.
    handle(message, response).catch((error) => (message.complete ? fail(error) : notify()));
  };
  const certificate = https ? createCertificate() : undefined;
  const server = certificate
    ? createSecureServer({ ...certificate, ca: certificate.cert, requestCert: https === 'mutual' }, listener)
    : createServer(listener);
  // Track the raw connections of both kinds of server.
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      notify();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(wantedPort, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  let directory: string | undefined;
  let tls: OtlpReceiver['tls'];
  if (certificate) {
    directory = mkdtempSync(join(tmpdir(), 'hookline-tls-'));
    tls = { certFile: join(directory, 'cert.pem'), keyFile: join(directory, 'key.pem') };
    writeFileSync(tls.certFile, certificate.cert);
    writeFileSync(tls.keyFile, certificate.key);
  }

  function waitUntil(done: () => boolean, timeoutMs: number, describe: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void) => {
        changed.delete(check);
        clearTimeout(timer);
        outcome();
      };
      const check = () => {
        if (errors.length > 0) settle(() => reject(errors[0]));
        else if (done()) settle(resolve);
      };
      const timer = setTimeout(() => settle(() => reject(new Error(`${describe()} after ${timeoutMs} ms`))), timeoutMs);
      changed.add(check);
      check();
    });
  }

  const receiver: OtlpReceiver = {
    url: `${https ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    tls,
    spans,
    requests,
    errors,
    replyNext: (...replies) => void queue.push(...replies),
    replyAlways(reply) {
      always = reply;
    },
    async waitForSpans(count, timeoutMs = 20_000) {
      const names = () => spans.map(({ kind, name }) => `${kind} ${name}`).join(', ') || 'none';
      await waitUntil(
        () => spans.length >= count,
        timeoutMs,
        () => `expected ${count} spans, got ${spans.length} (${names()})`,
      );
      return spans;
    },
    async waitForRequests(count, timeoutMs = 20_000) {
      await waitUntil(
        () => requests.length >= count,
        timeoutMs,
        () => `expected ${count} requests, got ${requests.length}`,
      );
      return requests;
    },
    settled: (timeoutMs = 5_000) =>
      waitUntil(
        () => sockets.size === 0,
        timeoutMs,
        () => `${sockets.size} connections still open`,
      ),
    clear() {
      spans.length = 0;
      requests.length = 0;
      errors.length = 0;
      queue = [];
      always = {};
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      if (directory) rmSync(directory, { recursive: true, force: true });
    },
    [Symbol.asyncDispose]: () => receiver.close(),
  };
  return receiver;
}

function decode({ method, url, headers, bytes }: ReceivedRequest): ReceivedSpan[] {
  if (method !== 'POST') throw new Error(`expected POST, got ${method} ${url}`);
  if (headers['content-type'] !== 'application/x-protobuf')
    throw new Error(`content-type is ${headers['content-type']}`);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'gzip') throw new Error(`content-encoding is ${encoding}`);
  return decodeTraceRequest(encoding === 'gzip' ? gunzipSync(bytes) : bytes);
}
