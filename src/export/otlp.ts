import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { OtlpConfig } from '../config';
import { log } from '../log';
import { ROOT_CONTEXT, runInContext } from '../trace/context';
import { type Endpoint, isLoopback, isRetryableStatus, readTlsFiles, requestOptions, toEndpoint } from './endpoint';
import { type Sender, type SendOutcome, type SyncOutcome, untracedTimer } from './processor';
import { canSendSync, sendSync } from './send-sync';

/** All we want of a response is `partial_success`; a body that goes on is cut off with its connection. */
const MAX_RESPONSE_BYTES = 64 * 1024;

const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 5_000;
/** Share of the delay by which it varies, so that processes started together do not retry together. */
const JITTER = 0.25;

/** Longer waits are not honoured: a date in the wrong time zone must not silence a process for hours. */
const MAX_RETRY_AFTER_MS = 300_000;

/**
 * A connection that is not made within this time is given up and tried again. The operating system's connect
 * holds the process and cannot be unref'd, so this is also the longest that such a connection delays a natural end.
 */
const CONNECT_TIMEOUT_MS = 1_000;
/** However short the exit timeout: a collector on another continent has to stay within reach. */
const MIN_CONNECT_TIMEOUT_MS = 250;

/** A request goes out in pieces of this size, so that a slow connection shows progress. */
const WRITE_BYTES = 64 * 1024;

/** An end that comes this soon after a connection was given up has most likely been waiting for just that. */
const HELD_UP_MS = 250;

/** With less time than this left for the last send it is not tried: a worker takes longer to start. */
const MIN_LAST_SEND_MS = 50;

const MIN_LOG_INTERVAL_MS = 60_000;

const CREDENTIAL_HEADER = /auth|api[-_]?key|token|secret|password|cookie|license|honeycomb-team/;

type Attempt =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly retryAfter: string | undefined;
      readonly body: Buffer | undefined;
    }
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly onReusedSocket: boolean }
  | { readonly kind: 'aborted' };

/** OTLP/HTTP with binary protobuf (opentelemetry-proto, docs/specification.md, "OTLP/HTTP"). */
export class OtlpSender implements Sender {
  readonly #timeoutMs: number;
  readonly #gzip: boolean;
  readonly #endpoint: Endpoint | undefined;
  readonly #connectTimeoutMs: number;
  #agent: Agent | undefined;
  #request: ClientRequest | undefined;
  #finished = false;
  #cancel: (() => void) | undefined;
  /** The kind of failure last reported; `undefined` while all is well. */
  #failure: string | undefined;
  #lastLineMs = Number.NEGATIVE_INFINITY;
  #closed = false;
  /** Monotonic milliseconds when a connection was last given up that had held the process. */
  #connectGivenUpMs = Number.NEGATIVE_INFINITY;

