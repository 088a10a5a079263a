import type { TailSamplingConfig } from '../config';
import { armSignals, disarmSignals } from '../exit';
import type { Loss } from '../export/losses';
import type { DropReason, Flushable, PendingListener, ProcessorStats } from '../export/processor';
import { log } from '../log';
import { startTimer, stopTimer } from '../timers';
import { nowMs } from '../trace/clock';
import { ROOT_CONTEXT, runInContext } from '../trace/context';
import type { Span, SpanProcessor } from '../trace/span';
import type { SpanIdentity } from '../trace/span-identity';
import type { Clock } from './rate-limiting';
import { routeKey } from './request';

const STATUS_ERROR = 2;

/** Bytes of held spans, as far as they can be told without encoding them. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Routes that are counted apart; all others are counted as one. */
const MAX_ROUTES = 1000;

/** A span without anything in it. */
const SPAN_BYTES = 400;
const ATTRIBUTE_BYTES = 32;
const EVENT_BYTES = 500;

const RANGE = 0x100000000;

const SIGNALS: PendingListener = { onQueued: armSignals, onDrained: disarmSignals };

/** `keep`, or the reason under which spans of the trace count as dropped. */
type Verdict = 'keep' | Extract<DropReason, 'tail_sampling' | 'tail_overflow'>;

/** What this process knows of one trace. */
interface Trace {
  readonly key: string;
  /** `undefined` until decided; afterwards no span is held. */
  verdict: Verdict | undefined;
  spans: Span[];
  bytes: number;
  /** Local roots that have started and not ended. */
  openRoots: number;
  /** The local root that took longest, of those that ended. */
  root: Span | undefined;
  /** Monotonic milliseconds since when it is watched. */
  readonly startedMs: number;
  /** Monotonic milliseconds since when its last root has ended; meaningful while it is closing. */
  closedMs: number;
}

/**
 * Tail sampling within one process: holds the spans of a trace until its local roots (a request that came in, a job) have
 * ended, and then keeps or drops all of them. In front of the export path:
 *
 *     started → open, spans are held ──── local roots ended ──→ closing ── grace is over ──→ decided
 *                │                                               │                            ↑
 *                └── an error, the time-out, no more room, the end of the process ─────────────┘
 *
 * What is kept for certain (an error, a slow root) is passed on at once. Late spans follow the decision.
 *
 * A new local root of a trace that was dropped is watched anew, since it may fail. The sampled flag has gone out with the
 * requests long before the decision: other services keep or drop their parts by themselves. The ratio looks at the trace id
 * alone, so that services with the same ratio agree.
 */
