/**
 * `h3` 1 and 2: the path of the route that its router found, with what it is mounted under.
 *
 * Version 1 exports functions that make applications and routers, objects with functions of their own. A route is watched where
 * it is registered: its handler says so before it runs. What is mounted (`app.use('/api', …)`, `useBase`) is taken off the path
 * before a router sees it, and is kept as a `Place` meanwhile.
 * Version 2 exports classes: what `~findRoute` found has the whole path of the route, with those of applications that were
 * mounted. Only those that are handed over as `fetch`, or by `withBase`, see a part of the path.
 */

import type { Instrumentation, Span, Tracing } from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { functionName, runLayer } from '../src/http/layers';
import {
  joinTemplates,
  noteError,
  notePassed,
  placeIn,
  serverSpanAbove,
  serverSpanOf,
  setRoute,
} from '../src/http/route';
import { HTTP_ROUTE } from '../src/semconv';

export default {
  name: 'h3',
  targets: [
    { module: 'h3', versions: '>=1.0.1 <2', patch: patchFunctions },
    { module: 'h3', versions: '>=2.0.1 <3', patch: patchClasses },
  ],
} satisfies Instrumentation;

// biome-ignore lint/suspicious/noExplicitAny: functions of the application
type AnyFunction = (...args: any[]) => any;

/** Of both versions. */
interface Event {
  readonly node?: { readonly req?: object; readonly res?: { readonly headersSent?: boolean } };
  readonly handled?: boolean;
  readonly req?: { readonly runtime?: { readonly node?: { readonly req?: object } } };
}

/** By prototype and by handler of version 2: we are there already. */
const isOurs = createStamp<true>();

/** The span of the request; `undefined` also when looking for it fails. */
function spanOf(event: unknown, tracing: Tracing): Span | undefined {
  if (tracing.off) return undefined;
  try {
    const { node, req } = event as Event;
    const request = node?.req ?? req?.runtime?.node?.req;
    return request === undefined ? serverSpanAbove(tracing.active()) : serverSpanOf(request);
  } catch (failure) {
    tracing.fail(failure);
    return undefined;
  }
}

/** `fn` as `make` replaces it. */
function replaced<Fn extends AnyFunction>(fn: Fn, tracing: Tracing, make: (original: AnyFunction) => AnyFunction): Fn {
  const holder = { fn };
  tracing.replace(holder, 'fn', make);
  return holder.fn;
}

/** Branches of our own: the application gets the promise as it is. */
function whenOver(
  result: unknown,
  tracing: Tracing,
  done: (value: unknown) => void,
  failed: (error: unknown) => void,
): void {
  tracing.guard(() => {
    if (!(result instanceof Promise)) return done(result);
    result.then(
      (value) => tracing.guard(() => done(value)),
      (error) => tracing.guard(() => failed(error)),
    );
  });
}

function whenFailed(result: unknown, tracing: Tracing, failed: (error: unknown) => void): void {
  whenOver(result, tracing, () => {}, failed);
}

/** What is below runs with `base` taken off its path. */
function underBase(fn: AnyFunction, base: string, tracing: Tracing): AnyFunction {
  return replaced(fn, tracing, (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const span = spanOf(args[0], tracing);
      const leave = span && tracing.guard(() => enterMount(span, base));
      if (leave === undefined) return Reflect.apply(original, this, args);
      let result: unknown;
      try {
        result = Reflect.apply(original, this, args);
      } catch (error) {
        tracing.guard(leave);
        throw error;
      }
      whenOver(result, tracing, leave, leave);
      return result;
    };
  });
}

function enterMount(span: Span, base: string): () => void {
  const place = placeIn(span);
  const { mount } = place;
  place.mount = joinTemplates(mount, base);
  return () => {
    place.mount = mount;
  };
}

/** `useBase(base, handler)`, in version 2 `withBase` too; without a base they return the handler itself. */
function patchBase(exports: object, method: string, tracing: Tracing): void {
  tracing.replace(exports, method, (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const result = Reflect.apply(original, this, args);
      const [base, handler] = args;
      if (typeof base !== 'string' || typeof result !== 'function' || result === handler) return result;
      return tracing.guard(() => underBase(result, base, tracing)) ?? result;
    };
  });
}

// Version 1.

/** Of an application's stack; h3's own. */
interface Layer {
  readonly route: string;
  handler: AnyFunction;
}

interface Application {
  readonly stack: readonly Layer[];
  use: AnyFunction;
  handler: AnyFunction;
}

