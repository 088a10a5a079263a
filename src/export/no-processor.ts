import type { Span, SpanProcessor } from '../trace/span';
import type { Flushable, ProcessorStats } from './processor';

/** OTEL_TRACES_EXPORTER=none; also what a processor is that has nothing to send. */
export class NoProcessor implements SpanProcessor, Flushable {
  onEnd(_span: Span): void {}

  async flush(): Promise<boolean> {
    return true;
  }

  flushSync(): void {}

  hasPending(): boolean {
    return false;
  }

  hasPendingAsync(): boolean {
    return false;
  }

  async shutdown(): Promise<boolean> {
    return true;
  }

  stats(): ProcessorStats {
    return { queued: 0, inFlight: 0, exported: 0, dropped: {} };
  }
}
