import type { Tracing } from '../hook/instrumentation';
import { createStamp } from '../hook/stamp';
import { setRoute } from './route';

// biome-ignore lint/suspicious/noExplicitAny: functions of the application
type Handler = (...args: any[]) => any;

/** By handler of ours; each stands for one of the application's under one path. */
const isOurs = createStamp<true>();

/**
 * Watches what is registered with the router find-my-way: what it calls for a route says so first. A closure per route, made
 * once, costs less at each request than to look for the route of what was found.
 *
 * `describe` returns the template of a route, or `undefined` to leave it alone.
 */
export function watchRoutes(
  Router: { prototype: object },
  tracing: Tracing,
  describe: (path: string, store: unknown) => string | undefined,
): void {
  tracing.replace(Router.prototype, 'on', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => {
        // `on(method, path, handler, store)` and `on(method, path, options, handler, store)`.
        const at = typeof args[2] === 'function' ? 2 : 3;
        const [, path] = args;
        const handler = args[at] as Handler | undefined;
        // The router registers its routes again when one is taken off, and the forms of optional parameters one by one.
        if (typeof path !== 'string' || typeof handler !== 'function' || isOurs.get(handler) !== undefined) return;
        const template = describe(path, args[at + 1]);
        if (template !== undefined) args[at] = announcing(handler, template, tracing);
      });
      return Reflect.apply(original, this, args);
    };
  });
}

function announcing(handler: Handler, template: string, tracing: Tracing): Handler {
  const holder = { handler };
  tracing.replace(holder, 'handler', (original) => {
    return function (this: unknown, request: unknown): unknown {
      try {
        setRoute(request as object, template);
      } catch {
        // Not a request of Node's: the router does not ask for one.
      }
      return Reflect.apply(original, this, arguments);
    };
  });
  isOurs.set(holder.handler, true);
  return holder.handler;
}

/** What fastify registers with its routes: the context of the route, with hooks and a `config` that has the URL. */
export interface FastifyContext {
  config?: { url?: unknown };
  handler: Handler;
}

/** fastify's routes are its own instrumentation's. */
export function isFastifyContext(store: unknown): store is FastifyContext {
  return typeof store === 'object' && store !== null && 'config' in store && 'onRequest' in store && 'handler' in store;
}
