import type { Attributes } from '@opentelemetry/api';
import type { HttpConfig } from '../config';
import {
  HTTP_RESPONSE_HEADER,
  NETWORK_PEER_ADDRESS,
  NETWORK_PEER_PORT,
  NETWORK_PROTOCOL_VERSION,
  SERVER_ADDRESS,
  SERVER_PORT,
  URL_FULL,
} from '../semconv';
import { type AttributeBlock, type AttributeBlocks, BlockCache, BlockSlot } from '../trace/attribute-block';
import type { Span } from '../trace/span';
import { type Authority, defaultPort, parseAuthority, schemeLength } from './authority';
import { captureHeaders } from './headers';
import { addMethod } from './method';
import { redactTarget, redactUserInfo } from './redact';
import { setStatus } from './status';

/** Where a request goes, of any HTTP version and client. */
export interface ClientTarget {
  readonly method: string;
  /** Without colon. */
  readonly scheme: string;
  /** The Host header or the origin's host, perhaps with a port. */
  readonly authority: string;
  /** The request target: path with query, an absolute URL through a proxy, an authority for CONNECT. */
  readonly path: string;
  /** When `authority` has none and it is not the scheme's. */
  readonly port: number | undefined;
}

const servers = new BlockCache();
/** The one before: comparing costs less than putting a key together. */
const lastServer = new BlockSlot();

/** How the URLs of one server begin. */
interface Origin {
  /** Without user name and password. */
  readonly authority: string;
  /** Scheme, authority and a port that is not in it. */
  readonly prefix: string;
  /** A `?` in what is no authority, really. */
  readonly hasQuery: boolean;
}

/** Where the request before went: the next one's URL begins like its, and its path is then all that has to be looked through. */
let lastOrigin: Origin | undefined;
const originSlot = new BlockSlot();

function originOf(scheme: string, given: string, port: number | undefined): Origin {
  if (!originSlot.repeats(scheme, port, given)) lastOrigin = undefined;
  lastOrigin ??= describeOrigin(scheme, given.slice(given.lastIndexOf('@') + 1), port);
  return lastOrigin;
}

function describeOrigin(scheme: string, authority: string, port: number | undefined): Origin {
  const isOwnPort = port !== undefined && port !== defaultPort(scheme);
  const addsPort = isOwnPort && parseAuthority(authority)?.port === undefined;
  const prefix = `${scheme}://${authority}${addsPort ? `:${port}` : ''}`;
  return { authority, prefix, hasQuery: prefix.includes('?') };
}

function redacted(url: string, config: HttpConfig): string {
  return redactTarget(redactUserInfo(url), config.sensitiveQueryParameters);
}

/** What a client span starts with (conventions: http/http-spans, client). */
export function clientAttributes(target: ClientTarget, config: HttpConfig, blocks: AttributeBlocks): Attributes {
  const attributes: Attributes = {};
  addMethod(attributes, blocks, target.method, config.knownMethods);

  let { scheme, authority } = target;
  const absolute = schemeLength(target.path);
  if (target.method === 'CONNECT') {
    // The target is the authority to be reached; the Host header may be the proxy's.
    authority = target.path || authority;
    attributes[URL_FULL] = redacted(`${scheme}://${authority}`, config);
  } else if (absolute > 0) {
    scheme = target.path.slice(0, absolute).toLowerCase();
    authority = authorityIn(target.path, absolute);
    attributes[URL_FULL] = redacted(target.path, config);
  } else {
    const origin = originOf(scheme, authority, target.port);
    ({ authority } = origin);
    const path = pathIn(target.path);
    attributes[URL_FULL] = origin.hasQuery
      ? redacted(origin.prefix + path, config)
      : origin.prefix + redactTarget(path, config.sensitiveQueryParameters);
  }

  const { port } = target;
  if (!lastServer.repeats(scheme, port, authority)) {
    lastServer.block = servers.get(`${scheme} ${port} ${authority}`, () =>
      describeServer(parseAuthority(authority), port, scheme),
    );
  }
  blocks.add(lastServer.block as AttributeBlock);
  return attributes;
}

function describeServer(server: Authority | undefined, knownPort: number | undefined, scheme: string): Attributes {
  if (server === undefined) return {};
  const port = server.port ?? knownPort ?? defaultPort(scheme);
  return port === undefined
    ? { [SERVER_ADDRESS]: server.host }
    : { [SERVER_ADDRESS]: server.host, [SERVER_PORT]: port };
}

/** Whom a request is for, as `server.address` and `server.port` tell it. */
export function serverOf(target: ClientTarget): Authority | undefined {
  let { scheme, authority } = target;
  const absolute = schemeLength(target.path);
  if (target.method === 'CONNECT') {
    authority = target.path || authority;
  } else if (absolute > 0) {
    scheme = target.path.slice(0, absolute).toLowerCase();
    authority = authorityIn(target.path, absolute);
  }
  const server = parseAuthority(authority);
  return server && { host: server.host, port: server.port ?? target.port ?? defaultPort(scheme) };
}

/** The authority of an absolute URL, whose scheme is so long. */
function authorityIn(url: string, scheme: number): string {
  const rest = url.slice(scheme + 3);
  const end = rest.search(/[/?#]/);
  return end < 0 ? rest : rest.slice(0, end);
}

/** A request target as the rest of a URL: `*` stands for the server as a whole (RFC 9110, section 7.1). */
function pathIn(target: string): string {
  if (target === '*') return '';
  const first = target.charCodeAt(0);
  return first === 47 || first === 63 || target === '' ? target : `/${target}`;
}

/** A response's head, as far as it is known. */
export interface ClientResponse {
  readonly status: number | undefined;
  readonly version: string | undefined;
  readonly peerAddress: string | undefined;
  readonly peerPort: number | undefined;
  /** One response header, name in lower case. */
  header(name: string): unknown;
}

const peers = new BlockCache();
const lastPeer = new BlockSlot();

/** What a response adds to a client span: 4xx and 5xx are errors. */
export function endClientSpan(span: Span, response: ClientResponse, config: HttpConfig): void {
  const { status, version, peerAddress, peerPort } = response;
  const headers = config.clientResponseHeaders;
  if (headers.length > 0) {
    const attributes: Attributes = {};
    captureHeaders(attributes, HTTP_RESPONSE_HEADER, headers, (name) => response.header(name));
    span.adopt(attributes);
  }
  if (version !== undefined || peerAddress !== undefined) {
    if (!lastPeer.repeats(version, peerPort, peerAddress)) {
      const key = `${version} ${peerPort} ${peerAddress}`;
      lastPeer.block = peers.get(key, () => describePeer(version, peerAddress, peerPort));
    }
    span.addBlock(lastPeer.block as AttributeBlock);
  }
  if (status !== undefined) setStatus(span, status, status >= 400);
}

function describePeer(version: string | undefined, address: string | undefined, port: number | undefined): Attributes {
  const attributes: Attributes = {};
  if (version !== undefined) attributes[NETWORK_PROTOCOL_VERSION] = version;
  if (address !== undefined) {
    attributes[NETWORK_PEER_ADDRESS] = address;
    if (port !== undefined) attributes[NETWORK_PEER_PORT] = port;
  }
  return attributes;
}
