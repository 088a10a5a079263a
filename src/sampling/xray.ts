import type { Attributes, SpanKind } from '@opentelemetry/api';
import { log } from '../log';
import { nowMs } from '../trace/clock';
import { TraceIdRatioSampler } from '../trace/sampler';
import { SpanIdentity } from '../trace/span-identity';
import { endpoint, integer, readArgument } from './argument';
import type { RootSampler } from './local-root';
import { type Clock, TokenBucket } from './rate-limiting';
import { type Answer, ask, cancel, later, RemoteLog, reasonOf, shownUrl, urlBelow } from './remote';
import { parseRules, parseTargets, type Statistics, type XRayRule } from './xray-rules';

/** Where the X-Ray daemon, the CloudWatch agent and the collector's `awsproxy` listen. */
const DEFAULT_ENDPOINT = 'http://localhost:2000';
const DEFAULT_POLLING_SECONDS = 300;
/** What AWS's own samplers accept. */
const MIN_POLLING_SECONDS = 10;
const MAX_POLLING_SECONDS = 2_147_483;

/** Rules that could not be read again for so long are no longer followed. */
const RULES_LIFE_MS = 3_600_000;
const TARGETS_INTERVAL_MS = 10_000;
const MIN_TARGETS_INTERVAL_MS = 1000;
const MAX_TARGETS_INTERVAL_MS = 300_000;
/** Until the rules are asked for again after a failure; twice as long after each further one. */
const RETRY_MS = 5_000;
/** Statistics documents that one request may hold (API reference: GetSamplingTargets). */
const MAX_DOCUMENTS = 25;
/** Services that are started together do not ask together. */
const JITTER = 0.02;

/** Without rules: what X-Ray's default rule says. */
const FALLBACK_PER_SECOND = 1;
const FALLBACK_RATE = 0.05;

export interface XRayOptions {
  /** Absolute http: or https: URL; `/GetSamplingRules` and `/SamplingTargets` are added to its path. */
  readonly endpoint: string;
  /** How often the rules are read. */
  readonly pollingIntervalMs: number;
}

/** Reads `endpoint=http://host:2000,polling_interval=300`, the interval in seconds; what is wrong has its default. */
export function readXRay(argument: string | undefined): { options: XRayOptions; problems: readonly string[] } {
  const { options, problems } = readArgument<{ endpoint: string; polling_interval: number }>(argument, {
    endpoint: endpoint(DEFAULT_ENDPOINT),
    polling_interval: integer(DEFAULT_POLLING_SECONDS, MIN_POLLING_SECONDS, MAX_POLLING_SECONDS),
  });
  return {
    options: { endpoint: options.endpoint, pollingIntervalMs: options.polling_interval * 1000 },
    problems,
  };
}

/**
 * `xray`: the centralized sampling of AWS X-Ray (developer guide: Using sampling rules with the X-Ray API). Rules come from the
 * daemon, say how much each of them matched and kept goes there, and what each of them may keep next comes back.
 *
 * Asking starts after the application's main script ran, never keeps the process alive, and is not traced. Until there
 * are rules, and when they could not be read for an hour, 1 trace per second and 5 % of the rest are kept.
 */
export class XRaySampler implements RootSampler {
  readonly describes = true;
  readonly #resource: { readonly attributes: Attributes };
  readonly #clock: Clock;
  readonly #rulesUrl: URL;
  readonly #targetsUrl: URL;
  readonly #rulesLog: RemoteLog;
  readonly #targetsLog: RemoteLog;
  readonly #pollingIntervalMs: number;
  readonly #fallbackBucket: TokenBucket;
  readonly #fallbackShare = new TraceIdRatioSampler(FALLBACK_RATE);
  /** 24 hexadecimal digits, as X-Ray has it: those of a trace id that nobody uses. */
  readonly #clientId = SpanIdentity.root(false, undefined).traceId.slice(0, 24);
  #rules: readonly XRayRule[] = [];
  /** Monotonic milliseconds. */
  #rulesUntilMs = Number.NEGATIVE_INFINITY;
  /** When the rules were read, by X-Ray's clock. */
  #rulesDateMs = Number.NEGATIVE_INFINITY;
  #rulesFailures = 0;
  #targetsFailures = 0;
  #targetsIntervalMs: number;
  /** Where the next report begins, when there are more rules than one holds. */
  #reportFrom = 0;
  #rulesTimer: NodeJS.Timeout | undefined;
  #targetsTimer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `targetsIntervalMs` holds until X-Ray names one. */
  constructor(
    options: XRayOptions,
    resource: { readonly attributes: Attributes },
    clock: Clock = nowMs,
    targetsIntervalMs: number = TARGETS_INTERVAL_MS,
  ) {
    this.#resource = resource;
    this.#clock = clock;
    this.#pollingIntervalMs = options.pollingIntervalMs;
    this.#targetsIntervalMs = targetsIntervalMs;
    this.#rulesUrl = urlBelow(options.endpoint, '/GetSamplingRules');
    this.#targetsUrl = urlBelow(options.endpoint, '/SamplingTargets');
    this.#rulesLog = new RemoteLog('sampling rules', this.#rulesUrl);
    this.#targetsLog = new RemoteLog('sampling targets', this.#targetsUrl);
    this.#fallbackBucket = new TokenBucket(FALLBACK_PER_SECOND, clock);
  }

  /** Asks for the first time once the current turn of the event loop is over. */
  start(): this {
    this.#readRulesIn(0);
    this.#reportIn(this.#targetsIntervalMs);
    return this;
  }

