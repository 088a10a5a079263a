import { traceContextPropagator } from '../../src/propagation/trace-context';
import { ROOT_CONTEXT } from '../../src/trace/context';
import type { Micro } from './micro';

/** Different texts, as requests have them: one and the same would be compared by address. */
export const HEADERS = Array.from({ length: 256 }, (_, i) => {
  const id = (0x10000000 + i).toString(16);
  return { traceparent: `00-${id}1916cd43dd8448eb${id}-b7ad6b71${id}-01` };
});

export default {
  question: 'What does it cost to read and check the traceparent of a request?',
  calls: 200_000,
  cases: {
    floor: {
      make: () => (i) => {
        const { traceparent } = HEADERS[i & 0xff] as { traceparent: string };
        let sum = 0;
        for (let at = 0; at < traceparent.length; at++) sum += traceparent.charCodeAt(at);
        return sum;
      },
    },
    hookline: {
      make: () => (i) => {
        const headers = HEADERS[i & 0xff] as Record<string, string>;
        return traceContextPropagator.extract(ROOT_CONTEXT, (name) => headers[name]).identity?.flags ?? 0;
      },
    },
    otel: {
      needs: 'otel',
      make(peer) {
        const { ROOT_CONTEXT: root, defaultTextMapGetter, trace } = peer('@opentelemetry/api');
        const propagator = new (peer('@opentelemetry/core').W3CTraceContextPropagator)();
        return (i) =>
          trace.getSpanContext(propagator.extract(root, HEADERS[i & 0xff], defaultTextMapGetter)).traceFlags;
      },
    },
  },
} satisfies Micro;
