import type { ClientRequest, ClientRequestArgs, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { log } from '../log';
import { stopTimer } from '../timers';
import { nowMs } from '../trace/clock';
import { createHttpConnection, type TunnelOptions } from './connection';
import { type Endpoint, forwardProxy, readTlsFiles, requestOptions } from './endpoint';
import { PlainConnection, type PlainRequest } from './plain-request';
import type { PlainResponse } from './plain-response';
import { untracedTimer } from './processor';
import { type Attempt, describe, isTlsFault, MAX_RESPONSE_BYTES, type Transport } from './transport';
import { explainProxyError, refusal } from './tunnel';

/** A request goes out in pieces of this size, so that a slow connection shows progress. */
const WRITE_BYTES = 64 * 1024;

/** One connection at a time to an endpoint or its proxy. */
interface Connection {
  request(options: ClientRequestArgs): ClientRequest | PlainRequest;
  /** Gives up what is being made of it. */
  abort(): void;
  destroy(): void;
}

/** node:http's client is what tunnels and TLS take. */
function connectionTo(endpoint: Endpoint, options: TunnelOptions): Connection {
  if (!takesTls(endpoint)) {
    const plain = new PlainConnection();
    return { request: (args) => plain.request(args), abort: () => {}, destroy: () => plain.destroy() };
  }
  const { http, agent, abort } = createHttpConnection(endpoint, options);
  return { request: (args) => http.request({ ...args, agent }), abort, destroy: () => agent.destroy() };
}

/** To the collector, or to the proxy that requests are handed to. */
function takesTls(endpoint: Endpoint): boolean {
  return forwardProxy(endpoint)?.secure ?? endpoint.secure;
}

/** POST over HTTP/1.1, on one connection that is kept alive. */
export class HttpTransport implements Transport {
  connectGivenUpMs = Number.NEGATIVE_INFINITY;
  readonly #connectTimeoutMs: number;
  #connection: Connection | undefined;
  #request: ClientRequest | PlainRequest | undefined;
  #finished = false;
  #cancel: (() => void) | undefined;

  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  isVisible(endpoint: Endpoint): boolean {
    return takesTls(endpoint);
  }

  get handedOver(): boolean {
    return this.#request !== undefined && this.#finished;
  }

  cancel(): void {
    this.#cancel?.();
  }

  close(): void {
    this.#connection?.abort();
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  post(endpoint: Endpoint, body: Buffer, gzip: boolean, timeoutMs: number): Promise<Attempt> {
    this.#connection ??= connectionTo(endpoint, {
      stepMs: this.#connectTimeoutMs,
      startTimer: untracedTimer,
    });
    const connection = this.#connection;
    const tls = readTlsFiles(endpoint, (file, error) => {
      log.once(
        'error',
        `endpoint-file-${file}`,
        `cannot read ${file} for the connection to the collector: ${describe(error)}`,
      );
    });
    const options = { ...requestOptions(endpoint, body.length, gzip), ...tls };
    let request: ClientRequest | PlainRequest;
    try {
      request = connection.request(options);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      // Certificate files that are none, or of which only one has been replaced yet.
      if (!isTlsFault(code)) throw error;
      return Promise.resolve({ kind: 'error', code, message: describe(error), onReusedSocket: false });
    }
    // An 'error' event without a listener would end the process, also that of a request that we fail to prepare.
    request.on('error', () => {});
    this.#request = request;
    const proxy = forwardProxy(endpoint);
    this.#finished = false;

    return new Promise((resolve, reject) => {
      // Events and timers come from the event loop, where nobody else catches what is thrown.
      const caught =
        <Args extends unknown[]>(work: (...args: Args) => void): ((...args: Args) => void) =>
        (...args) => {
          try {
            work(...args);
          } catch (error) {
            reject(error);
            request.destroy();
          }
        };
      let settled = false;
      let connectTimer: NodeJS.Timeout | undefined;
      let stallTimer: NodeJS.Timeout | undefined;
      let response: IncomingMessage | PlainResponse | undefined;
      const chunks: Buffer[] = [];
      let received = 0;

      const settle = (attempt: Attempt): void => {
        if (settled) return;
        settled = true;
        stopTimer(timer);
        if (connectTimer !== undefined) stopTimer(connectTimer);
        if (stallTimer !== undefined) stopTimer(stallTimer);
        this.#cancel = undefined;
        this.#request = undefined;
        this.#finished = false;
        resolve(attempt);
      };
      const answered = (status: number, complete: boolean): void => {
        const retryAfter = response?.headers['retry-after'];
        const label = proxy === undefined || status < 300 ? undefined : `${status} through proxy ${proxy.displayUrl}`;
        const body = complete ? Buffer.concat(chunks, received) : undefined;
        settle({ kind: 'response', status, label, retryAfter, body, isRequestFree: this.handedOver });
      };
      const fail = (code: string, message: string): void => {
        // With a status the collector has decided, whatever happened to the rest of its answer.
        if (response?.statusCode !== undefined) answered(response.statusCode, false);
        else settle({ kind: 'error', code, message, onReusedSocket: request.reusedSocket });
        // Never back to the agent: the next attempt must not run into the same dead connection.
        connection.abort();
        request.destroy();
      };

      const timer = untracedTimer(
        caught(() => fail('TIMEOUT', 'no answer in time')),
        Math.max(timeoutMs, 0),
      );
      this.#cancel = () => {
        settle({ kind: 'aborted' });
        connection.abort();
        request.destroy();
      };
      // A write that the peer does not take holds the process, which nothing can unref: it is given up when it stands
      // still for as long as a connection may take.
      const watchProgress = (): void => {
        if (stallTimer !== undefined) stopTimer(stallTimer);
        stallTimer = untracedTimer(
          caught(() => {
            this.connectGivenUpMs = nowMs();
            fail('STALLED', 'the request is not read');
          }),
          this.#connectTimeoutMs,
        );
      };
      const connecting = (socket: Socket): void => {
        socket.unref();
        if (!socket.connecting) {
          watchProgress();
          return;
        }
        connectTimer = untracedTimer(
          caught(() => {
            this.connectGivenUpMs = nowMs();
            fail('CONNECT_TIMEOUT', 'no connection in time');
          }),
          Math.min(this.#connectTimeoutMs, timeoutMs),
        );
        // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
        const unref = caught(() => void socket.unref());
        socket.on('connectionAttempt', unref);
        const connected = caught(() => {
          socket.removeListener('connectionAttempt', unref);
          if (connectTimer !== undefined) stopTimer(connectTimer);
          socket.unref();
          watchProgress();
        });
        socket.once('connect', connected);
      };
      const finished = (): void => {
        if (stallTimer !== undefined) stopTimer(stallTimer);
        if (this.#request === request) this.#finished = true;
      };
      const failed = (error: NodeJS.ErrnoException): void => {
        const { code = 'ERROR', message } = proxy === undefined ? error : explainProxyError(proxy, error);
        // Of the tunnel: its own connection did not come up.
        if (code === 'CONNECT_TIMEOUT') this.connectGivenUpMs = nowMs();
        fail(code, proxy === undefined ? describe(error) : message);
      };
      const responding = (incoming: IncomingMessage | PlainResponse): void => {
        // An 'error' event of a response without a listener would end the process.
        incoming.on('error', () => {});
        if (proxy !== undefined && incoming.statusCode === 407) {
          const { code = '', message } = refusal(proxy, 407);
          fail(code, message);
          return;
        }
        response = incoming;
        const status = incoming.statusCode ?? 0;
        const receiving = (chunk: Buffer): void => {
          received += chunk.length;
          if (received <= MAX_RESPONSE_BYTES) {
            chunks.push(chunk);
            return;
          }
          answered(status, false);
          request.destroy();
        };
        const incomplete = caught(() => answered(status, false));
        incoming.on('data', caught(receiving));
        const complete = caught(() => answered(status, true));
        incoming.on('end', complete);
        incoming.on('error', incomplete);
        incoming.on('close', incomplete);
      };
      const gone = (): void => fail('ECONNRESET', 'connection closed without an answer');
      request.on('socket', caught(connecting));
      request.on('finish', caught(finished));
      request.on('error', caught(failed));
      request.on('response', caught(responding));
      request.on('close', caught(gone));
      let offset = 0;
      const writeOn = (): void => {
        if (settled) return;
        if (offset > 0) watchProgress();
        const slice = body.subarray(offset, offset + WRITE_BYTES);
        offset += slice.length;
        if (offset < body.length) request.write(slice, caught(writeOn));
        else request.end(slice);
      };
      try {
        writeOn();
      } catch (error) {
        request.destroy();
        throw error;
      }
    });
  }
}
