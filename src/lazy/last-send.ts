import { readFileSync, writeSync } from 'node:fs';
import type { Agent, ClientRequest } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import { isMainThread, workerData } from 'node:worker_threads';
import { type Endpoint, grpcAuthority, isRetryableStatus, readTlsFiles, requestOptions } from '../export/endpoint';
import { grpcCall } from '../export/grpc-call';
import { type LastSendJob, type LastSendWorkerData, LOST, PENDING, REFUSED, SENT } from '../export/send-sync';
import { MAX_RESPONSE_BYTES } from '../export/transport';

/**
 * Runs while the thread that made the spans is blocked: as a worker with shared memory, or as a process that
 * reads requests from its input and prints their states. Loaded at the end of the application's process only.
 */

const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 200;

/** A collector that is not there will not come up within the second: trying on would only delay the exit. */
const MAX_ABSENT_TRIES = 3;

const ABSENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH', 'ENOENT', 'EACCES']);

type Answer = { readonly status: number } | { readonly error: string };

function post(endpoint: Endpoint, agent: Agent, body: Uint8Array, timeoutMs: number): Promise<Answer> {
  const http: typeof import('node:http') | typeof import('node:https') = endpoint.secure
    ? (require('node:https') as typeof import('node:https'))
    : (require('node:http') as typeof import('node:http'));
  return new Promise((resolve) => {
    let request: ClientRequest | undefined;
    const timer = setTimeout(
      () => {
        resolve({ error: 'TIMEOUT' });
        request?.destroy();
      },
      Math.max(timeoutMs, 0),
    );
    const settle = (answer: Answer): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    try {
      const tls = readTlsFiles(endpoint, () => {});
      request = http.request({ ...requestOptions(endpoint, body.length, false), ...tls, agent });
      request.on('error', (error: NodeJS.ErrnoException) => {
        const [first] = ((error as { errors?: NodeJS.ErrnoException[] }).errors ?? []) as NodeJS.ErrnoException[];
        settle({ error: error.code ?? first?.code ?? 'ERROR' });
      });
      request.on('response', (response) => {
        // The status says it all; reading the rest lets the connection carry the next request.
        response.on('error', () => {});
        response.resume();
        settle({ status: response.statusCode ?? 0 });
      });
      request.end(body);
    } catch {
      settle({ status: 400 });
    }
  });
}

type Headers = Readonly<Record<string, string>> | undefined;

function withHeaders(endpoint: Endpoint, headers: Headers): Endpoint {
  return headers === undefined ? endpoint : { ...endpoint, headers: { ...endpoint.headers, ...headers } };
}

/** Delivers one request; to be closed at the end. */
interface Poster {
  /** `headers`: what this request has besides those of the endpoint. */
  post(body: Uint8Array, timeoutMs: number, headers: Headers): Promise<Answer>;
  close(): void;
}

function httpPoster(endpoint: Endpoint): Poster {
  const { Agent } = endpoint.secure
    ? (require('node:https') as typeof import('node:https'))
    : (require('node:http') as typeof import('node:http'));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    post: (body, timeoutMs, headers) => post(withHeaders(endpoint, headers), agent, body, timeoutMs),
    close: () => agent.destroy(),
  };
}

function grpcPoster(endpoint: Endpoint): Poster {
  const http2 = require('node:http2') as typeof import('node:http2');
  let session: ClientHttp2Session | undefined;
  return {
    post: (body, timeoutMs, headers) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => fail('TIMEOUT'), Math.max(timeoutMs, 0));
        const fail = (error: string): void => {
          clearTimeout(timer);
          resolve({ error });
          session?.destroy();
          session = undefined;
        };
        const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? 'ERROR');
        try {
          if (session === undefined || session.destroyed || session.closed) {
            session = http2.connect(grpcAuthority(endpoint), { ...readTlsFiles(endpoint, () => {}) });
            session.on('error', onError);
          }
          const onAnswer = ({ httpStatus }: { httpStatus: number }): void => {
            clearTimeout(timer);
            resolve({ status: httpStatus });
          };
          const authorized = withHeaders(endpoint, headers);
          grpcCall(session, authorized, body, false, timeoutMs, { onAnswer, onError }, MAX_RESPONSE_BYTES);
        } catch {
          clearTimeout(timer);
          resolve({ status: 400 });
        }
      }),
    close: () => session?.destroy(),
  };
}

async function deliver(
  job: LastSendJob,
  requests: readonly Uint8Array[],
  report: (index: number, state: number) => void,
): Promise<void> {
  const deadlineMs = performance.now() + job.budgetMs;
  const poster = job.endpoint.protocol === 'grpc' ? grpcPoster(job.endpoint) : httpPoster(job.endpoint);
  try {
    let absentTries = 0;
    for (const [index, request] of requests.entries()) {
      for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(delayMs * 2, MAX_RETRY_MS)) {
        const answer = await poster.post(request, deadlineMs - performance.now(), job.headers?.[index]);
        if ('status' in answer && !isRetryableStatus(answer.status)) {
          report(index, answer.status >= 200 && answer.status < 300 ? SENT : REFUSED);
          break;
        }
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
