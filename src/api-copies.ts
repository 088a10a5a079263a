import { API_KEY, type ApiGlobals, OWNED, ours, versionByType } from './api';
import { noteHookFailure } from './hook/hook-failure';
import type { Instrumentation } from './hook/instrumentation';
import { log } from './log';

/**
 * Not an instrumentation of the table: lets each copy of the API that the application loads register its metrics, logs and
 * diag beside us.
 */
export const apiInstrumentation: Instrumentation = {
  name: 'api',
  targets: ['build/src/internal/global-utils.js', 'dist/internal/global-utils.cjs'].map((file) => ({
    module: '@opentelemetry/api',
    file,
    patch: (exports) => void patchApiGlobals(exports),
  })),
};

/** What `internal/global-utils` of a copy of the API exports. Before 1.1, `diag` was no argument. */
interface GlobalUtils {
  registerGlobal(type: string, instance: unknown, ...rest: unknown[]): boolean;
  getGlobal(type: string): unknown;
  unregisterGlobal(type: string, ...rest: unknown[]): void;
}

const patched = new WeakSet<object>();

/**
 * Lets one copy of the API register beside us, given the exports of its `internal/global-utils` right after they loaded
 * (`build/src/internal/global-utils.js` up to 1.9, `dist/internal/global-utils.cjs` or `.mjs` from 1.10).
 *
 * The copy would refuse every registration, since the versions differ. With this, metrics, logs and diag of the application
 * are registered as if we were not there, while tracer provider, context manager and propagator of an SDK that the
 * application starts are declined with one line in the log. Nothing changes while we are not registered.
 * A copy that was bundled into the application cannot be reached: its own registrations are refused, with the API's message.
 * Returns whether the exports were patched; exports that are read-only or of another shape stay as they are.
 */
export function patchApiGlobals(exports: unknown): boolean {
  if (!isGlobalUtils(exports)) return false;
  if (patched.has(exports)) return true;
  const original: GlobalUtils = {
    registerGlobal: exports.registerGlobal,
    getGlobal: exports.getGlobal,
    unregisterGlobal: exports.unregisterGlobal,
  };
  const version = once(() => versionOf(original));

  const replacement: GlobalUtils = {
    registerGlobal(type, instance, ...rest) {
      let registered: boolean | undefined;
      try {
        registered = registerBesideUs(type, instance, rest.includes(true), version);
      } catch (error) {
        noteHookFailure('the OpenTelemetry API', error);
      }
      return registered ?? original.registerGlobal(type, instance, ...rest);
    },

    getGlobal(type) {
      // What another copy registered may lack what this one calls: each type keeps the rule for its own version.
      try {
        if (versionByType.has(type) && ours() !== undefined && !isCompatible(version(), versionByType.get(type))) {
          return undefined;
        }
      } catch (error) {
        noteHookFailure('the OpenTelemetry API', error);
      }
      return original.getGlobal(type);
    },

    unregisterGlobal(type, ...rest) {
      try {
        if (ours() !== undefined) {
          if (OWNED.has(type)) {
            log.debug(`the application disabled the OpenTelemetry API's ${type}, which stays with the agent`);
            return;
          }
          versionByType.delete(type);
        }
      } catch (error) {
        noteHookFailure('the OpenTelemetry API', error);
      }
      original.unregisterGlobal(type, ...rest);
    },
  };
  try {
    Object.assign(exports, replacement);
  } catch {
    // Read-only from some member on: all or nothing.
    attemptAssign(exports, original);
    return false;
  }
  patched.add(exports);
  return true;
}

function attemptAssign(target: GlobalUtils, source: GlobalUtils): void {
  for (const name of Object.keys(source) as (keyof GlobalUtils)[]) Reflect.set(target, name, source[name]);
}

/** Whether it was registered; `undefined` where that is for the copy to do. */
function registerBesideUs(
  type: string,
  instance: unknown,
  allowOverride: boolean,
  version: () => string | undefined,
): boolean | undefined {
  const api = ours();
  if (api === undefined) return undefined;
  if (OWNED.has(type)) {
    declineSdk();
    return false;
  }
  // The copy reports the duplicate itself, in its own words and to the logger that it was given.
  if (api[type] && !allowOverride) return undefined;
  api[type] = instance;
  versionByType.set(type, version());
  return true;
}

function declineSdk(): void {
  log.once(
    'warn',
    'api:declined',
    "the application started an OpenTelemetry SDK of its own; tracing stays with this agent, and the SDK's tracer provider, " +
      'context manager and propagator are not used (remove one of the two)',
  );
}

function isGlobalUtils(exports: unknown): exports is GlobalUtils {
  if (typeof exports !== 'object' || exports === null) return false;
  const { registerGlobal, getGlobal, unregisterGlobal } = exports as Partial<GlobalUtils>;
  return [registerGlobal, getGlobal, unregisterGlobal].every((item) => typeof item === 'function');
}

/**
 * The version of the copy of the API behind `utils`, which exports it nowhere near: what it writes into a fresh registration.
 * Synchronous, so that nobody else sees the global without us.
 */
function versionOf(utils: GlobalUtils): string | undefined {
  const globals = globalThis as { [API_KEY]?: ApiGlobals | undefined };
  const current = globals[API_KEY];
  const silent = { error() {}, debug() {} };
  try {
    globals[API_KEY] = undefined;
    utils.registerGlobal('hookline', {}, silent);
    return (globals[API_KEY] as ApiGlobals | undefined)?.version;
  } catch {
    return undefined;
  } finally {
    globals[API_KEY] = current;
  }
}

/** The API's rule: a copy uses what was registered by a copy of the same minor version or a later one. */
function isCompatible(own: string | undefined, registrant: string | undefined): boolean {
  const ownMinor = minorOf(own);
  const otherMinor = minorOf(registrant);
  return ownMinor === undefined || otherMinor === undefined || ownMinor <= otherMinor;
}

function minorOf(version: string | undefined): number | undefined {
  const minor = Number(version?.split('.')[1]);
  return Number.isInteger(minor) ? minor : undefined;
}

function once<Value>(make: () => Value): () => Value {
  let value: { readonly it: Value } | undefined;
  return () => {
    value ??= { it: make() };
    return value.it;
  };
}
