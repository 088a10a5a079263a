/** `restify` 10 to 12: the path of the route, before what `use` added runs, and errors of any handler. */

import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { functionName, type Layer, runLayer } from '../src/http/layers';
import { noteError, serverSpanOf, setRoute } from '../src/http/route';
import { HTTP_ROUTE } from '../src/semconv';

const VERSIONS = '>=10.0.0 <13';

export default {
  name: 'restify',
  targets: [
    { module: 'restify', versions: VERSIONS, file: 'lib/router.js', patch: patchRouter },
    { module: 'restify', versions: VERSIONS, file: 'lib/server.js', patch: patchServer },
  ],
} satisfies Instrumentation;

// biome-ignore lint/suspicious/noExplicitAny: functions of the application
type AnyFunction = (...args: any[]) => any;

function patchRouter(Router: { prototype: object }, tracing: Tracing): void {
  const spans = tracing.config.frameworks.restify;
  tracing.replace(Router.prototype, 'lookup', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const found = Reflect.apply(original, this, args);
      tracing.guard(() => {
        const { route } = args[0] as { route?: { path?: unknown } };
        if (found !== undefined && typeof route?.path === 'string') setRoute(args[0] as object, route.path);
      });
      return found;
    };
  });
  if (spans === 'none') return;
  tracing.replace(Router.prototype, 'mount', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => {
        const [, handlers] = args;
        if (Array.isArray(handlers)) args[1] = handlers.map((fn) => inSpan(fn as AnyFunction, true, tracing));
      });
      return Reflect.apply(original, this, args);
    };
  });
}

function patchServer(Server: { prototype: object }, tracing: Tracing): void {
  tracing.replace(Server.prototype, '_onHandlerError', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => {
        const [error, request] = args;
        // A name of a route to go on with is no error.
        if (error instanceof Error) noteError(request as object, error);
      });
      return Reflect.apply(original, this, args);
    };
  });
  if (tracing.config.frameworks.restify !== 'all') return;
  for (const method of ['pre', 'use']) {
    tracing.replace(Server.prototype, method, (original) => {
      return function (this: unknown, ...args: unknown[]): unknown {
        const given = tracing.guard(() => args.map((handler) => wrapped(handler, tracing))) ?? args;
        return Reflect.apply(original, this, given);
      };
    });
  }
}

/** Handlers come one by one and in lists. */
function wrapped(handler: unknown, tracing: Tracing): unknown {
  if (Array.isArray(handler)) return handler.map((one) => wrapped(one, tracing));
  return typeof handler === 'function' ? inSpan(handler as AnyFunction, false, tracing) : handler;
}

function inSpan(fn: AnyFunction, isHandler: boolean, tracing: Tracing): AnyFunction {
  const holder = { fn };
  const name = functionName(fn);
  tracing.replace(holder, 'fn', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const request = args[0] as object;
      let layer: Layer | undefined;
      try {
        const route = isHandler ? (serverSpanOf(request)?.getAttribute(HTTP_ROUTE) as string | undefined) : undefined;
        layer = { name: isHandler ? `handler ${route}` : `middleware ${name ?? 'anonymous'}`, fn, route };
      } catch (failure) {
        tracing.fail(failure);
      }
      return layer === undefined
        ? Reflect.apply(original, this, args)
        : runLayer(tracing, layer, request, original, this, args);
    };
  });
  return holder.fn;
}
