import { log } from '../log';
import { nowMs } from '../trace/clock';
import type { Span, SpanProcessor } from '../trace/span';
import type { Loss } from './losses';
import type { DropReason, Flushable, MemorySpans, ProcessorStats } from './processor';

const NOTHING: ProcessorStats = { queued: 0, inFlight: 0, exported: 0, dropped: {} };

/** Several exporters at once; none of them notices what happens to the others. */
export class FanOut implements SpanProcessor, Flushable {
  readonly #parts: readonly (SpanProcessor & Flushable)[];
  readonly #names: readonly string[];

  /** `names`: what operators call each of them. */
  constructor(parts: readonly (SpanProcessor & Flushable)[], names: readonly string[] = []) {
    this.#parts = parts;
    this.#names = names;
  }

  onEnd(span: Span): void {
    for (const part of this.#parts) attempt(() => part.onEnd(span), undefined);
  }

  flush(timeoutMs: number): Promise<boolean> {
    return this.#all((part) => part.flush(timeoutMs));
  }

  flushSync(budgetMs: number): void {
    const deadlineMs = nowMs() + budgetMs;
    for (const part of this.#parts) attempt(() => part.flushSync(Math.max(deadlineMs - nowMs(), 0)), undefined);
  }

  hasPending(): boolean {
    return this.#parts.some((part) => attempt(() => part.hasPending(), false));
  }

  hasPendingAsync(): boolean {
    return this.#parts.some((part) => attempt(() => part.hasPendingAsync(), false));
  }

  shutdown(timeoutMs: number): Promise<boolean> {
    return this.#all((part) => part.shutdown(timeoutMs));
  }

  get memory(): MemorySpans | undefined {
    return this.#parts.find((part) => part.memory !== undefined)?.memory;
  }

  hasLosses(): boolean {
    return this.#parts.some((part) => attempt(() => part.hasLosses?.() ?? false, false));
  }

  lastLosses(): readonly Loss[] {
    return this.#parts.flatMap((part) => attempt(() => part.lastLosses?.() ?? [], []));
  }

  /** Sums, in which a span that two exporters accepted counts twice, and each exporter's own. */
  stats(): ProcessorStats {
    const dropped: Partial<Record<DropReason, number>> = {};
    let queued = 0;
    let inFlight = 0;
    let exported = 0;
    const exporters: Record<string, ProcessorStats> = {};
    for (const [index, part] of this.#parts.entries()) {
      const stats = attempt(() => part.stats(), NOTHING);
      const name = this.#names[index];
      if (name !== undefined) exporters[name] = stats;
      queued += stats.queued;
      inFlight += stats.inFlight;
      exported += stats.exported;
      for (const [reason, spans] of Object.entries(stats.dropped) as [DropReason, number][]) {
        dropped[reason] = (dropped[reason] ?? 0) + spans;
      }
    }
    return { queued, inFlight, exported, dropped, ...(this.#names.length > 0 && { exporters }) };
  }

  async #all(call: (part: Flushable) => Promise<boolean>): Promise<boolean> {
    const outcomes = await Promise.all(
      this.#parts.map((part) => attempt(() => call(part), Promise.resolve(false)).catch(() => false)),
    );
    return outcomes.every(Boolean);
  }
}

function attempt<T>(call: () => T, otherwise: T): T {
  try {
    return call();
  } catch (error) {
    log.internal('fan-out', 'internal error in an exporter', error);
    return otherwise;
  }
}
