import type { Agent } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { authorityOf, type Endpoint, forwardProxy, serverName } from './endpoint';
import { openTunnel, type StartTimer } from './tunnel';

/** PEM contents, as `readTlsFiles` gives them. */
export type TlsFiles = Pick<SecureContextOptions, 'ca' | 'cert' | 'key'>;

/** What tunnels need to know of the thread that they are made in. */
export interface TunnelOptions {
  /** For the connection to a proxy, and again for its answer. */
  readonly stepMs: number;
  readonly startTimer: StartTimer;
}

/** One HTTP/1.1 connection to an endpoint at a time, kept alive; through a tunnel where there is a proxy for it. */
export interface HttpConnection {
  readonly http: typeof import('node:http') | typeof import('node:https');
  readonly agent: Agent;
  /** Gives up a tunnel that is being made. */
  abort(): void;
}

/** The built-in modules are loaded here and not at the top: these are milliseconds of the application's start. */
export function createHttpConnection(endpoint: Endpoint, { stepMs, startTimer }: TunnelOptions): HttpConnection {
  const forward = forwardProxy(endpoint);
  const http: typeof import('node:http') | typeof import('node:https') =
    (forward?.secure ?? endpoint.secure)
      ? (require('node:https') as typeof import('node:https'))
      : (require('node:http') as typeof import('node:http'));
  // One connection is enough for one request at a time.
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
  const { proxy } = endpoint;
  if (proxy === undefined || forward !== undefined) return { http, agent, abort: () => {} };

  let giveUp: (() => void) | undefined;
  // Node's agents take a connection that comes later through the callback.
  (agent as unknown as { createConnection: CreateConnection }).createConnection = (options, callback) => {
    giveUp = openTunnel(endpoint, proxy, stepMs, startTimer, (error, socket) => {
      giveUp = undefined;
      if (socket === undefined) {
        callback(error ?? new Error('no connection'));
        return;
      }
      let secured: TLSSocket;
      try {
        secured = secure(endpoint, socket, options);
      } catch (fault) {
        // Files that hold no certificate, or a key that belongs to another one.
        socket.destroy();
        callback(fault as Error);
        return;
      }
      callback(null, secured);
    });
    return undefined;
  };
  return { http, agent, abort: () => giveUp?.() };
}

type CreateConnection = (options: object, callback: (error: Error | null, socket?: Socket) => void) => undefined;

/** TLS with the collector, on a connection that is there already or on one of its own. */
function secure(endpoint: Endpoint, tunnel: Socket | undefined, options: object): TLSSocket {
  const tls = require('node:tls') as typeof import('node:tls');
  const { host, port } = endpoint;
  const where = tunnel === undefined ? { host, port } : { host, socket: tunnel };
  return tls.connect({ ...options, ...where, servername: serverName(host) });
}

/** An HTTP/2 session with an endpoint, over `tunnel` where there is one. Throws for certificate files that are none. */
export function connectHttp2(endpoint: Endpoint, files: TlsFiles, tunnel?: Socket): ClientHttp2Session {
  const http2 = require('node:http2') as typeof import('node:http2');
  const { socketPath, host, port } = endpoint;
  const createConnection = (): Socket => {
    // Here and not by http2 itself, which warns about addresses as server names before Node.js 20.
    if (endpoint.secure) return secure(endpoint, tunnel, { ...files, ALPNProtocols: ['h2'] });
    if (tunnel !== undefined) return tunnel;
    const net = require('node:net') as typeof import('node:net');
    return net.connect(socketPath === undefined ? { host, port } : { path: socketPath });
  };
  return http2.connect(`${endpoint.secure ? 'https' : 'http'}://${authorityOf(endpoint)}`, { createConnection });
}
