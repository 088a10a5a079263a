import type { Context, TextMapGetter, TextMapPropagator, TextMapSetter } from '@opentelemetry/api';
import { toTraceContext } from '../trace/context';
import type { Propagator } from './propagator';

/**
 * The API's form of a propagator, for `propagation.inject` and `propagation.extract` of any copy of the API: contexts
 * that another copy made are understood, and ours answer to every copy's keys.
 */
export function toTextMapPropagator(propagator: Propagator): TextMapPropagator {
  return {
    inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
      try {
        propagator.inject(toTraceContext(context), (name, value) => setter.set(carrier, name, value));
      } catch {
        // A context of another make that throws when read.
      }
    },

    extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
      try {
        const before = toTraceContext(context);
        const after = propagator.extract(before, (name) => getter.get(carrier, name));
        return after === before ? context : after;
      } catch {
        return context;
      }
    },

    fields(): string[] {
      try {
        return [...propagator.fields];
      } catch {
        return [];
      }
    },
  };
}
