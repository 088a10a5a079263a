import { createServer, type IncomingMessage, type RequestListener, request } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ProxyOptions {
  /** TLS to the proxy, with this certificate. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** `user:password` without which it answers 407. */
  readonly credentials?: string;
  /** Answers this instead of doing what it is asked for. */
  readonly status?: number;
  /** Never answers to CONNECT. */
  readonly silent?: boolean;
}

export interface ForwardProxy {
  /** Without credentials. */
  readonly url: string;
  /** Method and target of each request, in order. */
  readonly asked: string[];
  /** Closes all connections; the proxy goes on. */
  drop(): void;
  close(): void;
}

/** A forward proxy on a free port of 127.0.0.1, which is also where it sends everything: to the port that is asked for. */
export async function startProxy({ tls, credentials, status, silent }: ProxyOptions = {}): Promise<ForwardProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
  const refusal = ({ headers }: IncomingMessage): number | undefined =>
    expected === undefined || headers['proxy-authorization'] === expected ? status : 407;

  const forward: RequestListener = (incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    const refused = refusal(incoming);
    if (refused !== undefined) {
      response.writeHead(refused).end('an explanation');
      return;
    }
    const { pathname, search, port } = new URL(incoming.url ?? '');
    const { 'proxy-authorization': _, ...headers } = incoming.headers;
    const path = pathname + search;
    const outgoing = request({ method: incoming.method, host: '127.0.0.1', port, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    incoming.pipe(outgoing);
  };
  const server = tls === undefined ? createServer(forward) : createSecureServer(tls, forward);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  server.on('connect', (incoming: IncomingMessage, socket: Socket) => {
    asked.push(`CONNECT ${incoming.url}`);
    socket.on('error', () => {});
    if (silent) return;
    const refused = refusal(incoming);
    if (refused !== undefined) {
      socket.end(`HTTP/1.1 ${refused} Refused\r\ncontent-length: 14\r\n\r\nan explanation`);
      return;
    }
    const port = Number(incoming.url?.slice(incoming.url.lastIndexOf(':') + 1));
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => {}).on('close', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    drop,
    close: () => {
      server.close();
      drop();
    },
  };
}
