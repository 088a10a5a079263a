import { createRequire, syncBuiltinESMExports } from 'node:module';
import { attempt, noteHookFailure } from './hook-failure';

/**
 * Tells when Node loads a built-in module, however the application reached it.
 *
 * No public hook sees `import http from 'node:http'`, and loading `http2` or `https` ahead of the application would
 * cost it 10 to 20 ms. But Node appends every built-in it loads to the array `process.moduleLoadList` (measured on
 * 18.19 to 26), and an append looks for a setter on the array's prototype chain: a prototype of ours gets one for the
 * next index, and moves it on after each append. Nothing runs while nothing loads.
 *
 * The append happens before the module's code has run, so a listener only takes note; `drain` is called as soon as the
 * module is there: when the `require` in progress returns, and for `import`, which evaluates nothing before a turn of
 * the microtask queue, in a microtask.
 */
export function watchBuiltins(
  wanted: (name: string) => boolean,
  onLoaded: (name: string, exports: unknown) => void,
  onModuleHooks: () => void = () => {},
): BuiltinWatch {
  const pending: string[] = [];
  let load: NodeJS.Require | undefined;

  /** What a listener loads is for the loop that called it, and what comes with files of ours waits until they are there. */
  let held = false;
  const drain = (): void => {
    if (held || pending.length === 0) return;
    held = true;
    try {
      for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
        if (load === undefined) load = createRequire(__filename);
        onLoaded(name, load(`node:${name}`));
      }
    } finally {
      held = false;
    }
    // Named and namespace imports are copies of the exports object; this brings them up to date.
    syncBuiltinESMExports();
  };
  const hold = <Result>(work: () => Result): Result => {
    if (held) return work();
    held = true;
    try {
      return work();
    } finally {
      held = false;
      attempt(WATCH, drain)();
    }
  };

  const seen = (entry: unknown): void => {
    if (typeof entry !== 'string' || !entry.startsWith(PREFIX)) return;
    const name = entry.slice(PREFIX.length);
    if (name === HOOKS) queueMicrotask(attempt(WATCH, onModuleHooks));
    if (!wanted(name)) return;
    pending.push(name);
    queueMicrotask(attempt(WATCH, drain));
  };

  const list = (process as unknown as { moduleLoadList?: unknown }).moduleLoadList;
  const scan = (): void => {
    if (Array.isArray(list)) for (const entry of list) seen(entry);
    drain();
  };
  scan();
  if (Array.isArray(list)) watchAppends(list, seen);
  return { drain, scan, hold };
}

/** Handles of the watch. */
export interface BuiltinWatch {
  /** Hands over what was loaded since; to be called when a load is over. */
  drain(): void;
  /** Hands over everything loaded so far, again; for wishes that came later. */
  scan(): void;
  /** Does some work, and hands over what is loaded meanwhile, or was before, behind it. */
  hold<Result>(work: () => Result): Result;
}

const PREFIX = 'NativeModule ';

/** What failed, in messages. */
const WATCH = 'the watch for built-ins';

/** Loaded on the application's thread with the first asynchronous module hook: `--loader` or `module.register`. */
const HOOKS = 'internal/modules/esm/hooks';

function watchAppends(list: unknown[], seen: (entry: unknown) => void): void {
  const prototype = Object.create(Object.getPrototypeOf(list)) as object;
  const arm = (index: number): void => {
    Object.defineProperty(prototype, index, {
      configurable: true,
      get: () => undefined,
      set(this: unknown[], value: unknown) {
        try {
          delete (prototype as Record<number, unknown>)[index];
          arm(index + 1);
        } catch (error) {
          noteHookFailure(WATCH, error);
        }
        Object.defineProperty(this, index, { value, writable: true, enumerable: true, configurable: true });
        try {
          seen(value);
        } catch (error) {
          noteHookFailure(WATCH, error);
        }
      },
    });
  };
  arm(list.length);
  Object.setPrototypeOf(list, prototype);
}
