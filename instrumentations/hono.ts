/**
 * `hono` 4 on `@hono/node-server`: the path of the route, with those of the applications it was mounted in.
 *
 * Everything that is registered goes through `add` of one of its routers, as a pair of a function and what `app.routes` has of it.
 * The function in the pair is replaced, so `app.routes` keeps the application's own. Middleware is registered in the same way as
 * a handler of all methods: it is taken for the route until something else is found.
 */

import type { Instrumentation, Target, Tracing } from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { functionName, runLayer } from '../src/http/layers';
import { noteError, notePassed, serverSpanAbove, setRoute } from '../src/http/route';

/** By class: the file it is in. hono chooses among them, and so can the application. */
const ROUTERS = {
  SmartRouter: 'smart-router',
  RegExpRouter: 'reg-exp-router',
  TrieRouter: 'trie-router',
  PatternRouter: 'pattern-router',
  LinearRouter: 'linear-router',
};

export default {
  name: 'hono',
  targets: Object.entries(ROUTERS).flatMap(([name, folder]) =>
    ['dist', 'dist/cjs'].map(
      (root): Target => ({
        module: 'hono',
        versions: '>=4.0.0 <5',
        file: `${root}/router/${folder}/router.js`,
        patch: (exports, tracing) => patchRouter(exports[name], tracing),
      }),
    ),
  ),
} satisfies Instrumentation;

type Handler = (this: unknown, context: Context, ...rest: unknown[]) => unknown;

interface Context {
  readonly env?: { readonly incoming?: unknown };
}

interface Route {
  readonly path: string;
  readonly method: string;
}

const isOurs = createStamp<true>();

function patchRouter(Router: { prototype: object } | undefined, tracing: Tracing): void {
  if (Router === undefined) return;
  tracing.replace(Router.prototype, 'add', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => watch(args[2], tracing));
      return Reflect.apply(original, this, args);
    };
  });
}

/** hono's routers hand pairs on to each other. */
function watch(pair: unknown, tracing: Tracing): void {
  if (!Array.isArray(pair) || isOurs.get(pair) !== undefined) return;
  const [handler, route] = pair as [unknown, Partial<Route> | undefined];
  if (typeof handler !== 'function' || typeof route?.path !== 'string') return;
  isOurs.set(pair, true);
  const holder = { handler: handler as Handler };
  tracing.replace(holder, 'handler', (original) => announcing(original, handler, route as Route, tracing));
  pair[0] = holder.handler;
}

function announcing(original: Handler, handler: unknown, { path, method }: Route, tracing: Tracing): Handler {
  const spans = tracing.config.frameworks.hono;
  const isForAll = method === 'ALL';
  const isMiddleware = isForAll && path.endsWith('*');
  const hasSpan = spans === 'all' || (spans === 'handlers' && !isMiddleware);
  const name = functionName(handler);
  const layer = {
    name: isMiddleware ? `middleware ${name ?? 'anonymous'}` : `handler ${path}`,
    fn: handler,
    route: isMiddleware ? undefined : path,
    around: true,
  };
  return function (this: unknown, ...args: [Context, ...unknown[]]): unknown {
    const request = requestOf(args[0], tracing);
    if (request === undefined) return Reflect.apply(original, this, args);
    if (!isMiddleware) {
      tracing.guard(() => {
        setRoute(request, path);
        if (isForAll) notePassed(request);
      });
    }
    let result: unknown;
    try {
      result = hasSpan
        ? runLayer(tracing, layer, request, original, this, args)
        : Reflect.apply(original, this, args as never);
    } catch (error) {
      tracing.guard(() => noteError(request, error));
      throw error;
    }
    try {
      // A branch of our own: hono gets the promise as it is.
      if (result instanceof Promise) {
        result.then(undefined, (error) => tracing.guard(() => noteError(request, error)));
      }
    } catch (failure) {
      tracing.fail(failure);
    }
    return result;
  };
}

/** Node's request is in the environment that the server gives to `fetch`; an application may have left it out. */
function requestOf(context: Context, tracing: Tracing): object | undefined {
  const incoming = context?.env?.incoming;
  if (typeof incoming === 'object' && incoming !== null) return incoming;
  return tracing.guard(() => serverSpanAbove(tracing.active()));
}
