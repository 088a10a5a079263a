/**
 * `connect` 3: it knows no routes, only what is mounted where. What is mounted under a path, and answers, has that path as its
 * route, with those of the applications around it.
 *
 * An application is a function with methods of its own, so they are replaced when it is made. Its layers are called by a
 * function that is not exported: those under a path, and handlers of errors, are replaced in the stack.
 */

import type { Instrumentation, Span, Tracing } from '../src/hook/instrumentation';
import { finalHandler } from '../src/http/finalhandler';
import { functionName, runLayer, type Layer as TracedLayer } from '../src/http/layers';
import { enterRouter, joinTemplates, noteError, notePassed, placeIn, serverSpanOf, setRoute } from '../src/http/route';

export default {
  name: 'connect',
  targets: [{ module: 'connect', versions: '>=3.0.1 <4', patch: patchConnect }, finalHandler],
} satisfies Instrumentation;

// biome-ignore lint/suspicious/noExplicitAny: functions of the application
type AnyFunction = (...args: any[]) => any;

interface Layer {
  route: string;
  handle: AnyFunction;
}

interface Application {
  stack: Layer[];
}

function patchConnect(connect: AnyFunction, tracing: Tracing): AnyFunction {
  const holder = { connect };
  tracing.replace(holder, 'connect', (original) => {
    return function (this: unknown): unknown {
      const app = Reflect.apply(original, this, arguments);
      tracing.guard(() => patchApplication(app, tracing));
      return app;
    };
  });
  return holder.connect;
}

function patchApplication(app: Application, tracing: Tracing): void {
  tracing.replace(app, 'use', (original) => {
    return function (this: Application): unknown {
      const before = this.stack?.length;
      const result = Reflect.apply(original, this, arguments);
      tracing.guard(() => {
        for (const layer of this.stack.slice(before)) watchLayer(layer, tracing);
      });
      return result;
    };
  });
  tracing.replace(app, 'handle', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      try {
        const [request, , out] = args;
        const span = tracing.off || typeof out !== 'function' ? undefined : serverSpanOf(request as object);
        if (span !== undefined) args[2] = enterRouter(span, 0, out as AnyFunction);
      } catch (failure) {
        tracing.fail(failure);
      }
      return Reflect.apply(original, this, args);
    };
  });
}

function watchLayer(layer: Layer, tracing: Tracing): void {
  const spans = tracing.config.frameworks.connect;
  const { route, handle } = layer;
  if (handle.length >= 4) {
    tracing.replace(layer, 'handle', (original) => {
      return function (this: unknown, ...args: unknown[]): unknown {
        tracing.guard(() => noteError(args[1] as object, args[0]));
        return Reflect.apply(original, this, args);
      };
    });
    return;
  }
  if (route === '' && spans === 'none') return;
  const name = functionName(handle);
  tracing.replace(layer, 'handle', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      let span: Span | undefined;
      let traced: TracedLayer | undefined;
      try {
        if (!tracing.off) span = serverSpanOf(args[0] as object);
        if (span !== undefined) {
          enter(route, span);
          if (spans === 'all' || (spans !== 'none' && route !== '')) {
            const { mount } = placeIn(span);
            traced =
              route === ''
                ? { name: `middleware ${name ?? 'anonymous'}`, fn: handle, route: undefined }
                : { name: `handler ${mount}`, fn: handle, route: mount };
          }
        }
      } catch (failure) {
        tracing.fail(failure);
      }
      return traced === undefined
        ? Reflect.apply(original, this, args)
        : runLayer(tracing, traced, span, original, this, args);
    };
  });
}

function enter(route: string, span: Span): void {
  const place = placeIn(span);
  place.mount = joinTemplates(place.base, route);
  if (route === '') notePassed(span);
  else setRoute(span, place.mount);
}
