import type { TraceContext } from '../trace/context';
import { FLAG_SAMPLED } from '../trace/span-identity';
import { decimalToHex, hexToDecimal, oneValue, parseIdentity } from './identity';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';

const TRACE_ID = 'x-datadog-trace-id';
const SPAN_ID = 'x-datadog-parent-id';
const PRIORITY = 'x-datadog-sampling-priority';
const TAGS = 'x-datadog-tags';

/** The tag with the upper half of a 128-bit trace id, in hexadecimal. */
const UPPER_HALF = '_dd.p.tid=';
/** Datadog's tracers give up on longer tags (DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH). */
const MAX_TAGS_LENGTH = 512;

/** `x-datadog-*` of Datadog's tracers: decimal 64-bit ids, the upper half of the trace's among the tags. */
export const datadogPropagator: Propagator = {
  fields: [TRACE_ID, SPAN_ID, PRIORITY, TAGS],

  extract(context: TraceContext, get: HeaderGetter): TraceContext {
    const trace = decimalToHex(oneValue(get(TRACE_ID)) ?? '');
    const span = decimalToHex(oneValue(get(SPAN_ID)) ?? '');
    if (trace === undefined || span === undefined) return context;
    const upper = upperHalf(oneValue(get(TAGS)));
    const keep = ['1', '2'].includes(oneValue(get(PRIORITY)) ?? '');
    const identity = parseIdentity(upper + trace, span, keep ? FLAG_SAMPLED : 0);
    return identity === undefined ? context : context.withIdentity(identity);
  },

  inject({ identity }: TraceContext, set: HeaderSetter): void {
    if (identity === undefined) return;
    const { traceId, spanId, sampled } = identity;
    const upper = traceId.slice(0, 16);
    set(TRACE_ID, hexToDecimal(traceId.slice(16)));
    set(SPAN_ID, hexToDecimal(spanId));
    set(PRIORITY, sampled ? '1' : '0');
    if (upper !== '0000000000000000') set(TAGS, UPPER_HALF + upper);
  },
};

function upperHalf(tags: string | undefined): string {
  if (tags === undefined || tags.length > MAX_TAGS_LENGTH) return '';
  for (const tag of tags.split(',')) {
    const value = tag.trim();
    if (value.startsWith(UPPER_HALF) && value.length === UPPER_HALF.length + 16) return value.slice(UPPER_HALF.length);
  }
  return '';
}
