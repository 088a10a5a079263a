import type { TraceContext } from '../trace/context';
import { FLAG_SAMPLED } from '../trace/span-identity';
import { oneValue, parseIdentity } from './identity';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';

const SINGLE = 'b3';
const TRACE_ID = 'x-b3-traceid';
const SPAN_ID = 'x-b3-spanid';
const SAMPLED = 'x-b3-sampled';
const FLAGS = 'x-b3-flags';

/** Where OpenTelemetry's own B3 propagator keeps the debug flag, so that manual code finds it. */
const DEBUG_KEY = Symbol.for('OpenTelemetry Context Key B3 Debug Flag');

/** `b3: <trace>-<span>-<state>-<parent>`: Zipkin's single header (openzipkin/b3-propagation). */
export const b3Propagator: Propagator = {
  fields: [SINGLE],
  extract,

  inject(context: TraceContext, set: HeaderSetter): void {
    const { identity } = context;
    if (identity === undefined) return;
    const state = isDebug(context) ? 'd' : identity.sampled ? '1' : '0';
    set(SINGLE, `${identity.traceId}-${identity.spanId}-${state}`);
  },
};

/** `x-b3-*`: Zipkin's several headers. */
export const b3MultiPropagator: Propagator = {
  fields: [TRACE_ID, SPAN_ID, SAMPLED, FLAGS],
  extract,

  inject(context: TraceContext, set: HeaderSetter): void {
    const { identity } = context;
    if (identity === undefined) return;
    set(TRACE_ID, identity.traceId);
    set(SPAN_ID, identity.spanId);
    // Debug implies sampled, which is then left out.
    if (isDebug(context)) set(FLAGS, '1');
    else set(SAMPLED, identity.sampled ? '1' : '0');
  },
};

/**
 * Either form, whichever of the two is configured, the single header first (specification: API propagators, B3 extract).
 * A decision without ids (`b3: 0`) names no trace, so nothing comes of it.
 */
function extract(context: TraceContext, get: HeaderGetter): TraceContext {
  const single = oneValue(get(SINGLE));
  const fromSingle = single === undefined ? undefined : readSingle(context, single);
  return fromSingle ?? readMulti(context, get) ?? context;
}

function readSingle(context: TraceContext, header: string): TraceContext | undefined {
  const [trace = '', span = '', state = ''] = header.split('-', 4);
  return withIds(context, trace, span, state === '1' || state === 'd', state === 'd');
}

function readMulti(context: TraceContext, get: HeaderGetter): TraceContext | undefined {
  const trace = oneValue(get(TRACE_ID));
  const span = oneValue(get(SPAN_ID));
  if (trace === undefined || span === undefined) return undefined;
  const sampled = oneValue(get(SAMPLED))?.toLowerCase();
  const debug = oneValue(get(FLAGS)) === '1';
  return withIds(context, trace, span, debug || sampled === '1' || sampled === 'true', debug);
}

function withIds(
  context: TraceContext,
  trace: string,
  span: string,
  sampled: boolean,
  debug: boolean,
): TraceContext | undefined {
  // 64-bit trace ids are of older Zipkin clients.
  if ((trace.length !== 32 && trace.length !== 16) || span.length !== 16) return undefined;
  const identity = parseIdentity(trace, span, sampled ? FLAG_SAMPLED : 0);
  if (identity === undefined) return undefined;
  const found = context.withIdentity(identity);
  return debug ? found.setValue(DEBUG_KEY, '1') : found;
}

function isDebug(context: TraceContext): boolean {
  return context.getValue(DEBUG_KEY) === '1';
}