  /** `exitTimeoutMs`: the longest that the end of the process may be delayed, which a connection under way does as well. */
  constructor(otlp: OtlpConfig, exitTimeoutMs: number = CONNECT_TIMEOUT_MS) {
    this.#timeoutMs = otlp.timeoutMs;
    this.#gzip = otlp.compression === 'gzip';
    this.#connectTimeoutMs = Math.min(Math.max(exitTimeoutMs, MIN_CONNECT_TIMEOUT_MS), CONNECT_TIMEOUT_MS);
    try {
      this.#endpoint = toEndpoint(otlp);
      warnAboutCleartext(this.#endpoint);
    } catch {
      log.error('traces are not exported: the OTLP endpoint is not a valid http or https URL');
    }
  }

  get target(): string | undefined {
    return this.#endpoint?.displayUrl;
  }

  get needsEventLoop(): boolean {
    return !canSendSync();
  }

  get handedOver(): boolean {
    return this.#request !== undefined && this.#finished;
  }

  async send(request: Buffer, timeoutMs: number): Promise<SendOutcome> {
    const endpoint = this.#endpoint;
    if (endpoint === undefined || this.#closed) return { kind: 'refused' };
    try {
      return await runInContext(ROOT_CONTEXT.suppress(), () =>
        this.#sendWithRetries(endpoint, request, performance.now() + Math.min(timeoutMs, this.#timeoutMs)),
      );
    } catch (error) {
      // For instance a header value that HTTP does not allow.
      this.#reportFailure('internal', `cannot export traces to ${endpoint.displayUrl}: ${describe(error)}`);
      return { kind: 'refused' };
    } finally {
      this.#request = undefined;
      this.#finished = false;
    }
  }

  abort(): void {
    this.#cancel?.();
  }

  sendSync(requests: readonly Buffer[], budgetMs: number): readonly SyncOutcome[] {
    if (this.#endpoint === undefined) return requests.map(() => 'refused');
    // A connection that never came up has held the process already; both together stay within the exit timeout.
    const heldUp = performance.now() - this.#connectGivenUpMs < HELD_UP_MS;
    const leftMs = heldUp ? budgetMs - this.#connectTimeoutMs : budgetMs;
    if (leftMs < MIN_LAST_SEND_MS) return requests.map(() => 'lost');
    return sendSync(this.#endpoint, requests, leftMs);
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  async #sendWithRetries(endpoint: Endpoint, request: Buffer, deadlineMs: number): Promise<SendOutcome> {
    const body = this.#gzip ? await gzip(request) : request;
    let freshSocketTried = false;
    for (let retry = 0; ; retry++) {
      const attempt = await this.#attempt(endpoint, body, deadlineMs - performance.now());
      if (attempt.kind === 'aborted') return { kind: 'unreachable', retryAfterMs: 0 };
      if (attempt.kind === 'error' && attempt.onReusedSocket && !freshSocketTried && isLost(attempt.code)) {
        // The collector closed the idle connection while our request was on its way: no reason to wait.
        freshSocketTried = true;
        retry--;
        continue;
      }
      if (attempt.kind === 'response' && !isRetryableStatus(attempt.status)) return this.#answered(endpoint, attempt);
      if (attempt.kind === 'error' && isMisconfigured(attempt.code)) {
        this.#reportFailure(
          attempt.code,
          `cannot export traces to ${endpoint.displayUrl}: ${attempt.message}${errorHint(attempt.code)}`,
        );
        return attempt.code.startsWith('HPE_') ? { kind: 'refused' } : { kind: 'unreachable', retryAfterMs: 0 };
      }
      const asked = attempt.kind === 'response' ? parseRetryAfter(attempt.retryAfter) : undefined;
      const delayMs = asked ?? backoffMs(retry);
      if (performance.now() + delayMs >= deadlineMs) {
        const reason = attempt.kind === 'response' ? `status ${attempt.status}` : attempt.message;
        this.#reportFailure(
          'unreachable',
          `cannot export traces to ${endpoint.displayUrl}: ${reason}; trying again later`,
        );
        return { kind: 'unreachable', retryAfterMs: asked ?? 0 };
      }
      if (!(await this.#sleep(delayMs))) return { kind: 'unreachable', retryAfterMs: 0 };
    }
  }

  /** False when aborted. */
  #sleep(delayMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = untracedTimer(() => {
        this.#cancel = undefined;
        resolve(true);
      }, delayMs);
      this.#cancel = () => {
        clearTimeout(timer);
        this.#cancel = undefined;
        resolve(false);
      };
    });
  }

  #answered(endpoint: Endpoint, { status, body }: Extract<Attempt, { kind: 'response' }>): SendOutcome {
    if (status >= 200 && status < 300) {
      this.#reportRecovery(endpoint);
      const { rejectedSpans, message } = decodePartialSuccess(body);
      if (rejectedSpans > 0 || message !== '') {
        const said = message === '' ? '' : `: ${message.slice(0, 500)}`;
        const text = `${endpoint.displayUrl} rejected ${rejectedSpans} spans of a batch${said}`;
        log.once('warn', `otlp-partial-${message.slice(0, 100)}`, text);
      }
      return { kind: 'sent', rejectedSpans };
    }
    this.#reportFailure(
      `status ${status}`,
      `traces are dropped: ${endpoint.displayUrl} answered ${status}${statusHint(status)}`,
    );
    return { kind: 'refused' };
  }

  /** One POST. Never rejects; throws only before anything was sent. */
  #attempt(endpoint: Endpoint, body: Buffer, timeoutMs: number): Promise<Attempt> {
    // Loaded here and not at the top: these are milliseconds of the application's start.
    const http: typeof import('node:http') | typeof import('node:https') = endpoint.secure
      ? (require('node:https') as typeof import('node:https'))
      : (require('node:http') as typeof import('node:http'));
    // One connection is enough for one request at a time.
    this.#agent ??= new http.Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    const tls = readTlsFiles(endpoint, (file, error) => {
      log.once('error', `otlp-file-${file}`, `cannot read ${file} for the OTLP connection: ${describe(error)}`);
    });
    const options = { ...requestOptions(endpoint, body.length, this.#gzip), ...tls, agent: this.#agent };
    const request = http.request(options);
    this.#request = request;
    this.#finished = false;

    return new Promise((resolve) => {
      let settled = false;
      let connectTimer: NodeJS.Timeout | undefined;
      let stallTimer: NodeJS.Timeout | undefined;
      let response: IncomingMessage | undefined;
      const chunks: Buffer[] = [];
      let received = 0;

      const settle = (attempt: Attempt): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        if (connectTimer !== undefined) clearTimeout(connectTimer);
        if (stallTimer !== undefined) clearTimeout(stallTimer);
        this.#cancel = undefined;
        this.#request = undefined;
        this.#finished = false;
        resolve(attempt);
      };
      const answered = (status: number, complete: boolean): void => {
        const retryAfter = response?.headers['retry-after'];
        settle({ kind: 'response', status, retryAfter, body: complete ? Buffer.concat(chunks, received) : undefined });
      };
      const fail = (code: string, message: string): void => {
        // With a status the collector has decided, whatever happened to the rest of its answer.
        if (response?.statusCode !== undefined) answered(response.statusCode, false);
        else settle({ kind: 'error', code, message, onReusedSocket: request.reusedSocket });
        // Never back to the agent: the next attempt must not run into the same dead connection.
        request.destroy();
      };

      const timer = untracedTimer(() => fail('TIMEOUT', 'no answer in time'), Math.max(timeoutMs, 0));
      this.#cancel = () => {
        settle({ kind: 'aborted' });
        request.destroy();
      };
      // A write that the peer does not take holds the process, which nothing can unref: it is given up when it stands
      // still for as long as a connection may take.
      const watchProgress = (): void => {
        if (stallTimer !== undefined) clearTimeout(stallTimer);
        stallTimer = untracedTimer(() => {
          this.#connectGivenUpMs = performance.now();
          fail('STALLED', 'the request is not read');
        }, this.#connectTimeoutMs);
      };
      request.on('socket', (socket: Socket) => {
        socket.unref();
        if (!socket.connecting) {
          watchProgress();
          return;
        }
        connectTimer = untracedTimer(
          () => {
            this.#connectGivenUpMs = performance.now();
            fail('CONNECT_TIMEOUT', 'no connection in time');
          },
          Math.min(this.#connectTimeoutMs, timeoutMs),
        );
        // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
        const unref = (): void => void socket.unref();
        socket.on('connectionAttempt', unref);
        socket.once('connect', () => {
          socket.removeListener('connectionAttempt', unref);
          if (connectTimer !== undefined) clearTimeout(connectTimer);
          socket.unref();
          watchProgress();
        });
      });
      request.on('finish', () => {
        if (stallTimer !== undefined) clearTimeout(stallTimer);
        if (this.#request === request) this.#finished = true;
      });
      request.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'ERROR', describe(error)));
      request.on('response', (incoming: IncomingMessage) => {
        response = incoming;
        const status = incoming.statusCode ?? 0;
        incoming.on('data', (chunk: Buffer) => {
          received += chunk.length;
          if (received <= MAX_RESPONSE_BYTES) {
            chunks.push(chunk);
            return;
          }
          answered(status, false);
          request.destroy();
        });
        incoming.on('end', () => answered(status, true));
        // An 'error' event of a response without a listener would end the process.
        incoming.on('error', () => answered(status, false));
        incoming.on('close', () => answered(status, false));
      });
      request.on('close', () => fail('ECONNRESET', 'connection closed without an answer'));
      let offset = 0;
      const writeOn = (): void => {
        if (settled) return;
        if (offset > 0) watchProgress();
        const slice = body.subarray(offset, offset + WRITE_BYTES);
        offset += slice.length;
        if (offset < body.length) request.write(slice, writeOn);
        else request.end(slice);
      };
      writeOn();
    });
  }

  /** One line when exporting starts to fail, and another when it fails differently, at most one a minute. */
  #reportFailure(kind: string, text: string): void {
    const nowMs = performance.now();
    if (this.#failure === kind || (this.#failure !== undefined && nowMs - this.#lastLineMs < MIN_LOG_INTERVAL_MS)) {
      log.debug(text);
      return;
    }
    this.#failure = kind;
    this.#lastLineMs = nowMs;
    log.warn(text);
  }

  #reportRecovery(endpoint: Endpoint): void {
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    log.warn(`traces are exported again to ${endpoint.displayUrl}`);
  }
}

