// Programs of the machine: finding them, running them to their end, keeping them as servers.
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const over = new AbortController();
export const OVER = 'the run is over';

export const isRoot = process.getuid?.() === 0;

/** Folders that servers are installed into and that PATH of an ordinary user may leave out. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/opt/homebrew/bin'];

/**
 * The path of the first program found; names come before folders.
 * @param folders looked into before PATH
 */
export function findProgram(names, folders = []) {
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  for (const name of names) {
    for (const folder of [...folders, ...path, ...SYSTEM_FOLDERS]) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        if (statSync(file).isFile()) return file;
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined;
}

/** Entries of a folder, highest version first (`/usr/lib/postgresql`: 16, 15, 9.6); none when it is not there. */
export function versionFolders(folder) {
  try {
    return readdirSync(folder)
      .filter((name) => /^[\w-]*\d/.test(name))
      .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/**
 * Runs a program to its end and resolves with its standard output. Rejects with an error of one line.
 * @param options.user as `unprivilegedUser` gives it
 * @param options.timeoutMs default one minute
 * @param options.untilOver the program may be ended by `stopDaemons`
 */
export function run(command, args, { user, env, cwd = '/', timeoutMs = 60_000, untilOver = false } = {}) {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      env: env ?? process.env,
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
      ...(untilOver && { signal: over.signal }),
      ...ids(user),
    };
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const why = error.killed
        ? `no end after ${timeoutMs} ms`
        : (lastLine(stderr) ?? lastLine(stdout) ?? error.message);
      reject(new Error(`${command}: ${why}`));
    });
    child.stdin.end();
  });
}

/** The last line that says something. */
export function lastLine(text) {
  return text
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => line !== '');
}

/**
 * Servers refuse to run as root, or had better not. Undefined when this process is not root.
 * @param names of users, the first that exists is taken
 */
export function unprivilegedUser(...names) {
  if (!isRoot) return undefined;
  for (const name of [...names, 'nobody']) {
    try {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })),
      );
      return { name, uid, gid };
    } catch {
      // The next.
    }
  }
  return undefined;
}

const folders = new Set();

/** A folder for one server, owned by its user. */
export function makeFolder(name, user) {
  const folder = mkdtempSync(join(reachableTemporaryFolder(), `hookline-${name}-`));
  folders.add(folder);
  if (user) chownSync(folder, user.uid, user.gid);
  return folder;
}

export function makeSubfolder(folder, name, user) {
  const path = join(folder, name);
  mkdirSync(path);
  if (user) chownSync(path, user.uid, user.gid);
  chmodSync(path, 0o700);
  return path;
}

/** TMPDIR may be root's own; a user who cannot enter its parents could not use a folder in it. */
function reachableTemporaryFolder() {
  const folder = tmpdir();
  if (!isRoot) return folder;
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    if ((statSync(path).mode & 0o001) === 0) return '/tmp';
  }
  return folder;
}

function ids(user) {
  return user ? { uid: user.uid, gid: user.gid } : {};
}

const daemons = new Set();

/**
 * Starts a server in a process group of its own; its output goes to a file.
 * @param options.stopSignal its quickest end that leaves nothing behind, default SIGKILL for the whole group
 */
export function startDaemon(command, args, { user, env, folder, log = 'server.log', stopSignal = 'SIGKILL' }) {
  if (isOver()) throw new Error(OVER);
  const file = join(folder, log);
  const output = openSync(file, 'a');
  const child = spawn(command, args, {
    cwd: folder,
    env: env ?? process.env,
    stdio: ['ignore', output, output],
    detached: true,
    ...ids(user),
  });
  const daemon = {
    child,
    ended: new Promise((resolve) => {
      child.once('error', resolve);
      child.once('exit', (code, signal) => resolve(new Error(`ended with ${signal ?? `exit code ${code}`}`)));
    }),
    isRunning: () => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
    /** What the server has said last. */
    lastWords: () => lastLine(readFileSync(file, 'utf8')),
    async stop() {
      daemons.delete(daemon);
      if (child.pid === undefined) return;
      if (daemon.isRunning()) {
        signalGroup(child.pid, stopSignal);
        const timer = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), 5_000);
        await daemon.ended;
        clearTimeout(timer);
      }
      // What the server's first process has left behind.
      signalGroup(child.pid, 'SIGKILL');
    },
  };
  daemons.add(daemon);
  return daemon;
}

/** Waits until `probe` resolves. Rejects with one line when the server ends or takes longer than a minute. */
export async function untilReady(daemon, probe, timeoutMs = 60_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const result = await probe();
      // The port may have gone to another server in the meantime, and that one answered.
      if (daemon.isRunning()) return result;
      throw new Error('another server answers on its port');
    } catch (error) {
      if (isOver()) throw new Error(OVER);
      const reason = Date.now() > deadline ? `not ready after ${timeoutMs} ms: ${error.message}` : undefined;
      if (!daemon.isRunning())
        throw new Error(`${(await daemon.ended).message}: ${daemon.lastWords() ?? error.message}`);
      if (reason) throw new Error(reason);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Stops every server, and lets no other start. */
export async function stopDaemons() {
  over.abort();
  await Promise.allSettled([...daemons].map((daemon) => daemon.stop()));
}

/** True once `stopDaemons` was called. */
export function isOver() {
  return over.signal.aborted;
}

/** For the end of this process, when there is no more waiting. */
export function leaveNothing() {
  over.abort();
  for (const { child } of daemons) if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
  for (const folder of folders) removeFolder(folder);
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}

export function removeFolder(folder) {
  folders.delete(folder);
  // A server that is ending may still write.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
