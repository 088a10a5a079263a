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
import { AttributeBlock, type AttributeBlocks, BlockSlot } from '../trace/attribute-block';
import { defaultPort, parseAuthority, schemeLength } from './authority';
import { readForwarded } from './forwarded';
import { addMethod } from './method';
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
  readonly headers: ServerHeaders;
}

/** The headers that describe a request, each with its first value. */
export interface ServerHeaders {
  /** The `:authority` pseudo-header or the Host header. */
  readonly host: string | undefined;
  readonly userAgent: string | undefined;
  readonly forwarded: string | undefined;
  readonly xForwardedProto: string | undefined;
  readonly xForwardedHost: string | undefined;
  readonly xForwardedFor: string | undefined;
}

/** What the requests of one connection usually have in common. */
export class ServerConnection {
  readonly network = new BlockSlot();
  readonly caller = new BlockSlot();

  constructor(
    readonly peerAddress: string | undefined,
    readonly peerPort: number | undefined,
  ) {}
}

/**
 * What a server span starts with (conventions: http/http-spans, server). What repeats from request to request of a
 * `connection` goes to `blocks`.
 */
export function serverAttributes(
  request: ServerRequest,
  config: HttpConfig,
  connection: ServerConnection,
  blocks: AttributeBlocks,
): Attributes {
  const { path, query, authority } = splitTarget(request.target);
  const attributes: Attributes = { [URL_PATH]: path };
  if (query !== '') attributes[URL_QUERY] = redactQuery(query, config.sensitiveQueryParameters);
  addMethod(attributes, blocks, request.method, config.knownMethods);

  const { headers, version } = request;
  const forwarded = readForwarded(
    headers.forwarded,
    headers.xForwardedProto,
    headers.xForwardedHost,
    headers.xForwardedFor,
  );
  const scheme = forwarded.proto ?? request.scheme;
  const host = forwarded.host ?? headers.host ?? authority;
  const { network, caller } = connection;
  if (network.repeats(scheme, host, version)) {
    network.block ??= new AttributeBlock(networkAttributes(scheme, host, version, connection));
    blocks.add(network.block);
  } else {
    Object.assign(attributes, networkAttributes(scheme, host, version, connection));
  }

  const client = forwarded.client ?? connection.peerAddress;
  const { userAgent } = headers;
  if (caller.repeats(client, userAgent)) {
    caller.block ??= new AttributeBlock(callerAttributes(client, userAgent));
    blocks.add(caller.block);
  } else {
    Object.assign(attributes, callerAttributes(client, userAgent));
  }
  return attributes;
}

function networkAttributes(
  scheme: string,
  host: string | undefined,
  version: string | undefined,
  { peerAddress, peerPort }: ServerConnection,
): Attributes {
  const attributes: Attributes = { [URL_SCHEME]: scheme };
  const server = parseAuthority(host ?? '');
  if (server !== undefined) {
    attributes[SERVER_ADDRESS] = server.host;
    const port = server.port ?? defaultPort(scheme);
    if (port !== undefined) attributes[SERVER_PORT] = port;
  }
  if (peerAddress !== undefined) {
    attributes[NETWORK_PEER_ADDRESS] = peerAddress;
    if (peerPort !== undefined) attributes[NETWORK_PEER_PORT] = peerPort;
  }
  if (version !== undefined) attributes[NETWORK_PROTOCOL_VERSION] = version;
  return attributes;
}

function callerAttributes(client: string | undefined, userAgent: string | undefined): Attributes {
  const attributes: Attributes = {};
  if (client !== undefined) attributes[CLIENT_ADDRESS] = client;
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
