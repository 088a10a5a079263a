import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface HttpOrigin {
  readonly port: number;
  close(): Promise<void>;
}

/** A server that answers each path in its own way, the same each time: no dates, no chance. */
export async function startHttpOrigin(): Promise<HttpOrigin> {
  const sockets = new Set<Socket>();
  // Connections stay until the application closes them.
  const server = createServer({ keepAlive: true, keepAliveTimeout: 0 }, answer);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (_request, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  server.on('connect', ({ url }, socket: Socket) => {
    socket.write('HTTP/1.1 200 Established\r\n\r\n');
    const [host, port] = String(url).split(':');
    // Proxies lead here; any other name is an echo.
    const to = host === '127.0.0.1' ? connect(Number(port), host).on('error', () => socket.destroy()) : socket;
    socket.pipe(to);
    if (to !== socket) to.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false;
  const path = new URL(request.url ?? '/', 'http://origin').pathname;
  switch (path) {
    case '/slow':
      request.resume();
      return;
    case '/reset':
      request.socket.destroy();
      return;
    case '/redirect':
      response.writeHead(302, { location: '/redirected' }).end();
      return;
    case '/early':
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.end('late');
      return;
    case '/large':
      response.end(Buffer.alloc(300_000, 'x'));
      return;
    case '/trailers':
      response.writeHead(200, { trailer: 'x-last' });
      response.write('body');
      response.addTrailers({ 'x-last': 'kept' });
      response.end();
      return;
    case '/cut':
      response.writeHead(200, { 'content-length': 100 });
      response.write('part', () => request.socket.destroy());
      return;
    case '/garbage':
      request.socket.end('no http\r\n\r\n');
      return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.once('end', () => {
    const status = Number(/^\/status\/(\d+)$/.exec(path)?.[1] ?? 200);
    response.writeHead(status, { 'content-type': 'text/plain', 'x-many': ['one', 'two'] });
    response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`);
  });
}
