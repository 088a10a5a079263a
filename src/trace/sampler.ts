import type { Attributes, Link, SpanKind } from '@opentelemetry/api';
import type { Config } from '../config';
import type { SpanIdentity } from './span-identity';

/** The specification's decisions; sampled implies recorded. */
export const SamplingDecision = Object.freeze({ Drop: 0, Record: 1, RecordAndSample: 2 } as const);
export type SamplingDecision = (typeof SamplingDecision)[keyof typeof SamplingDecision];

/**
 * Decides whether a new span is recorded.
 *
 * `span` is the identity the span will have, its sampled flag not yet set: samplers read its trace id as integers.
 * It may put another `traceState` there, which the span and all below it carry. A sampler that reads `attributes` or
 * `links` sets `describes`, else nobody computes them for a dropped span.
 */
export interface Sampler {
  readonly describes: boolean;
  /** Whether it reads the description of a span below `parent` too; without it, `describes` holds for every span. */
  describesUnder?(parent: SpanIdentity): boolean;
  shouldSample(
    parent: SpanIdentity | undefined,
    span: SpanIdentity,
    name: string,
    kind: SpanKind,
    attributes: Attributes | undefined,
    links: readonly Link[] | undefined,
  ): SamplingDecision;
  toString(): string;
}

/** `always_on`. */
export const ALWAYS_ON: Sampler = Object.freeze({
  describes: false,
  shouldSample: () => SamplingDecision.RecordAndSample,
  toString: () => 'AlwaysOnSampler',
});

/** `always_off`. */
export const ALWAYS_OFF: Sampler = Object.freeze({
  describes: false,
  shouldSample: () => SamplingDecision.Drop,
  toString: () => 'AlwaysOffSampler',
});

/**
 * `traceidratio`: the same decision for a trace id wherever it is made.
 *
 * The specification leaves the algorithm open. This is the one of OpenTelemetry's own JavaScript SDK (exclusive or of
 * the id's four words, compared with `floor(ratio * 0xffffffff)`), so that services traced by either agree on a trace.
 */
export class TraceIdRatioSampler implements Sampler {
  readonly describes = false;
  readonly #upperBound: number;

  /** `ratio` from 0 to 1, both included; the configuration lets nothing else through. */
  constructor(readonly ratio: number) {
    // One more at 1: the comparison below would drop the one trace id in 2^32 whose words give 0xffffffff.
    this.#upperBound = ratio >= 1 ? 0x100000000 : Math.floor(ratio * 0xffffffff);
  }

  shouldSample(_parent: SpanIdentity | undefined, span: SpanIdentity): SamplingDecision {
    const accumulated = (span.trace0 ^ span.trace1 ^ span.trace2 ^ span.trace3) >>> 0;
    return accumulated < this.#upperBound ? SamplingDecision.RecordAndSample : SamplingDecision.Drop;
  }

  toString(): string {
    return `TraceIdRatioBased{${this.ratio}}`;
  }
}

/** Follows the parent's sampled flag, remote or local; `root` decides where there is no parent. */
export class ParentBasedSampler implements Sampler {
  readonly describes: boolean;

  constructor(readonly root: Sampler) {
    this.describes = root.describes;
  }

  shouldSample(
    parent: SpanIdentity | undefined,
    span: SpanIdentity,
    name: string,
    kind: SpanKind,
    attributes: Attributes | undefined,
    links: readonly Link[] | undefined,
  ): SamplingDecision {
    if (parent === undefined) return this.root.shouldSample(parent, span, name, kind, attributes, links);
    return parent.sampled ? SamplingDecision.RecordAndSample : SamplingDecision.Drop;
  }

  toString(): string {
    return (
      `ParentBased{root=${this.root}, remoteParentSampled=${ALWAYS_ON}, remoteParentNotSampled=${ALWAYS_OFF}, ` +
      `localParentSampled=${ALWAYS_ON}, localParentNotSampled=${ALWAYS_OFF}}`
    );
  }
}

/**
 * The sampler that OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG name. `load` gives those that hold more than a
 * comparison, whose code is read when they are configured.
 */
export function createSampler(
  config: Config['sampler'],
  load: (config: Config['sampler']) => Sampler = () => ALWAYS_ON,
): Sampler {
  const { name, ratio } = config;
  switch (name) {
    case 'always_on':
      return ALWAYS_ON;
    case 'always_off':
      return ALWAYS_OFF;
    case 'traceidratio':
      return new TraceIdRatioSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler(ALWAYS_ON);
    case 'parentbased_always_off':
      return new ParentBasedSampler(ALWAYS_OFF);
    case 'parentbased_traceidratio':
      return new ParentBasedSampler(new TraceIdRatioSampler(ratio));
    default:
      return load(config);
  }
}
