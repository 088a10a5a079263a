import type { TraceContext } from '../trace/context';
import { FLAG_SAMPLED } from '../trace/span-identity';
import { oneValue, parseIdentity } from './identity';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';

const TRACE_ID = 'ot-tracer-traceid';
const SPAN_ID = 'ot-tracer-spanid';
const SAMPLED = 'ot-tracer-sampled';

/** `ot-tracer-*` of OpenTracing's basic tracers (specification: API propagators, OT Trace). Baggage: use `baggage`. */
export const ottracePropagator: Propagator = {
  fields: [TRACE_ID, SPAN_ID, SAMPLED],

  extract(context: TraceContext, get: HeaderGetter): TraceContext {
    const trace = oneValue(get(TRACE_ID));
    const span = oneValue(get(SPAN_ID));
    if (trace === undefined || span === undefined || trace === '' || span === '') return context;
    const sampled = oneValue(get(SAMPLED))?.toLowerCase();
    const identity = parseIdentity(trace, span, sampled === 'true' || sampled === '1' ? FLAG_SAMPLED : 0);
    return identity === undefined ? context : context.withIdentity(identity);
  },

  inject({ identity }: TraceContext, set: HeaderSetter): void {
    if (identity === undefined) return;
    // Its trace ids have 64 bits.
    set(TRACE_ID, identity.traceId.slice(16));
    set(SPAN_ID, identity.spanId);
    set(SAMPLED, String(identity.sampled));
  },
};
