import type { HttpTarget } from '../config';
import { log } from '../log';
import { stopTimer } from '../timers';
import { nowMs } from '../trace/clock';
import { ROOT_CONTEXT, runInContext, runUntraced } from '../trace/context';
import type { Authorization, Authorized, OutgoingRequest } from './auth/authorization';
import { authorityOf, type Endpoint, isLoopback, isRetryableStatus, toEndpoint, withHeaders } from './endpoint';
import { GrpcTransport } from './grpc-transport';
import { gzip, gzipSync } from './gzip';
import type { HttpFormat } from './http-format';
import { HttpTransport } from './http-transport';
import { type Sender, type SendOutcome, type SyncOutcome, untracedTimer } from './processor';
import { canSendSync, sendSync } from './send-sync';
import { type Attempt, describe, isMisconfigured, type Transport } from './transport';

const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 5_000;
/** Share of the delay by which it varies, so that processes started together do not retry together. */
const JITTER = 0.25;

/** Longer waits are not honoured: a date in the wrong time zone must not silence a process for hours. */
const MAX_RETRY_AFTER_MS = 300_000;

/** Until a proxy that refused is asked again: wrong passwords lock accounts. */
const PROXY_REFUSED_MS = 60_000;

/**
 * A connection that is not made within this time is given up and tried again. The operating system's connect
 * holds the process and cannot be unref'd, so this is also the longest that such a connection delays a natural end.
 */
const CONNECT_TIMEOUT_MS = 1_000;
/** However short the exit timeout: a collector on another continent has to stay within reach. */
const MIN_CONNECT_TIMEOUT_MS = 250;

/** An end that comes this soon after a connection was given up has most likely been waiting for just that. */
const HELD_UP_MS = 250;

/** With less time than this left for the last send it is not tried: a worker takes longer to start. */
const MIN_LAST_SEND_MS = 50;

const MIN_LOG_INTERVAL_MS = 60_000;

const CREDENTIAL_HEADER = /auth|api[-_]?key|token|secret|password|cookie|license|honeycomb-team/;

