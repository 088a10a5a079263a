import { createRequire } from 'node:module';
import type { TextMapGetter, TextMapPropagator, TextMapSetter } from '@opentelemetry/api';
import { resolveFromApplication } from '../application-folders';
import { log } from '../log';
import { toTraceContext } from '../trace/context';
import { b3MultiPropagator, b3Propagator } from './b3';
import { datadogPropagator } from './datadog';
import { gcpPropagator } from './gcp';
import { jaegerPropagator } from './jaeger';
import { ottracePropagator } from './ottrace';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';
import { xrayPropagator } from './xray';

const BY_NAME: Readonly<Record<string, Propagator>> = {
  b3: b3Propagator,
  b3multi: b3MultiPropagator,
  datadog: datadogPropagator,
  gcp: gcpPropagator,
  jaeger: jaegerPropagator,
  ottrace: ottracePropagator,
  xray: xrayPropagator,
};

/**
 * A propagator that is not on by default: by name, else by module specifier, a package or path with the name of the
 * export behind `#`. What cannot be loaded is one clear line and carries nothing. Its methods never throw.
 */
export function loadPropagator(name: string): Propagator {
  const builtIn = Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined;
  if (builtIn !== undefined) return guarded(name, builtIn);
  try {
    return guarded(name, fromTextMap(loadModule(name)));
  } catch (error) {
    log.error(`OTEL_PROPAGATORS: "${name}" cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    return { fields: [], extract: (context) => context, inject: () => {} };
  }
}

function guarded(name: string, propagator: Propagator): Propagator {
  const fail = (method: string, error: unknown): void =>
    log.once('warn', `propagator-${name}-${method}`, `propagator ${name} failed to ${method}: ${String(error)}`);
  return {
    fields: propagator.fields,
    extract(context, get) {
      try {
        return propagator.extract(context, get);
      } catch (error) {
        fail('extract', error);
        return context;
      }
    },
    inject(context, set) {
      try {
        propagator.inject(context, set);
      } catch (error) {
        fail('inject', error);
      }
    },
  };
}

/** Any OpenTelemetry TextMapPropagator. One that looks through all headers sees those that it calls its fields. */
function fromTextMap(propagator: TextMapPropagator): Propagator {
  const fields = propagator.fields().map((field) => field.toLowerCase());
  const getter: TextMapGetter<HeaderGetter> = {
    get: (get, key) => get(key.toLowerCase()) as string | string[] | undefined,
    keys: (get) => fields.filter((field) => get(field) !== undefined),
  };
  const setter: TextMapSetter<HeaderSetter> = {
    set(set, key, value) {
      const text = String(value);
      // Not every carrier looks, and what a caller sent must not begin a header of its own.
      if (isHeaderValue(text)) set(key.toLowerCase(), text);
    },
  };
  return {
    fields,
    extract(context, get) {
      const extracted = propagator.extract(context, get, getter);
      return extracted === context ? context : toTraceContext(extracted);
    },
    inject: (context, set) => propagator.inject(context, set, setter),
  };
}

/** Characters that a header's value can hold everywhere: printable ASCII. */
function isHeaderValue(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** Throws an Error that says what is wrong. Synchronous, since the first request may need it. */
function loadModule(specifier: string): TextMapPropagator {
  const [, path = '', exportName] = /^([^#]+)(?:#(.+))?$/s.exec(specifier) ?? [];
  const file = resolveFromApplication(path);
  const exports = createRequire(file)(file) as Record<string, unknown>;
  const named = exportName === undefined ? exports : exports[exportName];
  if (named === undefined) throw new Error(`it has no export ${exportName}`);
  for (const candidate of [named, (named as { default?: unknown }).default]) {
    const propagator = toInstance(candidate);
    if (propagator !== undefined) return propagator;
  }
  throw new Error('what it exports has no extract(), inject() and fields(); name the export behind a #');
}

function toInstance(candidate: unknown): TextMapPropagator | undefined {
  if (isPropagator(candidate)) return candidate;
  if (typeof candidate !== 'function') return undefined;
  if (isPropagator(candidate.prototype)) return new (candidate as new () => TextMapPropagator)();
  return undefined;
}

function isPropagator(value: unknown): value is TextMapPropagator {
  const { extract, inject, fields } = (value ?? {}) as Record<string, unknown>;
  return [extract, inject, fields].every((method) => typeof method === 'function');
}
