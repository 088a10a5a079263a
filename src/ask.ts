import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { describeConnectionError } from './log';
import { startTimer, stopTimer } from './timers';

export interface AskOptions {
  /** Default GET, or POST with a body. */
  readonly method?: 'GET' | 'PUT' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface AskLimits {
  /** From the call to the end of the answer. */
  readonly timeoutMs: number;
  /**
   * The operating system's connect holds the process and cannot be unref'd, so where nothing answers, this is the longest that a
   * natural end is delayed.
   */
  readonly connectTimeoutMs: number;
  readonly maxResponseBytes: number;
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

/** One request to an http: or https: URL. Rejects with an Error unless the status is 200. */
export type Ask = (url: string, options?: AskOptions) => Promise<Answer>;

/** Never keeps the process alive once it is connected. To be called in a context that is not traced. */
export function ask(url: string, options: AskOptions & AskLimits): Promise<Answer> {
  // Loaded here and not at the top: these are milliseconds of the application's start.
  const http: typeof import('node:http') | typeof import('node:https') = url.startsWith('https:')
    ? (require('node:https') as typeof import('node:https'))
    : (require('node:http') as typeof import('node:http'));
  const { body, headers = {}, timeoutMs, connectTimeoutMs, maxResponseBytes } = options;
  const { method = body === undefined ? 'GET' : 'POST' } = options;
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
      limit(connectTimeoutMs, 'no connection in time');
      const connecting = timers.at(-1);
      socket.once('connect', () => {
        if (connecting !== undefined) stopTimer(connecting);
        socket.unref();
      });
    });
    request.on('error', (error) => settle(describeConnectionError(error)));
    request.on('close', () => settle('the connection was closed without an answer'));
    request.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let received = 0;
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received <= maxResponseBytes) chunks.push(chunk);
        else settle(`an answer of more than ${maxResponseBytes} bytes`);
      });
      response.on('end', () => {
        const { statusCode, headers } = response;
        if (statusCode !== 200) settle(new StatusError(statusCode));
        else settle({ body: Buffer.concat(chunks).toString('utf8'), headers });
      });
      // An 'error' event of a response without a listener would end the process.
      response.on('error', (error) => settle(describeConnectionError(error)));
    });
    request.end(body);
  });
}
