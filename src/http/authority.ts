/** Host and port of an authority; the port is `undefined` when none, or none that is a port, is given. */
export interface Authority {
  readonly host: string;
  readonly port: number | undefined;
}

/** Longer than any host name (253) with port; anything longer is not looked at. */
const MAX_LENGTH = 512;

/**
 * Reads `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address. Brackets and user info are taken off.
 * `undefined` for what cannot be one.
 */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length === 0 || text.length > MAX_LENGTH) return undefined;
  const at = text.lastIndexOf('@');
  const bare = at < 0 ? text : text.slice(at + 1);
  if (bare.charCodeAt(0) === 91) {
    const end = bare.indexOf(']');
    if (end < 2) return undefined;
    return { host: bare.slice(1, end), port: bare[end + 1] === ':' ? parsePort(bare.slice(end + 2)) : undefined };
  }
  const colon = bare.indexOf(':');
  if (colon < 0) return { host: bare, port: undefined };
  // A second colon: an IPv6 address without brackets, so without port.
  if (bare.indexOf(':', colon + 1) >= 0) return { host: bare, port: undefined };
  return colon === 0 ? undefined : { host: bare.slice(0, colon), port: parsePort(bare.slice(colon + 1)) };
}

/** 1 to 65535, else `undefined`. */
export function parsePort(text: string): number | undefined {
  if (text.length === 0 || text.length > 5) return undefined;
  let port = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    port = port * 10 + digit;
  }
  return port > 0 && port < 65536 ? port : undefined;
}

/** The port a scheme implies. */
export function defaultPort(scheme: string): number | undefined {
  if (scheme === 'http') return 80;
  return scheme === 'https' ? 443 : undefined;
}

/** Length of the scheme of an absolute URL (RFC 3986, section 3.1), 0 for anything else; `://` may stand in a query too. */
export function schemeLength(url: string): number {
  const end = url.indexOf('://');
  return end > 0 && /^[a-z][a-z0-9+.-]*$/i.test(url.slice(0, end)) ? end : 0;
}
