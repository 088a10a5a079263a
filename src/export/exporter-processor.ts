import type { Attributes, HrTime, SpanContext, SpanKind, SpanStatus } from '@opentelemetry/api';
import type { BatchConfig } from '../config';
import { log } from '../log';
import type { Resource } from '../resource';
import { stopTimer } from '../timers';
import { captureProperty, defineAttribute, truncate } from '../trace/attributes';
import { nowMs, realign } from '../trace/clock';
import { ROOT_CONTEXT, runInContext } from '../trace/context';
import type { InstrumentationScope, Span, SpanLimits, SpanProcessor } from '../trace/span';
import type { Loss } from './losses';
import { DropCounter, type Flushable, type ProcessorStats, untracedTimer, within } from './processor';

/** A span as exporters of SDK 1.x, 2.x and 3.x read it: plain, and the exporter's own to write into. */
export interface SpanSnapshot {
  name: string;
  kind: SpanKind;
  spanContext(): SpanContext;
  /** SDK 1.x. */
  parentSpanId: string | undefined;
  /** SDK 2.x and later. */
  parentSpanContext: SpanContext | undefined;
  startTime: HrTime;
  endTime: HrTime;
  duration: HrTime;
  status: SpanStatus;
  attributes: Attributes;
  links: { context: SpanContext; attributes: Attributes; droppedAttributesCount: number }[];
  events: { name: string; time: HrTime; attributes: Attributes; droppedAttributesCount: number }[];
  ended: boolean;
  /** The one shared object: exporters group by its identity. */
  resource: Resource;
  /** SDK 1.x. */
  instrumentationLibrary: InstrumentationScope;
  /** SDK 2.x and later. */
  instrumentationScope: InstrumentationScope;
  droppedAttributesCount: number;
  droppedEventsCount: number;
  droppedLinksCount: number;
}

/** The SDKs' exporter contract, as far as it is used. */
export interface SpanExporter {
  /** `code` 0 is success (ExportResultCode). */
  export(spans: SpanSnapshot[], callback: (result: { code: number; error?: unknown }) => void): unknown;
  forceFlush?(): unknown;
  shutdown?(): unknown;
}

/** Gives the exporter, at once or later; `undefined` when there is none after all. */
export type ExporterSource = () => SpanExporter | undefined | Promise<SpanExporter | undefined>;

/** Copies one span for one exporter. The limits are applied here: adopted attributes were not counted or cut before. */
export function snapshotOf(span: Span): SpanSnapshot {
  const { limits } = span.shared;
  const [attributes, dropped] = copyAttributes(span.attributes, limits, limits.attributeCountLimit);
  const context = span.spanContext();
  const parentContext = span.parentSpanContext;
  return {
    name: span.name,
    kind: span.kind,
    spanContext: () => context,
    parentSpanId: span.parentSpanId,
    parentSpanContext: parentContext,
    startTime: [...span.startTime],
    endTime: [...span.endTime],
    duration: [...span.duration],
    status: { ...span.status },
    attributes,
    links: span.links.map((link) => ({
      context: link.context,
      attributes: copyAttributes(link.attributes, limits, limits.attributePerLinkCountLimit)[0],
      droppedAttributesCount: link.droppedAttributesCount,
    })),
    events: span.events.map((event) => ({
      name: event.name,
      time: [...event.time],
      attributes: copyAttributes(event.attributes, limits, limits.attributePerEventCountLimit)[0],
      droppedAttributesCount: event.droppedAttributesCount,
    })),
    ended: true,
    resource: span.resource,
    instrumentationLibrary: span.shared.scope,
    instrumentationScope: span.shared.scope,
    droppedAttributesCount: span.droppedAttributesCount + dropped,
    droppedEventsCount: span.droppedEventsCount,
    droppedLinksCount: span.droppedLinksCount,
  };
}

function copyAttributes(source: Attributes, limits: SpanLimits, maxCount: number): [Attributes, number] {
  const copy: Attributes = {};
  let count = 0;
  let dropped = 0;
  for (const key of Object.keys(source)) {
    // Captured and not only referred to: an exporter that writes into an array must not change another's.
    const value = captureProperty(source, key);
    if (value === undefined || key === '') continue;
    if (count >= maxCount) {
      dropped++;
      continue;
    }
    count++;
    defineAttribute(copy, key, truncate(value, limits.attributeValueLengthLimit));
  }
  return [copy, dropped];
}

