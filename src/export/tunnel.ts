import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { stopTimer } from '../timers';
import { authorityOf, type Endpoint, serverName } from './endpoint';
import type { HttpProxy } from './proxy';
import { describe, isTlsFault } from './transport';

/** How the caller makes timers: those of the application's thread must not hold it. */
export type StartTimer = (callback: () => void, delayMs: number) => NodeJS.Timeout;

/**
 * Has a proxy connect to the collector (CONNECT: RFC 9110, section 9.3.6). `done` is called once and later, with a socket that
 * carries bytes to the collector and back, or with an error whose message names the proxy. Its sockets never hold the process.
 * @param stepMs for the connection to the proxy, and again for its answer
 * @returns gives up; `done` is not called any more
 */
export function openTunnel(
  endpoint: Endpoint,
  proxy: HttpProxy,
  stepMs: number,
  startTimer: StartTimer,
  done: (error: NodeJS.ErrnoException | undefined, socket?: Socket) => void,
): () => void {
  const http = require('node:http') as typeof import('node:http');
  let settled = false;
  let timer: NodeJS.Timeout;
  const socket = connectTo(proxy);
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    stopTimer(timer);
    return true;
  };
  const fail = (error: NodeJS.ErrnoException): void => {
    if (!settle()) return;
    socket.destroy();
    done(error);
  };
  const giveUp = (code: string, text: string): void => fail(proxyError(proxy, code, text));

  // Stays for good: what becomes of the socket later is for those who read from it to tell.
  socket.on('error', () => {});
  timer = startTimer(() => giveUp('CONNECT_TIMEOUT', 'no connection in time'), stepMs);
  socket.once(proxy.secure ? 'secureConnect' : 'connect', () => {
    if (settled) return;
    stopTimer(timer);
    timer = startTimer(() => giveUp('PROXY_TIMEOUT', 'no answer in time'), stepMs);
  });

  const authority = authorityOf(endpoint);
  const request = http.request({
    method: 'CONNECT',
    host: proxy.host,
    port: proxy.port,
    path: authority,
    headers: {
      host: authority,
      'user-agent': endpoint.headers['user-agent'] ?? '',
      // Not `close`, which some proxies apply to the tunnel as well.
      connection: 'keep-alive',
      ...(proxy.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
    },
    createConnection: () => socket,
  });
  request.on('error', (error: NodeJS.ErrnoException) => fail(explainProxyError(proxy, error)));
  request.on('close', () => giveUp('ECONNRESET', 'connection closed without an answer'));
  request.on('connect', ({ statusCode = 0 }: IncomingMessage, _socket: unknown, head: Buffer) => {
    if (statusCode < 200 || statusCode > 299) {
      fail(refusal(proxy, statusCode));
      return;
    }
    if (!settle()) return;
    // A collector that speaks first, as HTTP/2 without TLS does.
    if (head.length > 0) socket.unshift(head);
    done(undefined, socket);
  });
  // What answers without the form of an answer to CONNECT.
  request.on('response', (response) => {
    response.resume();
    fail(refusal(proxy, response.statusCode ?? 0));
  });
  request.end();
  return () => {
    if (settle()) socket.destroy();
  };
}

function connectTo({ secure, host, port }: HttpProxy): Socket {
  const net = require('node:net') as typeof import('node:net');
  let socket: Socket;
  if (secure) {
    const tls = require('node:tls') as typeof import('node:tls');
    socket = tls.connect({ host, port, servername: serverName(host), ALPNProtocols: ['http/1.1'] });
  } else {
    socket = net.connect({ host, port });
  }
  // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
  const unref = (): void => void socket.unref();
  unref();
  socket.on('connectionAttempt', unref);
  socket.once('connect', unref);
  return socket;
}

/** What went wrong between this process and the proxy, in words that do not blame the collector. */
export function explainProxyError(proxy: HttpProxy, error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  const code = error.code ?? (error as { errors?: NodeJS.ErrnoException[] }).errors?.[0]?.code ?? 'ERROR';
  if (code.startsWith('HPE_')) return proxyError(proxy, 'PROXY_REFUSED', 'what answers there is no HTTP proxy');
  if (!isTlsFault(code)) return proxyError(proxy, code, describe(error));
  const isCertificate = !/^(EPROTO|ERR_SSL)/.test(code);
  const hint = isCertificate ? 'see NODE_EXTRA_CA_CERTS' : 'does it speak TLS on this port?';
  return proxyError(proxy, 'PROXY_REFUSED', `${describe(error)}; ${hint}`);
}

/** For an answer of the proxy's own. Where another try may help the code is another one. */
export function refusal(proxy: HttpProxy, status: number): NodeJS.ErrnoException {
  const { STATUS_CODES } = require('node:http') as typeof import('node:http');
  const isBusy = status === 429 || (status >= 500 && status !== 501);
  const hint = status === 407 ? `; see user and password in ${proxy.variable}` : '';
  const text = `it answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  return proxyError(proxy, isBusy ? 'PROXY_UNAVAILABLE' : 'PROXY_REFUSED', `${text}${hint}`);
}

function proxyError({ displayUrl }: HttpProxy, code: string, text: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`proxy ${displayUrl}: ${text}`), { code });
}
