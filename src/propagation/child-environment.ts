import { environmentName } from './environment';

/** What is to change in the environment of a child process; `undefined` takes a variable out. */
export type ChildVariables = ReadonlyMap<string, string | undefined>;

/** The one field that is not about the trace. */
const BAGGAGE = 'BAGGAGE';

/**
 * Hands a context to a child process (specification: context/env-carriers.md, process spawning).
 *
 * What the application put into the child's environment itself stays: a variable counts as the application's unless it has
 * the value that this process was started with, which is only passed on. Variables passed on that the context has
 * no value for are taken out, or the child would mix two traces.
 * @param write calls its argument with each propagation field of the context
 * @param own a variable of the child's environment as the application made it
 * @param started the variables of all fields, with the values that this process was started with
 * @returns `undefined` for nothing to change
 */
export function childVariables(
  write: (set: (field: string, value: string) => void) => void,
  own: (name: string) => string | undefined,
  started: Readonly<Record<string, string | undefined>>,
): ChildVariables | undefined {
  const fields = new Map<string, string>();
  write((field, value) => fields.set(environmentName(field), value));
  if (fields.size === 0) return undefined;

  const names = [...new Set([...Object.keys(started), ...fields.keys()])];
  const isOwn = (name: string): boolean => {
    const value = own(name);
    return value !== undefined && value !== started[name];
  };
  const trace = names.filter((name) => name !== BAGGAGE);
  const changes = new Map<string, string | undefined>();
  const take = (name: string): void => {
    const value = fields.get(name);
    if (value !== own(name)) changes.set(name, value);
  };
  // Half of a context is worse than none.
  const namesTrace = trace.some((name) => fields.has(name));
  if (namesTrace && !trace.some(isOwn)) for (const name of trace) take(name);
  if (names.includes(BAGGAGE) && !isOwn(BAGGAGE)) take(BAGGAGE);
  return changes.size === 0 ? undefined : changes;
}
