// Child processes of the benchmarks: each answers one message at a time over its IPC channel.
import { fork, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

/** Node arguments of each way to preload the agent. */
export const PRELOADS = {
  none: [],
  import: ['--import', new URL('register.mjs', ROOT).href],
  require: ['--require', fileURLToPath(new URL('dist/register.js', ROOT))],
};

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** A path below benchmarks/. */
export function local(path) {
  return fileURLToPath(new URL(`benchmarks/${path}`, ROOT));
}

/** The environment without what would configure or preload an agent. */
export function cleanEnv(extra = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OTEL_|HOOKLINE_|NODE_OPTIONS$)/.test(name));
  return { ...Object.fromEntries(kept), ...extra };
}

/** Starts a process that stays; `ask` sends a message and resolves to the answer, `ready` is its first message. */
export async function startProcess(script, { nodeArguments = [], env = {} } = {}) {
  const child = fork(local(script), {
    execArgv: nodeArguments,
    env: cleanEnv(env),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  running.add(child);
  const next = () =>
    new Promise((resolve, reject) => {
      const onMessage = (message) => {
        child.off('exit', onExit);
        resolve(message);
      };
      const onExit = (code, signal) => {
        child.off('message', onMessage);
        reject(new Error(`${script} ended with ${signal ?? `exit code ${code}`}`));
      };
      child.once('message', onMessage);
      child.once('exit', onExit);
    });
  child.once('exit', () => running.delete(child));
  const ready = await next();
  return {
    ready,
    ask(message) {
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

/** Runs a script to its end and parses what it prints as JSON. */
export function runScript(script, { nodeArguments = [], env = {}, args = [] } = {}) {
  const { status, signal, stdout } = spawnSync(process.execPath, [...nodeArguments, local(script), ...args], {
    env: cleanEnv(env),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`${script} ended with ${signal ?? `exit code ${status}`}`);
  return JSON.parse(stdout);
}
