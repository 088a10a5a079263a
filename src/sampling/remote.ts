import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { log, oneLine } from '../log';
import { nowMs } from '../trace/clock';
import { ROOT_CONTEXT, runInContext } from '../trace/context';

// How samplers ask a back end: untraced, bounded, and without keeping the process alive.

/** A strategy for each of some thousand operations has room in it. */
const MAX_RESPONSE_BYTES = 1024 * 1024;
const TIMEOUT_MS = 5_000;
/** The operating system's connect holds the process and cannot be unref'd: the longest that it delays a natural end. */
const CONNECT_TIMEOUT_MS = 1_000;
const MIN_LOG_INTERVAL_MS = 60_000;
const MAX_SHOWN_LENGTH = 100;

// As they are now: a test in the application may install fake timers later.
const startTimer = setTimeout;
const stopTimer = clearTimeout;

/** Calls back once, in a context that is not traced. */
export function later(callback: () => void, delayMs: number): NodeJS.Timeout {
  return runInContext(ROOT_CONTEXT.suppress(), () => startTimer(callback, delayMs).unref());
}

export function cancel(timer: NodeJS.Timeout | undefined): void {
  if (timer !== undefined) stopTimer(timer);
}

/** The body of an answer with status 200, or why there is none. */
export type Answer =
  | {
      readonly body: string;
      /** The back end's clock, in milliseconds since the epoch; ours where it does not say. */
      readonly dateMs: number;
    }
  | { readonly error: string };

/** One POST of JSON, or one GET without a body; `settle` is called once. To be called by `later`, for its context. */
export function ask(url: URL, body: string | undefined, settle: (answer: Answer) => void): void {
  let settled = false;
  let request: ClientRequest | undefined;
  const finish = (answer: Answer): void => {
    if (settled) return;
    settled = true;
    stopTimer(timer);
    stopTimer(connectTimer);
    settle(answer);
    request?.destroy();
  };
  const timer = startTimer(() => finish({ error: 'no answer in time' }), TIMEOUT_MS).unref();
  const connectTimer = startTimer(() => finish({ error: 'no connection in time' }), CONNECT_TIMEOUT_MS).unref();
  try {
    request = send(url, body, () => stopTimer(connectTimer), finish);
  } catch (error) {
    finish({ error: reasonOf(error) });
  }
}

function send(
  url: URL,
  body: string | undefined,
  onConnect: () => void,
  finish: (answer: Answer) => void,
): ClientRequest {
  // Loaded here and not at the top: these are milliseconds of the application's start.
  const http: typeof import('node:http') | typeof import('node:https') =
    url.protocol === 'https:'
      ? (require('node:https') as typeof import('node:https'))
      : (require('node:http') as typeof import('node:http'));
  const content = body === undefined ? {} : { 'content-type': 'application/json' };
  const request = http.request(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { accept: 'application/json', ...content },
    // An agent of its own that keeps nothing open: the next request is seconds away.
    agent: new http.Agent(),
  });
  request.on('socket', (socket: Socket) => {
    socket.unref();
    // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
    socket.on('connectionAttempt', () => void socket.unref());
    socket.once('connect', () => {
      onConnect();
      socket.unref();
    });
  });
  request.on('error', (error) => finish({ error: reasonOf(error) }));
  request.on('close', () => finish({ error: 'the connection was closed without an answer' }));
  request.on('response', (response: IncomingMessage) => {
    const chunks: Buffer[] = [];
    let received = 0;
    response.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received <= MAX_RESPONSE_BYTES) chunks.push(chunk);
      else finish({ error: `an answer of more than ${MAX_RESPONSE_BYTES} bytes` });
    });
    response.on('end', () => {
      if (response.statusCode !== 200) finish({ error: `status ${response.statusCode}` });
      else finish({ body: Buffer.concat(chunks).toString('utf8'), dateMs: dateOf(response) });
    });
    response.on('error', (error) => finish({ error: reasonOf(error) }));
  });
  request.end(body);
  return request;
}

function dateOf({ headers }: IncomingMessage): number {
  const date = headers.date === undefined ? Number.NaN : Date.parse(headers.date);
  return Number.isNaN(date) ? Date.now() : date;
}

/** What becomes of asking, in the log: one line when it begins to fail, one when it works again. */
export class RemoteLog {
  readonly #what: string;
  readonly #where: string;
  #failing = false;
  #lastLineMs = Number.NEGATIVE_INFINITY;

  /** `what` comes from `where`; plural. */
  constructor(what: string, url: URL) {
    this.#what = what;
    this.#where = shownUrl(url);
  }

  worked(): void {
    if (this.#failing) log.warn(`${this.#what} come from ${this.#where} again`);
    this.#failing = false;
  }

  failed(reason: string, keeping: string): void {
    const text = `no ${this.#what} from ${this.#where}: ${reason}; ${keeping}`;
    const now = nowMs();
    if (this.#failing || now - this.#lastLineMs < MIN_LOG_INTERVAL_MS) {
      log.debug(text);
      return;
    }
    this.#failing = true;
    this.#lastLineMs = now;
    log.warn(text);
  }
}

/** The endpoint's URL with another path below its own. */
export function urlBelow(endpoint: string, path: string): URL {
  const url = new URL(endpoint);
  const base = url.pathname.endsWith('/') ? url.pathname.slice(0, -1) : url.pathname;
  url.pathname = base.endsWith(path) ? base : `${base}${path}`;
  url.hash = '';
  return url;
}

/** Without user, password and query. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error), MAX_SHOWN_LENGTH);
  // All addresses failed (RFC 8305): the message of the whole is empty, the first one's says it.
  const [first] = (error as { errors?: unknown[] }).errors ?? [];
  return oneLine(first instanceof Error && error.message === '' ? first.message : error.message, MAX_SHOWN_LENGTH);
}