function warnAboutCleartext(endpoint: Endpoint): void {
  if (endpoint.secure || isLoopback(endpoint.host)) return;
  const name = Object.keys(endpoint.headers).find((header) => CREDENTIAL_HEADER.test(header));
  if (name === undefined) return;
  log.once('warn', 'otlp-cleartext', `header ${name} is sent unencrypted to ${endpoint.displayUrl}; use https`);
}

function gzip(bytes: Buffer): Promise<Buffer> {
  const zlib = require('node:zlib') as typeof import('node:zlib');
  return new Promise((resolve, reject) => {
    // Level 1: spans are repetitive, higher levels gain a few percent for a multiple of the time.
    zlib.gzip(bytes, { level: 1 }, (error, compressed) => (error === null ? resolve(compressed) : reject(error)));
  });
}

function backoffMs(retry: number): number {
  const delayMs = Math.min(FIRST_BACKOFF_MS * 2 ** retry, MAX_BACKOFF_MS);
  return delayMs * (1 - JITTER + 2 * JITTER * Math.random());
}

/** Seconds or an HTTP date (RFC 9110, section 10.2.3) as milliseconds from now, clamped; `undefined` for anything else. */
export function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const delayMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  if (Number.isNaN(delayMs)) return undefined;
  return Math.min(Math.max(delayMs, 0), MAX_RETRY_AFTER_MS);
}

