/**
 * Bound values as attributes, for operators who ask for them (`db.query.parameter.<index>`, from 0).
 *
 * Values are the application's objects: none of their methods is called, so no getter, `toString`, `toJSON` or
 * `toPostgres` runs once more than without us.
 */
import type { Attributes } from '@opentelemetry/api';
import { DB_QUERY_PARAMETER } from '../semconv';

/** Values beyond these are left out, so that a bulk insert does not fill the span. */
const MAX_PARAMETERS = 64;

/** Longest text of one value, in UTF-16 units. */
const MAX_LENGTH = 1024;

/** Elements of an array that are shown. */
const MAX_ELEMENTS = 16;

/** Adds the values to `attributes`. */
export function captureParameters(attributes: Attributes, values: readonly unknown[]): void {
  const count = Math.min(values.length, MAX_PARAMETERS);
  for (let i = 0; i < count; i++) attributes[DB_QUERY_PARAMETER + i] = textOf(values[i], 0);
}

/** The same for values by name. */
export function captureNamedParameters(attributes: Attributes, values: Readonly<Record<string, unknown>>): void {
  let count = 0;
  for (const name of Object.keys(values)) {
    if (count++ === MAX_PARAMETERS) return;
    // A getter is the application's to call.
    const value = Object.getOwnPropertyDescriptor(values, name)?.value as unknown;
    attributes[DB_QUERY_PARAMETER + name] = textOf(value, 0);
  }
}

function textOf(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return value.length > MAX_LENGTH ? value.slice(0, MAX_LENGTH) : value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value).slice(0, MAX_LENGTH);
    case 'object':
      return value === null ? 'NULL' : objectText(value, depth);
    case 'undefined':
      return 'NULL';
    default:
      return `[${typeof value}]`;
  }
}

function objectText(value: object, depth: number): string {
  if (ArrayBuffer.isView(value)) return `[binary, ${value.byteLength} bytes]`;
  if (value instanceof ArrayBuffer) return `[binary, ${value.byteLength} bytes]`;
  const milliseconds = timeOf(value);
  if (milliseconds !== undefined) {
    return Number.isNaN(milliseconds) ? '[invalid date]' : new Date(milliseconds).toISOString();
  }
  if (!Array.isArray(value)) return '[object]';
  if (depth > 2) return '[array]';
  const shown: string[] = [];
  let length = 0;
  for (let i = 0; i < value.length && i < MAX_ELEMENTS && length < MAX_LENGTH; i++) {
    const text = textOf(value[i], depth + 1);
    shown.push(text);
    length += text.length;
  }
  if (shown.length < value.length) shown.push('…');
  return `{${shown.join(',')}}`.slice(0, MAX_LENGTH);
}

/** The time of a Date, read by the built-in's own method whatever the object's class overrides. */
function timeOf(value: object): number | undefined {
  if (!(value instanceof Date)) return undefined;
  try {
    return Date.prototype.getTime.call(value);
  } catch {
    return undefined;
  }
}
