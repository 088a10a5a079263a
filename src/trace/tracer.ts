import type {
  Span as ApiSpan,
  Tracer as ApiTracer,
  TracerProvider as ApiTracerProvider,
  Attributes,
  Context,
  Link,
  SpanKind,
  SpanOptions,
} from '@opentelemetry/api';
import type { Resource } from '../resource';
import { noteApiFailure } from './api-failure';
import type { AttributeBlock, BlockList } from './attribute-block';
import { captureAttributes, safeString } from './attributes';
import { activeContext, applyInContext, type TraceContext, toTraceContext } from './context';
import { NO_SPAN, NonRecordingSpan } from './non-recording-span';
import { type Sampler, SamplingDecision } from './sampler';
import { type InstrumentationScope, Span, type SpanLimits, type SpanProcessor, type SpanShared } from './span';
import { FLAG_SAMPLED, SpanIdentity } from './span-identity';

/** What every tracer of the process is made of. */
export interface TracerOptions {
  readonly resource: Resource;
  readonly sampler: Sampler;
  readonly limits: SpanLimits;
  readonly processor: SpanProcessor;
  /** Told of each recording span when it starts. */
  readonly onStart?: ((span: Span) => void) | undefined;
}

/** Makes spans for one instrumentation scope. */
export class Tracer implements ApiTracer {
  readonly #shared: SpanShared;
  readonly #sampler: Sampler;

  constructor(scope: InstrumentationScope, options: TracerOptions) {
    this.#shared = { scope, resource: options.resource, limits: options.limits, processor: options.processor };
    this.#sampler = options.sampler;
  }

  /** True when the sampler reads the description of a span below `parent`, so that it has to be made before the decision. */
  describesFirst(parent: SpanIdentity | undefined): boolean {
    const sampler = this.#sampler;
    if (!sampler.describes) return false;
    return parent === undefined || sampler.describesUnder === undefined || sampler.describesUnder(parent);
  }

  /** The identity of a new span under `parent`, sampled or not. A new trace when there is no parent. */
  decide(
    parent: TraceContext,
    name: string,
    kind: SpanKind,
    attributes: Attributes | undefined,
    links: readonly Link[] | undefined,
  ): SpanIdentity {
    const from = parent.identity;
    const identity =
      from === undefined ? SpanIdentity.root(false, undefined) : SpanIdentity.child(from, false, from.traceState);
    const decision = this.#sampler.shouldSample(from, identity, name, kind, attributes, links);
    if (decision === SamplingDecision.RecordAndSample) identity.flags |= FLAG_SAMPLED;
    return identity;
  }

  /** A recording span for an identity that `decide` sampled; adopts `attributes`. */
  record(
    identity: SpanIdentity,
    parent: SpanIdentity | undefined,
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    startMs?: number,
    blocks?: BlockList,
    droppedAttributesCount?: number,
  ): Span {
    const span = new Span(this.#shared, name, kind, identity, parent, attributes, startMs, droppedAttributesCount);
    if (blocks !== undefined) for (let i = 0; i < blocks.count; i++) span.addBlock(blocks.items[i] as AttributeBlock);
    return span;
  }

  // The API's Tracer, for manual spans.

  startSpan(name: string, options?: SpanOptions, context?: Context): ApiSpan {
    try {
      return this.#start(name, options, context === undefined ? activeContext() : toTraceContext(context));
    } catch (error) {
      noteApiFailure(error);
      return NO_SPAN;
    }
  }

  #start(spanName: string, spanOptions: SpanOptions | undefined, active: TraceContext): Span | NonRecordingSpan {
    const name = nameOf(spanName);
    const options = spanOptions ?? {};
    if (active.suppressed) {
      // Carries the parent on, so that a suppressed subtree still propagates the trace it belongs to.
      return new NonRecordingSpan(active.identity ?? SpanIdentity.root(false, undefined));
    }
    const parent = options.root === true ? rootOf(active) : active;
    const kind = options.kind ?? 0;
    const [attributes, dropped] = captureAttributes(options.attributes, this.#shared.limits.attributeCountLimit);
    const identity = this.decide(parent, name, kind, attributes, options.links);
    if (!identity.sampled) return new NonRecordingSpan(identity);
    const span = this.record(identity, parent.identity, name, kind, attributes, undefined, undefined, dropped);
    if (options.startTime !== undefined) span.startAt(options.startTime);
    if (options.links) span.addLinks(options.links);
    return span;
  }

  startActiveSpan<F extends (span: ApiSpan) => unknown>(name: string, fn: F): ReturnType<F>;
  startActiveSpan<F extends (span: ApiSpan) => unknown>(name: string, options: SpanOptions, fn: F): ReturnType<F>;
  startActiveSpan<F extends (span: ApiSpan) => unknown>(
    name: string,
    options: SpanOptions,
    context: Context,
    fn: F,
  ): ReturnType<F>;
  startActiveSpan(name: string, ...rest: unknown[]): unknown {
    let fn: unknown;
    let span: Span | NonRecordingSpan = NO_SPAN;
    let within: TraceContext | undefined;
    try {
      fn = rest.pop();
      if (typeof fn !== 'function') return undefined;
      const [options, context] = rest as [SpanOptions | undefined, Context | undefined];
      const parent = context === undefined ? activeContext() : toTraceContext(context);
      span = this.#start(name, options, parent);
      within = parent.withSpan(span);
    } catch (error) {
      noteApiFailure(error);
      // It is called, whatever failed.
      fn ??= rest.at(-1);
    }
    const call = fn as (span: ApiSpan) => unknown;
    return within === undefined
      ? Reflect.apply(call, undefined, [span])
      : applyInContext(within, call, undefined, [span]);
  }
}

/** Tells of each span that starts; a class of its own, so that nobody else pays for asking. */
class WatchedTracer extends Tracer {
  readonly #onStart: (span: Span) => void;

  constructor(scope: InstrumentationScope, options: TracerOptions, onStart: (span: Span) => void) {
    super(scope, options);
    this.#onStart = onStart;
  }

  override record(...args: Parameters<Tracer['record']>): Span {
    const span = super.record(...args);
    this.#onStart(span);
    return span;
  }
}

/** What the application gave as a name, as a string: `String` throws for an object without a prototype. */
function nameOf(name: unknown): string {
  return typeof name === 'string' ? name : safeString(name);
}

function rootOf(context: TraceContext): TraceContext {
  return context.identity === undefined ? context : toTraceContext(undefined);
}

/** Hands out one Tracer per scope. */
export class TracerProvider implements ApiTracerProvider {
  readonly #tracers = new Map<string, Tracer>();

  constructor(private readonly options: TracerOptions) {}

  getTracer(name?: string, version?: string, options?: { schemaUrl?: string }): Tracer {
    const scopeName = typeof name === 'string' && name !== '' ? name : 'unknown';
    const schemaUrl = options?.schemaUrl;
    const key = `${scopeName}\n${version ?? ''}\n${schemaUrl ?? ''}`;
    let tracer = this.#tracers.get(key);
    if (tracer === undefined) {
      const scope: InstrumentationScope = {
        name: scopeName,
        ...(typeof version === 'string' ? { version } : {}),
        ...(typeof schemaUrl === 'string' ? { schemaUrl } : {}),
      };
      const { onStart } = this.options;
      tracer =
        onStart === undefined ? new Tracer(scope, this.options) : new WatchedTracer(scope, this.options, onStart);
      // Bounded: an application that makes up tracer names keeps its spans, it only loses the sharing.
      if (this.#tracers.size < 1024) this.#tracers.set(key, tracer);
    }
    return tracer;
  }
}
