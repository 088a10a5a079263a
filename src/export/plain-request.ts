import { EventEmitter } from 'node:events';
import type { ClientRequestArgs } from 'node:http';
import type { Socket } from 'node:net';
import { isHeaderValue, isToken } from '../http/token';
import { nowMs } from '../trace/clock';
import { PlainResponse } from './plain-response';

/** A second before the server said that it would close an idle connection, it may be doing so. */
const KEEP_ALIVE_MARGIN_MS = 1000;

/**
 * Connections for POSTs over HTTP/1.1 without TLS, one at a time, kept alive between two requests.
 *
 * In place of node:http's client: that shares its classes and functions with the servers of the application, which V8 has
 * specialised on what they see. With our requests in between they see two kinds of everything, and each response that the
 * application sends takes a good 2 µs more (docs/performance.md); nor do we then meet what others put around `http.request`.
 */
export class PlainConnection {
  #socket: PlainSocket | undefined;

  /** Starts a request. Throws a TypeError for a path or header that HTTP cannot carry. */
  request(options: ClientRequestArgs): PlainRequest {
    const head = headOf(options);
    const idle = this.#socket;
    const reused = idle?.isFree() === true;
    if (idle === undefined || !reused) {
      idle?.destroy();
      this.#socket = new PlainSocket(options);
    }
    return new PlainRequest(this.#socket as PlainSocket, head, reused);
  }

  destroy(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

/** A connection, and the request that is under way on it. */
class PlainSocket {
  readonly socket: Socket;
  #request: PlainRequest | undefined;
  #idleUntilMs = Number.POSITIVE_INFINITY;

  constructor({ host, hostname, port, socketPath }: ClientRequestArgs) {
    const { connect } = require('node:net') as typeof import('node:net');
    const where =
      typeof socketPath === 'string'
        ? { path: socketPath }
        : { host: (hostname ?? host) as string, port: Number(port) };
    this.socket = connect({ ...where, noDelay: true, keepAlive: true, keepAliveInitialDelay: 1000 });
    try {
      // Nobody asked for anything: whatever it is, the next answer would begin with it.
      this.#on('data', (chunk: Buffer) =>
        this.#request === undefined ? this.destroy() : this.#request.received(chunk),
      );
      this.#on('error', (error: Error) => this.#request?.failed(error));
      this.#on('end', () => this.#request?.ended());
      this.#on('close', () => this.#request?.closed());
    } catch (failure) {
      // Nobody else would, and it keeps the process.
      this.socket.destroy();
      throw failure;
    }
  }

  /** Above a listener there is nobody but the application, which an error of ours would end. */
  #on<Value>(event: string, listener: (value: Value) => void): void {
    this.socket.on(event, (value: Value) => {
      try {
        listener(value);
      } catch (failure) {
        this.abandon(failure);
      }
    });
  }

  /** Gives up after an error of ours. */
  abandon(failure: unknown): void {
    try {
      this.#request?.failed(failure as Error);
    } catch {
      // Its time limit ends it.
    }
    this.socket.destroy();
  }

  isFree(): boolean {
    return this.#request === undefined && this.socket.writable && nowMs() < this.#idleUntilMs;
  }

  take(request: PlainRequest): void {
    this.#request = request;
  }

  /** `idleMs`: how long the other side says that it keeps the connection. */
  free(idleMs: number): void {
    this.#request = undefined;
    this.#idleUntilMs = nowMs() + idleMs;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** One POST. Emits what a ClientRequest does: `socket`, `finish`, `response`, `error` and `close`, each once at most. */
export class PlainRequest extends EventEmitter {
  readonly #connection: PlainSocket;
  readonly #response = new PlainResponse();
  #head: string | undefined;
  #isAnnounced = false;
  #isFinished = false;
  #isClosed = false;

  constructor(
    connection: PlainSocket,
    head: string,
    /** The connection was there already: it may have been closed by the other side meanwhile. */
    readonly reusedSocket: boolean,
  ) {
    super();
    this.#connection = connection;
    this.#head = head;
    connection.take(this);
    process.nextTick(() => {
      try {
        if (!this.#isClosed) this.emit('socket', connection.socket);
      } catch (failure) {
        this.#connection.abandon(failure);
      }
    });
  }

  /** Sends a part of the body; `onTaken` is called when the operating system has it. */
  write(chunk: Uint8Array, onTaken: () => void): void {
    const { socket } = this.#connection;
    const written = (error?: Error | null): void => {
      try {
        if (!error && !this.#isClosed) onTaken();
      } catch (failure) {
        this.#connection.abandon(failure);
      }
    };
    if (this.#head === undefined) {
      socket.write(chunk, written);
      return;
    }
    socket.cork();
    socket.write(this.#head, 'latin1');
    this.#head = undefined;
    socket.write(chunk, written);
    socket.uncork();
  }

  /** The last part. */
  end(chunk: Uint8Array): void {
    this.write(chunk, () => {
      this.#isFinished = true;
      this.emit('finish');
    });
  }

  /** Not after its end: the connection may have the next request by then. */
  destroy(): void {
    if (!this.#isClosed) this.#connection.destroy();
  }

  received(chunk: Buffer): void {
    if (this.#isClosed) return;
    try {
      const rest = this.#response.read(chunk, () => this.#announce());
      if (rest === undefined) return;
      // The answer may come before all of the request was read, and then that connection is of no more use.
      const isReusable = this.#response.keepAlive && this.#isFinished && rest.length === 0;
      this.#complete(isReusable);
    } catch (error) {
      this.emit('error', error);
      this.#close();
      this.#connection.destroy();
    }
  }

  failed(error: Error): void {
    if (this.#isClosed) return;
    if (this.#isAnnounced) this.#response.emit('error', error);
    else this.emit('error', error);
    this.#close();
  }

  /** The other side has said that nothing more will come. */
  ended(): void {
    if (this.#isClosed) return;
    if (this.#response.endOfInput()) this.#complete(false);
    else this.closed();
    this.#connection.destroy();
  }

  closed(): void {
    if (this.#isClosed) return;
    const message = this.#isAnnounced ? 'aborted' : 'socket hang up';
    this.failed(Object.assign(new Error(message), { code: 'ECONNRESET' }));
  }

  #announce(): void {
    this.#isAnnounced = true;
    this.emit('response', this.#response);
  }

  #complete(isReusable: boolean): void {
    // Before anybody hears of it: the next request may follow at once.
    if (isReusable) this.#connection.free(idleMs(this.#response.headers['keep-alive']));
    else this.destroy();
    this.#isClosed = true;
    this.#response.emit('end');
    this.#response.emit('close');
    this.emit('close');
  }

  #close(): void {
    this.#isClosed = true;
    if (this.#isAnnounced) this.#response.emit('close');
    this.emit('close');
  }
}

/** `timeout=5, max=100` as the milliseconds that the connection can be counted on. */
function idleMs(keepAlive: string | undefined): number {
  const [, seconds] = /(?:^|,)\s*timeout=(\d{1,9})/i.exec(keepAlive ?? '') ?? [];
  return seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1000 - KEEP_ALIVE_MARGIN_MS;
}

/** Request line and headers, with the empty line behind them. */
function headOf({ method, path, headers = {}, hostname, port, socketPath }: ClientRequestArgs): string {
  const target = path ?? '/';
  if (!/^[!-~]+$/.test(target)) throw new TypeError('the path holds characters that no request can carry');
  let head = `${method} ${target} HTTP/1.1\r\n`;
  const own = headers as Readonly<Record<string, string | number>>;
  if (own['host'] === undefined)
    head += `host: ${socketPath === undefined ? authority(hostname, port) : 'localhost'}\r\n`;
  for (const [name, value] of Object.entries(own)) {
    const text = String(value);
    if (!isToken(name) || !isHeaderValue(text)) throw new TypeError(`header ${name} holds what no request can carry`);
    head += `${name}: ${text}\r\n`;
  }
  return `${head}connection: keep-alive\r\n\r\n`;
}

function authority(host: string | null | undefined, port: number | string | null | undefined): string {
  const name = host?.includes(':') ? `[${host}]` : host;
  return Number(port) === 80 ? `${name}` : `${name}:${port}`;
}
