import type { TraceContext } from '../trace/context';
import { baggagePropagator } from './baggage';
import type { Propagator } from './propagator';
import { traceContextPropagator } from './trace-context';

/** The default ones; all others are read when they are configured. */
const BY_NAME: Readonly<Record<string, Propagator>> = {
  tracecontext: traceContextPropagator,
  baggage: baggagePropagator,
};

/** Carries nothing: OTEL_PROPAGATORS=none. */
const NONE: Propagator = {
  fields: [],
  extract: (context) => context,
  inject: () => {},
};

/**
 * The propagator that OTEL_PROPAGATORS names. In that order: all inject, and the first that finds a trace in what is
 * extracted has found it. `load` gives those that are not on by default.
 */
export function createPropagator(
  names: readonly string[],
  load: (name: string) => Propagator = () => NONE,
): Propagator {
  const parts = names.map((name) => (Object.hasOwn(BY_NAME, name) ? (BY_NAME[name] as Propagator) : load(name)));
  const [only] = parts;
  if (only === undefined) return NONE;
  if (parts.length === 1) return only;
  return {
    fields: [...new Set(parts.flatMap((part) => part.fields))],
    extract(context, get) {
      let result: TraceContext = context;
      for (const part of parts) {
        // A later format may still hold what the first does not: baggage.
        const next = part.extract(result, get);
        const found = result.identity !== context.identity;
        result = found && next.identity !== result.identity ? withTraceOf(next, result) : next;
      }
      return result;
    },
    inject(context, set) {
      for (const part of parts) part.inject(context, set);
    },
  };
}

function withTraceOf(context: TraceContext, { identity }: TraceContext): TraceContext {
  return identity === undefined ? context : context.withIdentity(identity);
}
