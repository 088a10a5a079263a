import type { TraceContext } from '../trace/context';
import { FLAG_SAMPLED } from '../trace/span-identity';
import { oneValue, parseIdentity } from './identity';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';

const HEADER = 'uber-trace-id';

const SAMPLED = 1;
const DEBUG = 2;

/**
 * `uber-trace-id: <trace>:<span>:<parent>:<flags>` of Jaeger's clients (jaegertracing.io, "Client libraries", Propagation
 * Format). Its baggage, one header of its own per entry, is not carried: use `baggage`.
 */
export const jaegerPropagator: Propagator = {
  fields: [HEADER],

  extract(context: TraceContext, get: HeaderGetter): TraceContext {
    const header = oneValue(get(HEADER));
    if (header === undefined) return context;
    const parts = (header.includes('%') ? header.replaceAll(/%3a/gi, ':') : header).split(':', 5);
    const [trace, span, , flagsText] = parts as [string, string, string, string];
    if (parts.length !== 4 || trace === '' || span === '' || flagsText === '' || flagsText.length > 2) return context;
    const flags = Number.parseInt(flagsText, 16);
    const identity = parseIdentity(trace, span, (flags & (SAMPLED | DEBUG)) !== 0 ? FLAG_SAMPLED : 0);
    return identity === undefined ? context : context.withIdentity(identity);
  },

  inject({ identity }: TraceContext, set: HeaderSetter): void {
    // The parent's id is deprecated and zero ever since.
    if (identity !== undefined)
      set(HEADER, `${identity.traceId}:${identity.spanId}:0:${identity.sampled ? '01' : '00'}`);
  },
};
