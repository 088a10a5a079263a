import type { Attributes } from '@opentelemetry/api';
import type { ServerHeaders } from './server-attributes';

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
    if (!isNamed(rawHeaders[i] as string, name)) continue;
    const value = rawHeaders[i + 1] as string;
    if (found === undefined) found = value;
    else if (typeof found === 'string') found = [found, value];
    else found.push(value);
  }
  return found;
}

/** Whether `key` is `name`, which is in lower case. The length tells for most; the first letter for nearly all others. */
function isNamed(key: string, name: string): boolean {
  if (key.length !== name.length || (key.charCodeAt(0) | 0x20) !== name.charCodeAt(0)) return false;
  return key === name || key.toLowerCase() === name;
}

/** What describes a request to a server, out of `rawHeaders` in one pass. */
export class RawServerHeaders implements ServerHeaders {
  host: string | undefined = undefined;
  userAgent: string | undefined = undefined;
  forwarded: string | undefined = undefined;
  xForwardedProto: string | undefined = undefined;
  xForwardedHost: string | undefined = undefined;
  xForwardedFor: string | undefined = undefined;

  constructor(rawHeaders: readonly string[]) {
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const key = rawHeaders[i] as string;
      switch (key.length) {
        case 4:
          if (isNamed(key, 'host')) this.host ??= rawHeaders[i + 1];
          break;
        case 9:
          if (isNamed(key, 'forwarded')) this.forwarded ??= rawHeaders[i + 1];
          break;
        case 10:
          if (isNamed(key, 'user-agent')) this.userAgent ??= rawHeaders[i + 1];
          break;
        case 15:
          if (isNamed(key, 'x-forwarded-for')) this.xForwardedFor ??= rawHeaders[i + 1];
          break;
        case 16:
          if (isNamed(key, 'x-forwarded-host')) this.xForwardedHost ??= rawHeaders[i + 1];
          break;
        case 17:
          if (isNamed(key, 'x-forwarded-proto')) this.xForwardedProto ??= rawHeaders[i + 1];
          break;
      }
    }
  }
}

/** The same by name, for carriers of other shapes. */
export function serverHeaders(get: (name: string) => string | readonly string[] | undefined): ServerHeaders {
  return {
    host: firstValue(get(':authority')) ?? firstValue(get('host')),
    userAgent: firstValue(get('user-agent')),
    forwarded: firstValue(get('forwarded')),
    xForwardedProto: firstValue(get('x-forwarded-proto')),
    xForwardedHost: firstValue(get('x-forwarded-host')),
    xForwardedFor: firstValue(get('x-forwarded-for')),
  };
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
