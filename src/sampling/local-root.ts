import type { Attributes, Link, SpanKind } from '@opentelemetry/api';
import { type Sampler, SamplingDecision } from '../trace/sampler';
import type { SpanIdentity } from '../trace/span-identity';

/** Decides about a trace at the span with which it enters this process. */
export interface RootSampler {
  /** Whether it reads attributes. */
  readonly describes: boolean;
  samples(span: SpanIdentity, name: string, kind: SpanKind, attributes: Attributes | undefined): boolean;
  /** Whether a span inside a sampled trace is recorded; without it, all are. */
  readonly samplesChild?:
    | ((span: SpanIdentity, name: string, kind: SpanKind, attributes: Attributes | undefined) => boolean)
    | undefined;
  toString(): string;
}

/**
 * Asks its root sampler once per trace and process, and lets all spans below follow, so that a sampler whose answers
 * change with time does not leave holes in a trace. With `parentBased`, the decision of a calling service is
 * followed as well.
 */
export class LocalRootSampler implements Sampler {
  readonly describes: boolean;

  constructor(
    readonly root: RootSampler,
    readonly parentBased: boolean,
  ) {
    this.describes = root.describes;
  }

  describesUnder(parent: SpanIdentity): boolean {
    return this.#follows(parent) ? parent.sampled && this.root.samplesChild !== undefined : true;
  }

  shouldSample(
    parent: SpanIdentity | undefined,
    span: SpanIdentity,
    name: string,
    kind: SpanKind,
    attributes: Attributes | undefined,
    _links: readonly Link[] | undefined,
  ): SamplingDecision {
    const { root } = this;
    let sampled: boolean;
    if (parent === undefined || !this.#follows(parent)) sampled = root.samples(span, name, kind, attributes);
    else sampled = parent.sampled && (root.samplesChild?.(span, name, kind, attributes) ?? true);
    return sampled ? SamplingDecision.RecordAndSample : SamplingDecision.Drop;
  }

  toString(): string {
    return this.parentBased ? `ParentBased{root=${this.root}}` : String(this.root);
  }

  #follows(parent: SpanIdentity): boolean {
    return this.parentBased || !parent.isRemote;
  }
}
