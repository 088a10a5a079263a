import { EventEmitter } from 'node:events';
import { type Loss, lossLine } from './export/losses';
import { disguise } from './hook/disguise';
import { log } from './log';

/**
 * Delivers the last spans however the process ends, without deciding about the end: exit code, signal,
 * output, the order of 'exit' listeners and all listener counts are those of a run without the agent.
 *
 * - Natural end, `process.exit()`, uncaught errors: Node emits 'exit'. We are around `emit`, and act when
 *   the last of the application's listeners has run, so that their spans are included.
 * - SIGTERM, SIGINT, SIGHUP without a listener end a process before any JavaScript could run. While spans
 *   are waiting, and only then, Node's own signal handle is started for them, as a listener would make it
 *   start, but without a listener; when the signal comes, spans are sent and the process ends by that signal.
 *   The price: in that time a signal has to wait for the event loop, as it does with any listener.
 * - `process.kill(process.pid, signal)`, with which signal libraries let a process end after their own
 *   handling, sends the spans first when the signal will end the process.
 *
 * Not covered: SIGKILL from outside, `process.abort()`, `process.reallyExit()`, native crashes, and an 'exit'
 * listener that calls `process.exit()` itself, after which Node runs no further JavaScript.
 */

/** What has to be done with spans when the process ends: the processor. */
export interface ExitHooks {
  /** Whether `flushSync` has anything to do. */
  hasPending(): boolean;
  /** Sends what can be sent without an event loop, blocking for at most `budgetMs`. */
  flushSync(budgetMs: number): void;
  /** Whether there is something that only `flush` can deliver. */
  hasPendingAsync(): boolean;
  /** Sends everything, keeping the process alive for at most `timeoutMs`. Never rejects. */
  flush(timeoutMs: number): Promise<boolean>;
  /** Whether spans were lost that `lastLosses` has not told yet. */
  hasLosses?(): boolean;
  /** The losses of this process that were not told yet; asked when it ends, after `flushSync`. */
  lastLosses?(): readonly Loss[];
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Signals that leave a process without a listener alive: by default of the system, or because Node handles or ignores them. */
const HARMLESS_SIGNALS = new Set([
  'SIGCHLD',
  'SIGCONT',
  'SIGURG',
  'SIGWINCH',
  'SIGINFO',
  'SIGSTOP',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGPIPE',
  'SIGXFSZ',
  'SIGUSR1',
]);

type Emit = (this: unknown, type: string | symbol, ...args: unknown[]) => boolean;
type Listener = (type: string) => void;

interface Installed {
  readonly hooks: ExitHooks;
  readonly exitTimeoutMs: number;
  readonly onEnding: () => void;
  readonly kill: typeof process.kill;
  /** Node's own listeners, which start and stop its handle of a signal; `undefined` where they were not found. */
  readonly signalHandles: { start: Listener; stop: Listener } | undefined;
}

let installed: Installed | undefined;
let armed = false;
/** The extra turn of the event loop is taken once: an application that makes spans in each 'beforeExit' would never end. */
let extraTurnTaken = false;

/**
 * Once per thread; later calls do nothing. Never throws. `onEnding` is called before the last `flush`: from there on nothing
 * that is not needed may be waited for.
 */
export function installExit(hooks: ExitHooks, exitTimeoutMs: number, onEnding: () => void = () => {}): void {
  if (installed !== undefined) return;
  try {
    const signalHandles = findSignalHandles();
    installed = { hooks, exitTimeoutMs, onEnding, kill: process.kill, signalHandles };
    wrapEmit();
    // Worker threads have no signal handles, and what ends the process is not theirs to watch.
    if (signalHandles !== undefined) wrapKill(installed);
    else
      log.debug(
        'signals that end the process lose spans that are waiting: worker thread, or unknown version of Node.js',
      );
  } catch (error) {
    log.debug(`spans that wait when the process ends are lost: ${String(error)}`);
  }
}

/**
 * To be called when spans start to wait, and cheap enough to be called whenever a batch timer is armed: after the
 * application removed its last listener for a signal, Node has closed the handle, and this starts it again.
 */
export function armSignals(): void {
  const handles = installed?.signalHandles;
  if (handles === undefined) return;
  try {
    for (const signal of SIGNALS) if (process.listenerCount(signal) === 0) startHandle(handles.start, signal);
    armed = true;
  } catch (error) {
    log.debug(`signals not watched: ${String(error)}`);
  }
}

/**
 * To be called when nothing waits any more: signals are as if the agent were not there. Unless spans were lost, which
 * is said when the process ends.
 */
export function disarmSignals(): void {
  const handles = installed?.signalHandles;
  if (handles === undefined || !armed || installed === undefined) return;
  if (installed.hooks.hasPending() || installed.hooks.hasLosses?.()) return;
  armed = false;
  try {
    // Does nothing for a signal that has listeners.
    for (const signal of SIGNALS) handles.stop(signal);
  } catch (error) {
    log.debug(`signals still watched: ${String(error)}`);
  }
}

function findSignalHandles(): Installed['signalHandles'] {
  // Windows knows no signals between processes, and what it emulates cannot be re-raised unchanged.
  if (process.platform === 'win32') return undefined;
  const find = (event: string, name: string): Listener | undefined =>
    (process.listeners(event as 'exit') as unknown as Listener[]).find((listener) => listener.name === name);
  const start = find('newListener', 'startListeningIfSignal');
  const stop = find('removeListener', 'stopListeningIfSignal');
  return start === undefined || stop === undefined ? undefined : { start, stop };
}

/**
 * Node binds whatever `process.emit` is at that moment into the new handle. Ours is there only for that
 * moment, so it is called for real signals and never for an application's own `process.emit('SIGTERM')`.
 */
function startHandle(start: Listener, signal: string): void {
  const own = Object.getOwnPropertyDescriptor(process, 'emit');
  Object.defineProperty(process, 'emit', { value: onSignal, configurable: true, writable: true, enumerable: false });
  try {
    start(signal);
  } finally {
    if (own === undefined) Reflect.deleteProperty(process, 'emit');
    else Object.defineProperty(process, 'emit', own);
  }
}

/** A signal came, and its handle was started by us. */
function onSignal(this: unknown, signal: string, ...args: unknown[]): boolean {
  let ends = false;
  try {
    ends = installed !== undefined && process.listenerCount(signal) === 0;
    if (ends) lastSend(installed as Installed);
  } catch (error) {
    log.debug(`last spans not sent: ${String(error)}`);
  }
  if (installed === undefined || !ends) return (process.emit as Emit)(signal, ...args);
  installed.signalHandles?.stop(signal);
  // The handle is gone and with it any handler: this ends the process as the signal would have.
  installed.kill.call(process, process.pid, signal);
  return true;
}

function lastSend({ hooks, exitTimeoutMs }: Installed): void {
  try {
    if (hooks.hasPending()) hooks.flushSync(exitTimeoutMs);
  } catch (error) {
    log.debug(`last spans not sent: ${String(error)}`);
  }
  try {
    const losses = hooks.lastLosses?.() ?? [];
    if (losses.length > 0) log.warn(lossLine(losses));
  } catch (error) {
    log.debug(`lost spans not counted: ${String(error)}`);
  }
}

/**
 * Puts our `emit` on process's own prototype, which has nothing but `constructor`, in front of EventEmitter's.
 * Where another tool has already replaced `process.emit` itself, theirs is wrapped in its place.
 */
function wrapEmit(): void {
  const prototype: object = Object.getPrototypeOf(process);
  const owner = [process, prototype].find((candidate) => Object.hasOwn(candidate, 'emit'));
  const target = owner ?? prototype;
  const descriptor = owner === undefined ? undefined : Object.getOwnPropertyDescriptor(owner, 'emit');
  const original = ((descriptor?.value as Emit | undefined) ?? (EventEmitter.prototype.emit as Emit)) as Emit;
  const wrapped = disguise(function emit(this: unknown, type: string | symbol): boolean {
    if ((type !== 'exit' && type !== 'beforeExit') || this !== process) {
      return Reflect.apply(original, this, arguments as never);
    }
    try {
      return Reflect.apply(original, this, arguments as never);
    } finally {
      onEnding(type);
    }
  }, original);
  Object.defineProperty(target, 'emit', {
    value: wrapped,
    configurable: true,
    writable: true,
    enumerable: descriptor?.enumerable ?? false,
  });
}

/**
 * Exporters that are not ours need the event loop, so before the natural end this gives it one more reason to turn. Node
 * then emits 'beforeExit' again, as for anything that is started there.
 */
function onEnding(type: 'exit' | 'beforeExit'): void {
  try {
    if (installed === undefined) return;
    if (type === 'exit') {
      try {
        lastSend(installed);
      } finally {
        endDespiteMarking();
      }
      return;
    }
    if (extraTurnTaken || !installed.hooks.hasPendingAsync()) return;
    extraTurnTaken = true;
    installed.onEnding();
    installed.hooks.flush(installed.exitTimeoutMs).catch(() => {});
  } catch (error) {
    log.debug(`last spans not sent: ${String(error)}`);
  }
}

/** Until these, Node.js runs the tasks of V8 until none is left when a process has come to its natural end. */
const DRAINS_TASKS = /^(18|19|21)\.|^20\.([0-9]|1[01])\./;

/**
 * What we allocate brings the collector closer to where it marks in steps. Its task posts itself again until the marking is
 * over, which it is not in a process without JavaScript: it would run for ever (nodejs/node#47748). Nothing is marked in steps
 * from here on, where that can happen.
 */
function endDespiteMarking(): void {
  if (!DRAINS_TASKS.test(process.versions.node)) return;
  const { isMainThread } = require('node:worker_threads') as typeof import('node:worker_threads');
  if (isMainThread) (require('node:v8') as typeof import('node:v8')).setFlagsFromString('--no-incremental-marking');
}

function wrapKill(context: Installed): void {
  const original = context.kill;
  const wrapped = disguise(function kill(this: unknown, ...args: unknown[]): boolean {
    try {
      if (args[0] === process.pid && endsProcess(args[1])) lastSend(context);
    } catch (error) {
      log.debug(`last spans not sent: ${String(error)}`);
    }
    return Reflect.apply(original, this, args) as boolean;
  }, original);
  const descriptor = Object.getOwnPropertyDescriptor(process, 'kill');
  Object.defineProperty(process, 'kill', {
    configurable: true,
    enumerable: true,
    writable: true,
    ...descriptor,
    value: wrapped,
  });
}

/** Whether a signal to ourselves ends the process: no listener for it, and not one that is harmless. Never throws. */
function endsProcess(signal: unknown): boolean {
  try {
    let name: unknown = signal ?? 'SIGTERM';
    if (typeof name === 'number') {
      if (name === 0) return false;
      const { signals } = (require('node:os') as typeof import('node:os')).constants;
      name = Object.entries(signals).find(([, number]) => number === signal)?.[0];
    }
    return (
      typeof name === 'string' &&
      name.startsWith('SIG') &&
      !HARMLESS_SIGNALS.has(name) &&
      process.listenerCount(name) === 0
    );
  } catch {
    return false;
  }
}