/** The connection went away, as opposed to never coming up. */
function isLost(code: string): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED';
}

/** Errors that the next attempt, a moment later, would only repeat. */
function isMisconfigured(code: string): boolean {
  return (
    code.startsWith('HPE_') || /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_OSSL)/.test(code)
  );
}

function errorHint(code: string): string {
  if (code.startsWith('HPE_')) return '; that is not HTTP/1.1: the gRPC port is usually 4317, the HTTP port 4318';
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) return '; does the collector speak TLS on this port?';
  return '; see OTEL_EXPORTER_OTLP_CERTIFICATE';
}

function statusHint(status: number): string {
  if (status === 404) return ' (is the path right? It usually ends in /v1/traces)';
  if (status === 401 || status === 403) return ' (see OTEL_EXPORTER_OTLP_HEADERS)';
  if (status === 400 || status === 415) return ' (does it take OTLP as application/x-protobuf?)';
  if (status === 413) return ' (see OTEL_BSP_MAX_EXPORT_BATCH_SIZE)';
  if (status >= 300 && status < 400) return ' (redirects are not followed: set the final URL)';
  return '';
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // All addresses failed (RFC 8305): the message of the whole is empty, the first one's says it.
  const [first] = (error as { errors?: unknown[] }).errors ?? [];
  return first instanceof Error && error.message === '' ? first.message : error.message;
}

/** ExportTraceServiceResponse.partial_success (collector/trace/v1). Anything unreadable counts as full success. */
export function decodePartialSuccess(body: Uint8Array | undefined): { rejectedSpans: number; message: string } {
  let rejectedSpans = 0;
  let message = '';
  if (body === undefined || body.length === 0) return { rejectedSpans, message };
  try {
    readFields(body, (field, value) => {
      if (field !== 1 || typeof value === 'number') return;
      readFields(value, (inner, content) => {
        if (inner === 1 && typeof content === 'number') rejectedSpans = content;
        if (inner === 2 && typeof content !== 'number') message = Buffer.from(content).toString('utf8');
      });
    });
  } catch {
    return { rejectedSpans: 0, message: '' };
  }
  // A negative int64 reads as a huge number; nothing sensible can be made of it.
  return { rejectedSpans: rejectedSpans <= Number.MAX_SAFE_INTEGER ? rejectedSpans : 0, message };
}

/** Calls `onField` for each varint and length-delimited field. Throws a RangeError at the first byte that is no protobuf. */
function readFields(bytes: Uint8Array, onField: (field: number, value: number | Uint8Array) => void): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 10; shift++) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80) return value;
    }
    throw new RangeError('bad varint');
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        onField(field, varint());
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        const size = varint();
        if (at + size > bytes.length) throw new RangeError('truncated');
        onField(field, bytes.subarray(at, at + size));
        at += size;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        throw new RangeError('bad wire type');
    }
  }
}