/**
 * Batches for an exporter that is somebody else's code. It is loaded when the first span has ended, it gets
 * its own copies, and whatever it does (throw, reject, hang, call back twice) stays between it and us.
 *
 * Spans wait in a ring of `maxQueueSize`; the newest are dropped while it is full. A failed batch is not
 * tried again: exporters do that themselves (specification: Span Exporter, "Export").
 */
export class ExporterProcessor implements SpanProcessor, Flushable {
  readonly #name: string;
  readonly #source: ExporterSource;
  readonly #batch: BatchConfig;
  readonly #drops = new DropCounter();
  readonly #ring: (Span | undefined)[];
  /** `#count` spans from `#head` on, around the end of the ring. */
  #head = 0;
  #count = 0;
  #exporter: Promise<SpanExporter | undefined> | undefined;
  #exported = 0;
  #inFlight = 0;
  #timer: NodeJS.Timeout | undefined;
  #soon = false;
  #all = false;
  #pumping: Promise<boolean> | undefined;
  #missing = false;
  #closed: Promise<boolean> | undefined;

  /** `name` is what operators called it. */
  constructor(name: string, source: ExporterSource, batch: BatchConfig) {
    this.#name = name;
    this.#source = source;
    this.#batch = batch;
    this.#ring = [];
  }

