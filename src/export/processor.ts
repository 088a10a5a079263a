import type { BatchConfig } from '../config';
import { log } from '../log';
import type { Resource } from '../resource';
import { realign } from '../trace/clock';
import { ROOT_CONTEXT, runInContext } from '../trace/context';
import type { Span, SpanProcessor } from '../trace/span';
import { encodeResource, type ResourceBytes, SpanBatch } from './encode';
import type { SpanSnapshot } from './exporter-processor';

/** What start and exit need of whatever spans end up in. Nothing here ever throws or rejects. */
export interface Flushable {
  /**
   * Sends what has ended so far. True when all of it was delivered within `timeoutMs`. The process is kept
   * alive meanwhile: the caller awaits the outcome, and a loop that ran empty would never give it.
   */
  flush(timeoutMs: number): Promise<boolean>;
  /** Sends what can be sent without an event loop, blocking for at most `budgetMs`. */
  flushSync(budgetMs: number): void;
  /** Whether `flushSync` has anything to do. */
  hasPending(): boolean;
  /** Whether there are spans that only `flush` can deliver. */
  hasPendingAsync(): boolean;
  /** Flushes, then drops every later span. Idempotent. */
  shutdown(timeoutMs: number): Promise<boolean>;
  stats(): ProcessorStats;
  /** What OTEL_TRACES_EXPORTER=memory keeps; only there with it. */
  readonly memory?: MemorySpans | undefined;
}

/** The spans that ended in this process, oldest first. */
export interface MemorySpans {
  finishedSpans(): SpanSnapshot[];
  clear(): void;
}

export type ProcessorStats = {
  /** Spans waiting, without those in flight. */
  readonly queued: number;
  /** Spans of the request that is under way. */
  readonly inFlight: number;
  /** Spans that an exporter or collector accepted. */
  readonly exported: number;
  /** Spans lost, by reason; only reasons that occurred. */
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
};

export type DropReason =
  /** More than `maxQueueSize` spans or `MAX_QUEUE_BYTES` were waiting; the newest are dropped. */
  | 'queue_full'
  /** One span over MAX_SPAN_BYTES. */
  | 'too_large'
  /** Could not be encoded. */
  | 'invalid'
  /** Refused, or not delivered within KEEP_MS. */
  | 'export_failed'
  /** `partial_success.rejected_spans` of the collector. */
  | 'rejected'
  /** Not delivered within the exit timeout. */
  | 'exit_timeout'
  /** Ended after shutdown. */
  | 'shutdown'
  /** Of traces that HOOKLINE_TAIL_SAMPLING does not keep; not lost, but not wanted. */
  | 'tail_sampling'
  /** Of traces that tail sampling had no room to hold and that its ratio does not keep. */
  | 'tail_overflow';

/** Told when there is something to deliver, and when there is nothing left. */
export interface PendingListener {
  onQueued(): void;
  onDrained(): void;
}

/** The end of a request to the collector, retries included. */
export type SendOutcome =
  | { readonly kind: 'sent'; readonly rejectedSpans: number }
  /** Trying again would not help. */
  | { readonly kind: 'refused' }
  /** Nobody answered, or "later": worth another try after `retryAfterMs`. */
  | { readonly kind: 'unreachable'; readonly retryAfterMs: number };

export type SyncOutcome = 'sent' | 'refused' | 'lost';

/** Carries encoded requests; otlp.ts is the one for HTTP. */
export interface Sender {
  /** Where it sends, for messages; without credentials. */
  readonly target?: string | undefined;
  /** Never rejects. One call at a time. */
  send(request: Buffer, timeoutMs: number): Promise<SendOutcome>;
  /** All bytes of the request under way are with the operating system, which delivers them whatever becomes of us. */
  readonly handedOver: boolean;
  /** Gives up the request under way. */
  abort(): void;
  /** True where nothing can be sent without one: a natural end is then given one more turn. */
  readonly needsEventLoop?: boolean;
  /** Sends without an event loop, blocking for at most `budgetMs`; one outcome per request. */
  sendSync(requests: readonly Buffer[], budgetMs: number): readonly SyncOutcome[];
  close(): void;
}

/**
 * Bytes of encoded spans held at once, waiting and in flight. With the default queue of 2,048 spans this
 * leaves 8 KiB for each, twenty times what a usual span takes.
 */
export const MAX_QUEUE_BYTES = 16 * 1024 * 1024;

/** A batch is sent at this size although it has room for more spans; with one largest span on top it stays below 4 MiB. */
const MAX_BATCH_BYTES = 2 * 1024 * 1024;

