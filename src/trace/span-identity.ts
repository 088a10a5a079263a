import type { SpanContext, TraceState } from '@opentelemetry/api';
import { noteApiFailure } from './api-failure';
import { hex32, isHex, randomInt32, readHex32, startHex, traceIdHead } from './id';
import type { Span } from './span';

/** `trace-flags` bits: W3C Trace Context level 2, section 3.2.2.5. */
export const FLAG_SAMPLED = 0x01;
export const FLAG_RANDOM = 0x02;

/**
 * What identifies a span, small enough to be kept by every context that was active while it ran:
 * the API's SpanContext with ids as integers.
 *
 * Contexts outlive spans (an interval started during a request keeps its context for ever), so they
 * hold this and reach the span through `live`, which the span clears when it ends.
 */
export class SpanIdentity {
  /** The recording span behind this identity until it ends; `undefined` for remote and unsampled spans. */
  live: Span | undefined = undefined;
  #spanContext: SpanContext | undefined = undefined;

  constructor(
    readonly trace0: number,
    readonly trace1: number,
    readonly trace2: number,
    readonly trace3: number,
    readonly span0: number,
    readonly span1: number,
    public flags: number,
    /** The `tracestate` list as it goes on the wire, or `undefined`. */
    public traceState: TraceState | undefined,
    readonly isRemote: boolean,
  ) {}

  /** A root: new trace id. Level 2's random flag is set: its right-most 56 bits are random, whatever it begins with. */
  static root(sampled: boolean, traceState: TraceState | undefined): SpanIdentity {
    // `| 1`, here and in `traceIdHead`, keeps the all-zero ids, which are invalid, out of reach for one bit of
    // randomness outside the 56 that the random flag promises.
    return new SpanIdentity(
      traceIdHead(),
      randomInt32(),
      randomInt32(),
      randomInt32(),
      randomInt32() | 1,
      randomInt32(),
      sampled ? FLAG_SAMPLED | FLAG_RANDOM : FLAG_RANDOM,
      traceState,
      false,
    );
  }

  /** A child of `parent` in its trace; the random flag is passed on unchanged (level 2, section 3.2.2.5.2). */
  static child(parent: SpanIdentity, sampled: boolean, traceState: TraceState | undefined): SpanIdentity {
    return new SpanIdentity(
      parent.trace0,
      parent.trace1,
      parent.trace2,
      parent.trace3,
      randomInt32() | 1,
      randomInt32(),
      (parent.flags & FLAG_RANDOM) | (sampled ? FLAG_SAMPLED : 0),
      traceState,
      false,
    );
  }

  /** From an API SpanContext of any make; `undefined` when its ids are not valid. */
  static from(context: SpanContext): SpanIdentity | undefined {
    const { traceId, spanId, traceFlags, traceState, isRemote } = context;
    if (typeof traceId !== 'string' || typeof spanId !== 'string') return undefined;
    if (traceId.length !== 32 || spanId.length !== 16) return undefined;
    const identity = SpanIdentity.parse(traceId, 0, spanId, 0, traceFlags & 0xff, isRemote === true);
    if (identity !== undefined) identity.traceState = traceState;
    return identity;
  }

  /**
   * From 32 and 16 lower-case hexadecimal characters inside two texts; `undefined` when they are not that, or all zeros.
   */
  static parse(
    trace: string,
    traceAt: number,
    span: string,
    spanAt: number,
    flags: number,
    isRemote: boolean,
  ): SpanIdentity | undefined {
    startHex();
    const trace0 = readHex32(trace, traceAt);
    const trace1 = readHex32(trace, traceAt + 8);
    const trace2 = readHex32(trace, traceAt + 16);
    const trace3 = readHex32(trace, traceAt + 24);
    const span0 = readHex32(span, spanAt);
    const span1 = readHex32(span, spanAt + 8);
    if (!isHex()) return undefined;
    if ((trace0 | trace1 | trace2 | trace3) === 0 || (span0 | span1) === 0) return undefined;
    return new SpanIdentity(trace0, trace1, trace2, trace3, span0, span1, flags, undefined, isRemote);
  }

  get sampled(): boolean {
    return (this.flags & FLAG_SAMPLED) !== 0;
  }

  /** 32 lower-case hexadecimal characters. */
  get traceId(): string {
    return hex32(this.trace0) + hex32(this.trace1) + hex32(this.trace2) + hex32(this.trace3);
  }

  /** 16 lower-case hexadecimal characters. */
  get spanId(): string {
    return hex32(this.span0) + hex32(this.span1);
  }

  /** The API's view: a plain object with own properties, so that spreading and JSON work; made once. */
  spanContext(): SpanContext {
    if (this.#spanContext === undefined) {
      const context: SpanContext = { traceId: this.traceId, spanId: this.spanId, traceFlags: this.flags };
      if (this.traceState !== undefined) context.traceState = this.traceState;
      if (this.isRemote) context.isRemote = true;
      this.#spanContext = context;
    }
    return this.#spanContext;
  }
}

/** What no span has (API: invalid span context). */
const NO_SPAN_CONTEXT: SpanContext = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 };

/** Of no trace: what the application gets where a span could not be made. */
export const NO_IDENTITY = new SpanIdentity(0, 0, 0, 0, 0, 0, 0, undefined, false);

/** For the application: the API never throws. */
export function spanContextOf(identity: SpanIdentity): SpanContext {
  try {
    return identity.spanContext();
  } catch (error) {
    noteApiFailure(error);
    return NO_SPAN_CONTEXT;
  }
}
