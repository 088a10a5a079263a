import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { log } from '../log';
import { nowMs } from '../trace/clock';
import type { Endpoint } from './endpoint';
import type { SyncOutcome } from './processor';

/** What src/lazy/last-send.ts is given, as `workerData` or, in front of the requests, on its standard input. */
export interface LastSendJob {
  readonly endpoint: Endpoint;
  /** From when the sender starts. */
  readonly budgetMs: number;
  /** Headers that each request has of its own, in the order of the requests; `undefined` where there are none. */
  readonly headers?: readonly Readonly<Record<string, string>>[] | undefined;
  /** The requests are compressed already, where the endpoint wants that: a signature covers what is sent. */
  readonly isCompressed?: boolean | undefined;
}

export interface LastSendWorkerData extends LastSendJob {
  readonly requests: readonly Uint8Array[];
  /** Int32Array: [0] becomes 1 when all is settled, [1 + i] is the state of request i. */
  readonly states: SharedArrayBuffer;
}

/** States of a request in shared memory and in the child's output. */
export const PENDING = 0;
export const SENT = 1;
export const REFUSED = 2;
export const LOST = 3;
export const TOO_LARGE = 4;

/** Starting a process takes this long at least; with less time left it is not tried. */
const MIN_SPAWN_MS = 100;

/** Whether the permission model leaves one of the two ways that `sendSync` has. */
export function canSendSync(): boolean {
  const { permission } = process as { permission?: { has(scope: string): boolean } };
  return permission === undefined || permission.has('worker') || permission.has('child');
}

/**
 * Sends while this thread is blocked, for the last moments of a process: by then no event loop of this thread
 * will turn again. A worker thread has a loop of its own; a child process is the way out where workers are
 * not allowed. Never throws.
 */
export function sendSync(
  endpoint: Endpoint,
  requests: readonly Uint8Array[],
  budgetMs: number,
  more: Pick<LastSendJob, 'headers' | 'isCompressed'> = {},
  file: string = join(__dirname, 'last-send.js'),
): SyncOutcome[] {
  const deadlineMs = nowMs() + budgetMs;
  try {
    return inWorker({ endpoint, budgetMs, ...more }, requests, file);
  } catch (error) {
    log.debug(`no worker for the last spans: ${String(error)}`);
  }
  try {
    const leftMs = deadlineMs - nowMs();
    if (leftMs >= MIN_SPAWN_MS) return inChild({ endpoint, budgetMs: leftMs, ...more }, requests, file);
  } catch (error) {
    log.debug(`no process for the last spans: ${String(error)}`);
  }
  return requests.map(() => 'lost');
}

/**
 * No NODE_OPTIONS and none of the application's variables: preloads must not run again. What is left is what
 * TLS reads (the extra CA file is read per process) and, on Windows, what sockets need.
 */
function minimalEnv(): Record<string, string> {
  const env: Record<string, string> = { OTEL_SDK_DISABLED: 'true' };
  for (const name of [
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
    'SystemRoot',
  ]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function inWorker(job: LastSendJob, requests: readonly Uint8Array[], file: string): SyncOutcome[] {
  const { budgetMs } = job;
  const startMs = nowMs();
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
  const shared = new SharedArrayBuffer(4 * (1 + requests.length));
  const states = new Int32Array(shared);
  const workerData: LastSendWorkerData = { ...job, requests, states: shared };
  // As source text: a file would be resolved by module hooks of the application, which may need this thread.
  const worker = new Worker(readFileSync(file, 'utf8'), {
    eval: true,
    workerData,
    execArgv: [],
    env: minimalEnv(),
    // Streams of its own that nobody reads: warnings in it must not reach the application's output.
    stdout: true,
    stderr: true,
  });
  worker.on('error', () => {});
  worker.unref();
  Atomics.wait(states, 0, 0, Math.max(budgetMs - (nowMs() - startMs), 0));
  return requests.map((_, i) => toOutcome(Atomics.load(states, 1 + i)));
}

function inChild(given: LastSendJob, requests: readonly Uint8Array[], file: string): SyncOutcome[] {
  const { budgetMs } = given;
  const { spawnSync } = require('node:child_process') as typeof import('node:child_process');
  const job: LastSendJob = { ...given, budgetMs: budgetMs - MIN_SPAWN_MS / 2 };
  const head = Buffer.from(JSON.stringify({ job, sizes: requests.map(({ length }) => length) }));
  const headSize = Buffer.alloc(4);
  headSize.writeUInt32LE(head.length);
  const result = spawnSync(process.execPath, [file], {
    input: Buffer.concat([headSize, head, ...requests]),
    env: minimalEnv(),
    timeout: Math.ceil(budgetMs),
    killSignal: 'SIGKILL',
    stdio: ['pipe', 'pipe', 'ignore'],
    windowsHide: true,
  });
  const states: unknown = JSON.parse(result.stdout?.toString() || '[]');
  if (!Array.isArray(states)) throw new TypeError('unexpected output');
  return requests.map((_, i) => toOutcome(states[i]));
}

function toOutcome(state: unknown): SyncOutcome {
  if (state === SENT) return 'sent';
  if (state === TOO_LARGE) return 'too_large';
  return state === REFUSED ? 'refused' : 'lost';
}
