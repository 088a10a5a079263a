import { readFileSync, statSync } from 'node:fs';
import type { ClientRequestArgs } from 'node:http';
import type { SecureContextOptions } from 'node:tls';
import type { HttpTarget } from '../config';
import { log } from '../log';
import { VERSION } from '../version';
import { chooseProxy, type HttpProxy } from './proxy';

/** HTTP/1.1, or gRPC over HTTP/2. */
export type EndpointProtocol = 'http' | 'grpc';

/** gRPC has no use for the path of a URL (specification: protocol/exporter.md). */
const GRPC_PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

/** Where requests go: plain data, so that a worker or a child process can be handed it. */
export interface Endpoint {
  readonly protocol: EndpointProtocol;
  readonly secure: boolean;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Path of a unix socket, which takes the place of host and port. */
  readonly socketPath: string | undefined;
  readonly proxy: HttpProxy | undefined;
  /** Whether bodies are compressed. */
  readonly gzip: boolean;
  /** See `displayTarget`. */
  readonly displayUrl: string;
  readonly certificateFile: string | undefined;
  readonly clientCertificateFile: string | undefined;
  readonly clientKeyFile: string | undefined;
}

/** Throws a TypeError for what is no URL. */
export function toEndpoint(
  target: HttpTarget,
  { protocol, contentType }: { protocol: EndpointProtocol; contentType: string },
): Endpoint {
  const url = new URL(target.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new TypeError(`not an http(s) URL: ${url.protocol}//…`);
  const secure = url.protocol === 'https:';
  const { proxy, problem } = chooseProxy(url, target.proxy);
  if (problem !== undefined) log.once('warn', `proxy-${problem}`, problem);
  const headers: Record<string, string> = { 'user-agent': `hookline/${VERSION}` };
  if (url.username !== '' || url.password !== '') {
    const credentials = `${decode(url.username)}:${decode(url.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`;
  }
  for (const [name, value] of Object.entries(target.headers)) headers[name.toLowerCase()] = value;
  headers['content-type'] = contentType;
  // Ours to say: what frames the body.
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding']) delete headers[name];
  return {
    protocol,
    secure,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: protocol === 'grpc' ? GRPC_PATH : url.pathname + url.search,
    headers,
    socketPath: target.socketPath,
    proxy,
    gzip: target.compression === 'gzip',
    displayUrl: displayTarget(target),
    certificateFile: target.certificateFile,
    clientCertificateFile: target.clientCertificateFile,
    clientKeyFile: target.clientKeyFile,
  };
}

/** Where a target is, for messages: no credentials and no query, which may hold a key. */
export function displayTarget({ url, socketPath }: Pick<HttpTarget, 'url' | 'socketPath'>): string {
  const { protocol, host, pathname } = new URL(url);
  if (socketPath === undefined) return `${protocol}//${host}${pathname}`;
  return `unix:${socketPath.startsWith('/') ? '//' : ''}${socketPath}${pathname === '/' ? '' : `:${pathname}`}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `host:port`, IPv6 in brackets. */
export function authorityOf({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * The proxy that requests themselves are handed to, as is done with HTTP without TLS (RFC 9112, section 3.2.2). Everything else
 * goes through a tunnel.
 */
export function forwardProxy({ protocol, secure, proxy }: Endpoint): HttpProxy | undefined {
  return protocol === 'grpc' || secure ? undefined : proxy;
}

/** Options of one POST of `byteCount` bytes. */
export function requestOptions(
  endpoint: Endpoint,
  byteCount: number,
  gzip: boolean,
): ClientRequestArgs & { servername?: string } {
  const headers: Record<string, string | number> = { ...endpoint.headers, 'content-length': byteCount };
  if (gzip) headers['content-encoding'] = 'gzip';
  const { host, port, path, socketPath } = endpoint;
  const proxy = forwardProxy(endpoint);
  if (proxy === undefined)
    return { method: 'POST', hostname: host, port, path, headers, ...(socketPath !== undefined && { socketPath }) };
  const authority = authorityOf(endpoint).replace(/:80$/, '');
  headers['host'] ??= authority;
  if (proxy.authorization !== undefined) headers['proxy-authorization'] = proxy.authorization;
  return {
    method: 'POST',
    hostname: proxy.host,
    port: proxy.port,
    path: `http://${authority}${path}`,
    headers,
    // The agent would take the name in the host header, which is the collector's.
    ...(proxy.secure && { servername: serverName(proxy.host) }),
  };
}

/** For TLS: names only (RFC 6066, section 3). */
export function serverName(host: string): string {
  const { isIP } = require('node:net') as typeof import('node:net');
  return isIP(host) === 0 ? host : '';
}

/** The endpoint for one request that has headers of its own, over those of all. */
export function withHeaders(endpoint: Endpoint, headers: Endpoint['headers'] | undefined): Endpoint {
  return headers === undefined ? endpoint : { ...endpoint, headers: { ...endpoint.headers, ...headers } };
}

/** This machine itself: an address in 127.0.0.0/8, ::1, or a name that is reserved for it (RFC 6761). */
export function isLoopback(host: string): boolean {
  return /^(127(\.\d{1,3}){3}|::1|(.+\.)?localhost)$/i.test(host);
}

interface CachedFile {
  readonly key: string;
  readonly content: Buffer;
}

const files = new Map<string, CachedFile>();

/** PEM files of the endpoint, read again when they changed on disk: certificates are rotated under running processes. */
export function readTlsFiles(
  endpoint: Endpoint,
  onUnreadable: (file: string, error: unknown) => void,
): Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> {
  const options: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> = {};
  if (!endpoint.secure) return options;
  const read = (file: string | undefined): Buffer | undefined => {
    if (file === undefined) return undefined;
    try {
      const { mtimeMs, size, ino } = statSync(file);
      const key = `${mtimeMs} ${size} ${ino}`;
      let cached = files.get(file);
      if (cached?.key !== key) {
        cached = { key, content: readFileSync(file) };
        files.set(file, cached);
      }
      return cached.content;
    } catch (error) {
      onUnreadable(file, error);
      // A file that is being replaced: what it held before is the best guess.
      return files.get(file)?.content;
    }
  };
  const ca = read(endpoint.certificateFile);
  const cert = read(endpoint.clientCertificateFile);
  const key = read(endpoint.clientKeyFile);
  if (ca !== undefined) options.ca = ca;
  // Half of a pair makes every connection fail with a message about something else.
  if (cert !== undefined && key !== undefined) {
    options.cert = cert;
    options.key = key;
  }
  return options;
}

/** OTLP/HTTP, "Retryable response codes". */
export function isRetryableStatus(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}
