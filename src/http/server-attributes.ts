import type { Attributes } from '@opentelemetry/api';
import type { HttpConfig } from '../config';
import {
  CLIENT_ADDRESS,
  NETWORK_PEER_ADDRESS,
  NETWORK_PEER_PORT,
  NETWORK_PROTOCOL_VERSION,
  SERVER_ADDRESS,
  SERVER_PORT,
  URL_PATH,
  URL_QUERY,
  URL_SCHEME,
  USER_AGENT_ORIGINAL,
} from '../semconv';
import { defaultPort, parseAuthority, schemeLength } from './authority';
import { readForwarded } from './forwarded';
import { setMethod } from './method';
import { redactQuery } from './redact';

/** A request as a server sees it, of any HTTP version. */
export interface ServerRequest {
  readonly method: string;
  /** The request target as sent: usually a path with query, but also an absolute URL, an authority, or `*`. */
  readonly target: string;
  /** The connection's scheme. */
  readonly scheme: string;
  /** `1.1`, `2`; `undefined` when unknown. */
  readonly version: string | undefined;
  /** First value of a header, name in lower case. */
  header(name: string): string | undefined;
  readonly peerAddress: string | undefined;
  readonly peerPort: number | undefined;
}

/** What a server span starts with (conventions: http/http-spans, server). */
export function serverAttributes(request: ServerRequest, config: HttpConfig): Attributes {
  const attributes: Attributes = {};
  setMethod(attributes, request.method, config.knownMethods);

  const { header } = request;
  const forwarded = readForwarded(
    header('forwarded'),
    header('x-forwarded-proto'),
    header('x-forwarded-host'),
    header('x-forwarded-for'),
  );
  const scheme = forwarded.proto ?? request.scheme;
  attributes[URL_SCHEME] = scheme;

  const { path, query, authority } = splitTarget(request.target);
  attributes[URL_PATH] = path;
  if (query !== '') attributes[URL_QUERY] = redactQuery(query, config.sensitiveQueryParameters);

  const server = parseAuthority(forwarded.host ?? header(':authority') ?? header('host') ?? authority ?? '');
  if (server !== undefined) {
    attributes[SERVER_ADDRESS] = server.host;
    const port = server.port ?? defaultPort(scheme);
    if (port !== undefined) attributes[SERVER_PORT] = port;
  }

  const { peerAddress, peerPort } = request;
  const client = forwarded.client ?? peerAddress;
  if (client !== undefined) attributes[CLIENT_ADDRESS] = client;
  if (peerAddress !== undefined) {
    attributes[NETWORK_PEER_ADDRESS] = peerAddress;
    if (peerPort !== undefined) attributes[NETWORK_PEER_PORT] = peerPort;
  }
  if (typeof request.version === 'string') attributes[NETWORK_PROTOCOL_VERSION] = request.version;
  const userAgent = header('user-agent');
  if (userAgent !== undefined) attributes[USER_AGENT_ORIGINAL] = userAgent;
  return attributes;
}

/** Path and query of a request target in any of its four forms (RFC 9112, section 3.2); nothing is decoded. */
export function splitTarget(target: string): { path: string; query: string; authority: string | undefined } {
  const hash = target.indexOf('#');
  const whole = hash < 0 ? target : target.slice(0, hash);
  const mark = whole.indexOf('?');
  let path = mark < 0 ? whole : whole.slice(0, mark);
  const query = mark < 0 ? '' : whole.slice(mark + 1);
  let authority: string | undefined;
  if (path.charCodeAt(0) !== 47 && path !== '*') {
    const scheme = schemeLength(path);
    if (scheme > 0) {
      const slash = path.indexOf('/', scheme + 3);
      authority = slash < 0 ? path.slice(scheme + 3) : path.slice(scheme + 3, slash);
      path = slash < 0 ? '/' : path.slice(slash);
    } else {
      // CONNECT: an authority and no path.
      authority = path;
      path = '';
    }
  }
  return { path, query, authority };
}