/** Posts batches over HTTP, in whatever format the collector takes. */
export class HttpSender implements Sender {
  readonly #format: HttpFormat;
  readonly #timeoutMs: number;
  readonly #gzip: boolean;
  readonly #maxRequestBytes: number;
  readonly #endpoint: Endpoint | undefined;
  readonly #connectTimeoutMs: number;
  readonly #transport: Transport;
  readonly #createAuthorization: (() => Authorization) | undefined;
  /** Made for the first request. */
  #authorization: Authorization | undefined;
  /** Ends the wait before the next try. */
  #cancel: (() => void) | undefined;
  /** The kind of failure last reported; `undefined` while all is well. */
  #failure: string | undefined;
  #lastLineMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /**
   * @param exitTimeoutMs the longest that the end of the process may be delayed, which a connection under way does as well
   * @param createAuthorization called for the first request, where requests have headers of their own
   */
  constructor(
    target: HttpTarget,
    format: HttpFormat,
    exitTimeoutMs: number = CONNECT_TIMEOUT_MS,
    createAuthorization?: () => Authorization,
  ) {
    this.#createAuthorization = createAuthorization;
    this.#format = format;
    this.#timeoutMs = target.timeoutMs;
    this.#gzip = target.compression === 'gzip';
    this.#maxRequestBytes = target.maxRequestBytes ?? Number.POSITIVE_INFINITY;
    this.#connectTimeoutMs = Math.min(Math.max(exitTimeoutMs, MIN_CONNECT_TIMEOUT_MS), CONNECT_TIMEOUT_MS);
    const HttpOrGrpc = format.protocol === 'grpc' ? GrpcTransport : HttpTransport;
    this.#transport = new HttpOrGrpc(this.#connectTimeoutMs);
    try {
      this.#endpoint = toEndpoint(target, format);
      warnAboutCleartext(this.#endpoint, createAuthorization !== undefined);
    } catch {
      log.error('traces are not exported: the endpoint is not a valid http or https URL');
    }
  }

  get target(): string | undefined {
    return this.#endpoint?.displayUrl;
  }

  get needsEventLoop(): boolean {
    return !canSendSync();
  }

  get handedOver(): boolean {
    return this.#transport.handedOver;
  }

  async send(request: Buffer, timeoutMs: number): Promise<SendOutcome> {
    const endpoint = this.#endpoint;
    if (endpoint === undefined || this.#closed) return { kind: 'refused' };
    try {
      const send = () => this.#sendWithRetries(endpoint, request, nowMs() + Math.min(timeoutMs, this.#timeoutMs));
      const isVisible = this.#createAuthorization !== undefined || this.#transport.isVisible(endpoint);
      return await (isVisible ? runInContext(ROOT_CONTEXT.suppress(), send) : runUntraced(send));
    } catch (error) {
      // For instance a header value that HTTP does not allow.
      this.#reportFailure('internal', `cannot export traces to ${endpoint.displayUrl}: ${describe(error)}`);
      return { kind: 'refused' };
    }
  }

  abort(): void {
    this.#cancel?.();
    this.#transport.cancel();
  }

  sendSync(requests: readonly Buffer[], budgetMs: number): readonly SyncOutcome[] {
    if (this.#endpoint === undefined) return requests.map(() => 'refused');
    // A connection that never came up has held the process already; both together stay within the exit timeout.
    const heldUp = nowMs() - this.#transport.connectGivenUpMs < HELD_UP_MS;
    const leftMs = heldUp ? budgetMs - this.#connectTimeoutMs : budgetMs;
    if (leftMs < MIN_LAST_SEND_MS) return requests.map(() => 'lost');
    const bodies = requests.map((request) => this.#encode(request));
    const fitting = bodies.filter(({ length }) => length <= this.#maxRequestBytes);
    const outcomes = fitting.length === 0 ? [] : this.#sendFittingSync(this.#endpoint, fitting, leftMs);
    return bodies.map((body) => outcomes[fitting.indexOf(body)] ?? 'too_large');
  }

  close(): void {
    this.#closed = true;
    this.abort();
    this.#transport.close();
  }

  async #sendWithRetries(endpoint: Endpoint, request: Buffer, deadlineMs: number): Promise<SendOutcome> {
    const encoded = this.#encode(request);
    if (encoded.length > this.#maxRequestBytes) return { kind: 'too_large' };
    const body = this.#gzip ? await gzip(encoded) : encoded;
    let freshSocketTried = false;
    let renewed = false;
    let attempts = 0;
    for (let retry = 0; ; retry++) {
      let authorized = endpoint;
      if (this.#createAuthorization !== undefined) {
        const given = await this.#authorize(outgoing(endpoint, body, this.#gzip), deadlineMs);
        if (given === 'aborted') return { kind: 'unreachable', retryAfterMs: 0 };
        if ('problem' in given) return this.#notAuthorized(endpoint, given);
        authorized = withHeaders(endpoint, given.headers);
      }
      attempts++;
      const attempt = await this.#transport.post(authorized, body, this.#gzip, deadlineMs - nowMs());
      if (attempt.kind === 'aborted') return { kind: 'unreachable', retryAfterMs: 0 };
      if (attempt.kind === 'error' && attempt.onReusedSocket && !freshSocketTried && isLost(attempt.code)) {
        // The collector closed the idle connection while our request was on its way: no reason to wait.
        freshSocketTried = true;
        retry--;
        continue;
      }
      if (attempt.kind === 'response' && isUnauthorized(attempt.status) && !renewed && this.#authorization?.renew()) {
        // A token that was withdrawn, or keys that were replaced: fresh ones may do.
        renewed = true;
        retry--;
        continue;
      }
      if (attempt.kind === 'response' && !isRetryableStatus(attempt.status)) {
        // A connection that was given up may still hold what was written to it.
        return this.#answered(endpoint, attempt, attempts === 1 && attempt.isRequestFree === true);
      }
      if (attempt.kind === 'error' && isMisconfigured(attempt.code)) {
        this.#reportFailure(
          attempt.code,
          `cannot export traces to ${endpoint.displayUrl}: ${attempt.message}${errorHint(attempt.code)}`,
        );
        if (attempt.code.startsWith('HPE_')) return { kind: 'refused' };
        return { kind: 'unreachable', retryAfterMs: attempt.code === 'PROXY_REFUSED' ? PROXY_REFUSED_MS : 0 };
      }
      const asked = attempt.kind === 'response' ? parseRetryAfter(attempt.retryAfter) : undefined;
      const delayMs = asked ?? backoffMs(retry);
      if (nowMs() + delayMs >= deadlineMs) {
        const reason = attempt.kind === 'response' ? statusOf(attempt) : attempt.message;
        this.#reportFailure(
          'unreachable',
          `cannot export traces to ${endpoint.displayUrl}: ${reason}; trying again later`,
        );
        return { kind: 'unreachable', retryAfterMs: asked ?? 0 };
      }
      if (!(await this.#sleep(delayMs))) return { kind: 'unreachable', retryAfterMs: 0 };
    }
  }

  /** The request's own headers; a source of them that takes too long has none, and the batch is kept. */
  #authorize(request: OutgoingRequest, deadlineMs: number): Promise<Authorized | 'aborted'> {
    return new Promise((resolve) => {
      let settled = false;
      const settle = (outcome: Authorized | 'aborted'): void => {
        // An answer that comes too late must not touch what is waited for by then.
        if (settled) return;
        settled = true;
        stopTimer(timer);
        this.#cancel = undefined;
        resolve(outcome);
      };
      const timer = untracedTimer(
        () => settle({ problem: 'no credentials in time', final: false }),
        Math.max(deadlineMs - nowMs(), 0),
      );
      this.#cancel = () => settle('aborted');
      this.#authorization ??= this.#createAuthorization?.();
      void this.#authorization?.headers(request).then(settle);
    });
  }

  #notAuthorized(endpoint: Endpoint, { problem, final }: { problem: string; final: boolean }): SendOutcome {
    if (final) {
      this.#reportFailure('authorization-final', `traces are dropped: ${problem}`);
      return { kind: 'refused' };
    }
    this.#reportFailure(
      'authorization',
      `cannot export traces to ${endpoint.displayUrl}: ${problem}; trying again later`,
    );
    return { kind: 'unreachable', retryAfterMs: 0 };
  }

  #sendFittingSync(endpoint: Endpoint, bodies: readonly Buffer[], budgetMs: number): readonly SyncOutcome[] {
    if (this.#createAuthorization === undefined) return sendSync(endpoint, bodies, budgetMs);
    return runInContext(ROOT_CONTEXT.suppress(), () => this.#sendSyncAuthorized(endpoint, bodies, budgetMs));
  }

  #sendSyncAuthorized(endpoint: Endpoint, bodies: readonly Buffer[], budgetMs: number): readonly SyncOutcome[] {
    const deadlineMs = nowMs() + budgetMs;
    // Compressed here already: a signature covers what is sent.
    const sent = this.#gzip ? bodies.map(gzipSync) : bodies;
    const headers: Readonly<Record<string, string>>[] = [];
    for (const body of sent) {
      this.#authorization ??= this.#createAuthorization?.();
      // What is left has to do for sending it as well.
      const leftMs = deadlineMs - nowMs() - MIN_LAST_SEND_MS;
      const given = this.#authorization?.headersSync(outgoing(endpoint, body, this.#gzip), leftMs);
      if (given === undefined || 'problem' in given) {
        if (given !== undefined) this.#notAuthorized(endpoint, given);
        return bodies.map(() => 'lost');
      }
      headers.push(given.headers);
    }
    return sendSync(endpoint, sent, deadlineMs - nowMs(), { headers, isCompressed: this.#gzip });
  }

  #encode(request: Buffer): Buffer {
    return this.#format.encode?.(request) ?? request;
  }

  /** False when aborted. */
  #sleep(delayMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = untracedTimer(() => {
        this.#cancel = undefined;
        resolve(true);
      }, delayMs);
      this.#cancel = () => {
        stopTimer(timer);
        this.#cancel = undefined;
        resolve(false);
      };
    });
  }

  #answered(endpoint: Endpoint, attempt: Response, isRequestFree: boolean): SendOutcome {
    const { status, body } = attempt;
    if (status >= 200 && status < 300) {
      this.#reportRecovery(endpoint);
      const { rejectedSpans, message } = this.#format.readPartial(body);
      if (rejectedSpans > 0 || message !== '') {
        const said = message === '' ? '' : `: ${message.slice(0, 500)}`;
        const text = `${endpoint.displayUrl} rejected ${rejectedSpans} spans of a batch${said}`;
        log.once('warn', `partial-success-${message.slice(0, 100)}`, text);
      }
      return { kind: 'sent', rejectedSpans, isRequestFree };
    }
    // Not a loss yet: the batch comes back in smaller parts.
    if (status === 413) return { kind: 'too_large' };
    const authorizationHint = isUnauthorized(status) ? this.#authorization?.hint : undefined;
    const hint = authorizationHint ?? this.#format.statusHint(status);
    this.#reportFailure(
      statusOf(attempt),
      `traces are dropped: ${endpoint.displayUrl} answered ${attempt.label ?? status}${hint}`,
    );
    return { kind: 'refused' };
  }

  /** One line when exporting starts to fail, and another when it fails differently, at most one a minute. */
  #reportFailure(kind: string, text: string): void {
    const atMs = nowMs();
    if (this.#failure === kind || (this.#failure !== undefined && atMs - this.#lastLineMs < MIN_LOG_INTERVAL_MS)) {
      log.debug(text);
      return;
    }
    this.#failure = kind;
    this.#lastLineMs = atMs;
    log.warn(text);
  }

  #reportRecovery(endpoint: Endpoint): void {
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    log.warn(`traces are exported again to ${endpoint.displayUrl}`);
  }
}

