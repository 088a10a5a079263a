import type { BatchConfig } from '../config';
import { log } from '../log';
import type { Resource } from '../resource';
import { startTimer, stopTimer } from '../timers';
import { nowMs, realign } from '../trace/clock';
import { runUntraced } from '../trace/context';
import type { Span, SpanProcessor } from '../trace/span';
import { encodeResource, type ResourceBytes, reuseRequest, SpanBatch } from './encode';
import { MAX_SPAN_BYTES } from './encode-attributes';
import type { SpanSnapshot } from './exporter-processor';
import { countsOf, type Loss, type LossCounts } from './losses';
import { type Slice, SlicedRequest } from './split';

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
  /** Whether spans were lost that `lastLosses` has not told yet. */
  hasLosses?(): boolean;
  /** When the process ends: the losses not told yet. What still waits and cannot be sent any more is one. */
  lastLosses?(): readonly Loss[];
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
  readonly dropped: LossCounts;
  /** HOOKLINE_SPOOL_PATH; only once it is used. */
  readonly spool?: SpoolStats & {
    /** Spans from the spool that the back end accepted, this process's and others'. They are not in `exported`. */
    readonly replayed: number;
  };
  /** The same for each exporter, by the name in OTEL_TRACES_EXPORTER; only where there are several. */
  readonly exporters?: Readonly<Record<string, ProcessorStats>>;
};

export type SpoolStats = {
  /** Spans that this process has put there instead of losing them. */
  readonly stored: number;
  /** Bytes in the directory, whichever process put them there, as of the last look. */
  readonly bytes: number;
};

export type DropReason =
  /** More than `maxQueueSize` spans or `MAX_QUEUE_BYTES` were waiting; the newest are dropped. */
  | 'queue_full'
  /** One span over HOOKLINE_OTLP_MAX_SPAN_BYTES, or more than the back end takes in one request. */
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
  /** Could not be delivered, and HOOKLINE_SPOOL_MAX_BYTES are in use. */
  | 'spool_full'
  /** In the spool for longer than HOOKLINE_SPOOL_MAX_AGE. */
  | 'spool_expired'
  /** In a part of the spool that cannot be read, such as the last line of a process that crashed; an estimate. */
  | 'spool_corrupt'
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
  | {
      readonly kind: 'sent';
      readonly rejectedSpans: number;
      /** Nothing reads the request's bytes any more. */
      readonly isRequestFree?: boolean;
    }
  /** Trying again would not help. */
  | { readonly kind: 'refused' }
  /** Smaller requests may be taken. */
  | { readonly kind: 'too_large' }
  /** Nobody answered, or "later": worth another try after `retryAfterMs`. */
  | { readonly kind: 'unreachable'; readonly retryAfterMs: number };

export type SyncOutcome = 'sent' | 'refused' | 'too_large' | 'lost';

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

/** Keeps batches while the back end is away; src/export/spool.ts is the one on disk. Nothing here throws or rejects. */
export interface SpanSpool {
  /** Takes one request, synchronously. `failed`: not now; the request may be offered again. */
  store(request: Buffer, spanCount: number): 'stored' | 'full' | 'failed';
  /** Whether `next` may find something. */
  isDue(): boolean;
  /** The oldest request, the same one until it is `done`; `undefined` when there is none. */
  next(): Promise<SpooledBatch | undefined>;
  /** The oldest requests of up to so many bytes without waiting, to be `done` in this order; for the end of the process. */
  nextSync(maxBytes: number): readonly SpooledBatch[];
  stats(): SpoolStats;
}

export interface SpooledBatch {
  readonly request: Buffer;
  readonly spanCount: number;
  /** Delivered, or given up: it is not to be seen again. */
  done(): void;
}

/** `onLost` is told of spans that were in the spool and are lost. */
export type SpoolOpener = (service: string, onLost: (reason: DropReason, spans: number) => void) => SpanSpool;

