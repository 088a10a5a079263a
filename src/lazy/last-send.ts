import { readFileSync, writeSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { isMainThread, workerData } from 'node:worker_threads';
import { connectHttp2, createHttpConnection, type HttpConnection } from '../export/connection';
import {
  type Endpoint,
  forwardProxy,
  isRetryableStatus,
  readTlsFiles,
  requestOptions,
  withHeaders,
} from '../export/endpoint';
import { grpcCall } from '../export/grpc-call';
import { gzipSync } from '../export/gzip';
import {
  type LastSendJob,
  type LastSendWorkerData,
  LOST,
  PENDING,
  REFUSED,
  SENT,
  TOO_LARGE,
} from '../export/send-sync';
import { isMisconfigured, MAX_RESPONSE_BYTES } from '../export/transport';
import { openTunnel } from '../export/tunnel';

/**
 * Runs while the thread that made the spans is blocked: as a worker with shared memory, or as a process that
 * reads requests from its input and prints their states. Loaded at the end of the application's process only.
 */

const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 200;

/** A collector that is not there will not come up within the second: trying on would only delay the exit. */
const MAX_ABSENT_TRIES = 3;

/** For the rest of an answer, so that its connection can carry the next request. */
const REST_MS = 100;

const ABSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH', 'ENOENT', 'EACCES']);

type Answer = { readonly status: number } | { readonly error: string };

/** Reads the rest of an answer, or gives up on it and its connection. */
function drain(response: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), REST_MS);
    let received = 0;
    response.on('error', () => {});
    response.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    response.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received > MAX_RESPONSE_BYTES) response.destroy();
    });
  });
}

type Headers = Endpoint['headers'] | undefined;

/** Delivers one request; to be closed at the end. */
interface Poster {
  /** `headers`: what this request has besides those of the endpoint. */
  post(body: Uint8Array, timeoutMs: number, headers: Headers): Promise<Answer>;
  close(): void;
}

function httpPoster(endpoint: Endpoint, connection: HttpConnection): Poster {
  const proxy = forwardProxy(endpoint);
  let drained: Promise<void> | undefined;
  const send = (body: Uint8Array, timeoutMs: number, headers: Headers): Promise<Answer> =>
    new Promise((resolve) => {
      let request: ClientRequest | undefined;
      const timer = setTimeout(
        () => {
          resolve({ error: 'TIMEOUT' });
          connection.abort();
          request?.destroy();
        },
        Math.max(timeoutMs, 0),
      );
      const settle = (answer: Answer): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      try {
        const options = requestOptions(withHeaders(endpoint, headers), body.length, endpoint.gzip);
        const files = readTlsFiles(endpoint, () => {});
        request = connection.http.request({ ...options, ...files, agent: connection.agent });
        request.on('error', (error: NodeJS.ErrnoException) => {
          const [first] = ((error as { errors?: NodeJS.ErrnoException[] }).errors ?? []) as NodeJS.ErrnoException[];
          settle({ error: error.code ?? first?.code ?? 'ERROR' });
        });
        request.on('response', (response) => {
          // The status says it all.
          drained = drain(response);
          const status = response.statusCode ?? 0;
          settle(proxy !== undefined && status === 407 ? { error: 'PROXY_REFUSED' } : { status });
        });
        request.end(body);
      } catch {
        settle({ status: 400 });
      }
    });
  return {
    post: async (body, timeoutMs, headers) => {
      const startMs = performance.now();
      await drained;
      return send(body, timeoutMs - (performance.now() - startMs), headers);
    },
    close: () => {
      connection.abort();
      connection.agent.destroy();
    },
  };
}

