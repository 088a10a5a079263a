import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { HTTP_REQUEST_METHOD, HTTP_ROUTE, SERVER_ADDRESS, SERVER_PORT, URL_FULL, URL_PATH } from '../semconv';

// What samplers want to know of a request, out of a span's attributes.

const SERVER = 1;

/** Longest key and most segments of it; a path is the caller's to choose. */
const MAX_KEY_LENGTH = 200;
const MAX_SEGMENTS = 10;

function text(value: AttributeValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function routeOf(attributes: Attributes | undefined): string | undefined {
  return text(attributes?.[HTTP_ROUTE]);
}

export function methodOf(attributes: Attributes | undefined): string | undefined {
  return text(attributes?.[HTTP_REQUEST_METHOD]);
}

/** The path without query: of a server as it is, of a client out of the URL. */
export function pathOf(attributes: Attributes | undefined): string | undefined {
  const path = text(attributes?.[URL_PATH]);
  if (path !== undefined) return path;
  const url = text(attributes?.[URL_FULL]);
  if (url === undefined) return undefined;
  const scheme = url.indexOf('://');
  if (scheme < 0) return undefined;
  const slash = url.indexOf('/', scheme + 3);
  const end = endOfPath(url, scheme + 3);
  return slash < 0 || slash >= end ? '/' : url.slice(slash, end);
}

function endOfPath(url: string, from: number): number {
  for (let i = from; i < url.length; i++) {
    const char = url.charCodeAt(i);
    if (char === 0x3f || char === 0x23) return i;
  }
  return url.length;
}

/** Lower case; an address may come with a port. */
export function hostOf(attributes: Attributes | undefined): { address: string; withPort: string } | undefined {
  const address = text(attributes?.[SERVER_ADDRESS])?.toLowerCase();
  return address === undefined ? undefined : { address, withPort: `${address}:${attributes?.[SERVER_PORT] ?? ''}` };
}

/**
 * What groups requests that are alike: method and route; without a route, method and path with `*` for segments that look
 * like an identifier; without a path, the span's name.
 */
export function routeKey(name: string, kind: number, attributes: Attributes | undefined): string {
  const route = routeOf(attributes);
  const path = route ?? (kind === SERVER ? pathOf(attributes) : undefined);
  if (path === undefined) return cut(name);
  return cut(`${methodOf(attributes) ?? ''} ${route ?? withoutIdentifiers(path)}`);
}

function cut(key: string): string {
  return key.length > MAX_KEY_LENGTH ? key.slice(0, MAX_KEY_LENGTH) : key;
}

/** A path with `*` for segments that look like an identifier. */
export function withoutIdentifiers(path: string): string {
  let result = '';
  let segments = 0;
  for (let at = 0; at < path.length; ) {
    const slash = path.indexOf('/', at);
    const end = slash < 0 ? path.length : slash;
    if (segments++ === MAX_SEGMENTS || result.length > MAX_KEY_LENGTH) return `${result}…`;
    result += looksLikeIdentifier(path, at, end) ? '*' : path.slice(at, end);
    if (slash >= 0) result += '/';
    at = end + 1;
  }
  return result;
}

const LONG_SEGMENT = 40;
const LONG_WITH_DIGITS = 16;

/**
 * Numbers, dates, UUIDs, hashes and tokens, addresses, and anything percent-encoded. `v1`, `oauth2` and words are none. One look
 * at each character.
 */
function looksLikeIdentifier(path: string, start: number, end: number): boolean {
  const length = end - start;
  if (length === 0) return false;
  if (length > LONG_SEGMENT) return true;
  let digits = 0;
  let hexLetters = 0;
  let dashes = 0;
  for (let i = start; i < end; i++) {
    const code = path.charCodeAt(i);
    if (code >= 0x30 && code <= 0x39) digits++;
    else if ((code >= 0x61 && code <= 0x66) || (code >= 0x41 && code <= 0x46)) hexLetters++;
    else if (code === 0x2d || code === 0x2e || code === 0x3a || code === 0x5f) dashes++;
    // Per cent, at sign, and what no path should hold as it is.
    else if (code === 0x25 || code === 0x40 || code > 0x7e) return true;
  }
  if (digits === 0) return false;
  if (digits + dashes === length) return true;
  if (length >= 8 && digits + hexLetters + dashes === length) return true;
  return length >= LONG_WITH_DIGITS || (digits >= 3 && digits * 3 >= length);
}