type Response = Extract<Attempt, { kind: 'response' }>;

function statusOf({ status, label }: Response): string {
  return `status ${label ?? status}`;
}

function isUnauthorized(status: number): boolean {
  return status === 401 || status === 403;
}

/** The request as it will go out, for what signs it. */
function outgoing(endpoint: Endpoint, body: Buffer, gzip: boolean): OutgoingRequest {
  const headers = gzip ? { ...endpoint.headers, 'content-encoding': 'gzip' } : endpoint.headers;
  const { secure, path } = endpoint;
  const url = `${secure ? 'https' : 'http'}://${authorityOf(endpoint)}${path}`;
  return { method: 'POST', url: new URL(url).href, headers, body };
}

function warnAboutCleartext(endpoint: Endpoint, isAuthorized: boolean): void {
  if (endpoint.secure || isLoopback(endpoint.host)) return;
  const name = Object.keys(endpoint.headers).find((header) => CREDENTIAL_HEADER.test(header));
  if (name === undefined && !isAuthorized) return;
  const what = name === undefined ? 'what HOOKLINE_OTLP_AUTH or HOOKLINE_OTLP_HEADERS_FILE gives' : `header ${name}`;
  log.once('warn', 'cleartext-credentials', `${what} is sent unencrypted to ${endpoint.displayUrl}; use https`);
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

function errorHint(code: string): string {
  if (code.startsWith('HPE_')) return '; that is not HTTP/1.1: the gRPC port is usually 4317, the HTTP port 4318';
  if (code === 'PROXY_REFUSED') return '';
  const [, alert = ''] = code.startsWith('ERR_SSL') ? code.split('_ALERT_') : [];
  // Of a collector that asks for a certificate and got none, or not one that it trusts.
  if (alert.includes('CERTIFICATE') || /^(HANDSHAKE_FAILURE|UNKNOWN_CA|ACCESS_DENIED)/.test(alert)) {
    return '; see OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY';
  }
  if (code.startsWith('ERR_OSSL'))
    return '; see the files in OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY';
  if (code === 'EPROTO' || code.startsWith('ERR_SSL')) return '; does the collector speak TLS on this port?';
  return '; see OTEL_EXPORTER_OTLP_CERTIFICATE';
}
