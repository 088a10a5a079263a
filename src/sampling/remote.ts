import type { IncomingHttpHeaders } from 'node:http';
import { type AskLimits, ask as request } from '../ask';
import { describeConnectionError, log, oneLine } from '../log';
import { startTimer, stopTimer } from '../timers';
import { nowMs } from '../trace/clock';
import { ROOT_CONTEXT, runInContext } from '../trace/context';

// How samplers ask a back end: untraced, bounded, and without keeping the process alive.

/** A strategy for each of some thousand operations has room in it. */
const LIMITS: AskLimits = { timeoutMs: 5_000, connectTimeoutMs: 1_000, maxResponseBytes: 1024 * 1024 };
const MIN_LOG_INTERVAL_MS = 60_000;
const MAX_SHOWN_LENGTH = 100;

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
  const content = body === undefined ? {} : { 'content-type': 'application/json' };
  request(url.href, { headers: { accept: 'application/json', ...content }, body, ...LIMITS }).then(
    ({ body: text, headers }) => settle({ body: text, dateMs: dateOf(headers) }),
    (error: unknown) => settle({ error: reasonOf(error) }),
  );
}

function dateOf({ date }: IncomingHttpHeaders): number {
  const dateMs = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(dateMs) ? Date.now() : dateMs;
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
  return oneLine(describeConnectionError(error), MAX_SHOWN_LENGTH);
}
