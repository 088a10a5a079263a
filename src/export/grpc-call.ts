import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { authorityOf, type Endpoint } from './endpoint';
import { ProtoReader } from './protobuf';

/** What came of one unary call. */
export interface GrpcAnswer {
  /** The status of HTTP that means the same (`toHttpStatus`), or that of a proxy that answered instead. */
  readonly httpStatus: number;
  /** `UNAVAILABLE`; `undefined` when a proxy answered. */
  readonly label: string | undefined;
  /** Seconds, as in HTTP's header. */
  readonly retryAfter: string | undefined;
  readonly body: Buffer | undefined;
}

/** Length and compression flag in front of each message (grpc/grpc: doc/PROTOCOL-HTTP2.md). */
const FRAME_HEAD_BYTES = 5;

const NAMES = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS'],
  ...['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED'],
  ...['INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
];

const RESOURCE_EXHAUSTED = 8;
const OUT_OF_RANGE = 11;

/** Codes worth another try (opentelemetry-proto, docs/specification.md, "OTLP/gRPC Response", failures). */
const RETRYABLE: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15]);

/** Others that HTTP has a word for, on which the hints depend. */
const HTTP_STATUSES: Readonly<Record<number, number>> = { 0: 200, 3: 400, 5: 404, 7: 403, 12: 404, 16: 401 };

/** The largest number of eight digits, which is as many as `grpc-timeout` may have. */
const MAX_GRPC_TIMEOUT_MS = 99_999_999;

/**
 * One unary call on an open session; events in order: `onSent` once all bytes were taken, then `onAnswer` or `onError`,
 * once. Written here and not left to a gRPC library: it is one request of HTTP/2, which needs no package of the application's
 * and runs in the thread that sends the last spans as well.
 * @param body one message
 * @param gzip whether `body` is compressed
 */
export function grpcCall(
  session: ClientHttp2Session,
  endpoint: Endpoint,
  body: Uint8Array,
  gzip: boolean,
  timeoutMs: number,
  events: { onSent?(): void; onAnswer(answer: GrpcAnswer): void; onError(error: NodeJS.ErrnoException): void },
  maxResponseBytes: number,
): ClientHttp2Stream {
  const headers: OutgoingHttpHeaders = {
    ...endpoint.headers,
    ':method': 'POST',
    // Node would leave out the brackets of an IPv6 address.
    ':authority': endpoint.socketPath === undefined ? authorityOf(endpoint) : 'localhost',
    ':path': endpoint.path,
    te: 'trailers',
    'grpc-timeout': `${Math.min(Math.max(Math.ceil(timeoutMs), 1), MAX_GRPC_TIMEOUT_MS)}m`,
    ...(gzip && { 'grpc-encoding': 'gzip' }),
  };
  const stream = session.request(headers);
  const chunks: Buffer[] = [];
  let received = 0;
  let httpStatus = 0;
  let status: string | undefined;
  let details: string | undefined;
  let message = '';
  let settled = false;

  const readStatus = (fields: Readonly<Record<string, unknown>>): void => {
    if (typeof fields['grpc-status'] !== 'string') return;
    status = fields['grpc-status'];
    details = typeof fields['grpc-status-details-bin'] === 'string' ? fields['grpc-status-details-bin'] : undefined;
    message = typeof fields['grpc-message'] === 'string' ? fields['grpc-message'] : '';
  };
  const answer = (): void => {
    if (settled) return;
    settled = true;
    if (status === undefined) {
      // A proxy's own answer, or a server that stopped in the middle: 200 without a status is no success.
      const standsIn = httpStatus === 200 ? 503 : httpStatus;
      events.onAnswer({ httpStatus: standsIn, label: undefined, retryAfter: undefined, body: undefined });
      return;
    }
    const code = Number(status);
    const retryAfter = details === undefined ? undefined : retryDelay(details);
    events.onAnswer({
      httpStatus: toHttpStatus(code, retryAfter !== undefined, message),
      label: NAMES[code] ?? `code ${code}`,
      retryAfter,
      body: code === 0 ? messageOf(Buffer.concat(chunks, received)) : undefined,
    });
  };

  stream.on('response', (fields) => {
    httpStatus = Number(fields[':status'] ?? 0);
    // An answer of headers alone carries the status in them.
    readStatus(fields);
  });
  stream.on('trailers', readStatus);
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received <= maxResponseBytes) {
      chunks.push(chunk);
      return;
    }
    stream.close();
    if (settled) return;
    settled = true;
    // The status would come behind it. Another try would most likely be another copy of spans that have been taken.
    const label = `with more than ${maxResponseBytes} bytes`;
    events.onAnswer({ httpStatus: 500, label, retryAfter: undefined, body: undefined });
  });
  stream.on('finish', () => events.onSent?.());
  stream.on('end', () => {
    if (httpStatus !== 0) answer();
  });
  stream.on('error', (error) => {
    if (settled) return;
    if (httpStatus !== 0 && status !== undefined) {
      answer();
      return;
    }
    settled = true;
    events.onError(error);
  });
  stream.on('close', () => {
    if (settled) return;
    if (httpStatus !== 0) answer();
    else {
      settled = true;
      events.onError(Object.assign(new Error('connection closed without an answer'), { code: 'ECONNRESET' }));
    }
  });

  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head[0] = gzip ? 1 : 0;
  head.writeUInt32BE(body.length, 1);
  stream.write(head);
  stream.end(body);
  return stream;
}

