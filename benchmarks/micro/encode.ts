import { encodeResource, SpanBatch } from '../../src/export/encode';
import { ROOT_CONTEXT } from '../../src/trace/context';
import type { Span } from '../../src/trace/span';
import { createTracer, RESOURCE } from './hookline';
import type { Micro } from './micro';
import { collector, createProvider } from './otel';
import { attributesOf, CLIENT } from './span';

/** Of one request. */
const SPANS = 512;

export default {
  question: 'What does it cost to encode one of 512 finished spans with 8 attributes each into a request?',
  calls: 51_200,
  cases: {
    floor: {
      /** Copies bytes that are there already. */
      make() {
        const encoded = Buffer.alloc(420, 1);
        let request = Buffer.allocUnsafeSlow(SPANS * encoded.length);
        return {
          call: (i: number) => {
            request.set(encoded, (i % SPANS) * encoded.length);
            return request.length;
          },
          after() {
            request = Buffer.allocUnsafeSlow(SPANS * encoded.length);
          },
        };
      },
    },
    hookline: {
      make() {
        const spans: Span[] = [];
        const tracer = createTracer({ onEnd: (span: Span) => void spans.push(span) });
        for (let i = 0; i < SPANS; i++) {
          const identity = tracer.decide(ROOT_CONTEXT, 'GET', CLIENT, undefined, undefined);
          tracer.record(identity, undefined, 'GET', CLIENT, attributesOf(i)).end();
        }
        const resource = encodeResource(RESOURCE);
        let batch = new SpanBatch();
        let bytes = 0;
        return {
          call(i: number) {
            batch.add(spans[i % SPANS] as Span);
            return batch.spanCount;
          },
          after() {
            bytes += batch.toRequest(resource).length;
            if (!(bytes > 0)) throw new Error('nothing was encoded');
            batch = new SpanBatch();
          },
        };
      },
    },
    otel: {
      needs: 'otel',
      make(peer) {
        const { ROOT_CONTEXT: root } = peer('@opentelemetry/api');
        const { ProtobufTraceSerializer } = peer('@opentelemetry/otlp-transformer');
        let spans: readonly unknown[] = [];
        const tracer = createProvider(
          peer,
          collector((batch) => {
            spans = batch;
          }),
        ).getTracer('bench', '1.0.0');
        for (let i = 0; i < SPANS; i++)
          tracer.startSpan('GET', { kind: CLIENT, attributes: attributesOf(i) }, root).end();
        let bytes = 0;
        return {
          call: (i: number) => i + 1,
          after() {
            bytes += ProtobufTraceSerializer.serializeRequest(spans).length;
            if (!(bytes > 0)) throw new Error('nothing was encoded');
          },
        };
      },
    },
  },
} satisfies Micro;
