import type { TraceContext } from '../trace/context';
import { FLAG_SAMPLED } from '../trace/span-identity';
import { oneValue, parseIdentity } from './identity';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';

const HEADER = 'x-amzn-trace-id';

/** AWS cuts the header's growth off at this (X-Ray developer guide, "Tracing header"); longer ones are not ours to read. */
const MAX_LENGTH = 1024;

/**
 * `X-Amzn-Trace-Id: Root=1-<8 time>-<24 unique>;Parent=<16>;Sampled=1` of AWS X-Ray. Order is free, and other fields
 * (Self, Lineage) are left out.
 */
export const xrayPropagator: Propagator = {
  fields: [HEADER],

  extract(context: TraceContext, get: HeaderGetter): TraceContext {
    const header = oneValue(get(HEADER));
    if (header === undefined || header.length > MAX_LENGTH) return context;
    let trace: string | undefined;
    let span: string | undefined;
    let sampled = false;
    for (const part of header.split(';')) {
      const equals = part.indexOf('=');
      const value = part.slice(equals + 1).trim();
      switch (part.slice(0, Math.max(equals, 0)).trim().toLowerCase()) {
        case 'root':
          trace = traceIdOf(value);
          break;
        case 'parent':
          span = value.length === 16 ? value : undefined;
          break;
        case 'sampled':
          sampled = value === '1';
          break;
      }
    }
    if (trace === undefined || span === undefined) return context;
    const identity = parseIdentity(trace, span, sampled ? FLAG_SAMPLED : 0);
    return identity === undefined ? context : context.withIdentity(identity);
  },

  inject({ identity }: TraceContext, set: HeaderSetter): void {
    if (identity === undefined) return;
    const { traceId, spanId, sampled } = identity;
    set(HEADER, `Root=1-${traceId.slice(0, 8)}-${traceId.slice(8)};Parent=${spanId};Sampled=${sampled ? 1 : 0}`);
  },
};

function traceIdOf(root: string): string | undefined {
  const [version, time = '', unique = ''] = root.split('-', 4);
  return version === '1' && time.length === 8 && unique.length === 24 ? time + unique : undefined;
}
