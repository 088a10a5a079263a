import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { log } from '../log';
import { type Endpoint, readTlsFiles, requestOptions } from './endpoint';
import { untracedTimer } from './processor';
import { type Attempt, describe, MAX_RESPONSE_BYTES, type Transport } from './transport';

/** A request goes out in pieces of this size, so that a slow connection shows progress. */
const WRITE_BYTES = 64 * 1024;

/** POST over HTTP/1.1, on one connection that is kept alive. */
export class HttpTransport implements Transport {
  connectGivenUpMs = Number.NEGATIVE_INFINITY;
  readonly #connectTimeoutMs: number;
  #agent: Agent | undefined;
  #request: ClientRequest | undefined;
  #finished = false;
  #cancel: (() => void) | undefined;

  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  get handedOver(): boolean {
    return this.#request !== undefined && this.#finished;
  }

  cancel(): void {
    this.#cancel?.();
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  post(endpoint: Endpoint, body: Buffer, gzip: boolean, timeoutMs: number): Promise<Attempt> {
    // Loaded here and not at the top: these are milliseconds of the application's start.
    const http: typeof import('node:http') | typeof import('node:https') = endpoint.secure
      ? (require('node:https') as typeof import('node:https'))
      : (require('node:http') as typeof import('node:http'));
    // One connection is enough for one request at a time.
    this.#agent ??= new http.Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
    const tls = readTlsFiles(endpoint, (file, error) => {
      log.once(
        'error',
        `endpoint-file-${file}`,
        `cannot read ${file} for the connection to the collector: ${describe(error)}`,
      );
    });
    const options = { ...requestOptions(endpoint, body.length, gzip), ...tls, agent: this.#agent };
    const request = http.request(options);
    this.#request = request;
    this.#finished = false;

    return new Promise((resolve) => {
      let settled = false;
      let connectTimer: NodeJS.Timeout | undefined;
      let stallTimer: NodeJS.Timeout | undefined;
      let response: IncomingMessage | undefined;
      const chunks: Buffer[] = [];
      let received = 0;

      const settle = (attempt: Attempt): void => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        if (connectTimer !== undefined) clearTimeout(connectTimer);
        if (stallTimer !== undefined) clearTimeout(stallTimer);
        this.#cancel = undefined;
        this.#request = undefined;
        this.#finished = false;
        resolve(attempt);
      };
      const answered = (status: number, complete: boolean): void => {
        const retryAfter = response?.headers['retry-after'];
        settle({ kind: 'response', status, retryAfter, body: complete ? Buffer.concat(chunks, received) : undefined });
      };
      const fail = (code: string, message: string): void => {
        // With a status the collector has decided, whatever happened to the rest of its answer.
        if (response?.statusCode !== undefined) answered(response.statusCode, false);
        else settle({ kind: 'error', code, message, onReusedSocket: request.reusedSocket });
        // Never back to the agent: the next attempt must not run into the same dead connection.
        request.destroy();
      };

      const timer = untracedTimer(() => fail('TIMEOUT', 'no answer in time'), Math.max(timeoutMs, 0));
      this.#cancel = () => {
        settle({ kind: 'aborted' });
        request.destroy();
      };
      // A write that the peer does not take holds the process, which nothing can unref: it is given up when it stands
      // still for as long as a connection may take.
      const watchProgress = (): void => {
        if (stallTimer !== undefined) clearTimeout(stallTimer);
        stallTimer = untracedTimer(() => {
          this.connectGivenUpMs = performance.now();
          fail('STALLED', 'the request is not read');
        }, this.#connectTimeoutMs);
      };
      request.on('socket', (socket: Socket) => {
        socket.unref();
        if (!socket.connecting) {
          watchProgress();
          return;
        }
        connectTimer = untracedTimer(
          () => {
            this.connectGivenUpMs = performance.now();
            fail('CONNECT_TIMEOUT', 'no connection in time');
          },
          Math.min(this.#connectTimeoutMs, timeoutMs),
        );
        // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
        const unref = (): void => void socket.unref();
        socket.on('connectionAttempt', unref);
        socket.once('connect', () => {
          socket.removeListener('connectionAttempt', unref);
          if (connectTimer !== undefined) clearTimeout(connectTimer);
          socket.unref();
          watchProgress();
        });
      });
      request.on('finish', () => {
        if (stallTimer !== undefined) clearTimeout(stallTimer);
        if (this.#request === request) this.#finished = true;
      });
      request.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'ERROR', describe(error)));
      request.on('response', (incoming: IncomingMessage) => {
        response = incoming;
        const status = incoming.statusCode ?? 0;
        incoming.on('data', (chunk: Buffer) => {
          received += chunk.length;
          if (received <= MAX_RESPONSE_BYTES) {
            chunks.push(chunk);
            return;
          }
          answered(status, false);
          request.destroy();
        });
        incoming.on('end', () => answered(status, true));
        // An 'error' event of a response without a listener would end the process.
        incoming.on('error', () => answered(status, false));
        incoming.on('close', () => answered(status, false));
      });
      request.on('close', () => fail('ECONNRESET', 'connection closed without an answer'));
      let offset = 0;
      const writeOn = (): void => {
        if (settled) return;
        if (offset > 0) watchProgress();
        const slice = body.subarray(offset, offset + WRITE_BYTES);
        offset += slice.length;
        if (offset < body.length) request.write(slice, writeOn);
        else request.end(slice);
      };
      writeOn();
    });
  }
}
