/**
 * The arguments of mysql2's `query` and `execute`: `(sql)`, `(sql, callback)`, `(sql, values, callback)` and the same with
 * `{ sql, values }` or an instance of its Query class in place of the text. They are the application's objects: read
 * once, never written.
 */

/** What a call says, as far as it can be read. */
export interface Mysql2Call {
  /** The text as the application wrote it, placeholders and all; `undefined` when it gave none. */
  readonly text: string | undefined;
  readonly values: unknown;
  /** Where in the arguments the callback is; -1 without one. */
  readonly callbackAt: number;
  readonly namedPlaceholders: unknown;
}

interface Options {
  readonly sql?: unknown;
  readonly values?: unknown;
  readonly namedPlaceholders?: unknown;
}

/** Reads a call. Getters that throw do so again for the library, which is where the application expects it. */
export function readCall(args: readonly unknown[]): Mysql2Call {
  // By index: this is read for every call, and an iterator is made for each array that is taken apart.
  const first = args[0];
  const second = args[1];
  let callbackAt = -1;
  let values: unknown;
  if (typeof second === 'function') {
    callbackAt = 1;
  } else {
    values = second;
    if (typeof args[2] === 'function') callbackAt = 2;
  }
  if (typeof first !== 'object' || first === null) {
    return { text: typeof first === 'string' ? first : undefined, values, callbackAt, namedPlaceholders: undefined };
  }
  let text: string | undefined;
  let namedPlaceholders: unknown;
  try {
    const options = first as Options;
    const { sql } = options;
    if (typeof sql === 'string') text = sql;
    values ??= options.values;
    namedPlaceholders = options.namedPlaceholders;
  } catch {
    // What was read before is kept.
  }
  return { text, values, callbackAt, namedPlaceholders };
}

/** Whether values are there for the placeholders: what has none may have its literals in the text. */
export function hasValues(values: unknown): boolean {
  if (values === undefined || values === null || typeof values === 'function') return false;
  if (Array.isArray(values)) return values.length > 0;
  if (typeof values !== 'object' || ArrayBuffer.isView(values) || values instanceof Date) return true;
  try {
    return Object.keys(values).length > 0;
  } catch {
    return false;
  }
}

/** The first argument with another text: a copy where it is an object. */
export function withText(first: unknown, text: string): unknown {
  if (typeof first !== 'object' || first === null) return text;
  // Those of a frozen object could not be changed afterwards.
  const descriptors: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(first);
  descriptors['sql'] = { value: text, writable: true, enumerable: true, configurable: true };
  return Object.create(Object.getPrototypeOf(first) as object, descriptors) as object;
}