/**
 * The status of HTTP that is treated the same: retried, cut into smaller requests, or refused with the same hint.
 * @param message the server's `grpc-message`, still percent-encoded
 */
export function toHttpStatus(code: number, hasRetryInfo: boolean, message = ''): number {
  if ((code === RESOURCE_EXHAUSTED || code === OUT_OF_RANGE) && !hasRetryInfo && isAboutSize(message)) return 413;
  // A server that is merely busy says when to come back; one that says nothing will not take it (OTLP/gRPC Throttling).
  if (code === RESOURCE_EXHAUSTED) return hasRetryInfo ? 429 : 400;
  return RETRYABLE.has(code) ? 503 : (HTTP_STATUSES[code] ?? 400);
}

/**
 * Messages over the limit have no status of their own. What servers say of them: "received message larger than max (… vs. …)"
 * (Go, Node.js), "Received message larger than max" and "Sent message larger than max" (C++), "gRPC message exceeds maximum
 * size" (Java), "decoded message length too large" with OUT_OF_RANGE (Rust).
 */
function isAboutSize(message: string): boolean {
  return /message.{0,60}(larger than max|exceeds maximum|too large)/i.test(message.replaceAll('%20', ' '));
}

/** The one message of the answer; `undefined` when it is compressed, which we never offered, or cut. */
function messageOf(frame: Buffer): Buffer | undefined {
  if (frame.length < FRAME_HEAD_BYTES || frame[0] !== 0) return undefined;
  const size = frame.readUInt32BE(1);
  return frame.length < FRAME_HEAD_BYTES + size ? undefined : frame.subarray(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + size);
}

/** `google.rpc.RetryInfo.retry_delay` of a `google.rpc.Status`, in whole seconds; `undefined` when there is none. */
export function retryDelay(base64: string): string | undefined {
  try {
    const status = new ProtoReader(Buffer.from(base64, 'base64'));
    for (let field = status.next(); field !== 0; field = status.next()) {
      if (field !== 3) {
        status.skip();
        continue;
      }
      const seconds = retryInfoSeconds(status.message());
      if (seconds !== undefined) return String(seconds);
    }
  } catch {
    // Not what it says it is: as if it were not there.
  }
  return undefined;
}

/** Of a `google.protobuf.Any`. */
function retryInfoSeconds(any: Uint8Array): number | undefined {
  let type = '';
  let value: Uint8Array = any.subarray(0, 0);
  const reader = new ProtoReader(any);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) type = reader.text();
    else if (field === 2) value = reader.message();
    else reader.skip();
  }
  if (!type.endsWith('/google.rpc.RetryInfo')) return undefined;
  let seconds = 0;
  const info = new ProtoReader(value);
  for (let field = info.next(); field !== 0; field = info.next()) {
    if (field !== 1) {
      info.skip();
      continue;
    }
    const duration = new ProtoReader(info.message());
    for (let part = duration.next(); part !== 0; part = duration.next()) {
      if (part === 1) seconds += duration.number();
      else if (part === 2) seconds += duration.number() / 1e9;
      else duration.skip();
    }
  }
  return Math.ceil(seconds);
}
