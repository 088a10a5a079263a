import { encodeResource, SpanBatch } from '../../src/export/encode';
import { ROOT_CONTEXT } from '../../src/trace/context';
import { createSampler } from '../../src/trace/sampler';
import { type Tracer, TracerProvider } from '../../src/trace/tracer';
import type { Call, Micro, Peer } from './micro';

const CLIENT = 2;
const SPANS_PER_REQUEST = 512;
const RESOURCE = { 'service.name': 'bench' };

/** Differs from span to span where real ones do. */
function attributesOf(i: number) {
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
  const resource = { attributes: RESOURCE };
  const resourceBytes = encodeResource(resource as never);
  let batch = new SpanBatch();
  const processor = {
    onEnd(span: Parameters<SpanBatch['add']>[0]) {
      batch.add(span);
      if (batch.spanCount < SPANS_PER_REQUEST) return;
      bytes += batch.toRequest(resourceBytes).length;
      batch = new SpanBatch();
    },
  };
  const limits = {
    attributeCountLimit: 128,
    attributeValueLengthLimit: 16_384,
    eventCountLimit: 128,
    linkCountLimit: 128,
    attributePerEventCountLimit: 128,
    attributePerLinkCountLimit: 128,
  };
  const sampler = createSampler({ name: 'parentbased_always_on', ratio: 1 } as never);
  return new TracerProvider({ resource, sampler, limits, processor } as never).getTracer('bench', '1.0.0');
}

/** The SDK with a processor that does nothing but collect: less than its own batch processor does. */
function otel(peer: Peer): Call {
  const api = peer('@opentelemetry/api');
  const { BasicTracerProvider } = peer('@opentelemetry/sdk-trace-base');
  const { resourceFromAttributes } = peer('@opentelemetry/resources');
  const { ProtobufTraceSerializer } = peer('@opentelemetry/otlp-transformer');
  let spans: unknown[] = [];
  const processor = {
    onStart() {},
    onEnd(span: unknown) {
      spans.push(span);
      if (spans.length < SPANS_PER_REQUEST) return;
      bytes += ProtobufTraceSerializer.serializeRequest(spans).length;
      spans = [];
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  const provider = new BasicTracerProvider({ resource: resourceFromAttributes(RESOURCE), spanProcessors: [processor] });
  const otelTracer = provider.getTracer('bench', '1.0.0');
  return (i) => {
    otelTracer.startSpan('GET', { kind: CLIENT, attributes: attributesOf(i) }, api.ROOT_CONTEXT).end();
    return bytes;
  };
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
    'hookline, by the API': {
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
    otel: { needs: 'otel', make: otel },
  },
} satisfies Micro;