export interface BatchOptions {
  /** Spans that need more are dropped; default 2 MiB. */
  readonly maxSpanBytes?: number | undefined;
  /** Without one, what cannot be delivered is lost. */
  readonly openSpool?: SpoolOpener | undefined;
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

/**
 * When so many spans of a batch were refused for their size one by one and none was taken, the size is not what is wrong:
 * the rest of the batch is given up.
 */
const MAX_TOO_LARGE = 4;

/** A line of the spool: what is encoded and written while the event loop waits, and what one replayed request holds. */
const SPOOL_CHUNK_BYTES = 64 * 1024;

/** Shares of the queue. Filled to so much, batches move to the spool, until it is emptied to so much. */
const SPILL_FROM = 0.75;
const SPILL_FROM_ABSENT = 0.5;
const SPILL_TO = 0.25;

/** What is replayed with the last send of a process, which may have been too short to replay anything else. */
const MAX_LAST_REPLAY_BYTES = 512 * 1024;

/** Between two requests from the spool: at most 640 KiB a second, and fresh spans go first. */
const REPLAY_INTERVAL_MS = 100;

/** At most one line per minute about lost spans, and one when spans get through again. */
export class DropCounter {
  readonly counts: Partial<Record<DropReason, number>> = {};
  /** Of `counts`, what was told when the process ended. */
  #told: Partial<Record<DropReason, number>> = {};
  #sinceLine: Partial<Record<DropReason, number>> = {};
  #sinceRecovery: Partial<Record<DropReason, number>> = {};
  #dropping = false;
  #lastLineMs = Number.NEGATIVE_INFINITY;

