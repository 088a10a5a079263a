import type { BatchConfig } from '../config';
import type { Span } from '../trace/span';
import { type SpanSnapshot, snapshotOf } from './exporter-processor';
import { NoProcessor } from './no-processor';
import { DropCounter, type MemorySpans, type ProcessorStats } from './processor';

/**
 * OTEL_TRACES_EXPORTER=memory: keeps the spans that ended in this process, for tests of applications; `finishedSpans()` of
 * the public entry reads them. Bounded by `maxQueueSize`, the oldest going first.
 */
export class MemoryProcessor extends NoProcessor implements MemorySpans {
  readonly memory: MemorySpans = this;
  readonly #maxSpans: number;
  readonly #drops = new DropCounter();
  readonly #spans: Span[] = [];
  #exported = 0;
  #closed = false;

  constructor({ maxQueueSize }: Pick<BatchConfig, 'maxQueueSize'>) {
    super();
    this.#maxSpans = maxQueueSize;
  }

  override onEnd(span: Span): void {
    if (this.#closed) {
      this.#drops.count('shutdown', 1, '');
      return;
    }
    this.#spans.push(span);
    this.#exported++;
    if (this.#spans.length <= this.#maxSpans) return;
    this.#spans.shift();
    this.#drops.count('queue_full', 1, 'more spans than OTEL_BSP_MAX_QUEUE_SIZE are kept in memory');
  }

  finishedSpans(): SpanSnapshot[] {
    return this.#spans.map(snapshotOf);
  }

  clear(): void {
    this.#spans.length = 0;
  }

  override async shutdown(): Promise<boolean> {
    this.#closed = true;
    return true;
  }

  override stats(): ProcessorStats {
    return { queued: 0, inFlight: 0, exported: this.#exported, dropped: { ...this.#drops.counts } };
  }
}
