import type { Attributes } from '@opentelemetry/api';
import { TraceIdRatioSampler } from '../trace/sampler';
import type { SpanIdentity } from '../trace/span-identity';
import { Glob } from './glob';
import { type AttributePattern, attributesMatch, hostMatches, some } from './match';
import { type Clock, TokenBucket } from './rate-limiting';
import { isObject } from './remote';
import { methodOf, pathOf } from './request';

const MAX_RULES = 1000;
const MAX_PATTERN_LENGTH = 1024;
/** Longest life of a quota; X-Ray gives out quotas for some ten seconds. */
const MAX_QUOTA_MS = 3_600_000;
/** The rule that every account has: it matches whatever the others leave. */
const DEFAULT_RULE = 'Default';

/** What X-Ray calls the service's type, by `cloud.platform` of the resource. */
const SERVICE_TYPES: Readonly<Record<string, string>> = {
  aws_ec2: 'AWS::EC2::Instance',
  aws_ecs: 'AWS::ECS::Container',
  aws_eks: 'AWS::EKS::Container',
  aws_elastic_beanstalk: 'AWS::ElasticBeanstalk::Environment',
  aws_lambda: 'AWS::Lambda::Function',
};

/** Resource attributes that may hold the ARN of what the service runs on; the first one counts. */
const ARN_KEYS = ['aws.ecs.container.arn', 'aws.ecs.cluster.arn', 'aws.eks.cluster.arn'];
const LAMBDA_ARN_KEYS = ['cloud.resource_id', 'faas.id'];

/** What a rule has decided since X-Ray was last told. */
export interface Statistics {
  requests: number;
  sampled: number;
  /** Of those sampled: before X-Ray has given a quota. */
  borrowed: number;
}

/** What X-Ray wants of one rule for the next seconds (API reference: SamplingTargetDocument). */
export interface Target {
  readonly ruleName: string;
  readonly fixedRate: number | undefined;
  /** Traces per second. */
  readonly quota: number | undefined;
  /** Milliseconds since the epoch, by X-Ray's clock. */
  readonly quotaUntilMs: number | undefined;
  readonly intervalMs: number | undefined;
}

/**
 * One sampling rule (API reference: SamplingRule), its reservoir and its counts. The reservoir comes first: so many traces
 * per second. While X-Ray has given no quota of it, or the quota is over, one trace per second is borrowed. Of the rest, a
 * share is kept, by trace id.
 */
export class XRayRule {
  readonly statistics: Statistics = { requests: 0, sampled: 0, borrowed: 0 };
  readonly #host: readonly Glob[] | undefined;
  readonly #method: readonly Glob[] | undefined;
  readonly #path: readonly Glob[] | undefined;
  readonly #attributes: readonly AttributePattern[];
  readonly #clock: Clock;
  readonly #borrowing: TokenBucket;
  #share: TraceIdRatioSampler;
  #quota: number | undefined;
  #quotaUntilMs = Number.NEGATIVE_INFINITY;
  #reservoir: TokenBucket;

