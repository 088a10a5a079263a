import { parseAuthority } from './authority';

/** What proxies in front of a server say about the original request; absent parts are `undefined`. */
export interface Forwarded {
  /** Scheme, lower case. */
  proto: string | undefined;
  /** Host, perhaps with port, as the client asked for it. */
  host: string | undefined;
  /** The client's address without port and brackets. */
  client: string | undefined;
}

/** Of a request that came without a proxy. */
const NOTHING: Readonly<Forwarded> = Object.freeze({ proto: undefined, host: undefined, client: undefined });

/** More than any real list of proxies; the rest of a longer header is not looked at. */
const MAX_LENGTH = 1024;

/**
 * Reads `Forwarded` (RFC 7239) first and `X-Forwarded-*` where it says nothing. The first element counts: the one the
 * proxy nearest to the client added. Linear, never throws.
 */
export function readForwarded(
  forwarded: string | undefined,
  xProto: string | undefined,
  xHost: string | undefined,
  xFor: string | undefined,
): Readonly<Forwarded> {
  if (forwarded === undefined && xProto === undefined && xHost === undefined && xFor === undefined) return NOTHING;
  const result: Forwarded = { proto: undefined, host: undefined, client: undefined };
  if (forwarded !== undefined) readElement(forwarded.slice(0, MAX_LENGTH), result);
  result.proto ??= first(xProto)?.toLowerCase();
  result.host ??= first(xHost);
  result.client ??= first(xFor);
  if (result.client !== undefined) result.client = addressOf(result.client);
  if (result.proto !== undefined && !isScheme(result.proto)) result.proto = undefined;
  return result;
}

/** `for=1.2.3.4;proto=https;host="a:1", for=…`: the pairs up to the first comma outside quotes. */
function readElement(header: string, result: Forwarded): void {
  let at = 0;
  while (at < header.length) {
    const equals = header.indexOf('=', at);
    if (equals < 0) return;
    const name = header.slice(at, equals).trim().toLowerCase();
    let value: string;
    let end = equals + 1;
    if (header[end] === '"') {
      value = '';
      for (end++; end < header.length && header[end] !== '"'; end++) {
        if (header[end] === '\\') end++;
        value += header[end] ?? '';
      }
      end++;
    } else {
      while (end < header.length && header[end] !== ';' && header[end] !== ',') end++;
      value = header.slice(equals + 1, end).trim();
    }
    if (value !== '') {
      if (name === 'proto') result.proto ??= value.toLowerCase();
      else if (name === 'host') result.host ??= value;
      // RFC 7239, section 6.2: `unknown` is no address.
      else if (name === 'for' && value.toLowerCase() !== 'unknown') result.client ??= value;
    }
    while (end < header.length && header[end] === ' ') end++;
    if (header[end] !== ';') return;
    at = end + 1;
  }
}

function first(list: string | undefined): string | undefined {
  if (list === undefined) return undefined;
  const comma = list.indexOf(',');
  const value = (comma < 0 ? list : list.slice(0, comma)).trim();
  return value === '' || value.length > MAX_LENGTH ? undefined : value;
}

/** `client.address` has no port: proxies write `1.2.3.4:5`, `[::1]:5` and plain `::1`. */
function addressOf(value: string): string {
  return parseAuthority(value)?.host ?? value;
}

function isScheme(value: string): boolean {
  return value === 'http' || value === 'https' || value === 'ws' || value === 'wss';
}
