import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** An instance's description has some kilobytes; what users may add to it is up to 64 KiB. */
const MAX_RESPONSE_BYTES = 256 * 1024;

/**
 * Metadata services are on the machine itself or one hop away. The operating system's connect holds the process and cannot be
 * unref'd, so where nothing answers, this is the longest that a natural end is delayed.
 */
const CONNECT_TIMEOUT_MS = 300;

export interface AskOptions {
  /** Default GET. */
  readonly method?: 'GET' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}

/** A service is there, but has not what was asked for. */
export class StatusError extends Error {
  constructor(status: number | undefined) {
    super(`status ${status}`);
  }
}

/** One request to an http: URL. Rejects with an Error unless the status is 200. */
export type Ask = (url: string, options?: AskOptions) => Promise<Answer>;

// As they are now: a test in the application may install fake timers later.
const startTimer = setTimeout;
const stopTimer = clearTimeout;

/** Never keeps the process alive once it is connected. To be called in a context that is not traced. */
export function ask(url: string, options: AskOptions & { timeoutMs: number }): Promise<Answer> {
  // Loaded here and not at the top: these are milliseconds, and variables may tell everything.
  const http = require('node:http') as typeof import('node:http');
  const { method = 'GET', headers = {}, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    let request: ClientRequest | undefined;
    let timers: NodeJS.Timeout[] = [];
    const settle = (outcome: Answer | Error | string): void => {
      for (const timer of timers) stopTimer(timer);
      timers = [];
      if (typeof outcome === 'string') reject(new Error(outcome));
      else if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
      request?.destroy();
    };
    const limit = (ms: number, reason: string): void =>
      void timers.push(startTimer(() => settle(reason), Math.min(ms, timeoutMs)).unref());

    // An agent of its own: no proxy, and nothing is kept open.
    request = http.request(url, { method, headers: { ...headers }, agent: new http.Agent() });
    limit(timeoutMs, 'no answer in time');
    request.on('socket', (socket: Socket) => {
      socket.unref();
      // Trying several addresses makes new handles, which hold the process until they are unref'd as well.
      socket.on('connectionAttempt', () => void socket.unref());
      if (!socket.connecting) return;
      limit(CONNECT_TIMEOUT_MS, 'no connection in time');
      const connecting = timers.at(-1);
      socket.once('connect', () => {
        if (connecting !== undefined) stopTimer(connecting);
        socket.unref();
      });
    });
    request.on('error', (error) => settle(describe(error)));
    request.on('close', () => settle('the connection was closed without an answer'));
    request.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let received = 0;
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received <= MAX_RESPONSE_BYTES) chunks.push(chunk);
        else settle(`an answer of more than ${MAX_RESPONSE_BYTES} bytes`);
      });
      response.on('end', () => {
        const { statusCode, headers } = response;
        if (statusCode !== 200) settle(new StatusError(statusCode));
        else settle({ body: Buffer.concat(chunks).toString('utf8'), headers });
      });
      // An 'error' event of a response without a listener would end the process.
      response.on('error', (error) => settle(describe(error)));
    });
    request.end();
  });
}

function describe(error: Error): string {
  // All addresses failed (RFC 8305): the message of the whole is empty, the first one's says it.
  const [first] = (error as { errors?: unknown[] }).errors ?? [];
  return first instanceof Error && error.message === '' ? first.message : error.message;
}
