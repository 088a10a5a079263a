// Starts the services as separate processes and makes sure that none stays behind.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

const running = new Set();

// Whatever ends the demo: an exception, a signal, or its last line.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]) {
  process.on(signal, () => process.exit(code));
}

// A process group of its own: Ctrl+C reaches all of the terminal's, and this one has to outlive them.
const reaper = spawn(process.execPath, [fileURLToPath(new URL('reaper.mjs', import.meta.url))], {
  stdio: ['pipe', 'ignore', 'ignore'],
  detached: true,
  env: { ...process.env, NODE_OPTIONS: '' },
});
reaper.unref();
reaper.on('error', () => {});
reaper.stdin.on('error', () => {});

/**
 * Starts a service; resolves to the address that it says it listens on.
 * @param {string} name
 * @param {string[]} nodeArguments preload and script
 * @param {Record<string, string>} env
 * @returns {Promise<string>}
 */
export function startService(name, nodeArguments, env) {
  const child = spawn(process.execPath, nodeArguments, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  reaper.stdin.write(`${child.pid ?? ''}\n`);
  child.once('close', () => {
    running.delete(child);
    reaper.stdin.write(`-${child.pid ?? ''}\n`);
  });
  // The services are quiet: what they or the agent have to say is worth seeing.
  child.stderr.on('data', (text) => process.stderr.write(text));

  let output = '';
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${name} did not start: ${why}`));
    const timer = setTimeout(() => fail(`nothing heard for ${START_TIMEOUT_MS / 1000} s`), START_TIMEOUT_MS);
    child.once('error', ({ message }) => fail(message));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      fail(`it ended with ${signal ?? `exit code ${code}`}`);
    });
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      const url = output.match(/listens on (http:\S+)\n/)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
  });
}

/** Asks all services to end, as a container platform would, and waits until they have. */
export async function stopServices() {
  const deadline = setTimeout(() => {
    for (const child of running) child.kill('SIGKILL');
  }, STOP_TIMEOUT_MS);
  const ended = [...running].map((child) => new Promise((resolve) => child.once('close', resolve)));
  for (const child of running) child.kill('SIGTERM');
  await Promise.all(ended);
  clearTimeout(deadline);
}
