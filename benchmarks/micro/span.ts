import { encodeResource, SpanBatch } from '../../src/export/encode';
import { ROOT_CONTEXT } from '../../src/trace/context';
import type { Span } from '../../src/trace/span';
import type { Tracer } from '../../src/trace/tracer';
import { createTracer, RESOURCE } from './hookline';
import type { Micro } from './micro';
import { collector, createProvider } from './otel';

export const CLIENT = 2;
const SPANS_PER_REQUEST = 512;

/** Differs from span to span where real ones do. */
export function attributesOf(i: number) {
  return {
    'http.request.method': 'GET',
    'url.full': `http://catalog.example:8080/products/${i % 1000}`,
    'server.address': 'catalog.example',
    'server.port': 8080,
    'http.response.status_code': 200,
    'network.protocol.version': '1.1',
    'network.peer.address': '10.1.2.3',
    'network.peer.port': 8080,
  };
}

let bytes = 0;

function tracer(): Tracer {
  const resource = encodeResource(RESOURCE);
  let batch = new SpanBatch();
  return createTracer({
    onEnd(span: Span) {
      batch.add(span);
      if (batch.spanCount < SPANS_PER_REQUEST) return;
      bytes += batch.toRequest(resource).length;
      batch = new SpanBatch();
    },
  });
}

export default {
  question: 'What does a span cost: created, described by 8 attributes, ended and encoded?',
  cases: {
    floor: {
      make: () => (i) => {
        const startMs = performance.now();
        const attributes = attributesOf(i);
        return attributes['url.full'].length + performance.now() - startMs;
      },
    },
    hookline: {
      make() {
        const ours = tracer();
        return (i) => {
          const identity = ours.decide(ROOT_CONTEXT, 'GET', CLIENT, undefined, undefined);
          ours.record(identity, undefined, 'GET', CLIENT, attributesOf(i)).end();
          return bytes;
        };
      },
    },
    'hookline-api': {
      make() {
        const ours = tracer();
        return (i) => {
          const span = ours.startSpan('GET', { kind: CLIENT }, ROOT_CONTEXT);
          span.setAttributes(attributesOf(i));
          span.end();
          return bytes;
        };
      },
    },
    otel: {
      needs: 'otel',
      make(peer) {
        const { ROOT_CONTEXT: root } = peer('@opentelemetry/api');
        const { ProtobufTraceSerializer } = peer('@opentelemetry/otlp-transformer');
        const processor = collector((spans) => {
          bytes += ProtobufTraceSerializer.serializeRequest(spans).length;
        });
        const theirs = createProvider(peer, processor).getTracer('bench', '1.0.0');
        return (i) => {
          theirs.startSpan('GET', { kind: CLIENT, attributes: attributesOf(i) }, root).end();
          return bytes;
        };
      },
    },
  },
} satisfies Micro;
