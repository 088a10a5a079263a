import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { applicationFolders } from '../../application-folders';
import { log } from '../../log';
import { describe } from '../transport';
import {
  type CredentialSource,
  type CredentialsJob,
  MAX_ANSWER_BYTES,
  type Obtained,
  type PendingCredentials,
} from './credentials';

/**
 * Asks a source in a worker thread that lives for one answer. There the vendor's package can do what it likes: its sockets and timers
 * do not hold the process, its requests are not traced, its warnings are not printed, and the end of the process can
 * wait for it while this thread is blocked. Where threads are not allowed it runs here.
 */
export function obtainCredentials(
  source: CredentialSource,
  file: string = join(__dirname, 'credentials.js'),
): PendingCredentials {
  try {
    return inWorker(source, file);
  } catch (error) {
    log.debug(`no worker for the credentials of ${source}: ${describe(error)}`);
  }
  const { obtain } = require(file) as typeof import('../../lazy/credentials');
  return { result: obtain(source, applicationFolders()), waitSync: () => undefined, cancel: () => {} };
}

function inWorker(source: CredentialSource, file: string): PendingCredentials {
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
  const shared = new SharedArrayBuffer(4 + MAX_ANSWER_BYTES);
  const length = new Int32Array(shared, 0, 1);
  const workerData: CredentialsJob = { hookline: 'credentials', source, folders: applicationFolders(), shared };
  const { NODE_OPTIONS: _preloads, ...env } = process.env;
  // As source text: a file would be resolved by module hooks of the application, which may need this thread.
  const worker = new Worker(readFileSync(file, 'utf8'), {
    eval: true,
    workerData,
    execArgv: [],
    env: { ...env, OTEL_SDK_DISABLED: 'true' },
    stdout: true,
    stderr: true,
  });
  worker.unref();
  const read = (): Obtained | undefined => {
    const size = Atomics.load(length, 0);
    if (size === 0) return undefined;
    return JSON.parse(Buffer.from(shared, 4, size).toString('utf8')) as Obtained;
  };
  return {
    result: new Promise((resolve) => {
      let failure = 'it ended without an answer';
      worker.on('error', (error) => {
        failure = describe(error);
      });
      worker.on('exit', () => resolve(read() ?? { problem: `no credentials of ${source}: ${failure}`, final: false }));
    }),
    waitSync: (budgetMs) => {
      Atomics.wait(length, 0, 0, Math.max(budgetMs, 0));
      return read();
    },
    cancel: () => void worker.terminate(),
  };
}