  onEnd(span: Span): void {
    if (this.#closed !== undefined || this.#missing) {
      this.#drops.count(this.#missing ? 'export_failed' : 'shutdown', 1, '');
      return;
    }
    const { maxQueueSize, maxExportBatchSize, scheduleDelayMs } = this.#batch;
    if (this.#count >= maxQueueSize) {
      this.#drops.count('queue_full', 1, `${this.#name} is slower than spans end; see OTEL_BSP_MAX_QUEUE_SIZE`);
      return;
    }
    this.#ring[(this.#head + this.#count) % maxQueueSize] = span;
    this.#count++;
    // The first span also gets the exporter loaded, so that it is ready when the batch is.
    const due = this.#count >= maxExportBatchSize || this.#exporter === undefined;
    if (due && !this.#soon) {
      this.#soon = true;
      untracedTimer(() => {
        this.#soon = false;
        void this.#load();
        if (this.#count >= maxExportBatchSize) void this.#pump(false);
      }, 0);
    }
    this.#timer ??= untracedTimer(() => {
      this.#timer = undefined;
      void this.#pump(true);
    }, scheduleDelayMs);
  }

  async flush(timeoutMs: number): Promise<boolean> {
    const deadlineMs = nowMs() + timeoutMs;
    // A batch may be under way that does not hold all that has ended, so twice; and a failed one is not waited for again.
    for (let round = 0; round < 2 && (this.#count > 0 || this.#pumping !== undefined); round++) {
      const pumped = await within(this.#pump(true), deadlineMs - nowMs(), true);
      if (pumped !== true) return false;
    }
    const exporter = await within(this.#exporter ?? Promise.resolve(undefined), deadlineMs - nowMs(), true);
    if (typeof exporter?.forceFlush !== 'function') return !this.#missing;
    return this.#callOptional(exporter, 'forceFlush', deadlineMs - nowMs());
  }

  /** Somebody else's exporter needs an event loop; the natural end of a process offers one, see `hasPendingAsync`. */
  flushSync(): void {}

  hasPending(): boolean {
    return false;
  }

  hasPendingAsync(): boolean {
    return !this.#missing && this.#closed === undefined && (this.#count > 0 || this.#inFlight > 0);
  }

  hasLosses(): boolean {
    return this.#drops.hasLosses();
  }

  lastLosses(): readonly Loss[] {
    // No event loop will turn again for an exporter that needs one.
    this.#drops.count('exit_timeout', this.#take(this.#count).length + this.#inFlight, '');
    this.#inFlight = 0;
    return this.#drops.takeLosses(`by ${this.#name}`);
  }

  shutdown(timeoutMs: number): Promise<boolean> {
    if (this.#closed === undefined) {
      const deadlineMs = nowMs() + timeoutMs;
      this.#closed = this.flush(timeoutMs).then(async (delivered) => {
        this.#drops.count('export_failed', this.#take(this.#count).length, '');
        if (this.#exporter === undefined) return delivered;
        const exporter = await within(this.#exporter, deadlineMs - nowMs(), true);
        if (typeof exporter?.shutdown !== 'function') return delivered;
        return (await this.#callOptional(exporter, 'shutdown', deadlineMs - nowMs())) && delivered;
      });
    }
    return this.#closed;
  }

  stats(): ProcessorStats {
    return {
      queued: this.#count,
      inFlight: this.#inFlight,
      exported: this.#exported,
      dropped: { ...this.#drops.counts },
    };
  }

  #load(): Promise<SpanExporter | undefined> {
    if (this.#exporter === undefined) {
      this.#exporter = runInContext(ROOT_CONTEXT.suppress(), async () => this.#source()).catch((error: unknown) => {
        // Of a failed require, Node lists who asked for it: that was us.
        log.error(`exporter ${this.#name} cannot be used: ${describe(error).split('\n')[0]}`);
        return undefined;
      });
    }
    return this.#exporter;
  }

  /** Exports batch by batch; a last one that is not full only when `all` is set. False when one of them failed. */
  #pump(all: boolean): Promise<boolean> {
    // Also for a run that is under way: whoever asks for everything must not be left with its last few spans.
    this.#all ||= all;
    this.#pumping ??= runInContext(ROOT_CONTEXT.suppress(), () => this.#run())
      .catch((error: unknown) => {
        log.internal('exporter-internal', `internal error while exporting to ${this.#name}`, error);
        this.#drops.count('export_failed', this.#inFlight, '');
        this.#inFlight = 0;
        return false;
      })
      .finally(() => {
        this.#pumping = undefined;
        this.#all = false;
      });
    return this.#pumping;
  }

  async #run(): Promise<boolean> {
    realign();
    const exporter = await this.#load();
    if (exporter === undefined) {
      this.#missing = true;
      this.#drops.count('export_failed', this.#take(this.#count).length, '');
      return false;
    }
    let delivered = true;
    const { maxExportBatchSize } = this.#batch;
    while (this.#count >= maxExportBatchSize || (this.#all && this.#count > 0)) {
      const spans = this.#take(maxExportBatchSize);
      this.#inFlight = spans.length;
      const resource = (spans[0] as Span).shared.resource;
      // The agent has to wait for it itself: only the SDKs' processors do, exporters do not.
      if (resource.asyncAttributesPending) {
        await within(resource.waitForAsyncAttributes(), this.#batch.exportTimeoutMs, false);
      }
      const ok = await this.#export(exporter, spans);
      this.#inFlight = 0;
      delivered &&= ok;
      if (ok) {
        this.#exported += spans.length;
        this.#drops.recovered();
      } else {
        this.#drops.count('export_failed', spans.length, '');
      }
    }
    return delivered;
  }

  #take(maxCount: number): Span[] {
    const spans: Span[] = [];
    const { maxQueueSize } = this.#batch;
    while (this.#count > 0 && spans.length < maxCount) {
      spans.push(this.#ring[this.#head] as Span);
      this.#ring[this.#head] = undefined;
      this.#head = (this.#head + 1) % maxQueueSize;
      this.#count--;
    }
    return spans;
  }

  /** One call of the exporter: its first answer counts, and silence ends after `exportTimeoutMs`. */
  #export(exporter: SpanExporter, spans: Span[]): Promise<boolean> {
    return new Promise((resolve) => {
      let settled = false;
      const settle = (ok: boolean, problem: string): void => {
        if (settled) return;
        settled = true;
        stopTimer(timer);
        if (!ok) log.once('warn', `exporter-${this.#name}`, `exporter ${this.#name} failed: ${problem}`);
        resolve(ok);
      };
      const timer = untracedTimer(
        () => settle(false, `no answer within ${this.#batch.exportTimeoutMs} ms`),
        this.#batch.exportTimeoutMs,
      );
      try {
        const returned = exporter.export(spans.map(snapshotOf), (result) => {
          settle(result?.code === 0, describe(result?.error ?? 'it gave no reason'));
        });
        // Nothing is promised about what `export` returns, but some are async functions, whose rejection is ours to catch.
        void Promise.resolve(returned).catch((error: unknown) => settle(false, describe(error)));
      } catch (error) {
        settle(false, describe(error));
      }
    });
  }

  async #callOptional(exporter: SpanExporter, method: 'forceFlush' | 'shutdown', timeoutMs: number): Promise<boolean> {
    const call = runInContext(ROOT_CONTEXT.suppress(), async () => {
      await exporter[method]?.();
      return true;
    }).catch((error: unknown) => {
      log.once(
        'warn',
        `exporter-${this.#name}-${method}`,
        `exporter ${this.#name} failed to ${method}: ${describe(error)}`,
      );
      return false;
    });
    return (await within(call, timeoutMs, true)) === true;
  }
}

function describe(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'unknown error';
  }
}
