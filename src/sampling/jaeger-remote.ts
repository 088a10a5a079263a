import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Attributes, SpanKind } from '@opentelemetry/api';
import { log, oneLine } from '../log';
import { nowMs } from '../trace/clock';
import { ROOT_CONTEXT, runInContext } from '../trace/context';
import { TraceIdRatioSampler } from '../trace/sampler';
import type { SpanIdentity } from '../trace/span-identity';
import type { RootSampler } from './local-root';
import { type Clock, TokenBucket } from './rate-limiting';
import { methodOf, pathOf } from './request';

const VARIABLE = 'OTEL_TRACES_SAMPLER_ARG';

/** Jaeger's port for remote sampling over HTTP. */
const DEFAULT_ENDPOINT = 'http://localhost:5778';
const DEFAULT_POLLING_MS = 60_000;
/** What OpenTelemetry's SDKs and Jaeger's own clients start with. */
const DEFAULT_INITIAL_RATE = 0.001;

const MAX_TIMER_MS = 2_147_483_647;
/** A strategy for each of some thousand operations has room in it. */
const MAX_RESPONSE_BYTES = 1024 * 1024;
const TIMEOUT_MS = 5_000;
/** The operating system's connect holds the process and cannot be unref'd: the longest that it delays a natural end. */
const CONNECT_TIMEOUT_MS = 1_000;
/** Operations with counters of their own; others are decided by probability alone. */
const MAX_OPERATIONS = 2000;
const MAX_SHOWN_LENGTH = 100;
const MIN_LOG_INTERVAL_MS = 60_000;

export interface JaegerRemoteOptions {
  /** Absolute http: or https: URL; `/sampling` is added to its path unless it ends in it. */
  readonly endpoint: string;
  readonly pollingIntervalMs: number;
  /** From 0 to 1: the share of traces that is kept until the first answer. */
  readonly initialSamplingRate: number;
}

/** Reads `endpoint=http://host:5778,pollingIntervalMs=5000,initialSamplingRate=0.25`; what is wrong has its default. */
export function readJaegerRemote(argument: string | undefined): {
  options: JaegerRemoteOptions;
  problems: readonly string[];
} {
  const problems: string[] = [];
  let endpoint = DEFAULT_ENDPOINT;
  let pollingIntervalMs = DEFAULT_POLLING_MS;
  let initialSamplingRate = DEFAULT_INITIAL_RATE;
  for (const item of (argument ?? '').split(',')) {
    const pair = item.trim();
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = equals < 0 ? '' : pair.slice(0, equals).trim().toLowerCase();
    const value = pair.slice(equals + 1).trim();
    switch (key) {
      case 'endpoint': {
        const url = toUrl(value);
        if (url !== undefined) endpoint = url;
        else
          problems.push(
            `${VARIABLE}: endpoint=${hidden(value)} is not an http:// or https:// URL or host:port; using ${endpoint}`,
          );
        break;
      }
      case 'pollingintervalms': {
        const number = isDigits(value) ? Number(value) : 0;
        if (number >= 1 && number <= MAX_TIMER_MS) pollingIntervalMs = number;
        else
          problems.push(
            `${VARIABLE}: pollingIntervalMs=${shown(value)} is not an integer of 1 or more; using ${pollingIntervalMs}`,
          );
        break;
      }
      case 'initialsamplingrate': {
        const number = toRate(value);
        if (number !== undefined) initialSamplingRate = number;
        else
          problems.push(
            `${VARIABLE}: initialSamplingRate=${shown(value)} is not a number from 0 to 1; using ${initialSamplingRate}`,
          );
        break;
      }
      default:
        problems.push(
          `${VARIABLE}: ${hidden(pair)} is not endpoint=, pollingIntervalMs= or initialSamplingRate=; ignoring it`,
        );
    }
  }
  return { options: { endpoint, pollingIntervalMs, initialSamplingRate }, problems };
}

function toUrl(value: string): string | undefined {
  try {
    const url = new URL(value.includes('://') ? value : `http://${value}`);
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '' ? url.href : undefined;
  } catch {
    return undefined;
  }
}

/** Decides by what the back end last said. */
interface Strategy {
  readonly describes: boolean;
  samples(span: SpanIdentity, name: string, attributes: Attributes | undefined): boolean;
  toString(): string;
}

function probabilistic(rate: number): Strategy {
  const sampler = new TraceIdRatioSampler(rate);
  return {
    describes: false,
    samples: (span) => sampler.shouldSample(undefined, span) !== 0,
    toString: () => String(sampler),
  };
}

function rateLimiting(perSecond: number, clock: Clock): Strategy {
  const bucket = new TokenBucket(perSecond, clock);
  return { describes: false, samples: () => bucket.take(), toString: () => `RateLimitingSampler{${perSecond}}` };
}

