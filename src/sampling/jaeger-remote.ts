import type { Attributes, SpanKind } from '@opentelemetry/api';
import { log } from '../log';
import { nowMs } from '../trace/clock';
import { TraceIdRatioSampler } from '../trace/sampler';
import type { SpanIdentity } from '../trace/span-identity';
import { endpoint, integer, rate, readArgument } from './argument';
import type { RootSampler } from './local-root';
import { type Clock, TokenBucket } from './rate-limiting';
import { type Answer, ask, cancel, isObject, later, RemoteLog, reasonOf, shownUrl, urlBelow } from './remote';
import { methodOf, pathOf } from './request';

/** Jaeger's port for remote sampling over HTTP. */
const DEFAULT_ENDPOINT = 'http://localhost:5778';
const DEFAULT_POLLING_MS = 60_000;
/** What OpenTelemetry's SDKs and Jaeger's own clients start with. */
const DEFAULT_INITIAL_RATE = 0.001;

const MAX_TIMER_MS = 2_147_483_647;
/** Operations with counters of their own; others are decided by probability alone. */
const MAX_OPERATIONS = 2000;

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
  return readArgument<JaegerRemoteOptions>(argument, {
    endpoint: endpoint(DEFAULT_ENDPOINT),
    pollingIntervalMs: integer(DEFAULT_POLLING_MS, 1, MAX_TIMER_MS),
    initialSamplingRate: rate(DEFAULT_INITIAL_RATE),
  });
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

/**
 * `jaeger_remote`: asks a back end how much to keep, again and again. Asking starts after the application's main script ran, never
 * keeps the process alive, and is not traced. Where it fails, the last strategy stays.
 */
export class JaegerRemoteSampler implements RootSampler {
  /** Whatever comes next may be strategies by operation. */
  readonly describes = true;
  readonly #options: JaegerRemoteOptions;
  readonly #url: URL;
  readonly #log: RemoteLog;
  readonly #clock: Clock;
  #strategy: Strategy;
  #json = '';
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: JaegerRemoteOptions, serviceName: string, clock: Clock = nowMs) {
    this.#options = options;
    this.#clock = clock;
    this.#strategy = probabilistic(options.initialSamplingRate);
    this.#url = urlBelow(options.endpoint, '/sampling');
    this.#url.searchParams.set('service', serviceName);
    this.#log = new RemoteLog('sampling strategies', this.#url);
  }

  /** Asks for the first time once the current turn of the event loop is over. */
  start(): this {
    this.#next(0);
    return this;
  }

  stop(): void {
    this.#stopped = true;
    cancel(this.#timer);
  }

  samples(span: SpanIdentity, name: string, _kind: SpanKind, attributes: Attributes | undefined): boolean {
    return this.#strategy.samples(span, name, attributes);
  }

  toString(): string {
    return `JaegerRemoteSampler{${shownUrl(this.#url)}, ${this.#strategy}}`;
  }

  #next(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = later(() => {
      ask(this.#url, undefined, (answer) => {
        if (this.#stopped) return;
        this.#update(answer);
        this.#next(this.#options.pollingIntervalMs);
      });
    }, delayMs);
  }

  #update(answer: Answer): void {
    const keeping = `keeping ${this.#strategy}`;
    if ('error' in answer) {
      this.#log.failed(answer.error, keeping);
      return;
    }
    try {
      // The same answer again: counters go on.
      if (answer.body !== this.#json) this.#strategy = parseStrategy(answer.body, this.#clock);
      this.#json = answer.body;
    } catch (error) {
      this.#log.failed(reasonOf(error), keeping);
      return;
    }
    this.#log.worked();
    log.debug(`sampling strategy: ${this.#strategy}`);
  }
}
