import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type { TextMapPropagator, TracerProvider } from '@opentelemetry/api';
import { log } from './log';
import type { Propagator } from './propagation/propagator';
import { toTextMapPropagator } from './propagation/text-map';
import { contextManager } from './trace/context';

/** Where every copy of @opentelemetry/api 1.x looks for what is registered. */
const API_KEY = Symbol.for('opentelemetry.js.api.1');

/**
 * A copy of the API uses a registration of its own minor version or a later one, so ours is later than any there will be.
 * It registers only beside exactly its own version, which `patchApiGlobals` makes up for.
 */
const API_VERSION = '1.999.0';

/** What we register; applications keep everything else (metrics, logs, diag). */
const OWNED: ReadonlySet<string> = new Set(['trace', 'context', 'propagation']);

/** The object that the copies of the API share. */
interface ApiGlobals {
  readonly version: string;
  [type: string]: unknown;
}

export interface ApiOptions {
  readonly provider: TracerProvider;
  readonly propagator: Propagator;
  /** Sends what has ended; offered as `forceFlush` of the provider, which serverless wrappers call. */
  readonly forceFlush?: () => Promise<void>;
}

let registered: ApiGlobals | undefined;
/** Version of the copy that registered each type that is not ours; `undefined` where it could not be told. */
const versionByType = new Map<string, string | undefined>();

/**
 * Makes the agent the tracer, context manager and propagator of every copy of the API in this process, loaded or not.
 * Registrations of other types that are already there stay. Returns false, with a line in the log, when an SDK came first:
 * two context managers would take each other's spans for their own.
 */
export function registerApi(options: ApiOptions): boolean {
  const globals = globalThis as { [API_KEY]?: unknown };
  const existing = globals[API_KEY] as ApiGlobals | undefined;
  if (existing !== undefined && existing === registered) return true;
  const taken = existing === undefined ? [] : [...OWNED].filter((type) => Boolean(existing[type]));
  if (existing !== undefined && taken.length > 0) {
    const owner = describeOwner(existing);
    log.warn(`another OpenTelemetry SDK registered first (${owner}) and stays in charge of ${taken.join(', ')}`);
    return false;
  }
  const propagation: TextMapPropagator = toTextMapPropagator(options.propagator);
  const api = {} as ApiGlobals;
  const registration = { underWay: false };
  Object.defineProperty(api, 'version', {
    enumerable: true,
    get: () => (registration.underWay ? (applicationVersion() ?? API_VERSION) : API_VERSION),
  });
  versionByType.clear();
  for (const type of Object.keys(existing ?? {})) {
    if (type === 'version') continue;
    api[type] = existing?.[type];
    versionByType.set(type, existing?.version);
  }
  api.trace = providerFor(options);
  api.context = contextManager;
  api.propagation = propagation;
  try {
    watchRegistrations(api, registration);
  } catch {
    log.warn('the OpenTelemetry API cannot be registered: its global is read-only');
    return false;
  }
  registered = api;
  return true;
}

/**
 * Puts our registration in place. A copy of the API that `patchApiGlobals` could not reach (the ES module build of 1.10, a
 * bundled copy) looks here before it registers something, and writes what it found back, which no other access does:
 * the version that it reads next is then the one it wants to see, its own.
 */
function watchRegistrations(api: ApiGlobals, registration: { underWay: boolean }): void {
  let current: unknown = api;
  Object.defineProperty(globalThis, API_KEY, {
    configurable: true,
    enumerable: true,
    get: () => current,
    set(value: unknown) {
      if (value !== api || current !== api) {
        current = value;
        return;
      }
      registration.underWay = true;
      queueMicrotask(() => {
        registration.underWay = false;
      });
    },
  });
}

let foundVersion: { readonly it: string | undefined } | undefined;

/** The version of @opentelemetry/api that the application has installed: the one its main script would load. */
function applicationVersion(): string | undefined {
  if (foundVersion === undefined) foundVersion = { it: findVersion() };
  return foundVersion.it;
}

function findVersion(): string | undefined {
  try {
    const main = createRequire(join(dirname(process.argv[1] ?? process.cwd()), 'main.js')).resolve(
      '@opentelemetry/api',
    );
    const name = join('node_modules', '@opentelemetry', 'api') + sep;
    const folder = main.slice(0, main.lastIndexOf(name) + name.length);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: unknown };
    return typeof manifest.version === 'string' ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What the API's own ProxyTracerProvider offers: applications ask the global provider for its delegate and its flush.
 * `setDelegate` is ignored, as a second `setGlobalTracerProvider` would be.
 */
function providerFor({ provider, forceFlush }: ApiOptions): TracerProvider {
  const proxy = {
    getTracer: provider.getTracer.bind(provider),
    getDelegate: () => (forceFlush === undefined ? provider : proxy),
    getDelegateTracer: provider.getTracer.bind(provider),
    setDelegate: () => {},
    ...(forceFlush === undefined ? {} : { forceFlush }),
  };
  return proxy;
}

/** Version and class of a foreign registration, as far as they can be told. */
function describeOwner(api: ApiGlobals): string {
  let owner = 'unknown';
  try {
    const trace = api.trace as { getDelegate?(): object } | undefined;
    owner = (trace?.getDelegate?.() ?? trace ?? (api.context as object | undefined))?.constructor?.name ?? owner;
  } catch {
    // Only a name for the log.
  }
  return `${owner}, API ${String(api.version)}`;
}

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
      const api = ours();
      if (api === undefined) return original.registerGlobal(type, instance, ...rest);
      if (OWNED.has(type)) {
        declineSdk();
        return false;
      }
      const allowOverride = rest.includes(true);
      // The copy reports the duplicate itself, in its own words and to the logger that it was given.
      if (api[type] && !allowOverride) return original.registerGlobal(type, instance, ...rest);
      api[type] = instance;
      versionByType.set(type, version());
      return true;
    },

    getGlobal(type) {
      // What another copy registered may lack what this one calls: each type keeps the rule for its own version.
      if (versionByType.has(type) && ours() !== undefined && !isCompatible(version(), versionByType.get(type))) {
        return undefined;
      }
      return original.getGlobal(type);
    },

    unregisterGlobal(type, ...rest) {
      if (ours() !== undefined) {
        if (OWNED.has(type)) {
          log.debug(`the application disabled the OpenTelemetry API's ${type}, which stays with the agent`);
          return;
        }
        versionByType.delete(type);
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

/** Our registration while it is the one in force. */
function ours(): ApiGlobals | undefined {
  if (registered === undefined) return undefined;
  return (globalThis as { [API_KEY]?: unknown })[API_KEY] === registered ? registered : undefined;
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
