import type { TraceContext } from '../trace/context';

/** A header of a carrier by its lower-case name; an array where the carrier holds it several times. */
export type HeaderGetter = (name: string) => string | readonly string[] | undefined;

/** Sets one header of a carrier. */
export type HeaderSetter = (name: string, value: string) => void;

/**
 * Carries a context between processes. The API's TextMapPropagator without carrier, setter and getter objects,
 * which would be made for each request; src/propagation/text-map.ts adapts it.
 */
export interface Propagator {
  /** Names of the headers that `inject` may set and `extract` reads, lower case. */
  readonly fields: readonly string[];
  /** Returns `context` itself when the carrier holds nothing of use. Never throws. */
  extract(context: TraceContext, get: HeaderGetter): TraceContext;
  /** Calls `set` once for each header of the context. Never throws, whatever `set` does. */
  inject(context: TraceContext, set: HeaderSetter): void;
}