export class TailSamplingProcessor implements SpanProcessor, Flushable {
  readonly #config: TailSamplingConfig;
  readonly #next: SpanProcessor & Flushable;
  readonly #listener: PendingListener;
  readonly #clock: Clock;
  /** Not decided, or decided with roots that still run; in the order they were first seen. */
  readonly #traces = new Map<string, Trace>();
  /** Not decided, no root runs; in the order their last root ended. */
  readonly #closing = new Map<string, Trace>();
  /** What was decided, for spans that come late; the oldest is forgotten first. */
  readonly #decided = new Map<string, Verdict>();
  readonly #maxDecided: number;
  /** Traces by route since the last one that was kept for the route's sake. */
  readonly #routes = new Map<string, number>();
  readonly #dropped: { tail_sampling: number; tail_overflow: number } = { tail_sampling: 0, tail_overflow: 0 };
  #toldOverflow = 0;
  #undecided = 0;
  #heldSpans = 0;
  #heldBytes = 0;
  #graceTimer: NodeJS.Timeout | undefined;
  #timeoutTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    config: TailSamplingConfig,
    next: SpanProcessor & Flushable,
    listener: PendingListener = SIGNALS,
    clock: Clock = nowMs,
  ) {
    this.#config = config;
    this.#next = next;
    this.#listener = listener;
    this.#clock = clock;
    this.#maxDecided = Math.max(2 * config.maxTraces, 1000);
  }

  /** To be told of every recording span. */
  onStart(span: Span): void {
    // On the application's stack: what goes wrong here must not come out of its startSpan().
    try {
      if (!this.#closed && isLocalRoot(span)) this.#open(span);
    } catch (error) {
      log.internal('tail-sampling', 'internal error in tail sampling', error);
    }
  }

  onEnd(span: Span): void {
    try {
      this.#end(span);
    } catch (error) {
      log.internal('tail-sampling', 'internal error in tail sampling', error);
    }
  }

  /** Traces whose roots have ended are decided now; the others stay: what is certain about them has been passed on. */
  flush(timeoutMs: number): Promise<boolean> {
    this.#attempt(() => this.#decideClosing());
    return this.#next.flush(timeoutMs);
  }

  flushSync(budgetMs: number): void {
    this.#attempt(() => this.#decideAll());
    this.#next.flushSync(budgetMs);
  }

  hasPending(): boolean {
    return this.#heldSpans > 0 || this.#next.hasPending();
  }

  /** Asked when the event loop has nothing left to do, so that no root will end and no grace will be over by itself. */
  hasPendingAsync(): boolean {
    this.#attempt(() => this.#decideAll());
    return this.#next.hasPendingAsync();
  }

  shutdown(timeoutMs: number): Promise<boolean> {
    this.#attempt(() => this.#decideAll());
    this.#closed = true;
    return this.#next.shutdown(timeoutMs);
  }

  hasLosses(): boolean {
    return this.#dropped.tail_overflow > this.#toldOverflow || (this.#next.hasLosses?.() ?? false);
  }

  /** What is not kept by choice is no loss; what there was no room to hold is. */
  lastLosses(): readonly Loss[] {
    const losses = this.#next.lastLosses?.() ?? [];
    const overflow = this.#dropped.tail_overflow - this.#toldOverflow;
    this.#toldOverflow = this.#dropped.tail_overflow;
    return overflow === 0 ? losses : [...losses, { to: '', counts: { tail_overflow: overflow } }];
  }

  /** `queued` includes the spans that are held. */
  stats(): ProcessorStats {
    const stats = this.#next.stats();
    const dropped: Partial<Record<DropReason, number>> = { ...stats.dropped };
    for (const reason of ['tail_sampling', 'tail_overflow'] as const) {
      if (this.#dropped[reason] > 0) dropped[reason] = this.#dropped[reason];
    }
    return { ...stats, queued: stats.queued + this.#heldSpans, dropped };
  }

  #open(span: Span): void {
    const key = span.identity.traceId;
    const known = this.#traces.get(key);
    if (known !== undefined) {
      known.openRoots++;
      this.#closing.delete(key);
      return;
    }
    const verdict = this.#decided.get(key) === 'keep' ? 'keep' : this.#overflow(span.identity);
    const trace = this.#watch(key, verdict);
    trace.openRoots = 1;
    if (this.#timeoutTimer === undefined) this.#armTimeout();
  }

  #watch(key: string, verdict: Verdict | undefined): Trace {
    const trace: Trace = {
      key,
      verdict,
      spans: [],
      bytes: 0,
      openRoots: 0,
      root: undefined,
      startedMs: this.#clock(),
      closedMs: 0,
    };
    this.#traces.set(key, trace);
    if (verdict === undefined) this.#undecided++;
    return trace;
  }

  /** Decided as a head sampler would, when there is no room for one more trace. */
  #overflow(identity: SpanIdentity): Verdict | undefined {
    const { maxTraces } = this.#config;
    if (this.#undecided >= maxTraces) this.#decideOldestClosing();
    return this.#undecided < maxTraces ? undefined : this.#decideByHead(identity);
  }

  /** Makes room by cutting a grace short: what has ended is complete but for late spans. */
  #decideOldestClosing(): boolean {
    const [oldest] = this.#closing.values();
    if (oldest === undefined) return false;
    this.#decide(oldest, this.#judge(oldest));
    return true;
  }

  #decideByHead(identity: SpanIdentity): Verdict {
    log.once(
      'warn',
      'tail-overflow',
      'more traces are under way than tail sampling holds: some are decided by HOOKLINE_TAIL_SAMPLING_RATIO alone ' +
        '(see HOOKLINE_TAIL_SAMPLING_MAX_TRACES and HOOKLINE_TAIL_SAMPLING_MAX_SPANS)',
    );
    return isWithinRatio(identity, this.#config.ratio) ? 'keep' : 'tail_overflow';
  }

  #end(span: Span): void {
    const key = span.identity.traceId;
    const isRoot = isLocalRoot(span);
    let trace = this.#traces.get(key);
    if (trace === undefined) {
      // Late, or below a span that is not ours.
      const verdict = this.#closed ? 'keep' : (this.#decided.get(key) ?? this.#overflow(span.identity));
      if (verdict !== undefined) {
        this.#pass(span, verdict);
        return;
      }
      trace = this.#watch(key, undefined);
    } else if (isRoot && trace.openRoots > 0) {
      trace.openRoots--;
    }
    if (trace.verdict !== undefined) {
      this.#pass(span, trace.verdict);
      if (trace.openRoots === 0) this.#remember(trace, trace.verdict);
      return;
    }
    this.#hold(trace, span, isRoot);
  }

  #hold(trace: Trace, span: Span, isRoot: boolean): void {
    if (this.#heldSpans === 0) this.#listener.onQueued();
    const bytes = sizeOf(span);
    trace.spans.push(span);
    trace.bytes += bytes;
    this.#heldSpans++;
    this.#heldBytes += bytes;
    if (isRoot && (trace.root === undefined || millisOf(span) > millisOf(trace.root))) trace.root = span;

    while (this.#heldBytes > MAX_HELD_BYTES && this.#decideOldestClosing());
    if (trace.verdict !== undefined) return;
    const { errors, slowMs, maxSpansPerTrace } = this.#config;
    if (errors && span.status.code === STATUS_ERROR) this.#decide(trace, 'keep');
    else if (isRoot && slowMs !== undefined && millisOf(span) >= slowMs) this.#decide(trace, 'keep');
    else if (trace.spans.length >= maxSpansPerTrace || this.#heldBytes > MAX_HELD_BYTES)
      this.#decide(trace, this.#decideByHead(span.identity));
    else if (trace.openRoots === 0) this.#close(trace);
  }

  /** Its last root has ended: what comes within the grace may still be an error. */
  #close(trace: Trace): void {
    // Late spans do not prolong it.
    if (this.#closing.has(trace.key)) return;
    trace.closedMs = this.#clock();
    this.#closing.set(trace.key, trace);
    if (this.#graceTimer === undefined) this.#armGrace();
  }

  #decide(trace: Trace, verdict: Verdict): void {
    const { spans } = trace;
    trace.verdict = verdict;
    trace.spans = [];
    this.#undecided--;
    this.#heldSpans -= spans.length;
    this.#heldBytes -= trace.bytes;
    trace.bytes = 0;
    this.#closing.delete(trace.key);
    if (trace.openRoots === 0) this.#remember(trace, verdict);
    for (const span of spans) this.#pass(span, verdict);
    if (this.#heldSpans === 0) this.#listener.onDrained();
  }

  #remember({ key }: Trace, verdict: Verdict): void {
    this.#traces.delete(key);
    this.#decided.delete(key);
    if (this.#decided.size >= this.#maxDecided) {
      for (const oldest of this.#decided.keys()) {
        this.#decided.delete(oldest);
        break;
      }
    }
    this.#decided.set(key, verdict);
  }

  #pass(span: Span, verdict: Verdict): void {
    if (verdict === 'keep') this.#next.onEnd(span);
    else this.#dropped[verdict]++;
  }

  /** The rest: neither an error nor slow, and complete as far as is known. */
  #judge(trace: Trace): Verdict {
    const { ratio, everyNth } = this.#config;
    const span = trace.root ?? trace.spans[0];
    if (span === undefined) return 'tail_sampling';
    // Counted also when the ratio keeps it, else a route would get more than its share.
    const isNth = everyNth !== undefined && this.#isNthOfRoute(span, everyNth);
    return isNth || isWithinRatio(span.identity, ratio) ? 'keep' : 'tail_sampling';
  }

  /** The first of each route, and then each `everyNth`. */
  #isNthOfRoute(span: Span, everyNth: number): boolean {
    const { name, kind, attributes } = span;
    let key = routeKey(name, kind, attributes);
    if (!this.#routes.has(key) && this.#routes.size >= MAX_ROUTES) key = '';
    const count = this.#routes.get(key) ?? 0;
    this.#routes.set(key, (count + 1) % everyNth);
    return count === 0;
  }

  #decideClosing(): void {
    for (const trace of this.#closing.values()) this.#decide(trace, this.#judge(trace));
  }

  /** Nothing more is coming. A trace whose root has not ended was cut off by the end of the process, which is worth keeping. */
  #decideAll(): void {
    this.#decideClosing();
    for (const trace of this.#traces.values()) if (trace.verdict === undefined) this.#decide(trace, 'keep');
  }

  #armGrace(minDelayMs = 0): void {
    this.#listener.onQueued();
    const [first] = this.#closing.values();
    if (first === undefined) return;
    const { graceMs } = this.#config;
    this.#graceTimer = this.#timer(Math.max(first.closedMs + graceMs, this.#clock() + minDelayMs), () => {
      this.#graceTimer = undefined;
      const now = this.#clock();
      for (const trace of this.#closing.values()) {
        if (now - trace.closedMs < graceMs) break;
        this.#decide(trace, this.#judge(trace));
      }
      // A busy server would have a timer for each millisecond.
      if (this.#closing.size > 0) this.#armGrace(graceMs / 4);
    });
  }

  #armTimeout(): void {
    const [first] = this.#traces.values();
    if (first === undefined) return;
    this.#timeoutTimer = this.#timer(first.startedMs + this.#config.timeoutMs, () => {
      this.#timeoutTimer = undefined;
      this.#timeOut(this.#clock() - this.#config.timeoutMs);
      if (this.#traces.size > 0) this.#armTimeout();
    });
  }

  /** Roots that run for so long are decided by what is known: their spans, if any, and that they are slow. */
  #timeOut(beforeMs: number): void {
    const { slowMs, timeoutMs } = this.#config;
    for (const trace of this.#traces.values()) {
      if (trace.startedMs > beforeMs) break;
      if (this.#closing.has(trace.key)) continue;
      const verdict = trace.verdict ?? (slowMs !== undefined && slowMs <= timeoutMs ? 'keep' : this.#judge(trace));
      if (trace.verdict === undefined) this.#decide(trace, verdict);
      this.#remember(trace, verdict);
    }
  }

  #timer(atMs: number, callback: () => void): NodeJS.Timeout {
    const delayMs = Math.max(atMs - this.#clock(), 1);
    return runInContext(ROOT_CONTEXT.suppress(), () => startTimer(() => this.#attempt(callback), delayMs).unref());
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      log.internal('tail-sampling', 'internal error in tail sampling', error);
    }
  }

  /** For tests: stops the timers. */
  stop(): void {
    if (this.#graceTimer !== undefined) stopTimer(this.#graceTimer);
    if (this.#timeoutTimer !== undefined) stopTimer(this.#timeoutTimer);
  }
}

/** Entered this process from outside, or began here. */
function isLocalRoot({ parent }: Span): boolean {
  return parent === undefined || parent.isRemote;
}

function millisOf(span: Span): number {
  if (span.isMonotonic) return span.endMs - span.startMs;
  const [seconds, nanos] = span.duration;
  return seconds * 1000 + nanos / 1e6;
}

/**
 * By the trace id alone, but not by the bits as they are: a head sampler has compared those already, and what it kept would
 * all be kept again. The mixing is MurmurHash3's last step, which maps 32 bits to 32 bits one to one.
 */
function isWithinRatio({ trace0, trace1, trace2, trace3 }: SpanIdentity, ratio: number): boolean {
  let mixed = trace0 ^ trace1 ^ trace2 ^ trace3;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0 < ratio * RANGE;
}

function sizeOf(span: Span): number {
  let bytes = SPAN_BYTES + span.name.length + span.events.length * EVENT_BYTES + span.links.length * EVENT_BYTES;
  const { attributes } = span;
  for (const key in attributes) {
    const value = attributes[key];
    bytes += ATTRIBUTE_BYTES + key.length;
    if (typeof value === 'string') bytes += value.length;
    else if (Array.isArray(value)) for (const item of value) bytes += typeof item === 'string' ? item.length : 8;
  }
  return bytes;
}

export function createTailSampling(config: TailSamplingConfig, next: SpanProcessor & Flushable): TailSamplingProcessor {
  return new TailSamplingProcessor(config, next);
}
