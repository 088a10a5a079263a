import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type { ContextManager, TextMapPropagator, TracerProvider } from '@opentelemetry/api';
import { noteHookFailure } from './hook/hook-failure';
import { log } from './log';

/** Where every copy of @opentelemetry/api 1.x looks for what is registered. */
export const API_KEY = Symbol.for('opentelemetry.js.api.1');

/**
 * A copy of the API uses a registration of its own minor version or a later one, so ours is later than any there will be.
 * It registers only beside exactly its own version, which `patchApiGlobals` makes up for.
 */
const API_VERSION = '1.999.0';

/** What we register; applications keep everything else (metrics, logs, diag). */
const OWNED_TYPES = ['trace', 'context', 'propagation'] as const;
export const OWNED: ReadonlySet<string> = new Set(OWNED_TYPES);

/** The object that the copies of the API share. */
export interface ApiGlobals {
  readonly version: string;
  [type: string]: unknown;
}

/** What is registered. */
export interface ApiParts {
  readonly trace: TracerProvider;
  readonly context: ContextManager;
  readonly propagation: TextMapPropagator;
}

let registered: ApiGlobals | undefined;
/** Version of the copy that registered each type that is not ours; `undefined` where it could not be told. */
export const versionByType = new Map<string, string | undefined>();

/**
 * Makes the agent the tracer, context manager and propagator of every copy of the API in this process, loaded or not.
 * Registrations of other types that are already there stay. Returns false, with a line in the log, when an SDK came first:
 * two context managers would take each other's spans for their own. `parts` is called when somebody looks.
 */
export function registerApi(parts: () => ApiParts): boolean {
  const globals = globalThis as { [API_KEY]?: unknown };
  const existing = globals[API_KEY] as ApiGlobals | undefined;
  if (existing !== undefined && existing === registered) return true;
  const taken = existing === undefined ? [] : [...OWNED].filter((type) => Boolean(existing[type]));
  if (existing !== undefined && taken.length > 0) {
    const owner = describeOwner(existing);
    log.warn(`another OpenTelemetry SDK registered first (${owner}) and stays in charge of ${taken.join(', ')}`);
    return false;
  }
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
  for (const type of OWNED_TYPES) defineWhenRead(api, type, () => parts()[type]);
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
 * A property like any other, but for its value, which is made when it is read for the first time. When that fails, the API is
 * what it is where nobody registered: its reader is the application.
 */
function defineWhenRead(object: object, name: string, make: () => unknown): void {
  const become = (value: unknown): void => {
    Object.defineProperty(object, name, { value, configurable: true, enumerable: true, writable: true });
  };
  Object.defineProperty(object, name, {
    configurable: true,
    enumerable: true,
    get() {
      let value: unknown;
      try {
        value = make();
      } catch (error) {
        noteHookFailure('the OpenTelemetry API', error);
      }
      try {
        become(value);
      } catch (error) {
        noteHookFailure('the OpenTelemetry API', error);
      }
      return value;
    },
    set: become,
  });
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

/** Our registration while it is the one in force. */
export function ours(): ApiGlobals | undefined {
  if (registered === undefined) return undefined;
  return (globalThis as { [API_KEY]?: unknown })[API_KEY] === registered ? registered : undefined;
}
