import { parseAuthority, parsePort } from '../http/authority';

/** `server.address` and `server.port`, or the same of a peer. */
export interface Address {
  readonly address: string;
  readonly port: number | undefined;
}

/** Schemes of gRPC's naming document, and `passthrough` of other implementations. */
const SCHEMES = ['dns', 'ipv4', 'ipv6', 'unix', 'unix-abstract', 'passthrough'];

/**
 * Where a channel goes, as the application named it (conventions: rpc/grpc, `server.address`). A list of addresses, and
 * the name of another naming system, stay the whole target, without a port.
 */
export function parseTarget(target: string): Address {
  const scheme = SCHEMES.find((name) => target.startsWith(`${name}:`));
  if (scheme === undefined) {
    return hasForeignScheme(target) ? { address: target, port: undefined } : hostAndPort(target, target);
  }
  let path = target.slice(scheme.length + 1);
  if (scheme === 'unix-abstract') return { address: path, port: undefined };
  if (path.startsWith('//')) {
    // `dns://8.8.8.8/host`: the authority is the name server, not the service.
    const slash = path.indexOf('/', 2);
    path = slash < 0 ? path.slice(2) : path.slice(slash);
    if (scheme !== 'unix') path = path.slice(1);
  }
  if (scheme === 'unix') return { address: path, port: undefined };
  if (path === '' || path.includes(',')) return { address: target, port: undefined };
  return hostAndPort(path, target);
}

/** `xds:///name`, `zk://…`: an URI whose scheme is not ours. `host:port` has no slashes after its colon. */
function hasForeignScheme(target: string): boolean {
  const colon = target.indexOf(':');
  return colon > 0 && target.startsWith('://', colon);
}

function hostAndPort(text: string, whole: string): Address {
  // Resolvers take an encoded bracket for a bracket.
  const parsed = parseAuthority(text.includes('%5') ? text.replace('%5B', '[').replace('%5D', ']') : text);
  // `consul:orders`: what follows the colon is no port, so what precedes it is no host.
  const misread = parsed?.port === undefined && parsed?.host !== text && !text.startsWith('[');
  return parsed === undefined || misread
    ? { address: whole, port: undefined }
    : { address: parsed.host, port: parsed.port };
}

/**
 * What `getPeer` says, once connected: `1.2.3.4:80`, `[::1]:80`, up to version 1.4 `::1:80`, or the path of a Unix socket.
 * `undefined` for anything else, such as the target of a channel that has no connection.
 */
export function parsePeer(text: string): Address | undefined {
  if (text.startsWith('/') || text.startsWith('./')) return { address: text, port: undefined };
  const colon = text.lastIndexOf(':');
  if (colon <= 0) return undefined;
  const port = parsePort(text.slice(colon + 1));
  if (port === undefined) return undefined;
  const host =
    text.charCodeAt(0) === 91 && text.charCodeAt(colon - 1) === 93 ? text.slice(1, colon - 1) : text.slice(0, colon);
  return isAddress(host) ? { address: host, port } : undefined;
}

/** Digits and dots, or what holds a colon and nothing but IPv6 characters. Names are no peers. */
function isAddress(host: string): boolean {
  return host.includes(':') ? /^[0-9a-fA-F:.]+(%[^%:]+)?$/.test(host) : /^\d+\.\d+\.\d+\.\d+$/.test(host);
}