/**
 * How long a batch that nobody answered for is tried again. Long enough for a collector that starts after the
 * application; short enough for one batch that a gateway always fails on not to hold up the rest for ever.
 */
const KEEP_MS = 120_000;

const MIN_LOG_INTERVAL_MS = 60_000;

/** At most one line per minute about lost spans, and one when spans get through again. */
export class DropCounter {
  readonly counts: Partial<Record<DropReason, number>> = {};
  #dropping = false;
  #lostSinceLine = 0;
  #lastLineMs = Number.NEGATIVE_INFINITY;

  count(reason: DropReason, spans: number, hint: string): void {
    if (spans <= 0) return;
    this.counts[reason] = (this.counts[reason] ?? 0) + spans;
    // Expected ends of a process are no news; failed exports are reported by the exporter, with their cause.
    if (reason !== 'queue_full' && reason !== 'too_large' && reason !== 'invalid') return;
    this.#lostSinceLine += spans;
    const nowMs = performance.now();
    if (nowMs - this.#lastLineMs < MIN_LOG_INTERVAL_MS) {
      this.#dropping = true;
      return;
    }
    log.warn(`dropping spans (${reason}): ${hint}`);
    this.#dropping = true;
    this.#lastLineMs = nowMs;
  }

  recovered(): void {
    if (!this.#dropping) return;
    this.#dropping = false;
    log.warn(`spans are delivered again; ${this.#lostSinceLine} were dropped`);
    this.#lostSinceLine = 0;
  }
}

// As they are now: a test in the application may install fake timers later.
const startTimer = setTimeout;
const stopTimer = clearTimeout;

/** An unref'd timer whose callback runs untraced, whatever context it was started in. */
export function untracedTimer(callback: () => void, delayMs: number): NodeJS.Timeout {
  return runInContext(ROOT_CONTEXT.suppress(), () => startTimer(callback, delayMs).unref());
}

/**
 * Resolves with `undefined` after `timeoutMs`, or with what `work` gives before that. Keeps the process alive
 * when `hold` is set. Never rejects.
 */
export function within<T>(work: Promise<T>, timeoutMs: number, hold: boolean): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = startTimer(() => resolve(undefined), Math.max(timeoutMs, 0));
    if (!hold) timer.unref();
    const settle = (value: T | undefined): void => {
      stopTimer(timer);
      resolve(value);
    };
    work.then(settle, () => settle(undefined));
  });
}

interface Payload {
  readonly request: Buffer;
  readonly spanCount: number;
  readonly firstTriedMs: number;
}

/**
 * Batches for OTLP (specification: batching processor). Spans are encoded when they end:
 *
 *     open (being filled) → sealed batches → in flight (one at a time) → answered
 *                                ↑                  │
 *                                └── kept ←─────────┘ nobody answered
 *
 * A batch that nobody answered for is kept, sent first at the next try, and counts as waiting, so the
 * oldest spans survive an absent collector and the newest are dropped while the queue is full. At most
 * `maxQueueSize + maxExportBatchSize` spans are held.
 */
export class BatchSpanProcessor implements SpanProcessor, Flushable {
  readonly #batch: BatchConfig;
  readonly #sender: Sender;
  readonly #listener: PendingListener | undefined;
  readonly #drops = new DropCounter();
  #open: SpanBatch | undefined;
  #sealed: SpanBatch[] = [];
  #kept: Payload | undefined;
  #inFlight: Payload | undefined;
  /** Spans in `#open`, `#sealed` and `#kept`. */
  #queued = 0;
  /** Bytes of those and of the request in flight. */
  #bytes = 0;
  #exported = 0;
  #resource: Resource | undefined;
  #resourceBytes: ResourceBytes | undefined;
  #timer: NodeJS.Timeout | undefined;
  #soonTimer: NodeJS.Timeout | undefined;
  #pumping: Promise<boolean> | undefined;
  /** Monotonic milliseconds before which full batches are not sent at once: the collector was just found absent. */
  #notBeforeMs = 0;
  #pendingReported = false;
  #closed: Promise<boolean> | undefined;

  constructor(batch: BatchConfig, sender: Sender, listener?: PendingListener) {
    this.#batch = batch;
    this.#sender = sender;
    this.#listener = listener;
  }

