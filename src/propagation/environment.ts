import { isLogged, log } from '../log';
import { ROOT_CONTEXT, type TraceContext } from '../trace/context';
import type { Propagator } from './propagator';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The variable that carries a propagation field: upper-case letters, digits and `_`, no digit in front
 * (specification: context/env-carriers.md, key name normalization).
 */
export function environmentName(field: string): string {
  const name = field.toUpperCase().replace(/[^A-Z0-9_]/g, '_');
  return name === '' || (name >= '0' && name < ':') ? `_${name}` : name;
}

/**
 * The context that the process was started in: `TRACEPARENT`, `TRACESTATE`, `BAGGAGE`, and what the configured
 * propagators have instead. An empty variable counts as unset, and what is invalid as if it were not there.
 */
export function fromEnvironment(propagator: Propagator, env: Env): TraceContext {
  const context = propagator.extract(ROOT_CONTEXT, (field) => env[environmentName(field)] || undefined);
  if (isLogged('debug')) tell(context, propagator, env);
  return context;
}

/** Values never: baggage may hold anything. */
function tell({ identity }: TraceContext, propagator: Propagator, env: Env): void {
  const names = propagator.fields.map(environmentName).filter((name) => name !== 'BAGGAGE' && env[name]);
  if (identity !== undefined) log.debug(`the environment names the trace ${identity.traceId}; continuing it`);
  else if (names.length > 0) log.debug(`no valid trace in ${names.join(', ')} of the environment; ignoring it`);
}

/** The variables of all fields of the propagator, with the values that they have now. */
export function propagationVariables(propagator: Propagator, env: Env): Env {
  return Object.fromEntries(propagator.fields.map(environmentName).map((name) => [name, env[name]]));
}
