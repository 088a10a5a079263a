import { BatchSpanProcessor, type Sender } from '../../src/export/processor';
import { ROOT_CONTEXT } from '../../src/trace/context';
import type { Span } from '../../src/trace/span';
import { createTracer } from './hookline';
import type { Micro } from './micro';
import { createProvider, sdk } from './otel';
import { attributesOf, CLIENT } from './span';

const SPANS = 512;

let bytes = 0;

const sender: Sender = {
  async send(request) {
    bytes += request.length;
    return { kind: 'sent', rejectedSpans: 0 };
  },
  handedOver: true,
  abort() {},
  sendSync: () => [],
  close() {},
};

export default {
  question: 'What does the queue cost per span, from its end until it is handed to the sender in encoded batches?',
  calls: 51_200,
  cases: {
    /** Kept in an array. */
    floor: {
      make() {
        let queue: object[] = [];
        const span = {};
        return {
          call: () => queue.push(span),
          after() {
            queue = [];
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
        const processor = new BatchSpanProcessor(
          { scheduleDelayMs: 5000, exportTimeoutMs: 30_000, maxQueueSize: 65_536, maxExportBatchSize: SPANS },
          sender,
        );
        return {
          call(i: number) {
            processor.onEnd(spans[i % SPANS] as Span);
            return 1;
          },
          async after() {
            await processor.flush(1000);
            if (bytes === 0) throw new Error('nothing was sent');
          },
        };
      },
    },
    otel: {
      needs: 'otel',
      make(peer) {
        const { ROOT_CONTEXT: root } = peer('@opentelemetry/api');
        const { ProtobufTraceSerializer } = peer('@opentelemetry/otlp-transformer');
        const exporter = {
          export(batch: readonly unknown[], done: (result: { code: number }) => void) {
            bytes += ProtobufTraceSerializer.serializeRequest(batch).length;
            done({ code: 0 });
          },
          forceFlush: async () => {},
          shutdown: async () => {},
        };
        const spans: unknown[] = [];
        const keep = {
          onStart() {},
          onEnd: (span: unknown) => void spans.push(span),
          forceFlush: async () => {},
          shutdown: async () => {},
        };
        const tracer = createProvider(peer, keep).getTracer('bench', '1.0.0');
        for (let i = 0; i < SPANS; i++)
          tracer.startSpan('GET', { kind: CLIENT, attributes: attributesOf(i) }, root).end();
        const processor = createProcessor(peer, exporter);
        return {
          call(i: number) {
            processor.onEnd(spans[i % SPANS]);
            return 1;
          },
          async after() {
            await processor.forceFlush();
            if (bytes === 0) throw new Error('nothing was sent');
          },
        };
      },
    },
  },
} satisfies Micro;

/** Since version 3 of the SDK the exporter is one of the options. */
function createProcessor(peer: Parameters<typeof sdk>[0], exporter: object) {
  const { BatchSpanProcessor: Processor } = sdk(peer);
  const limits = { maxQueueSize: 65_536, maxExportBatchSize: SPANS };
  return sdk(peer).TracerProvider === undefined
    ? new Processor(exporter, limits)
    : new Processor({ exporter, ...limits });
}
