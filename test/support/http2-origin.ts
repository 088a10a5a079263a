import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { HttpOrigin } from './http-origin';

/** As `startHttpOrigin`, for HTTP/2 without TLS. */
export async function startHttp2Origin(): Promise<HttpOrigin> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer({ settings: { enableConnectProtocol: true } });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {}).once('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    answer(stream, String(headers[':path'] ?? '/'), String(headers[':method']));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    close() {
      for (const session of sessions) session.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(stream: ServerHttp2Stream, path: string, method: string): void {
  const plain = { ':status': 200, 'content-type': 'text/plain', 'x-many': ['one', 'two'] };
  switch (path) {
    case '/slow':
      stream.resume();
      return;
    case '/reset':
      stream.close(2);
      return;
    case '/goaway':
      stream.session?.goaway(1);
      stream.session?.destroy();
      return;
    case '/early':
      stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
      break;
    case '/push':
      if (!stream.pushAllowed) break;
      stream.pushStream({ ':path': '/pushed' }, (_error, pushed) => {
        pushed.respond({ ':status': 200 }, { sendDate: false } as object);
        pushed.end('pushed');
      });
      break;
    case '/trailers':
      stream.respond(plain, { waitForTrailers: true, sendDate: false } as object);
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-last': 'kept' }));
      stream.end('body');
      return;
    case '/large':
      stream.respond(plain, { sendDate: false } as object);
      stream.end(Buffer.alloc(300_000, 'x'));
      return;
  }
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.once('end', () => {
    if (stream.destroyed) return;
    const status = Number(/^\/status\/(\d+)$/.exec(path)?.[1] ?? 200);
    stream.respond({ ...plain, ':status': status }, { sendDate: false } as object);
    stream.end(`${method} ${path} ${Buffer.concat(chunks)}`);
  });
}
