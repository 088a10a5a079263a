import type { Attributes } from '@opentelemetry/api';
import { expect } from 'vitest';
import { encodeResource, SpanBatch } from '../../src/export/encode';
import type { InstrumentationScope, Span } from '../../src/trace/span';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { type Decoded, decode, makeResource, SCOPE, startSpan } from './support';

const LARGE = { attributeValueLengthLimit: Number.POSITIVE_INFINITY };
export const OTHER_SCOPE: InstrumentationScope = { name: 'other' };

/** A request as the encoder makes it. */
export function requestOf(...spans: Span[]): Buffer {
  const batch = new SpanBatch();
  for (const span of spans) {
    if (!span.ended) span.end();
    expect(batch.add(span)).toBe('encoded');
  }
  return batch.toRequest(encodeResource(makeResource({ 'service.name': 'json', n: -5 }, 'https://schema.test/2')));
}

/** Spans of two scopes in turns, each with so many bytes of text. */
export function namedRequest(names: readonly string[], bytes = 0): Buffer {
  return requestOf(
    ...names.map((name, i) =>
      startSpan({
        name,
        scope: i % 2 === 0 ? SCOPE : OTHER_SCOPE,
        limits: LARGE,
        attributes: bytes > 0 ? { text: 'x'.repeat(bytes) } : {},
      }),
    ),
  );
}

export function namesOf(request: Uint8Array): string[] {
  const { resourceSpans } = decode('ExportTraceServiceRequest', request);
  return (resourceSpans ?? []).flatMap(({ scopeSpans }: Decoded) =>
    scopeSpans.flatMap(({ spans }: Decoded) => spans.map(({ name }: Decoded) => name)),
  );
}

/** A span that has everything a span can have. */
export function richSpan(attributes: Attributes): Span {
  const parent = new SpanIdentity(1, 2, 3, 4, 5, -6, FLAG_SAMPLED, undefined, true);
  const span = startSpan({ parent, name: 'GET /ü', kind: 2, attributes });
  span.addEvent('happened', { n: 1.5 }, [1_700_000_000, 123_456_789]);
  span.addLink({
    context: { traceId: 'abcdef0123456789abcdef0123456789', spanId: '0123456789abcdef', traceFlags: 1 },
    attributes: { l: true },
  });
  span.setStatus({ code: 2, message: 'boom' });
  span.droppedAttributesCount = 300;
  span.droppedEventsCount = 2;
  span.droppedLinksCount = 3;
  return span;
}
