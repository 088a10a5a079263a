import type { Config } from '../config';
import type { Span, SpanProcessor } from '../trace/span';
import type { Loss } from './losses';
import type { Flushable, MemorySpans, ProcessorStats } from './processor';

const NOTHING: ProcessorStats = Object.freeze({ queued: 0, inFlight: 0, exported: 0, dropped: Object.freeze({}) });

/**
 * Stands in for the export path until the first span has ended: encoder, queue and sender are a third of the agent's
 * code, and many processes that start under a preload never end a span.
 */
export class DeferredProcessor implements SpanProcessor, Flushable {
  #processor: (SpanProcessor & Flushable) | undefined = undefined;

  constructor(private readonly config: Config) {}

  onEnd(span: Span): void {
    if (this.#processor === undefined) {
      this.#processor = (require('./lazy/export.js') as typeof import('./load')).createProcessor(this.config);
      // For spans that the application makes itself: by the time that the first batch is due, the answers are there.
      const { resource } = span.shared;
      if (resource.asyncAttributesPending) void resource.waitForAsyncAttributes();
    }
    this.#processor.onEnd(span);
  }

  flush(timeoutMs: number): Promise<boolean> {
    return this.#processor?.flush(timeoutMs) ?? Promise.resolve(true);
  }

  flushSync(budgetMs: number): void {
    this.#processor?.flushSync(budgetMs);
  }

  hasPending(): boolean {
    return this.#processor?.hasPending() ?? false;
  }

  hasPendingAsync(): boolean {
    return this.#processor?.hasPendingAsync() ?? false;
  }

  shutdown(timeoutMs: number): Promise<boolean> {
    return this.#processor?.shutdown(timeoutMs) ?? Promise.resolve(true);
  }

  hasLosses(): boolean {
    return this.#processor?.hasLosses?.() ?? false;
  }

  lastLosses(): readonly Loss[] {
    return this.#processor?.lastLosses?.() ?? [];
  }

  get memory(): MemorySpans | undefined {
    return this.#processor?.memory;
  }

  stats(): ProcessorStats {
    return this.#processor?.stats() ?? NOTHING;
  }
}
