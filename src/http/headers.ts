import type { Attributes } from '@opentelemetry/api';

/** Values of these are never recorded, also when they are asked for. */
const SECRET_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'set-cookie',
  'proxy-authorization',
  'x-api-key',
  'x-amz-security-token',
]);

/**
 * One header out of Node's `rawHeaders` list (name, value, name, value, …), `name` in lower case. Reading the list
 * spares building the `headers` object that the application may never ask for. Several lines of one name come as
 * an array.
 */
export function rawHeader(rawHeaders: readonly string[], name: string): string | string[] | undefined {
  let found: string | string[] | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const key = rawHeaders[i] as string;
    if (key.length !== name.length || (key !== name && key.toLowerCase() !== name)) continue;
    const value = rawHeaders[i + 1] as string;
    if (found === undefined) found = value;
    else if (typeof found === 'string') found = [found, value];
    else found.push(value);
  }
  return found;
}

/** The first of one or several values. */
export function firstValue(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' || value === undefined ? value : value[0];
}

/** Puts the configured headers as `<prefix><name>` string lists (conventions: `http.request.header.<key>`). */
export function captureHeaders(
  attributes: Attributes,
  prefix: string,
  names: readonly string[],
  get: (name: string) => unknown,
): void {
  if (names.length === 0) return;
  for (const name of names) {
    const value = get(name);
    if (value === undefined || value === null) continue;
    const values = Array.isArray(value) ? value.map(String) : [String(value)];
    attributes[prefix + name] = SECRET_HEADERS.has(name) ? values.map(() => 'REDACTED') : values;
  }
}
