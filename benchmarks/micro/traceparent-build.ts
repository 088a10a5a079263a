import { traceContextPropagator } from '../../src/propagation/trace-context';
import { ROOT_CONTEXT } from '../../src/trace/context';
import { SpanIdentity } from '../../src/trace/span-identity';
import type { Micro } from './micro';
import { sdk } from './otel';

/** What is done with a header: its characters are read one after the other, so that it is a flat text. */
const bytes = Buffer.alloc(64);

export default {
  question: 'What does it cost to write the traceparent of a new span into the headers of a request?',
  calls: 200_000,
  cases: {
    floor: {
      make() {
        const text = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
        return () => bytes.write(text, 0, 'latin1');
      },
    },
    hookline: {
      make() {
        const parent = SpanIdentity.root(true, undefined);
        return () => {
          const headers: Record<string, string> = {};
          const context = ROOT_CONTEXT.withIdentity(SpanIdentity.child(parent, true, undefined));
          traceContextPropagator.inject(context, (name, value) => {
            headers[name] = value;
          });
          return bytes.write(headers['traceparent'] as string, 0, 'latin1');
        };
      },
    },
    otel: {
      needs: 'otel',
      make(peer) {
        const { ROOT_CONTEXT: root, defaultTextMapSetter, trace } = peer('@opentelemetry/api');
        const propagator = new (peer('@opentelemetry/core').W3CTraceContextPropagator)();
        const RandomIdGenerator = sdk(peer).RandomIdGenerator;
        const ids = new RandomIdGenerator();
        const traceId = ids.generateTraceId();
        return () => {
          const headers: Record<string, string> = {};
          const spanContext = { traceId, spanId: ids.generateSpanId(), traceFlags: 1 };
          propagator.inject(trace.setSpanContext(root, spanContext), headers, defaultTextMapSetter);
          return bytes.write(headers['traceparent'] as string, 0, 'latin1');
        };
      },
    },
  },
} satisfies Micro;
