import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

/** Stands between an application and a server, and keeps every byte that the application sends. */
export interface Tap {
  readonly port: number;
  /** What an application that has ended sent over each connection, in the order of their opening; then forgets it. */
  take(): Promise<Buffer[]>;
  close(): Promise<void>;
}

/** What asks for a query to be cancelled begins with this, and goes on with the server's process and a secret of its session. */
const PG_CANCEL = '\0\0\0\x10\x04\xd2\x16\x2e';

/**
 * A PostgreSQL client's bytes, with what is chance made equal: which session a query is cancelled of, and whether the farewell
 * gets out before the connection is closed.
 */
export function pgBytes(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  if (text.startsWith(PG_CANCEL)) return `${PG_CANCEL}${text.length - PG_CANCEL.length} BYTES`;
  return text.endsWith('X\0\0\0\x04') ? text.slice(0, -5) : text;
}

export interface TapOptions {
  /** Ends TLS here; what is kept and passed on is plain. */
  tls?: { key: string; cert: string; ALPNProtocols?: string[] };
}

export async function startTap(to: NetConnectOpts, { tls }: TapOptions = {}): Promise<Tap> {
  let connections: Buffer[][] = [];
  const sockets = new Set<Socket>();
  /** Of connections that may still bring something. */
  const reading = new Map<Socket, Promise<void>>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  };
  const pass = (client: Socket): void => {
    const received: Buffer[] = [];
    connections.push(received);
    const server = connect(to);
    keep(client);
    keep(server);
    const ended = new Promise<void>((resolve) => client.once('end', resolve).once('close', () => resolve()));
    reading.set(
      client,
      ended.then(() => void reading.delete(client)),
    );
    client.on('data', (chunk: Buffer) => received.push(chunk));
    // A reset is passed on as one, an end as an end.
    client.pipe(server).pipe(client);
    client.once('close', (failed) => (failed ? server.destroy() : server.end()));
    server.once('close', (failed) => (failed ? client.resetAndDestroy() : client.end()));
  };
  const server = tls === undefined ? createServer({ allowHalfOpen: true }, pass) : createTlsServer(tls, pass);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    async take() {
      // The kernel has it all; these turns bring the connections that were opened last.
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      // Nobody needs to be sent any of it now, which a server that reads no more would hold up.
      for (const client of reading.keys()) client.unpipe().resume();
      await Promise.all(reading.values());
      const taken = connections.map((chunks) => Buffer.concat(chunks));
      connections = [];
      return taken;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** HTTP/1.1 as it was sent, less the header lines of a trace, and with what is chance made equal. */
export function httpText(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/^(traceparent|tracestate|baggage): [^\r\n]*\r\n/gm, '')
    .replace(/formdata-undici-[\d.]+/g, 'formdata-undici-ID')
    .replace(/^(sec-websocket-key): .*$/gim, '$1: KEY');
}