/** A share of an operation's traces, and at least so many per second however small the share is. */
class GuaranteedThroughput {
  readonly #sampler: TraceIdRatioSampler;
  readonly #bucket: TokenBucket;

  constructor(rate: number, lowerBound: number, clock: Clock) {
    this.#sampler = new TraceIdRatioSampler(rate);
    this.#bucket = new TokenBucket(lowerBound, clock);
  }

  samples(span: SpanIdentity): boolean {
    // Taken either way: what the share keeps counts for the bound too.
    const guaranteed = this.#bucket.take();
    return this.#sampler.shouldSample(undefined, span) !== 0 || guaranteed;
  }
}

class PerOperation implements Strategy {
  /** Operations are span names, or what a back end makes of HTTP spans: `GET /path`. */
  readonly describes = true;
  readonly #operations = new Map<string, GuaranteedThroughput>();
  readonly #others: TraceIdRatioSampler;

  constructor(
    readonly defaultRate: number,
    readonly lowerBound: number,
    rates: ReadonlyMap<string, number>,
    readonly clock: Clock,
  ) {
    this.#others = new TraceIdRatioSampler(defaultRate);
    for (const [name, rate] of rates) {
      if (this.#operations.size === MAX_OPERATIONS) break;
      this.#operations.set(name, new GuaranteedThroughput(rate, lowerBound, clock));
    }
  }

  samples(span: SpanIdentity, name: string, attributes: Attributes | undefined): boolean {
    const own = this.#operations.get(name);
    if (own !== undefined) return own.samples(span);
    const path = pathOf(attributes);
    const request = path === undefined ? undefined : this.#operations.get(`${methodOf(attributes) ?? ''} ${path}`);
    if (request !== undefined) return request.samples(span);
    if (this.#operations.size >= MAX_OPERATIONS) return this.#others.shouldSample(undefined, span) !== 0;
    const made = new GuaranteedThroughput(this.defaultRate, this.lowerBound, this.clock);
    this.#operations.set(name, made);
    return made.samples(span);
  }

  toString(): string {
    return `PerOperation{default=${this.defaultRate}, lowerBound=${this.lowerBound}/s}`;
  }
}

/**
 * The strategy in an answer (jaeger-idl: api_v2/sampling.proto, as JSON); throws an Error that says what is wrong. Proto3 leaves out
 * zeros, and older back ends write the type as a number.
 */
export function parseStrategy(json: string, clock: Clock = nowMs): Strategy {
  const answer: unknown = JSON.parse(json);
  if (!isObject(answer)) throw new Error('the answer is not an object');
  const { strategyType, probabilisticSampling, rateLimitingSampling, operationSampling } = answer;
  if (isObject(operationSampling)) {
    const rates = new Map<string, number>();
    const list = operationSampling['perOperationStrategies'] ?? [];
    if (!Array.isArray(list)) throw new Error('perOperationStrategies is not a list');
    for (const item of list as unknown[]) {
      if (!isObject(item) || typeof item['operation'] !== 'string') throw new Error('an operation has no name');
      const sampling = item['probabilisticSampling'];
      rates.set(item['operation'], rateIn(isObject(sampling) ? sampling['samplingRate'] : undefined));
    }
    const lowerBound = perSecondIn(operationSampling['defaultLowerBoundTracesPerSecond']);
    return new PerOperation(rateIn(operationSampling['defaultSamplingProbability']), lowerBound, rates, clock);
  }
  const isRateLimiting = strategyType === 'RATE_LIMITING' || strategyType === 1;
  if (isRateLimiting && isObject(rateLimitingSampling))
    return rateLimiting(perSecondIn(rateLimitingSampling['maxTracesPerSecond']), clock);
  if (!isRateLimiting && isObject(probabilisticSampling))
    return probabilistic(rateIn(probabilisticSampling['samplingRate']));
  throw new Error('the answer holds no strategy');
}

function rateIn(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number' || !(value >= 0)) throw new Error('a sampling rate is not a number from 0 to 1');
  // Back ends computed more than 1 before.
  return Math.min(value, 1);
}

function perSecondIn(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number' || !(value >= 0)) throw new Error('a number of traces per second is not 0 or more');
  return value;
}

// As they are now: a test in the application may install fake timers later.
const startTimer = setTimeout;
const stopTimer = clearTimeout;

/**
 * `jaeger_remote`: asks a back end how much to keep, again and again. Asking starts after the application's main script ran, never
 * keeps the process alive, and is not traced. Where it fails, the last strategy stays.
 */
export class JaegerRemoteSampler implements RootSampler {
  /** Whatever comes next may be strategies by operation. */
  readonly describes = true;
  readonly #options: JaegerRemoteOptions;
  readonly #url: URL;
  readonly #shownUrl: string;
  readonly #clock: Clock;
  #strategy: Strategy;
  #json = '';
  #timer: NodeJS.Timeout | undefined;
  #failing = false;
  #lastLineMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(options: JaegerRemoteOptions, serviceName: string, clock: Clock = nowMs) {
    this.#options = options;
    this.#clock = clock;
    this.#strategy = probabilistic(options.initialSamplingRate);
    const url = new URL(options.endpoint);
    const path = url.pathname.endsWith('/') ? url.pathname.slice(0, -1) : url.pathname;
    url.pathname = path.endsWith('/sampling') ? path : `${path}/sampling`;
    url.searchParams.set('service', serviceName);
    url.hash = '';
    this.#url = url;
    this.#shownUrl = `${url.protocol}//${url.host}${url.pathname}`;
  }

  /** Asks for the first time once the current turn of the event loop is over. */
  start(): this {
    this.#next(0);
    return this;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== undefined) stopTimer(this.#timer);
  }

  samples(span: SpanIdentity, name: string, _kind: SpanKind, attributes: Attributes | undefined): boolean {
    return this.#strategy.samples(span, name, attributes);
  }

  toString(): string {
    return `JaegerRemoteSampler{${this.#shownUrl}, ${this.#strategy}}`;
  }

  #next(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = runInContext(ROOT_CONTEXT.suppress(), () => startTimer(() => this.#poll(), delayMs).unref());
  }