  constructor(
    readonly name: string,
    readonly priority: number,
    /** The rule as it came: as long as it is the same, its counts and quota stay. */
    readonly json: string,
    definition: Readonly<Record<string, unknown>>,
    clock: Clock,
  ) {
    this.#host = toPattern(definition['Host']);
    this.#method = toPattern(definition['HTTPMethod']);
    this.#path = toPattern(definition['URLPath']);
    const attributes = isObject(definition['Attributes']) ? definition['Attributes'] : {};
    this.#attributes = Object.entries(attributes).map(([key, value]) => ({
      key,
      patterns: toPattern(value) ?? [new Glob('*')],
    }));
    this.#clock = clock;
    this.#borrowing = new TokenBucket(numberIn(definition['ReservoirSize'], 0) > 0 ? 1 : 0, clock);
    this.#reservoir = new TokenBucket(0, clock);
    this.#share = new TraceIdRatioSampler(Math.min(1, numberIn(definition['FixedRate'], 0)));
  }

  matches(attributes: Attributes | undefined): boolean {
    if (this.name === DEFAULT_RULE) return true;
    if (this.#method !== undefined && !some(this.#method, methodOf(attributes)?.toLowerCase())) return false;
    if (this.#path !== undefined && !some(this.#path, pathOf(attributes)?.toLowerCase())) return false;
    if (this.#host !== undefined && !hostMatches(this.#host, attributes)) return false;
    return this.#attributes.length === 0 || attributesMatch(this.#attributes, attributes, true);
  }

  samples(span: SpanIdentity): boolean {
    const { statistics } = this;
    statistics.requests++;
    let sampled: boolean;
    if (this.#clock() < this.#quotaUntilMs) sampled = this.#reservoir.take();
    else {
      sampled = this.#borrowing.take();
      if (sampled) statistics.borrowed++;
    }
    sampled ||= this.#share.shouldSample(undefined, span) !== 0;
    if (sampled) statistics.sampled++;
    return sampled;
  }

  /** `dateMs` is when the target was sent, by the clock of its `quotaUntilMs`: ours may be another. */
  update({ fixedRate, quota, quotaUntilMs }: Target, dateMs: number): void {
    if (fixedRate !== undefined) this.#share = new TraceIdRatioSampler(Math.min(1, fixedRate));
    if (quota === undefined || quotaUntilMs === undefined) {
      this.#quotaUntilMs = Number.NEGATIVE_INFINITY;
      return;
    }
    this.#quotaUntilMs = this.#clock() + Math.min(quotaUntilMs - dateMs, MAX_QUOTA_MS);
    // The same again: what was taken of this second stays taken.
    if (quota !== this.#quota) this.#reservoir = new TokenBucket(quota, this.#clock);
    this.#quota = quota;
  }

  toString(): string {
    return `${this.name} ${this.#share.ratio}`;
  }
}

/**
 * The rules in an answer to GetSamplingRules that can match this service, by priority and then by name. Those in `known` that
 * did not change are the same objects. Throws an Error that says what is wrong with the answer; a rule that is none, or
 * of another version, is left out.
 */
export function parseRules(
  json: string,
  resource: Attributes,
  known: readonly XRayRule[],
  clock: Clock,
): readonly XRayRule[] {
  const answer: unknown = JSON.parse(json);
  const records = isObject(answer) ? answer['SamplingRuleRecords'] : undefined;
  if (!Array.isArray(records)) throw new Error('the answer holds no SamplingRuleRecords');
  const service = serviceOf(resource);
  const rules: XRayRule[] = [];
  for (const record of records.slice(0, MAX_RULES) as unknown[]) {
    const definition = isObject(record) ? record['SamplingRule'] : undefined;
    if (!isObject(definition)) continue;
    const { RuleName: name, Version: version } = definition;
    if (typeof name !== 'string' || (version !== undefined && version !== 1)) continue;
    if (name !== DEFAULT_RULE && !isAbout(definition, service)) continue;
    const text = JSON.stringify(definition);
    const priority = numberIn(definition['Priority'], Number.MAX_SAFE_INTEGER);
    rules.push(known.find((rule) => rule.json === text) ?? new XRayRule(name, priority, text, definition, clock));
  }
  // The default rule has the last priority; among equals, X-Ray goes by the name.
  return rules.sort((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1));
}

/** The targets in an answer to SamplingTargets, and when a rule was last changed, by X-Ray's clock. */
export function parseTargets(json: string): { targets: readonly Target[]; rulesChangedMs: number | undefined } {
  const answer: unknown = JSON.parse(json);
  const documents = isObject(answer) ? answer['SamplingTargetDocuments'] : undefined;
  if (!isObject(answer) || !Array.isArray(documents)) throw new Error('the answer holds no SamplingTargetDocuments');
  const targets: Target[] = [];
  for (const document of documents as unknown[]) {
    if (!isObject(document) || typeof document['RuleName'] !== 'string') continue;
    targets.push({
      ruleName: document['RuleName'],
      fixedRate: optionalNumber(document['FixedRate']),
      quota: optionalNumber(document['ReservoirQuota']),
      quotaUntilMs: inMillis(document['ReservoirQuotaTTL']),
      intervalMs: inMillis(document['Interval']),
    });
  }
  return { targets, rulesChangedMs: inMillis(answer['LastRuleModification']) };
}

interface Service {
  readonly name: string;
  readonly type: string | undefined;
  readonly arn: string | undefined;
}

function serviceOf(resource: Attributes): Service {
  const text = (key: string): string | undefined =>
    typeof resource[key] === 'string' ? resource[key].toLowerCase() : undefined;
  const platform = text('cloud.platform');
  const keys = platform === 'aws_lambda' ? [...ARN_KEYS, ...LAMBDA_ARN_KEYS] : ARN_KEYS;
  return {
    name: text('service.name') ?? '',
    type: platform === undefined ? undefined : SERVICE_TYPES[platform]?.toLowerCase(),
    arn: keys.map(text).find((arn) => arn !== undefined),
  };
}

function isAbout(definition: Readonly<Record<string, unknown>>, { name, type, arn }: Service): boolean {
  const matches = (key: string, text: string | undefined): boolean => {
    const pattern = toPattern(definition[key]);
    return pattern === undefined || some(pattern, text);
  };
  return matches('ServiceName', name) && matches('ServiceType', type) && matches('ResourceARN', arn);
}

/** In lower case, since X-Ray ignores it; `undefined` for what matches anything, also what is not there. */
function toPattern(value: unknown): readonly Glob[] | undefined {
  if (typeof value !== 'string' || value === '*') return undefined;
  // Longer than X-Ray lets a pattern be: it matches nothing rather than anything.
  return value.length > MAX_PATTERN_LENGTH ? [] : [new Glob(value.toLowerCase())];
}

function optionalNumber(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined;
}

function numberIn(value: unknown, fallback: number): number {
  return optionalNumber(value) ?? fallback;
}

function inMillis(value: unknown): number | undefined {
  const seconds = optionalNumber(value);
  return seconds === undefined ? undefined : seconds * 1000;
}
