// Starts servers and services as separate processes and makes sure that none stays behind.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

const running = new Set();

// Whatever ends the demo. The reaper sees to those that take their time.
process.on('exit', () => {
  for (const child of running) child.kill();
});

/** Resolves to the exit code that fits the signal which asks the demo to end. After a second one it ends at once. */
export const interruption = new Promise((resolve) => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ]) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(code));
      resolve(code);
    });
  }
});

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
 * Starts a server or service; resolves to the address that it says it listens on, and what it says of itself after it.
 * @param {string} name
 * @param {string[]} nodeArguments preload and script
 * @param {Record<string, string>} env
 * @returns {Promise<{ address: string, note: string }>}
 */
export function startProcess(name, nodeArguments, env) {
  const child = spawn(process.execPath, nodeArguments, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // As the reaper: Ctrl+C does not reach it, so that all of them end in order.
    detached: true,
    windowsHide: true,
  });
  running.add(child);
  reaper.stdin.write(`${child.pid ?? ''}\n`);
  child.once('close', () => {
    running.delete(child);
    reaper.stdin.write(`-${child.pid ?? ''}\n`);
  });
  // They are quiet: what they or the agent have to say is worth seeing.
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
      const [, address, note = ''] = output.match(/listens on (\S+?)(?:, (.*))?\n/) ?? [];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve({ address, note });
    });
  });
}

/**
 * Asks all to end, as a container platform would, and waits until they have: the last one started first, so that
 * none misses what it uses.
 */
export async function stopProcesses() {
  const deadline = setTimeout(() => {
    for (const child of running) child.kill('SIGKILL');
  }, STOP_TIMEOUT_MS);
  while (running.size > 0) {
    const last = [...running].at(-1);
    const ended = new Promise((resolve) => last.once('close', resolve));
    last.kill();
    await ended;
  }
  clearTimeout(deadline);
}