  stop(): void {
    this.#stopped = true;
    cancel(this.#rulesTimer);
    cancel(this.#targetsTimer);
  }

  samples(span: SpanIdentity, _name: string, _kind: SpanKind, attributes: Attributes | undefined): boolean {
    if (this.#hasRules()) {
      for (const rule of this.#rules) if (rule.matches(attributes)) return rule.samples(span);
    }
    return this.#fallbackBucket.take() || this.#fallbackShare.shouldSample(undefined, span) !== 0;
  }

  toString(): string {
    return `XRaySampler{${shownUrl(this.#rulesUrl)}, ${this.#hasRules() ? `${this.#rules.length} rules` : 'no rules'}}`;
  }

  #hasRules(): boolean {
    return this.#clock() < this.#rulesUntilMs;
  }

  #readRulesIn(delayMs: number): void {
    if (this.#stopped) return;
    cancel(this.#rulesTimer);
    this.#rulesTimer = later(() => {
      ask(this.#rulesUrl, '{}', (answer) => {
        if (this.#stopped) return;
        const isRead = this.#takeRules(answer);
        this.#rulesFailures = isRead ? 0 : this.#rulesFailures + 1;
        const delayMs = isRead ? this.#pollingIntervalMs : doubled(RETRY_MS, this.#rulesFailures - 1);
        this.#readRulesIn(withJitter(Math.min(delayMs, this.#pollingIntervalMs)));
      });
    }, delayMs);
  }

  #takeRules(answer: Answer): boolean {
    const reason = 'error' in answer ? answer.error : this.#parseRules(answer);
    if (reason === undefined) {
      this.#rulesLog.worked();
      log.debug(`sampling rules: ${this.#rules.join(', ')}`);
      return true;
    }
    const keeping = this.#hasRules()
      ? 'keeping the last ones for an hour'
      : `keeping ${FALLBACK_PER_SECOND} trace per second and ${FALLBACK_RATE * 100} % of the rest`;
    this.#rulesLog.failed(reason, keeping);
    return false;
  }

  /** What is wrong with it, if anything. */
  #parseRules({ body, dateMs }: Extract<Answer, { body: string }>): string | undefined {
    try {
      this.#rules = parseRules(body, this.#resource.attributes, this.#rules, this.#clock);
    } catch (error) {
      return reasonOf(error);
    }
    this.#rulesUntilMs = this.#clock() + RULES_LIFE_MS;
    this.#rulesDateMs = dateMs;
    return undefined;
  }

  #reportIn(delayMs: number): void {
    if (this.#stopped) return;
    this.#targetsTimer = later(() => {
      const reported = this.#toReport();
      if (reported.length === 0) this.#reportIn(withJitter(this.#targetsIntervalMs));
      else this.#report(reported);
    }, delayMs);
  }

  /** Rules that matched something, and how much until now. */
  #toReport(): readonly (readonly [XRayRule, Statistics])[] {
    const used = this.#rules.filter(({ statistics }) => statistics.requests > 0);
    const from = used.length <= MAX_DOCUMENTS ? 0 : this.#reportFrom % used.length;
    this.#reportFrom = from + MAX_DOCUMENTS;
    return [...used.slice(from), ...used.slice(0, from)]
      .slice(0, MAX_DOCUMENTS)
      .map((rule) => [rule, { ...rule.statistics }] as const);
  }

  #report(reported: readonly (readonly [XRayRule, Statistics])[]): void {
    const documents = reported.map(([{ name }, { requests, sampled, borrowed }]) => ({
      ClientID: this.#clientId,
      RuleName: name,
      RequestCount: requests,
      SampledCount: sampled,
      BorrowCount: borrowed,
      Timestamp: Math.floor(Date.now() / 1000),
    }));
    ask(this.#targetsUrl, JSON.stringify({ SamplingStatisticsDocuments: documents }), (answer) => {
      if (this.#stopped) return;
      const isTaken = this.#takeTargets(answer, reported);
      this.#targetsFailures = isTaken ? 0 : this.#targetsFailures + 1;
      const delayMs = doubled(this.#targetsIntervalMs, this.#targetsFailures);
      this.#reportIn(withJitter(Math.min(delayMs, MAX_TARGETS_INTERVAL_MS)));
    });
  }

  #takeTargets(answer: Answer, reported: readonly (readonly [XRayRule, Statistics])[]): boolean {
    const keeping = 'keeping what the rules say';
    if ('error' in answer) {
      this.#targetsLog.failed(answer.error, keeping);
      return false;
    }
    try {
      const { targets, rulesChangedMs } = parseTargets(answer.body);
      // Only now, so that what could not be told is told the next time.
      for (const [{ statistics }, told] of reported) {
        statistics.requests -= told.requests;
        statistics.sampled -= told.sampled;
        statistics.borrowed -= told.borrowed;
      }
      let intervalMs = Number.POSITIVE_INFINITY;
      for (const target of targets) {
        this.#rules.find(({ name }) => name === target.ruleName)?.update(target, answer.dateMs);
        if (target.intervalMs !== undefined) intervalMs = Math.min(intervalMs, target.intervalMs);
      }
      if (intervalMs < Number.POSITIVE_INFINITY)
        this.#targetsIntervalMs = Math.min(Math.max(intervalMs, MIN_TARGETS_INTERVAL_MS), MAX_TARGETS_INTERVAL_MS);
      if (rulesChangedMs !== undefined && rulesChangedMs > this.#rulesDateMs && this.#rulesFailures === 0)
        this.#readRulesIn(0);
    } catch (error) {
      this.#targetsLog.failed(reasonOf(error), keeping);
      return false;
    }
    this.#targetsLog.worked();
    return true;
  }
}

function doubled(delayMs: number, times: number): number {
  return delayMs * 2 ** times;
}

function withJitter(delayMs: number): number {
  return delayMs * (1 + JITTER * Math.random());
}
