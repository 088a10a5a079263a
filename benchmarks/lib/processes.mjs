// Child processes of the benchmarks: each answers one message at a time over its IPC channel.
import { fork, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCHMARKS = new URL('../', import.meta.url);

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A path below benchmarks/. */
export function local(path) {
  return fileURLToPath(new URL(path, BENCHMARKS));
}

/** The environment without what would configure or preload an agent. */
export function cleanEnv(extra = {}) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(OTEL_|HOOKLINE_|DD_|ELASTIC_|NODE_OPTIONS$|VITEST)/.test(name),
  );
  return { ...Object.fromEntries(kept), ...extra };
}

/**
 * Starts a process that stays; `ask` sends a message and resolves to the answer, `ready` is its first message. What it
 * prints is shown only when it fails: some agents greet.
 * @param {string} script absolute, or below benchmarks/
 */
export async function startProcess(script, { node = process.execPath, nodeArguments = [], env = {} } = {}) {
  const child = fork(script.startsWith('/') ? script : local(script), {
    execPath: node,
    execArgv: nodeArguments,
    env: cleanEnv(env),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-4_000);
    });
  }
  const next = () =>
    new Promise((resolve, reject) => {
      const onMessage = (message) => {
        child.off('exit', onExit);
        resolve(message);
      };
      const onExit = (code, signal) => {
        child.off('message', onMessage);
        reject(new Error(`${script} ended with ${signal ?? `exit code ${code}`}\n${output}`));
      };
      child.once('message', onMessage);
      child.once('exit', onExit);
    });
  child.once('exit', () => running.delete(child));
  const ready = await next();
  return {
    ready,
    ask(message) {
      if (!running.has(child)) throw new Error(`${script} is over\n${output}`);
      const answer = next();
      child.send(message);
      return answer;
    },
    stop() {
      if (!running.has(child)) return undefined;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      return ended;
    },
  };
}

/** Runs a script to its end and parses the last line that it prints as JSON. */
export function runScript(script, { node = process.execPath, nodeArguments = [], env = {}, args = [] } = {}) {
  const path = script.startsWith('/') ? script : local(script);
  const { status, signal, stdout, stderr } = spawnSync(node, [...nodeArguments, path, ...args], {
    env: cleanEnv(env),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status !== 0) throw new Error(`${script} ended with ${signal ?? `exit code ${status}`}\n${stdout}${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
