import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { log } from '../log';
import { stopTimer } from '../timers';
import { nowMs } from '../trace/clock';
import { connectHttp2 } from './connection';
import { type Endpoint, readTlsFiles } from './endpoint';
import { grpcCall } from './grpc-call';
import { untracedTimer } from './processor';
import { type Attempt, describe, isTlsFault, MAX_RESPONSE_BYTES, type Transport } from './transport';
import { openTunnel } from './tunnel';

/** Unary gRPC calls on one HTTP/2 connection that is kept. */
export class GrpcTransport implements Transport {
  connectGivenUpMs = Number.NEGATIVE_INFINITY;
  readonly #connectTimeoutMs: number;
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #abortTunnel: (() => void) | undefined;
  #finished = false;
  #cancel: (() => void) | undefined;

  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  isVisible(): boolean {
    return true;
  }

  get handedOver(): boolean {
    return this.#stream !== undefined && this.#finished;
  }

  cancel(): void {
    this.#cancel?.();
  }

  close(): void {
    this.#abortTunnel?.();
    this.#abortTunnel = undefined;
    this.#session?.destroy();
    this.#session = undefined;
  }

  post(endpoint: Endpoint, body: Buffer, gzip: boolean, timeoutMs: number): Promise<Attempt> {
    return new Promise((resolve) => {
      let settled = false;
      let progressTimer: NodeJS.Timeout | undefined;
      const onReusedSocket = this.#session !== undefined && !this.#session.connecting;
      const settle = (attempt: Attempt): void => {
        if (settled) return;
        settled = true;
        stopTimer(timer);
        if (progressTimer !== undefined) stopTimer(progressTimer);
        this.#cancel = undefined;
        this.#stream = undefined;
        this.#finished = false;
        resolve(attempt);
      };
      const fail = (code: string, message: string): void => {
        if (settled) return;
        settle({ kind: 'error', code, message, onReusedSocket });
        // The next attempt must not run into the same dead connection.
        this.close();
      };
      const timer = untracedTimer(() => fail('TIMEOUT', 'no answer in time'), Math.max(timeoutMs, 0));
      this.#cancel = () => {
        settle({ kind: 'aborted' });
        this.close();
      };

      const call = (session: ClientHttp2Session): void => {
        const onSessionError = (error: NodeJS.ErrnoException): void => fail(error.code ?? 'ERROR', describe(error));
        session.once('error', onSessionError);
        // A connection that does not come up, or does not take what is written, holds the process: neither may take longer.
        progressTimer = untracedTimer(
          () => {
            this.connectGivenUpMs = nowMs();
            if (session.connecting) fail('CONNECT_TIMEOUT', 'no connection in time');
            else fail('STALLED', 'the request is not read');
          },
          Math.min(this.#connectTimeoutMs, timeoutMs),
        );
        this.#finished = false;
        this.#stream = grpcCall(
          session,
          endpoint,
          body,
          gzip,
          timeoutMs,
          {
            onSent: () => {
              this.#finished = true;
              if (progressTimer !== undefined) stopTimer(progressTimer);
            },
            onAnswer: ({ httpStatus, label, retryAfter, body: message }) => {
              session.off('error', onSessionError);
              settle({ kind: 'response', status: httpStatus, label, retryAfter, body: message });
            },
            onError: (error) => {
              // What ended the connection says more than what became of its streams, and comes right behind.
              if (session.destroyed || session.closed) untracedTimer(() => onSessionError(error), 0);
              else onSessionError(error);
            },
          },
          MAX_RESPONSE_BYTES,
        );
      };

      const known = this.#session;
      const { proxy } = endpoint;
      if (known !== undefined && !known.destroyed && !known.closed) {
        call(known);
      } else if (proxy === undefined) {
        try {
          call(this.#connect(endpoint));
        } catch (error) {
          const { code = '' } = error as NodeJS.ErrnoException;
          // Certificate files that are none, or of which only one has been replaced yet.
          if (!isTlsFault(code)) throw error;
          fail(code, describe(error));
        }
      } else {
        this.#abortTunnel = openTunnel(endpoint, proxy, this.#connectTimeoutMs, untracedTimer, (error, tunnel) => {
          this.#abortTunnel = undefined;
          try {
            if (error !== undefined) throw error;
            call(this.#connect(endpoint, tunnel));
          } catch (fault) {
            const { code = 'ERROR' } = fault as NodeJS.ErrnoException;
            if (code === 'CONNECT_TIMEOUT') this.connectGivenUpMs = nowMs();
            fail(code, describe(fault));
            tunnel?.destroy();
          }
        });
      }
    });
  }

  #connect(endpoint: Endpoint, tunnel?: Socket): ClientHttp2Session {
    const tls = readTlsFiles(endpoint, (file, error) => {
      log.once(
        'error',
        `endpoint-file-${file}`,
        `cannot read ${file} for the connection to the collector: ${describe(error)}`,
      );
    });
    const session = connectHttp2(endpoint, tls, tunnel);
    session.unref();
    // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
    const { socket } = session as { socket: Socket };
    socket.on('connectionAttempt', () => session.unref());
    const forget = (): void => {
      if (this.#session === session) this.#session = undefined;
    };
    // An 'error' event without a listener would end the process.
    session.on('error', forget);
    session.on('close', forget);
    session.on('goaway', forget);
    this.#session = session;
    return session;
  }
}