function grpcPoster(endpoint: Endpoint): Poster {
  let session: ClientHttp2Session | undefined;
  let abortTunnel: (() => void) | undefined;
  const close = (): void => {
    abortTunnel?.();
    abortTunnel = undefined;
    session?.destroy();
    session = undefined;
  };
  const connect = (timeoutMs: number, onError: (error: NodeJS.ErrnoException) => void): Promise<ClientHttp2Session> =>
    new Promise((resolve, reject) => {
      if (session !== undefined && !session.destroyed && !session.closed) {
        resolve(session);
        return;
      }
      const open = (tunnel?: Socket): void => {
        session = connectHttp2(
          endpoint,
          readTlsFiles(endpoint, () => {}),
          tunnel,
        );
        session.on('error', onError);
        resolve(session);
      };
      const { proxy } = endpoint;
      if (proxy === undefined) {
        open();
        return;
      }
      abortTunnel = openTunnel(endpoint, proxy, timeoutMs, setTimeout, (error, tunnel) => {
        abortTunnel = undefined;
        if (error !== undefined) {
          onError(error);
          return;
        }
        try {
          open(tunnel);
        } catch (fault) {
          reject(fault);
        }
      });
    });
  return {
    post: (body, timeoutMs, headers) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => fail('TIMEOUT'), Math.max(timeoutMs, 0));
        const fail = (error: string): void => {
          clearTimeout(timer);
          resolve({ error });
          close();
        };
        const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? 'ERROR');
        const onAnswer = ({ httpStatus }: { httpStatus: number }): void => {
          clearTimeout(timer);
          resolve({ status: httpStatus });
        };
        connect(timeoutMs, onError)
          .then((open) => {
            const authorized = withHeaders(endpoint, headers);
            grpcCall(open, authorized, body, endpoint.gzip, timeoutMs, { onAnswer, onError }, MAX_RESPONSE_BYTES);
          })
          .catch(() => {
            clearTimeout(timer);
            resolve({ status: 400 });
          });
      }),
    close,
  };
}

async function deliver(
  job: LastSendJob,
  requests: readonly Uint8Array[],
  report: (index: number, state: number) => void,
): Promise<void> {
  const deadlineMs = performance.now() + job.budgetMs;
  const { endpoint, budgetMs } = job;
  const poster =
    endpoint.protocol === 'grpc'
      ? grpcPoster(endpoint)
      : httpPoster(endpoint, createHttpConnection(endpoint, { stepMs: budgetMs, startTimer: setTimeout }));
  try {
    let absentTries = 0;
    for (const [index, request] of requests.entries()) {
      const body = endpoint.gzip && !job.isCompressed ? gzipSync(request) : request;
      for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(delayMs * 2, MAX_RETRY_MS)) {
        const answer = await poster.post(body, deadlineMs - performance.now(), job.headers?.[index]);
        if ('status' in answer && !isRetryableStatus(answer.status)) {
          const refused = answer.status === 413 ? TOO_LARGE : REFUSED;
          report(index, answer.status >= 200 && answer.status < 300 ? SENT : refused);
          break;
        }
        if ('error' in answer && isMisconfigured(answer.error)) return;
        if ('error' in answer && ABSENT.has(answer.error) && ++absentTries >= MAX_ABSENT_TRIES) return;
        if (performance.now() + delayMs >= deadlineMs) return;
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
  } finally {
    poster.close();
  }
}

async function runAsWorker({ requests, states: shared, ...job }: LastSendWorkerData): Promise<void> {
  const states = new Int32Array(shared);
  try {
    await deliver(job, requests, (index, state) => Atomics.store(states, 1 + index, state));
  } catch {
    // The states say what was delivered.
  }
  Atomics.store(states, 0, 1);
  Atomics.notify(states, 0);
}

async function runAsProcess(): Promise<void> {
  const input = readFileSync(0);
  const headEnd = 4 + input.readUInt32LE(0);
  const { job, sizes } = JSON.parse(input.toString('utf8', 4, headEnd)) as { job: LastSendJob; sizes: number[] };
  let at = headEnd;
  const requests = sizes.map((size) => {
    at += size;
    return input.subarray(at - size, at);
  });
  const states = requests.map(() => PENDING);
  await deliver(job, requests, (index, state) => {
    states[index] = state;
  });
  writeSync(1, JSON.stringify(states.map((state) => (state === PENDING ? LOST : state))));
}

if (isMainThread) void runAsProcess();
else void runAsWorker(workerData as LastSendWorkerData);
