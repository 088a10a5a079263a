// Starts the process of main.mjs for a run of tests, unless this run is part of one that has it.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The address of the process, for the tests and for runs started by this one. */
const VARIABLE = 'HOOKLINE_TEST_SERVERS';

export async function startServers() {
  if (process.env[VARIABLE]) return { close: async () => {} };
  const child = spawn(process.execPath, [fileURLToPath(new URL('./main.mjs', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const address = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the process for servers ended with exit code ${code}`)));
    child.stdout.setEncoding('utf8').once('data', (line) => resolve(line.trim()));
  });
  process.env[VARIABLE] = address;
  // It waits for us, and we do not wait for it.
  child.stdin.on('error', () => {});
  for (const handle of [child, child.stdin, child.stdout]) handle.unref();
  return {
    async close() {
      delete process.env[VARIABLE];
      child.ref();
      child.stdin.end();
      await ended;
    },
  };
}
