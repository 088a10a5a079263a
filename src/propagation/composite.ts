import type { PropagatorName } from '../config';
import type { TraceContext } from '../trace/context';
import { baggagePropagator } from './baggage';
import type { Propagator } from './propagator';
import { traceContextPropagator } from './trace-context';

const BY_NAME: Readonly<Record<PropagatorName, Propagator>> = {
  tracecontext: traceContextPropagator,
  baggage: baggagePropagator,
};

/** Carries nothing: OTEL_PROPAGATORS=none. */
const NONE: Propagator = {
  fields: [],
  extract: (context) => context,
  inject: () => {},
};

/** The propagator that OTEL_PROPAGATORS names, its parts called in that order. */
export function createPropagator(names: readonly PropagatorName[]): Propagator {
  const parts = names.map((name) => BY_NAME[name]);
  const [only] = parts;
  if (only === undefined) return NONE;
  if (parts.length === 1) return only;
  return {
    fields: parts.flatMap((part) => part.fields),
    extract(context, get) {
      let result: TraceContext = context;
      for (const part of parts) result = part.extract(result, get);
      return result;
    },
    inject(context, set) {
      for (const part of parts) part.inject(context, set);
    },
  };
}