  count(reason: DropReason, spans: number, hint: string): void {
    if (spans <= 0) return;
    add(this.counts, reason, spans);
    // Expected ends of a process are no news; failed exports are reported by the exporter, with their cause.
    if (reason !== 'queue_full' && reason !== 'too_large' && reason !== 'invalid') return;
    add(this.#sinceLine, reason, spans);
    add(this.#sinceRecovery, reason, spans);
    this.#dropping = true;
    const atMs = nowMs();
    if (atMs - this.#lastLineMs < MIN_LOG_INTERVAL_MS) return;
    log.warn(`dropping spans (${countsOf(this.#sinceLine)}): ${hint}`);
    this.#sinceLine = {};
    this.#lastLineMs = atMs;
  }

  recovered(): void {
    if (!this.#dropping) return;
    this.#dropping = false;
    let lost = 0;
    for (const spans of Object.values(this.#sinceRecovery)) lost += spans;
    log.warn(`spans are delivered again; ${lost} were dropped (${countsOf(this.#sinceRecovery)})`);
    this.#sinceRecovery = {};
    this.#sinceLine = {};
  }

  /** What `takeLosses` has not given yet. */
  hasLosses(): boolean {
    for (const reason of Object.keys(this.counts) as DropReason[])
      if (this.counts[reason] !== this.#told[reason]) return true;
    return false;
  }

  /** @param to whose losses these are: `to http://…` */
  takeLosses(to: string): readonly Loss[] {
    const counts: Partial<Record<DropReason, number>> = {};
    for (const [reason, spans] of Object.entries(this.counts) as [DropReason, number][]) {
      const untold = spans - (this.#told[reason] ?? 0);
      if (untold > 0) counts[reason] = untold;
    }
    this.#told = { ...this.counts };
    return Object.keys(counts).length === 0 ? [] : [{ to, counts }];
  }
}

function add(counts: Partial<Record<DropReason, number>>, reason: DropReason, spans: number): void {
  counts[reason] = (counts[reason] ?? 0) + spans;
}

/**
 * An unref'd timer whose callback runs untraced, whatever context it was started in. Nobody else is on its stack: what it
 * throws would be the application's uncaught exception.
 */
export function untracedTimer(callback: () => void, delayMs: number): NodeJS.Timeout {
  const guarded = (): void => {
    try {
      callback();
    } catch (error) {
      noteFailure(error);
    }
  };
  return runUntraced(() => startTimer(guarded, delayMs).unref());
}

function noteFailure(error: unknown): void {
  log.internal('export-internal', 'internal error while exporting', error);
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
      resolve(value);
      try {
        stopTimer(timer);
      } catch {
        // It resolves nothing any more.
      }
    };
    work.then(settle, () => settle(undefined));
  });
}

interface Payload {
  readonly request: Buffer;
  readonly spanCount: number;
  readonly firstTriedMs: number;
  /** Its bytes are its own, and not a part of another request's. */
  readonly isWhole?: boolean;
  /** Shared by all that one batch was cut into because it was refused for its size. */
  readonly family?: Family | undefined;
}

/** What became of the parts of a batch. */
interface Family {
  delivered: boolean;
  /** Single spans that were refused for their size. */
  tooLarge: number;
}

/** A batch of the spool on its way, perhaps in parts. */
interface Replay {
  readonly batch: SpooledBatch;
  readonly parts: Slice[];
  readonly family: Family;
  /** The first part is with the sender. */
  sending: boolean;
}

/**
 * Batches for OTLP (specification: batching processor). Spans are encoded when they end:
 *
 *     open (being filled) → sealed batches → in flight (one at a time) → answered
 *                                ↑                  │
 *                                └── kept ←─────────┘ nobody answered, or cut into parts
 *
 * A batch that nobody answered for is kept, sent first at the next try, and counts as waiting, so the
 * oldest spans survive an absent collector and the newest are dropped while the queue is full. At most
 * `maxQueueSize + maxExportBatchSize` spans are held.
 *
 * With a spool, the oldest batches move there while the queue fills, and come back when the collector answers:
 * whenever nothing else is to be sent, one at a time.
 */
export class BatchSpanProcessor implements SpanProcessor, Flushable {
  readonly #batch: BatchConfig;
  readonly #sender: Sender;
  readonly #listener: PendingListener | undefined;
  readonly #maxSpanBytes: number;
  readonly #openSpool: SpoolOpener | undefined;
  readonly #drops = new DropCounter();
  #open: SpanBatch | undefined;
  #sealed: SpanBatch[] = [];
  #kept: Payload[] = [];
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
  /** A batch is sealed at this size. */
  #maxBatchBytes = MAX_BATCH_BYTES;
  /** Larger requests are cut before they are sent: the back end refused one of twice the size. */
  #maxRequestBytes = Number.POSITIVE_INFINITY;
  #spool: SpanSpool | undefined;
  #spillTimer: NodeJS.Timeout | undefined;
  /** Everything is to go to the spool, not only what is too much. */
  #spillAll = false;
  #replay: Replay | undefined;
  #replayTimer: NodeJS.Timeout | undefined;
  #replayed = 0;

  constructor(batch: BatchConfig, sender: Sender, listener?: PendingListener, options: BatchOptions = {}) {
    this.#batch = batch;
    this.#sender = sender;
    this.#listener = listener;
    this.#maxSpanBytes = Math.min(options.maxSpanBytes ?? MAX_SPAN_BYTES, MAX_SPAN_BYTES);
    this.#openSpool = options.openSpool;
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
    this.#open ??= new SpanBatch(this.#maxSpanBytes);
    const open = this.#open;
    const before = open.byteCount;
    const result = open.add(span);
    if (result !== 'encoded') {
      this.#drops.count(
        result,
        1,
        result === 'too_large' ? `a span takes more than ${this.#maxSpanBytes} bytes` : 'a span cannot be encoded',
      );
      return;
    }
    this.#bytes += open.byteCount - before;
    this.#queued++;
    if (open.spanCount >= this.#batch.maxExportBatchSize || open.byteCount >= this.#maxBatchBytes) {
      this.#seal();
      this.#sendSoon();
      if (this.#isFilling()) this.#spillSoon();
    }
    if (this.#timer === undefined) this.#arm(this.#batch.scheduleDelayMs);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    const lostBefore = this.#lost();
    this.#seal();
    if (!this.#hasWork() && this.#inFlight === undefined) return true;
    const deadlineMs = nowMs() + timeoutMs;
    // What ends during the flush is not waited for, unless it shares a batch with what is.
    for (let round = 0; round < 2 && this.#hasWork(); round++) {
      const done = await within(this.#pump(), deadlineMs - nowMs(), true);
      if (done !== true) return false;
    }
    if (this.#inFlight !== undefined && this.#pumping !== undefined) {
      if ((await within(this.#pumping, deadlineMs - nowMs(), true)) !== true) return false;
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
      ...(this.#spool !== undefined && { spool: { ...this.#spool.stats(), replayed: this.#replayed } }),
    };
  }

  hasLosses(): boolean {
    return this.#drops.hasLosses();
  }

  lastLosses(): readonly Loss[] {
    const { target } = this.#sender;
    return this.#drops.takeLosses(target === undefined ? '' : `to ${target}`);
  }

  #lost(): number {
    let lost = 0;
    for (const [reason, spans] of Object.entries(this.#drops.counts)) if (reason !== 'shutdown') lost += spans;
    return lost;
  }

  #hasWork(): boolean {
    return this.#kept.length > 0 || this.#sealed.length > 0;
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
    if (this.#soonTimer !== undefined || this.#pumping !== undefined || nowMs() < this.#notBeforeMs) return;
    this.#soonTimer = untracedTimer(() => {
      this.#soonTimer = undefined;
      void this.#pump();
    }, 0);
  }

  /** Sends everything sealed, one request at a time. False when the collector did not answer. */
  #pump(): Promise<boolean> {
    this.#pumping ??= this.#alone(() => this.#run());
    return this.#pumping;
  }

  /** The sender takes one request at a time, whether it is fresh or from the spool. Never rejects: timers wait for nothing. */
  #alone(work: () => Promise<boolean>): Promise<boolean> {
    return runUntraced(work).finally(() => {
      this.#pumping = undefined;
      try {
        // Sealed between the last look and now.
        if (this.#hasWork()) this.#sendSoon();
        this.#reportDrained();
      } catch (error) {
        noteFailure(error);
      }
    });
  }

  async #run(): Promise<boolean> {
    try {
      realign();
      // Bounded by the resource; meanwhile nothing has left the queue, and the end of the process sends it without.
      if (this.#resource?.asyncAttributesPending) await this.#resource.waitForAsyncAttributes();
    } catch (error) {
      // The spans are sent as they are.
      noteFailure(error);
    }
    try {
      for (let payload = this.#next(); payload !== undefined; payload = this.#next()) {
        if (this.#isHopeless(payload)) {
          this.#drop(payload, 'too_large');
          continue;
        }
        if (payload.spanCount > 1 && payload.request.length > this.#maxRequestBytes) {
          const parts = slice(payload.request, (request) => request.pieces(this.#maxRequestBytes));
          if (parts.length > 1) {
            this.#keepParts(payload, parts);
            continue;
          }
        }
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
      noteFailure(error);
      const payload = this.#inFlight;
      this.#inFlight = undefined;
      if (payload !== undefined) this.#drop(payload, 'export_failed');
      return false;
    }
  }

  /** Takes the next request out of the queue. */
  #next(): Payload | undefined {
    const kept = this.#kept.shift();
    if (kept !== undefined) {
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
    return { request, spanCount: batch.spanCount, firstTriedMs: nowMs(), isWhole: true };
  }

  /** Puts what `#next` gave back to the front of the queue. */
  #keep(payloads: readonly Payload[]): void {
    this.#kept.unshift(...payloads);
    for (const { spanCount } of payloads) this.#queued += spanCount;
  }

  #keepParts({ request, firstTriedMs, family }: Payload, parts: readonly Slice[]): void {
    this.#bytes -= request.length;
    for (const part of parts) this.#bytes += part.request.length;
    this.#keep(parts.map((part) => ({ ...part, firstTriedMs, family })));
  }

  #drop({ request, spanCount }: Payload, reason: DropReason, hint = ''): void {
    this.#bytes -= request.length;
    this.#drops.count(reason, spanCount, hint);
  }

  /** Books the outcome of one request. False when there is no point in sending the next one now. */
  #settle(payload: Payload, outcome: SendOutcome): boolean {
    if (outcome.kind === 'unreachable') {
      this.#notAnswered(payload, outcome.retryAfterMs);
      return false;
    }
    this.#notBeforeMs = 0;
    if (outcome.kind === 'too_large') {
      this.#refusedForSize(payload);
    } else if (outcome.kind === 'refused') {
      this.#drop(payload, 'export_failed');
    } else {
      this.#bytes -= payload.request.length;
      if (payload.isWhole === true && outcome.isRequestFree === true) reuseRequest(payload.request);
      if (payload.family !== undefined) payload.family.delivered = true;
      this.#exported += this.#accepted(payload.spanCount, outcome.rejectedSpans);
      this.#drops.recovered();
      this.#replaySoon();
    }
    return true;
  }

  #accepted(spanCount: number, rejectedSpans: number): number {
    const rejected = Math.min(rejectedSpans, spanCount);
    this.#drops.count('rejected', rejected, '');
    return spanCount - rejected;
  }

  #notAnswered(payload: Payload, retryAfterMs: number): void {
    const isOld = nowMs() - payload.firstTriedMs >= KEEP_MS;
    // Where there is a spool, it decides: the batch goes there from the front of the queue.
    if (this.#closed === undefined && (!isOld || this.#openSpool !== undefined)) {
      this.#keep([payload]);
    } else if (this.#openSpool !== undefined) {
      this.#storeOrDrop(payload, 'export_failed');
    } else {
      this.#drop(payload, 'export_failed');
    }
    this.#backOff(retryAfterMs);
    if (isOld) this.#spillAll = true;
    if (isOld || this.#isFilling()) this.#spillSoon();
  }

  /** Nobody answered: the next try is not before the next batch is due. */
  #backOff(retryAfterMs: number): void {
    const delayMs = Math.max(this.#batch.scheduleDelayMs, retryAfterMs);
    this.#notBeforeMs = nowMs() + delayMs;
    if (this.#timer !== undefined) stopTimer(this.#timer);
    this.#timer = undefined;
    if (this.#queued > 0) this.#arm(delayMs);
  }

  /** Cuts the batch in two, or gives it up when that cannot help. */
  #refusedForSize(payload: Payload): void {
    const { request, spanCount } = payload;
    const family = payload.family ?? { delivered: false, tooLarge: 0 };
    const halves = spanCount > 1 ? slice(request, (sliced) => sliced.halves()) : [];
    if (halves.length > 1) {
      const where = this.#sender.target ?? 'the back end';
      log.once('info', `size ${where}`, `${where} takes no batch of ${request.length} bytes; smaller ones are sent`);
      this.#learn(request.length / 2);
      this.#keepParts({ ...payload, family }, halves);
      return;
    }
    family.tooLarge++;
    if (isHopeless(family)) this.#unlearn();
    this.#drop(payload, 'too_large', `a span takes more than the back end accepts (${request.length} bytes)`);
  }

  #isHopeless({ family }: Payload): boolean {
    return family !== undefined && isHopeless(family);
  }

  /** A request of twice the size was refused; batches to come are sealed in time, and those there are cut. */
  #learn(bytes: number): void {
    this.#maxRequestBytes = Math.min(this.#maxRequestBytes, Math.ceil(bytes));
    // The last span of a batch is what makes it larger than this.
    this.#maxBatchBytes = Math.min(this.#maxBatchBytes, Math.ceil(bytes * 0.75));
  }

  #unlearn(): void {
    this.#maxRequestBytes = Number.POSITIVE_INFINITY;
    this.#maxBatchBytes = MAX_BATCH_BYTES;
  }

  #reportDrained(): void {
    if (!this.#pendingReported || this.#queued > 0 || this.#inFlight !== undefined) return;
    this.#pendingReported = false;
    if (this.#timer !== undefined) stopTimer(this.#timer);
    this.#timer = undefined;
    this.#listener?.onDrained();
  }

  #flushSync(budgetMs: number): void {
    const deadlineMs = nowMs() + budgetMs;
    let waiting: Payload[] = [];
    const inFlight = this.#inFlight;
    if (inFlight !== undefined) {
      this.#inFlight = undefined;
      if (this.#sender.handedOver) {
        this.#bytes -= inFlight.request.length;
        this.#exported += inFlight.spanCount;
      } else {
        this.#sender.abort();
        waiting.push(inFlight);
      }
    }
    this.#endReplay();
    this.#seal();
    for (let payload = this.#next(); payload !== undefined; payload = this.#next()) waiting.push(payload);
    // A collector that is known to be away would only delay the end.
    if (this.#openSpool !== undefined && nowMs() < this.#notBeforeMs) {
      for (const payload of waiting) this.#storeOrDrop(payload, 'exit_timeout');
      return;
    }
    if (waiting.length === 0) return;
    const replays = this.#useSpool()?.nextSync(MAX_LAST_REPLAY_BYTES) ?? [];
    waiting = this.#sendSync(waiting, budgetMs, replays);
    while (waiting.length > 0) waiting = this.#sendSync(waiting, Math.max(deadlineMs - nowMs(), 0));
  }

  /** Sends without an event loop, `replays` last. Returns the parts of what was refused for its size. */
  #sendSync(payloads: readonly Payload[], budgetMs: number, replays: readonly SpooledBatch[] = []): Payload[] {
    const outcomes = this.#sender.sendSync(
      [...payloads, ...replays].map(({ request }) => request),
      budgetMs,
    );
    for (const [i, { spanCount, done }] of replays.entries()) {
      const outcome = outcomes[payloads.length + i];
      // In order; the rest is for the next process.
      if (outcome !== 'sent' && outcome !== 'refused') break;
      done();
      if (outcome === 'sent') this.#replayed += spanCount;
      else this.#drops.count('export_failed', spanCount, '');
    }
    const parts: Payload[] = [];
    for (const [i, payload] of payloads.entries()) {
      const outcome = outcomes[i];
      if (outcome === 'sent') {
        this.#bytes -= payload.request.length;
        this.#exported += payload.spanCount;
      } else if (outcome === 'too_large') {
        this.#refusedForSize(payload);
        for (let part = this.#kept.shift(); part !== undefined; part = this.#kept.shift()) {
          this.#queued -= part.spanCount;
          if (this.#isHopeless(part)) this.#drop(part, 'too_large');
          else parts.push(part);
        }
      } else if (outcome === 'refused') {
        this.#drop(payload, 'export_failed');
      } else {
        this.#storeOrDrop(payload, 'exit_timeout');
      }
    }
    return parts;
  }

  #forget(reason: DropReason): void {
    this.#endReplay();
    for (let payload = this.#next(); payload !== undefined; payload = this.#next()) this.#storeOrDrop(payload, reason);
    this.#reportDrained();
  }

  // The spool.

  /** Whether batches are to move to the spool before the queue is full. */
  #isFilling(): boolean {
    if (this.#openSpool === undefined) return false;
    const share = nowMs() < this.#notBeforeMs ? SPILL_FROM_ABSENT : SPILL_FROM;
    return this.#queued >= this.#batch.maxQueueSize * share || this.#bytes >= MAX_QUEUE_BYTES * share;
  }

  /** Off the application's stack, one line at a time. */
  #spillSoon(): void {
    if (this.#spillTimer !== undefined || this.#openSpool === undefined) return;
    this.#spillTimer = untracedTimer(() => {
      this.#spillTimer = undefined;
      this.#spill();
    }, 0);
  }

  #spill(): void {
    const { maxQueueSize } = this.#batch;
    const isEmptied = this.#queued <= maxQueueSize * SPILL_TO && this.#bytes <= MAX_QUEUE_BYTES * SPILL_TO;
    if (isEmptied && !this.#spillAll) return;
    if (!this.#hasWork()) this.#seal();
    const payload = this.#next();
    if (payload === undefined) {
      this.#spillAll = false;
      return;
    }
    if (payload.spanCount > 1 && payload.request.length > SPOOL_CHUNK_BYTES) {
      const parts = slice(payload.request, (request) => request.pieces(SPOOL_CHUNK_BYTES));
      if (parts.length > 1) {
        this.#keepParts(payload, parts);
        this.#spillSoon();
        return;
      }
    }
    const result = this.#useSpool()?.store(payload.request, payload.spanCount);
    if (result === 'stored') {
      this.#bytes -= payload.request.length;
    } else if (result === 'full') {
      this.#drop(payload, 'spool_full');
    } else {
      // As without a spool: it waits in memory, and what is older than that allows is lost.
      this.#spillAll = false;
      if (nowMs() - payload.firstTriedMs < KEEP_MS) this.#keep([payload]);
      else this.#drop(payload, 'export_failed');
      return;
    }
    this.#replaySoon();
    this.#reportDrained();
    this.#spillSoon();
  }

  /** At the end, when there is no later. */
  #storeOrDrop(payload: Payload, reason: DropReason): void {
    const { request, spanCount } = payload;
    const spool = this.#useSpool();
    if (spool === undefined) {
      this.#drop(payload, reason);
      return;
    }
    this.#bytes -= request.length;
    const parts =
      request.length > SPOOL_CHUNK_BYTES ? slice(request, (sliced) => sliced.pieces(SPOOL_CHUNK_BYTES)) : [];
    for (const part of parts.length > 1 ? parts : [{ request, spanCount }]) {
      const result = spool.store(part.request, part.spanCount);
      if (result !== 'stored') this.#drops.count(result === 'full' ? 'spool_full' : reason, part.spanCount, '');
    }
  }

  /** `undefined` where there is none, and before the first span has ended: it is the service's own. */
  #useSpool(): SpanSpool | undefined {
    if (this.#openSpool === undefined || this.#resource === undefined) return this.#spool;
    try {
      this.#spool ??= this.#openSpool(String(this.#resource.attributes['service.name']), (reason, spans) =>
        this.#drops.count(reason, spans, ''),
      );
    } catch (error) {
      log.internal('spool-internal', 'internal error while opening the spool', error);
    }
    return this.#spool;
  }

  /** Asks the spool when there may be something in it: when the collector has answered, or, while it is away, when it may be back. */
  #replaySoon(delayMs: number = REPLAY_INTERVAL_MS): void {
    if (this.#replayTimer !== undefined || this.#closed !== undefined) return;
    if (this.#replay === undefined && this.#useSpool()?.isDue() !== true) return;
    this.#replayTimer = untracedTimer(
      () => {
        this.#replayTimer = undefined;
        // Fresh spans go first.
        if (this.#pumping !== undefined || this.#hasWork()) this.#replaySoon();
        else this.#pumping = this.#alone(() => this.#replayOne());
      },
      Math.max(delayMs, this.#notBeforeMs - nowMs()),
    );
  }

  async #replayOne(): Promise<boolean> {
    try {
      if (this.#replay === undefined) {
        const batch = await this.#spool?.next();
        if (batch === undefined || this.#closed !== undefined) return true;
        const family = { delivered: false, tooLarge: 0 };
        this.#replay = {
          batch,
          parts: [{ request: batch.request, spanCount: batch.spanCount }],
          family,
          sending: false,
        };
      }
      const replay = this.#replay;
      for (let [part] = replay.parts; part !== undefined; [part] = replay.parts) {
        replay.sending = true;
        const outcome = await this.#sender.send(part.request, this.#batch.exportTimeoutMs);
        replay.sending = false;
        // The end of the process took it over.
        if (this.#replay !== replay) return false;
        replay.parts.shift();
        if (outcome.kind === 'unreachable') {
          replay.parts.unshift(part);
          this.#backOff(outcome.retryAfterMs);
          this.#replaySoon();
          return false;
        }
        this.#notBeforeMs = 0;
        this.#settleReplayed(replay, part, outcome);
        // The rest of it can wait.
        if (this.#hasWork() && replay.parts.length > 0) {
          this.#replaySoon();
          return true;
        }
      }
      this.#replay = undefined;
      replay.batch.done();
      this.#replaySoon();
      return true;
    } catch (error) {
      noteFailure(error);
      this.#replay?.batch.done();
      this.#drops.count('export_failed', spansOf(this.#replay?.parts), '');
      this.#replay = undefined;
      return false;
    }
  }

  #settleReplayed({ parts, family }: Replay, part: Slice, outcome: SendOutcome): void {
    if (outcome.kind === 'sent') {
      family.delivered = true;
      this.#replayed += this.#accepted(part.spanCount, outcome.rejectedSpans);
    } else if (outcome.kind === 'too_large') {
      const halves = part.spanCount > 1 ? slice(part.request, (request) => request.halves()) : [];
      if (halves.length > 1) {
        parts.unshift(...halves);
        return;
      }
      family.tooLarge++;
      this.#drops.count('too_large', part.spanCount, 'a span in the spool takes more than the back end accepts');
      if (!isHopeless(family)) return;
      this.#drops.count('too_large', spansOf(parts), '');
      parts.length = 0;
    } else {
      this.#drops.count('export_failed', part.spanCount, '');
    }
  }

  /** What was on its way stays in the spool for the next process, unless it is as good as delivered. */
  #endReplay(): void {
    const replay = this.#replay;
    if (replay === undefined) return;
    this.#replay = undefined;
    if (!replay.sending) return;
    if (this.#sender.handedOver && replay.parts.length === 1) replay.batch.done();
    else this.#sender.abort();
  }
}

function isHopeless({ delivered, tooLarge }: Family): boolean {
  return !delivered && tooLarge >= MAX_TOO_LARGE;
}

function spansOf(parts: readonly Slice[] = []): number {
  let spans = 0;
  for (const { spanCount } of parts) spans += spanCount;
  return spans;
}

/** Empty for what cannot be cut. */
function slice(request: Buffer, cut: (sliced: SlicedRequest) => Slice[]): readonly Slice[] {
  try {
    return cut(new SlicedRequest(request));
  } catch (error) {
    log.internal('split-internal', 'internal error while cutting a batch', error);
    return [];
  }
}
