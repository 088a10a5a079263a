import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { createServer as createHttp2Server, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer as createSecureHttpServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** What a request has to be like. */
export interface BackEndRules<Item> {
  /** gRPC unary calls over HTTP/2 instead of posts over HTTP/1.1. */
  grpc?: boolean;
  /** TLS with this certificate, from `createCertificate`. */
  tls?: { key: string; cert: string };
  /** The only one there is, with its query; others are 404. */
  path: string;
  /** By content type (415 for others); throws for what the back end would not take (400). */
  decode: Readonly<Record<string, (body: Buffer) => Item[]>>;
  /** 401 or 403 for a request that is not let in. */
  refuse?: (headers: IncomingHttpHeaders) => 401 | 403 | undefined;
  /** Longest body, uncompressed; longer ones are 413. Default: no limit. */
  maxBytes?: number;
  /** Default 200. */
  status?: number;
  /** Body of the answer. */
  answer?: Uint8Array | string;
}

export interface BackEndRequest<Item> {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** What it was answered; for gRPC what HTTP would have said. */
  readonly status: number;
  readonly items: readonly Item[];
}

export interface BackEnd<Item> {
  readonly port: number;
  /** `http://127.0.0.1:<port>` or the same with https. */
  readonly url: string;
  readonly requests: readonly BackEndRequest<Item>[];
  /** What was accepted, in order of arrival. */
  readonly items: readonly Item[];
  /** Why requests were no good. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

/** gRPC's codes for the same (RESOURCE_EXHAUSTED is what a too large message is). */
const GRPC_STATUS: Readonly<Record<number, number>> = { 200: 0, 400: 3, 401: 16, 403: 7, 404: 12, 413: 8, 415: 13 };

/** A back end on a free port of 127.0.0.1 that takes what its rules allow. */
export async function startBackEnd<Item>(rules: BackEndRules<Item>): Promise<BackEnd<Item>> {
  const requests: BackEndRequest<Item>[] = [];
  const problems: string[] = [];
  const sockets = new Set<Socket>();
  const maxBytes = rules.maxBytes ?? Number.POSITIVE_INFINITY;

  const judge = (
    method: string | undefined,
    path: string,
    headers: IncomingHttpHeaders,
    body: () => Buffer,
  ): number => {
    let items: Item[] = [];
    const status = ((): number => {
      if (path !== rules.path) return 404;
      if (method !== 'POST') return 405;
      const refused = rules.refuse?.(headers);
      if (refused !== undefined) return refused;
      const decode = rules.decode[headers['content-type'] ?? ''];
      if (decode === undefined) return 415;
      try {
        const bytes = body();
        if (bytes.length > maxBytes) return 413;
        items = decode(bytes);
        return rules.status ?? 200;
      } catch (error) {
        problems.push(String(error));
        return 400;
      }
    })();
    if (status >= 300) problems.push(`${method} ${path} as ${headers['content-type']}: ${status}`);
    requests.push({ path, headers, status, items });
    return status;
  };

  const onRequest: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The client ended in the middle of it, and sends it again.
      return;
    }
    const { method, url = '', headers } = request;
    const bytes = Buffer.concat(chunks);
    const body = () => (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes);
    const status = judge(method, url, headers, body);
    response.writeHead(status, { 'content-type': headers['content-type'] ?? 'text/plain' });
    response.end(status < 300 ? rules.answer : undefined);
  };

  const onStream = async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of stream) chunks.push(chunk);
    } catch {
      return;
    }
    const frame = Buffer.concat(chunks);
    const body = () => {
      // Length-prefixed message: compressed or not, four bytes of length, and the message.
      if (frame.length - 5 !== frame.readUInt32BE(1)) throw new Error('not one whole message');
      return frame[0] === 1 ? gunzipSync(frame.subarray(5)) : frame.subarray(5);
    };
    const status = judge(String(headers[':method']), String(headers[':path']), headers, body);
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => {
      // As servers written in Go have it, the Collector's among them.
      const size = `grpc: received message larger than max (${body.length} vs. ${rules.maxBytes})`;
      stream.sendTrailers({
        'grpc-status': String(GRPC_STATUS[status] ?? 2),
        ...(status === 413 && { 'grpc-message': size }),
      });
    });
    const answer = Buffer.from(rules.answer ?? '');
    const head = Buffer.alloc(5);
    head.writeUInt32BE(answer.length, 1);
    stream.end(Buffer.concat([head, answer]));
  };

  const server: Server = rules.grpc
    ? (rules.tls ? createSecureServer(rules.tls) : createHttp2Server()).on('stream', onStream)
    : rules.tls
      ? createSecureHttpServer(rules.tls, onRequest)
      : createServer(onRequest);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${rules.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    requests,
    problems,
    get items() {
      return requests.flatMap(({ items }) => items);
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
