import { AsyncLocalStorage } from 'node:async_hooks';
import { activeContext, ROOT_CONTEXT, runInContext } from '../../src/trace/context';
import { SpanIdentity } from '../../src/trace/span-identity';
import type { Micro } from './micro';

export default {
  question: 'What does it cost to run a function in another context that it then reads?',
  calls: 400_000,
  cases: {
    floor: {
      make() {
        const storage = new AsyncLocalStorage<{ flags: number }>();
        const store = { flags: 1 };
        const read = (): number => storage.getStore()?.flags ?? 0;
        return () => storage.run(store, read);
      },
    },
    hookline: {
      make() {
        const context = ROOT_CONTEXT.withIdentity(SpanIdentity.root(true, undefined));
        const read = (): number => activeContext().identity?.flags ?? 0;
        return () => runInContext(context, read);
      },
    },
    otel: {
      needs: 'otel',
      make(peer) {
        const { ROOT_CONTEXT: root, trace, context } = peer('@opentelemetry/api');
        const { AsyncLocalStorageContextManager } = peer('@opentelemetry/context-async-hooks');
        context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
        const spanContext = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };
        const active = trace.setSpanContext(root, spanContext);
        const read = (): number => trace.getSpanContext(context.active()).traceFlags;
        return () => context.with(active, read);
      },
    },
  },
} satisfies Micro;
