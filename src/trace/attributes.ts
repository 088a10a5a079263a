import type { Attributes, AttributeValue } from '@opentelemetry/api';

/** Nested values (API 1.10 allows maps and arrays of any shape) are kept to this depth; deeper ones become `null`. */
const MAX_DEPTH = 16;

/**
 * A copy of a value that later changes by the application cannot reach, reduced to what OTLP's AnyValue holds.
 * `undefined` for what has no such form (functions, symbols, `undefined`): the attribute is then left out.
 * Never throws: a hostile getter or proxy makes the value `undefined`.
 */
export function captureValue(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'number':
      return value;
    case 'bigint':
      return value.toString();
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null || depth >= MAX_DEPTH) return null;
  try {
    if (Array.isArray(value)) return Array.from(value, (item) => captureValue(item, depth + 1) ?? null);
    if (value instanceof Uint8Array) return value.slice();
    const copy: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      const item = captureValue((value as Record<string, unknown>)[key], depth + 1);
      if (item !== undefined) defineAttribute(copy, key, item);
    }
    return copy;
  } catch {
    return undefined;
  }
}

/** `target[key] = value`, also for the key `__proto__`, which plain assignment would take as the prototype. */
export function defineAttribute(target: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    (target as Record<string, unknown>)[key] = value;
  }
}

/** Copies caller-owned attributes; at most `maxCount` of them. Returns the copy and how many were left out. */
export function captureAttributes(source: Attributes | undefined, maxCount: number): [Attributes, number] {
  const copy: Attributes = {};
  if (source === null || typeof source !== 'object') return [copy, 0];
  let count = 0;
  let dropped = 0;
  for (const key of keysOf(source)) {
    const value = captureProperty(source, key);
    if (value === undefined || key === '') continue;
    if (count === maxCount) {
      dropped++;
    } else {
      count++;
      defineAttribute(copy, key, value as AttributeValue);
    }
  }
  return [copy, dropped];
}

/** `captureValue(source[key])`; `undefined` also when a getter throws. */
export function captureProperty(source: Attributes, key: string): unknown {
  try {
    return captureValue(source[key]);
  } catch {
    return undefined;
  }
}

/** `Object.keys`, which a proxy can make throw. */
export function keysOf(source: object): string[] {
  try {
    return Object.keys(source);
  } catch {
    return [];
  }
}

/** `String(value)`; the empty string for what cannot be converted. */
export function safeString(value: unknown): string {
  try {
    return String(value);
  } catch {
    return '';
  }
}

/** Cuts strings, also inside arrays and maps, to `maxLength` UTF-16 units without splitting a surrogate pair. */
export function truncate(value: unknown, maxLength: number): unknown {
  if (typeof value === 'string') return value.length <= maxLength ? value : cut(value, maxLength);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => truncate(item, maxLength));
  if (value instanceof Uint8Array) return value.length <= maxLength ? value : value.slice(0, maxLength);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    defineAttribute(copy, key, truncate((value as Record<string, unknown>)[key], maxLength));
  }
  return copy;
}

/** The first `maxLength` UTF-16 units of `text`, one fewer where the cut would split a surrogate pair. */
export function cut(text: string, maxLength: number): string {
  const last = text.charCodeAt(maxLength - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? maxLength - 1 : maxLength);
}
