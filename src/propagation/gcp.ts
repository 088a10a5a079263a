import type { TraceContext } from '../trace/context';
import { FLAG_SAMPLED } from '../trace/span-identity';
import { decimalToHex, hexToDecimal, oneValue, parseIdentity } from './identity';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';

const HEADER = 'x-cloud-trace-context';

/** `X-Cloud-Trace-Context: <trace>/<span, decimal>;o=<options>` of Google Cloud's load balancers and older libraries. */
export const gcpPropagator: Propagator = {
  fields: [HEADER],

  extract(context: TraceContext, get: HeaderGetter): TraceContext {
    const header = oneValue(get(HEADER));
    if (header === undefined || header.charAt(32) !== '/') return context;
    const semicolon = header.indexOf(';');
    const span = decimalToHex(semicolon < 0 ? header.slice(33) : header.slice(33, semicolon));
    if (span === undefined) return context;
    const options = semicolon < 0 ? '' : header.slice(semicolon + 1);
    // `o` is a mask whose lowest bit says that the trace is sampled.
    const mask = options.startsWith('o=') ? Number.parseInt(options.slice(2, 5), 10) : 0;
    const identity = parseIdentity(header.slice(0, 32), span, (mask & 1) === 1 ? FLAG_SAMPLED : 0);
    return identity === undefined ? context : context.withIdentity(identity);
  },

  inject({ identity }: TraceContext, set: HeaderSetter): void {
    if (identity === undefined) return;
    set(HEADER, `${identity.traceId}/${hexToDecimal(identity.spanId)};o=${identity.sampled ? 1 : 0}`);
  },
};
