import type { Span as ApiSpan, SpanContext } from '@opentelemetry/api';
import { NO_IDENTITY, type SpanIdentity, spanContextOf } from './span-identity';

/** Carries an identity through contexts and records nothing: remote parents, unsampled spans, ended spans. */
export class NonRecordingSpan implements ApiSpan {
  constructor(readonly identity: SpanIdentity) {}

  spanContext(): SpanContext {
    return spanContextOf(this.identity);
  }
  isRecording(): boolean {
    return false;
  }
  setAttribute(): this {
    return this;
  }
  setAttributes(): this {
    return this;
  }
  addEvent(): this {
    return this;
  }
  addLink(): this {
    return this;
  }
  addLinks(): this {
    return this;
  }
  setStatus(): this {
    return this;
  }
  updateName(): this {
    return this;
  }
  recordException(): void {}
  end(): void {}
}

/** Where one could not be made. */
export const NO_SPAN = new NonRecordingSpan(NO_IDENTITY);