  #poll(): void {
    const settle = (outcome: { body: string } | { error: string }): void => {
      if ('body' in outcome) this.#update(outcome.body);
      else this.#fail(outcome.error);
      this.#next(this.#options.pollingIntervalMs);
    };
    try {
      get(this.#url, settle);
    } catch (error) {
      settle({ error: reasonOf(error) });
    }
  }

  #update(json: string): void {
    try {
      // The same answer again: counters go on.
      if (json !== this.#json) this.#strategy = parseStrategy(json, this.#clock);
      this.#json = json;
    } catch (error) {
      this.#fail(reasonOf(error));
      return;
    }
    if (this.#failing) log.warn(`sampling strategies come from ${this.#shownUrl} again`);
    else log.debug(`sampling strategy: ${this.#strategy}`);
    this.#failing = false;
  }

  #fail(reason: string): void {
    const text = `no sampling strategy from ${this.#shownUrl}: ${reason}; keeping ${this.#strategy}`;
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

/** One GET; `settle` is called once. Runs in a context that is not traced. */
function get(url: URL, settle: (outcome: { body: string } | { error: string }) => void): void {
  // Loaded here and not at the top: these are milliseconds of the application's start.
  const http: typeof import('node:http') | typeof import('node:https') =
    url.protocol === 'https:'
      ? (require('node:https') as typeof import('node:https'))
      : (require('node:http') as typeof import('node:http'));
  let settled = false;
  let request: ClientRequest | undefined;
  const finish = (outcome: { body: string } | { error: string }): void => {
    if (settled) return;
    settled = true;
    stopTimer(timer);
    stopTimer(connectTimer);
    settle(outcome);
    request?.destroy();
  };
  const timer = startTimer(() => finish({ error: 'no answer in time' }), TIMEOUT_MS).unref();
  const connectTimer = startTimer(() => finish({ error: 'no connection in time' }), CONNECT_TIMEOUT_MS).unref();
  // An agent of its own that keeps nothing open: the next request is a minute away.
  request = http.request(url, { method: 'GET', headers: { accept: 'application/json' }, agent: new http.Agent() });
  request.on('socket', (socket: Socket) => {
    socket.unref();
    // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
    socket.on('connectionAttempt', () => void socket.unref());
    socket.once('connect', () => {
      stopTimer(connectTimer);
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
      else finish({ body: Buffer.concat(chunks).toString('utf8') });
    });
    response.on('error', (error) => finish({ error: reasonOf(error) }));
  });
  request.end();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isDigits(text: string): boolean {
  return text !== '' && [...text].every((char) => char >= '0' && char <= '9');
}

function toRate(text: string): number | undefined {
  const isDecimal = text !== '' && [...text].every((char) => (char >= '0' && char <= '9') || '.eE+-'.includes(char));
  const number = isDecimal ? Number(text) : Number.NaN;
  return number >= 0 && number <= 1 ? number : undefined;
}

function shown(value: string): string {
  return `"${oneLine(value, MAX_SHOWN_LENGTH)}"`;
}

/** Without what may be a password. */
function hidden(value: string): string {
  const at = value.lastIndexOf('@');
  return shown(at < 0 ? value : `REDACTED${value.slice(at)}`);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error), MAX_SHOWN_LENGTH);
  // All addresses failed (RFC 8305): the message of the whole is empty, the first one's says it.
  const [first] = (error as { errors?: unknown[] }).errors ?? [];
  return oneLine(first instanceof Error && error.message === '' ? first.message : error.message, MAX_SHOWN_LENGTH);
}
