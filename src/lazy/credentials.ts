import { isMainThread, workerData } from 'node:worker_threads';
import {
  type CredentialSource,
  type CredentialsJob,
  MAX_ANSWER_BYTES,
  type Obtained,
} from '../export/auth/credentials';
import { packageToInstall, SOURCES } from '../export/auth/sources';
import { withoutSecrets } from '../export/auth/without-secrets';
import { loadModule } from '../load-module';

/**
 * Asks a vendor's package for credentials, once: as a worker that puts the answer into shared memory and ends, or as a
 * module where workers are not allowed. Loaded when the first batch is sent with HOOKLINE_OTLP_AUTH.
 */
export async function obtain(source: CredentialSource, folders: readonly string[]): Promise<Obtained> {
  const { packageName, ask } = SOURCES[source];
  try {
    return await ask(await loadModule(packageName, folders));
  } catch (error) {
    if (isMissing(error, packageName)) {
      const install = `npm install ${packageToInstall(source, Number.parseInt(process.versions.node, 10))}`;
      return { problem: `HOOKLINE_OTLP_AUTH=${source} needs the package ${packageName}: ${install}`, final: true };
    }
    return { problem: `no credentials of ${source}: ${withoutSecrets(error, process.env)}`, final: false };
  }
}

function isMissing(error: unknown, packageName: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'MODULE_NOT_FOUND' && message.includes(`'${packageName}'`);
}

async function runAsWorker({ source, folders, shared }: CredentialsJob): Promise<void> {
  // Packages of today count on what Node.js 18 does not have yet; this global object is ours alone.
  const { webcrypto } = require('node:crypto') as typeof import('node:crypto');
  if (!('crypto' in globalThis)) Object.defineProperty(globalThis, 'crypto', { value: webcrypto });
  let answer = Buffer.from(JSON.stringify(await obtain(source, folders)));
  if (answer.length > MAX_ANSWER_BYTES) {
    const problem = `no credentials of ${source}: the answer has ${answer.length} bytes`;
    answer = Buffer.from(JSON.stringify({ problem, final: false }));
  }
  answer.copy(Buffer.from(shared, 4));
  const length = new Int32Array(shared, 0, 1);
  Atomics.store(length, 0, answer.length);
  Atomics.notify(length, 0);
  // Connections that the package keeps open would keep this thread.
  process.exit(0);
}

const job = workerData as Partial<CredentialsJob> | null;
if (!isMainThread && job?.hookline === 'credentials') void runAsWorker(job as CredentialsJob);