interface Router {
  add: AnyFunction;
  use: AnyFunction;
  handler: AnyFunction;
}

function patchFunctions(exports: object, tracing: Tracing): void {
  for (const [method, watch] of [
    ['createApp', watchApplication],
    ['createRouter', watchRouter],
  ] as const) {
    tracing.replace(exports, method, (original) => {
      return function (this: unknown): unknown {
        const made = Reflect.apply(original, this, arguments);
        tracing.guard(() => watch(made as never, tracing));
        return made;
      };
    });
  }
  patchBase(exports, 'useBase', tracing);
}

function watchRouter(router: Router, tracing: Tracing): void {
  // Those for one method are made of `add`.
  for (const method of ['add', 'use']) {
    tracing.replace(router, method, (original) => {
      return function (this: unknown, ...args: unknown[]): unknown {
        tracing.guard(() => {
          const [path, handler] = args;
          if (typeof path !== 'string' || typeof handler !== 'function') return;
          args[1] = announcing(handler as AnyFunction, path, tracing);
        });
        return Reflect.apply(original, this, args);
      };
    });
  }
  isRouter.set(router.handler, true);
}

/** By handler of a router or an application. */
const isRouter = createStamp<true>();

function announcing(handler: AnyFunction, path: string, tracing: Tracing): AnyFunction {
  const hasSpan = tracing.config.frameworks.h3 !== 'none';
  return replaced(handler, tracing, (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const span = spanOf(args[0], tracing);
      if (span === undefined) return Reflect.apply(original, this, args);
      tracing.guard(() => setRoute(span, joinTemplates(placeIn(span).mount, path) || '/'));
      const layer = hasSpan ? tracing.guard(() => handlerLayer(handler, span)) : undefined;
      let result: unknown;
      try {
        result =
          layer === undefined
            ? Reflect.apply(original, this, args)
            : runLayer(tracing, layer, span, original, this, args);
      } catch (error) {
        tracing.guard(() => noteError(span, error));
        throw error;
      }
      whenOver(
        result,
        tracing,
        (value) => {
          if (value === undefined && !isAnswered(args[0])) notePassed(span);
        },
        (error) => noteError(span, error),
      );
      return result;
    };
  });
}

function handlerLayer(fn: unknown, span: Span) {
  const route = span.getAttribute(HTTP_ROUTE) as string | undefined;
  return { name: `handler ${route}`, fn, route, around: true };
}

/** Before the promise of a handler tells h3, which goes on with what comes next unless the response is under way. */
function isAnswered(event: unknown): boolean {
  const { handled, node } = event as Event;
  return handled === true || node?.res?.headersSent === true;
}

function watchApplication(app: Application, tracing: Tracing): void {
  tracing.replace(app, 'use', (original) => {
    return function (this: unknown): unknown {
      const before = app.stack.length;
      const result = Reflect.apply(original, this, arguments);
      tracing.guard(() => {
        for (const layer of app.stack.slice(before)) watchLayer(layer, tracing);
      });
      return result;
    };
  });
  // What it rejects with becomes the response.
  tracing.replace(app, 'handler', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const result = Reflect.apply(original, this, args);
      const span = spanOf(args[0], tracing);
      if (span !== undefined) whenFailed(result, tracing, (error) => noteError(span, error));
      return result;
    };
  });
  isRouter.set(app.handler, true);
}

function watchLayer(layer: Layer, tracing: Tracing): void {
  const { route, handler } = layer;
  const isMounted = typeof route === 'string' && route.length > 1;
  const hasSpan = tracing.config.frameworks.h3 === 'all';
  if (typeof handler !== 'function' || (!isMounted && !hasSpan)) return;
  const name = isRouter.get(handler) === undefined ? `middleware ${functionName(handler) ?? 'anonymous'}` : 'router';
  tracing.replace(layer, 'handler', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const span = spanOf(args[0], tracing);
      if (span === undefined) return Reflect.apply(original, this, args);
      const leave = isMounted ? tracing.guard(() => enterLayer(span, route)) : undefined;
      let result: unknown;
      try {
        result = hasSpan
          ? runLayer(tracing, { name, fn: handler, route: undefined, around: true }, span, original, this, args)
          : Reflect.apply(original, this, args);
      } catch (error) {
        tracing.guard(() => leave?.(true));
        throw error;
      }
      if (leave !== undefined) {
        const over = (value: unknown) => leave(value !== undefined || isAnswered(args[0]));
        whenOver(result, tracing, over, () => leave(true));
      }
      return result;
    };
  });
}