  onEnd(span: Span): void {
    if (this.#closed !== undefined) {
      this.#drops.count('shutdown', 1, '');
      return;
    }
    if (this.#queued >= this.#batch.maxQueueSize || this.#bytes >= MAX_QUEUE_BYTES) {
      this.#drops.count('queue_full', 1, 'they end faster than they are sent; see OTEL_BSP_MAX_QUEUE_SIZE');
      return;
    }
    this.#resource ??= span.shared.resource;
    this.#open ??= new SpanBatch();
    const open = this.#open;
    const before = open.byteCount;
    const result = open.add(span);
    if (result !== 'encoded') {
      this.#drops.count(
        result,
        1,
        result === 'too_large' ? 'a span takes more than 2 MiB' : 'a span cannot be encoded',
      );
      return;
    }
    this.#bytes += open.byteCount - before;
    this.#queued++;
    if (open.spanCount >= this.#batch.maxExportBatchSize || open.byteCount >= MAX_BATCH_BYTES) {
      this.#seal();
      this.#sendSoon();
    }
    if (this.#timer === undefined) this.#arm(this.#batch.scheduleDelayMs);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    const lostBefore = this.#lost();
    this.#seal();
    if (!this.#hasWork() && this.#inFlight === undefined) return true;
    const deadlineMs = performance.now() + timeoutMs;
    // What ends during the flush is not waited for, unless it shares a batch with what is.
    for (let round = 0; round < 2 && this.#hasWork(); round++) {
      const done = await within(this.#pump(), deadlineMs - performance.now(), true);
      if (done !== true) return false;
    }
    if (this.#inFlight !== undefined && this.#pumping !== undefined) {
      if ((await within(this.#pumping, deadlineMs - performance.now(), true)) !== true) return false;
    }
    return this.#lost() === lostBefore;
  }

  flushSync(budgetMs: number): void {
    try {
      this.#flushSync(budgetMs);
    } catch (error) {
      log.debug(`last spans not sent: ${String(error)}`);
    }
  }

  hasPending(): boolean {
    return this.#queued > 0 || (this.#inFlight !== undefined && !this.#sender.handedOver);
  }

  hasPendingAsync(): boolean {
    return this.#sender.needsEventLoop === true && this.hasPending();
  }

  shutdown(timeoutMs: number): Promise<boolean> {
    if (this.#closed === undefined) {
      // Set first: spans that end while the last batch is sent are not waited for.
      this.#closed = this.flush(timeoutMs).then((delivered) => {
        this.#forget('export_failed');
        this.#sender.close();
        return delivered;
      });
    }
    return this.#closed;
  }

  stats(): ProcessorStats {
    return {
      queued: this.#queued,
      inFlight: this.#inFlight?.spanCount ?? 0,
      exported: this.#exported,
      dropped: { ...this.#drops.counts },
    };
  }

  #lost(): number {
    let lost = 0;
    for (const [reason, spans] of Object.entries(this.#drops.counts)) if (reason !== 'shutdown') lost += spans;
    return lost;
  }

  #hasWork(): boolean {
    return this.#kept !== undefined || this.#sealed.length > 0;
  }

  #seal(): void {
    if (this.#open === undefined || this.#open.spanCount === 0) return;
    this.#sealed.push(this.#open);
    this.#open = undefined;
  }

  /** The timer of the specification's `scheduledDelayMillis`: armed by the first span, not ticking while idle. */
  #arm(delayMs: number): void {
    this.#timer = untracedTimer(() => {
      this.#timer = undefined;
      this.#seal();
      void this.#pump();
    }, delayMs);
    if (!this.#pendingReported) {
      this.#pendingReported = true;
      this.#listener?.onQueued();
    }
  }

  /**
   * Off the application's stack. A timer of no delay and not an immediate: an unref'd immediate does not
   * wake a loop that waits for input.
   */
  #sendSoon(): void {
    if (this.#soonTimer !== undefined || this.#pumping !== undefined || performance.now() < this.#notBeforeMs) return;
    this.#soonTimer = untracedTimer(() => {
      this.#soonTimer = undefined;
      void this.#pump();
    }, 0);
  }

  /** Sends everything sealed, one request at a time. False when the collector did not answer. */
  #pump(): Promise<boolean> {
    this.#pumping ??= runInContext(ROOT_CONTEXT.suppress(), () => this.#run()).finally(() => {
      this.#pumping = undefined;
      // Sealed between the last look and now.
      if (this.#hasWork()) this.#sendSoon();
      this.#reportDrained();
    });
    return this.#pumping;
  }

  async #run(): Promise<boolean> {
    realign();
    // Bounded by the resource; meanwhile nothing has left the queue, and the end of the process sends it without.
    if (this.#resource?.asyncAttributesPending) await this.#resource.waitForAsyncAttributes();
    try {
      for (let payload = this.#next(); payload !== undefined; payload = this.#next()) {
        this.#inFlight = payload;
        const { exportTimeoutMs } = this.#batch;
        const outcome = await this.#sender.send(payload.request, exportTimeoutMs);
        // The end of the process took it over.
        if (this.#inFlight !== payload) return false;
        this.#inFlight = undefined;
        if (!this.#settle(payload, outcome)) return false;
      }
      return true;
    } catch (error) {
      // A sender never rejects; should it do so all the same, the batch is lost and the next one is tried.
      log.once('error', 'export-internal', `internal error while exporting: ${String(error)}`);
      const payload = this.#inFlight;
      this.#inFlight = undefined;
      if (payload !== undefined) {
        this.#bytes -= payload.request.length;
        this.#drops.count('export_failed', payload.spanCount, '');
      }
      return false;
    }
  }

  /** Takes the next request out of the queue. */
  #next(): Payload | undefined {
    const kept = this.#kept;
    if (kept !== undefined) {
      this.#kept = undefined;
      this.#queued -= kept.spanCount;
      return kept;
    }
    const batch = this.#sealed.shift();
    return batch === undefined ? undefined : this.#toPayload(batch);
  }

  #toPayload(batch: SpanBatch): Payload {
    this.#queued -= batch.spanCount;
    const resource = this.#resource as Resource;
    const resourceBytes = this.#resourceBytes ?? encodeResource(resource);
    if (!resource.asyncAttributesPending) this.#resourceBytes = resourceBytes;
    const request = batch.toRequest(resourceBytes);
    this.#bytes += request.length - batch.byteCount;
    return { request, spanCount: batch.spanCount, firstTriedMs: performance.now() };
  }

  /** Books the outcome of one request. False when there is no point in sending the next one now. */
  #settle(payload: Payload, outcome: SendOutcome): boolean {
    const { spanCount } = payload;
    if (outcome.kind === 'unreachable') {
      if (performance.now() - payload.firstTriedMs < KEEP_MS && this.#closed === undefined) {
        this.#kept = payload;
        this.#queued += spanCount;
      } else {
        this.#bytes -= payload.request.length;
        this.#drops.count('export_failed', spanCount, '');
      }
      const delayMs = Math.max(this.#batch.scheduleDelayMs, outcome.retryAfterMs);
      this.#notBeforeMs = performance.now() + delayMs;
      if (this.#timer !== undefined) stopTimer(this.#timer);
      this.#timer = undefined;
      if (this.#queued > 0) this.#arm(delayMs);
      return false;
    }
    this.#notBeforeMs = 0;
    this.#bytes -= payload.request.length;
    if (outcome.kind === 'refused') {
      this.#drops.count('export_failed', spanCount, '');
    } else {
      const rejected = Math.min(outcome.rejectedSpans, spanCount);
      this.#exported += spanCount - rejected;
      this.#drops.count('rejected', rejected, '');
      this.#drops.recovered();
    }
    return true;
  }

  #reportDrained(): void {
    if (!this.#pendingReported || this.#queued > 0 || this.#inFlight !== undefined) return;
    this.#pendingReported = false;
    if (this.#timer !== undefined) stopTimer(this.#timer);
    this.#timer = undefined;
    this.#listener?.onDrained();
  }

  #flushSync(budgetMs: number): void {
    const payloads: Payload[] = [];
    const inFlight = this.#inFlight;
    if (inFlight !== undefined) {
      this.#inFlight = undefined;
      this.#bytes -= inFlight.request.length;
      if (this.#sender.handedOver) {
        this.#exported += inFlight.spanCount;
      } else {
        this.#sender.abort();
        payloads.push(inFlight);
      }
    }
    this.#seal();
    for (let payload = this.#next(); payload !== undefined; payload = this.#next()) {
      this.#bytes -= payload.request.length;
      payloads.push(payload);
    }
    if (payloads.length === 0) return;
    const outcomes = this.#sender.sendSync(
      payloads.map(({ request }) => request),
      budgetMs,
    );
    let lost = 0;
    for (const [i, { spanCount }] of payloads.entries()) {
      const outcome = outcomes[i];
      if (outcome === 'sent') this.#exported += spanCount;
      else {
        lost += spanCount;
        this.#drops.count(outcome === 'refused' ? 'export_failed' : 'exit_timeout', spanCount, '');
      }
    }
    if (lost > 0) {
      const where = this.#sender.target === undefined ? '' : ` to ${this.#sender.target}`;
      log.warn(`${lost} ${lost === 1 ? 'span was' : 'spans were'} not delivered${where} before the process ended`);
    }
  }

  #forget(reason: DropReason): void {
    let payload = this.#next();
    while (payload !== undefined) {
      this.#bytes -= payload.request.length;
      this.#drops.count(reason, payload.spanCount, '');
      payload = this.#next();
    }
    this.#reportDrained();
  }
}
