import { SpanIdentity } from '../../src/trace/span-identity';
import type { Micro } from './micro';
import { sdk } from './otel';

export default {
  question: 'What do the ids of a new trace and its first span cost?',
  calls: 400_000,
  cases: {
    floor: {
      make: () => () =>
        ((Math.random() * 2 ** 32) | 0) +
        ((Math.random() * 2 ** 32) | 0) +
        ((Math.random() * 2 ** 32) | 0) +
        ((Math.random() * 2 ** 32) | 0) +
        ((Math.random() * 2 ** 32) | 0) +
        ((Math.random() * 2 ** 32) | 0) +
        2 ** 36,
    },
    hookline: {
      make: () => () => {
        const identity = SpanIdentity.root(true, undefined);
        return identity.flags + (identity.span1 & 0xff);
      },
    },
    otel: {
      needs: 'otel',
      make(peer) {
        const ids = new (sdk(peer).RandomIdGenerator)();
        return () => ids.generateTraceId().length + ids.generateSpanId().length;
      },
    },
  },
} satisfies Micro;