/** What is mounted under a path, and answers, has that path as its route, unless it is a router that has a better one. */
function enterLayer(span: Span, route: string): (answered: boolean) => void {
  const before = span.getAttribute(HTTP_ROUTE) as string | undefined;
  const leave = enterMount(span, route);
  setRoute(span, placeIn(span).mount);
  notePassed(span);
  return (answered) => {
    leave();
    if (answered) return;
    setRoute(span, before);
    notePassed(span);
  };
}

// Version 2.

interface Route {
  route?: unknown;
  handler: AnyFunction;
}

interface H3 {
  readonly '~routes': readonly Route[];
}

/** By route that stands for an application of which only `fetch` is known: what it is mounted under. */
const mountOf = createStamp<string>();

function patchClasses(exports: { H3: { prototype: object }; H3Core: { prototype: object } }, tracing: Tracing): void {
  const { H3, H3Core } = exports;
  for (const method of ['useBase', 'withBase']) patchBase(exports, method, tracing);
  // Several entry points have the same classes.
  if (isOurs.get(H3Core.prototype) !== undefined) return;
  isOurs.set(H3Core.prototype, true);
  tracing.replace(H3.prototype, '~findRoute', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const found = Reflect.apply(original, this, args);
      tracing.guard(() => describe((found as { data?: Route } | undefined)?.data, args[0], tracing));
      return found;
    };
  });
  // All errors of middleware and handlers come by here, before they become a response.
  tracing.replace(H3Core.prototype, 'handler', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      let result: unknown;
      try {
        result = Reflect.apply(original, this, args);
      } catch (error) {
        noteFailure(args[0], error, tracing);
        throw error;
      }
      whenFailed(result, tracing, (error) => noteFailure(args[0], error, tracing));
      return result;
    };
  });
  tracing.replace(H3.prototype, 'mount', (original) => {
    return function (this: H3, ...args: unknown[]): unknown {
      const result = Reflect.apply(original, this, args);
      tracing.guard(() => {
        const [base, input] = args;
        const route = this['~routes'].at(-1);
        if (typeof base === 'string' && !('handler' in (input as object)) && route !== undefined)
          mountOf.set(route, base);
      });
      return result;
    };
  });
  const spans = tracing.config.frameworks.h3;
  if (spans === 'none') return;
  tracing.replace(H3.prototype, '~addRoute', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => {
        const route = args[0] as Route;
        // One of an application that is mounted is added again, with a longer path.
        if (isOurs.get(route.handler) !== undefined) return;
        route.handler = inSpan(route.handler, true, tracing);
        isOurs.set(route.handler, true);
      });
      return Reflect.apply(original, this, args);
    };
  });
  if (spans !== 'all') return;
  tracing.replace(H3.prototype, 'use', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => {
        const at = typeof args[0] === 'string' ? 1 : 0;
        if (typeof args[at] === 'function') args[at] = inSpan(args[at] as AnyFunction, false, tracing);
      });
      return Reflect.apply(original, this, args);
    };
  });
}

function describe(route: Route | undefined, event: unknown, tracing: Tracing): void {
  const span = spanOf(event, tracing);
  if (span === undefined) return;
  if (typeof route?.route !== 'string') {
    // It may be below a route that took every path.
    notePassed(span);
    return;
  }
  const place = placeIn(span);
  // The root of what is mounted has a slash at the end, which the router does not mind in a path either.
  const path = route.route.replace(/\/$/, '') || '/';
  setRoute(span, joinTemplates(place.mount, path));
  const mount = mountOf.get(route);
  if (mount !== undefined) place.mount = joinTemplates(place.mount, mount);
}

/** Called from where nobody catches. */
function noteFailure(event: unknown, error: unknown, tracing: Tracing): void {
  tracing.guard(() => {
    const span = spanOf(event, tracing);
    if (span !== undefined) noteError(span, error);
  });
}

function inSpan(fn: AnyFunction, isHandler: boolean, tracing: Tracing): AnyFunction {
  const name = `middleware ${functionName(fn) ?? 'anonymous'}`;
  return replaced(fn, tracing, (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const span = spanOf(args[0], tracing);
      if (span === undefined) return Reflect.apply(original, this, args);
      const layer = tracing.guard(() =>
        isHandler ? handlerLayer(fn, span) : { name, fn, route: undefined, around: true },
      );
      return layer === undefined
        ? Reflect.apply(original, this, args)
        : runLayer(tracing, layer, span, original, this, args);
    };
  });
}
