/**
 * `koa` 2 and 3, with the routers `@koa/router` and `koa-router`, of which no code is touched: all of their versions write the
 * path of what they found to `ctx._matchedRoute`, before any of its handlers runs. So contexts have an accessor of that name,
 * which serves the routers' ES modules as well.
 */

import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { functionName, runLayer } from '../src/http/layers';
import { joinTemplates, noteError, setRoute } from '../src/http/route';

const VERSIONS = '>=2.0.1 <4';

export default {
  name: 'koa',
  targets: [
    { module: 'koa', versions: VERSIONS, file: 'lib/context.js', patch: patchContext },
    { module: 'koa', versions: VERSIONS, file: 'lib/application.js', patch: patchApplication },
  ],
} satisfies Instrumentation;

// biome-ignore lint/suspicious/noExplicitAny: functions of the application
type AnyFunction = (...args: any[]) => any;

/** A layer of a router; those of middleware have no methods. */
interface Layer {
  readonly path: unknown;
  readonly methods: readonly string[];
  stack: AnyFunction[];
}

interface Context {
  readonly req: object;
  readonly method: string;
  /** Every layer whose path matches. */
  readonly matched?: readonly Layer[];
  /** Of koa-mount. */
  readonly mountPath?: string;
}

/**
 * What was written to `_matchedRoute`. A property, so that reading it is nothing that could fail, and that objects made of a
 * context inherit it.
 */
const MATCHED = Symbol('matched route');

interface Matching extends Context {
  [MATCHED]?: unknown;
}

function patchContext(prototype: object, tracing: Tracing): void {
  Object.defineProperty(prototype, '_matchedRoute', {
    configurable: true,
    enumerable: false,
    get(this: Matching): unknown {
      return this[MATCHED];
    },
    set(this: Matching, value: unknown): void {
      try {
        // As without us, nobody finds more among the keys of a context than before.
        Object.defineProperty(this, MATCHED, { value, writable: true, configurable: true });
        if (!tracing.off) describe(this, value, tracing);
      } catch (failure) {
        this[MATCHED] = value;
        tracing.fail(failure);
      }
    },
  });
  tracing.replace(prototype, 'onerror', (original) => {
    return function (this: Context, error: unknown): unknown {
      tracing.guard(() => noteError(this.req, error));
      return Reflect.apply(original, this, arguments);
    };
  });
}

function describe(context: Context, value: unknown, tracing: Tracing): void {
  const layers = Array.isArray(context.matched) ? (context.matched as readonly Layer[]) : [];
  const route = layers.find(({ path, methods }) => path === value && methods.length > 0);
  // Newer routers tell of each layer on the way, middleware too.
  const found = route ?? layers.findLast(({ methods }) => methods.includes(context.method));
  const path = found?.path ?? value;
  const template = joinTemplates(context.mountPath ?? '', typeof path === 'string' ? path : String(path)) || '/';
  setRoute(context.req, template);
  const spans = tracing.config.frameworks.koa;
  for (const layer of layers) {
    if (layer.methods.length > 0 || spans === 'all') watchLayer(layer, template, spans !== 'none', tracing);
  }
}

/** By layer of a router and by function of ours: a router that is mounted later has copies of its layers. */
const isWatched = createStamp<true>();

function watchLayer(layer: Layer, route: string, hasSpan: boolean, tracing: Tracing): void {
  if (isWatched.get(layer) !== undefined || !Array.isArray(layer.stack)) return;
  isWatched.set(layer, true);
  const isHandler = layer.methods.length > 0;
  layer.stack = layer.stack.map((fn) => {
    if (isWatched.get(fn) !== undefined) return fn;
    const name = isHandler ? `handler ${route}` : `middleware ${functionName(fn) ?? 'anonymous'}`;
    const noting = isHandler ? notingErrors(fn, tracing) : fn;
    const watched = hasSpan ? inSpan(noting, name, isHandler ? route : undefined, tracing) : noting;
    isWatched.set(watched, true);
    return watched;
  });
}

/** The application may catch what a handler throws, in middleware of its own, and make an error page of it. */
function notingErrors(fn: AnyFunction, tracing: Tracing): AnyFunction {
  const holder = { fn };
  tracing.replace(holder, 'fn', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const note = (error: unknown) => {
        tracing.guard(() => noteError((args[0] as Context).req, error));
      };
      let result: unknown;
      try {
        result = Reflect.apply(original, this, args);
      } catch (error) {
        note(error);
        throw error;
      }
      tracing.guard(() => {
        // A branch of our own: the application gets the promise as it is.
        if (result instanceof Promise) result.then(undefined, note);
      });
      return result;
    };
  });
  return holder.fn;
}

function inSpan(fn: AnyFunction, name: string, route: string | undefined, tracing: Tracing): AnyFunction {
  const holder = { fn };
  const layer = { name, fn, route, around: true };
  tracing.replace(holder, 'fn', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      return runLayer(tracing, layer, (args[0] as Context | undefined)?.req, original, this, args);
    };
  });
  return holder.fn;
}

function patchApplication(Application: { prototype: object }, tracing: Tracing): void {
  if (tracing.config.frameworks.koa !== 'all') return;
  tracing.replace(Application.prototype, 'use', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      try {
        const [fn] = args;
        // koa 2 turns generators into functions of today, and has to see that it is one.
        if (typeof fn === 'function' && fn.constructor.name !== 'GeneratorFunction') {
          // A router marks its function.
          const name = 'router' in fn ? 'router' : `middleware ${functionName(fn) ?? 'anonymous'}`;
          args[0] = inSpan(fn as AnyFunction, name, undefined, tracing);
        }
      } catch (failure) {
        tracing.fail(failure);
      }
      return Reflect.apply(original, this, args);
    };
  });
}
