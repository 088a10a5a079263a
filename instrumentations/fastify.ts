/**
 * `fastify` 3 to 5: the URL of the route, with the prefixes of the plug-ins around it.
 *
 * Its router calls one function for every route, before any hook runs. fastify 5 publishes its handlers on a diagnostics
 * channel, but after the hooks: a request that one of them refuses would have no route.
 */

import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { type FastifyContext, isFastifyContext, watchRoutes } from '../src/http/find-my-way';
import { functionName, runLayer } from '../src/http/layers';
import { noteError } from '../src/http/route';

const VERSIONS = '>=3.0.0 <6';

export default {
  name: 'fastify',
  targets: [
    {
      module: 'find-my-way',
      patch: (Router, tracing) => watchRoutes(Router, tracing, (_path, store) => describeRoute(store, tracing)),
    },
    { module: 'fastify', versions: VERSIONS, file: 'lib/reply.js', patch: patchReply },
    { module: 'fastify', versions: VERSIONS, file: 'lib/hooks.js', patch: patchHooks },
  ],
} satisfies Instrumentation;

// biome-ignore lint/suspicious/noExplicitAny: functions of the application
type AnyFunction = (...args: any[]) => any;

interface Request {
  raw: object;
}

/** Handlers of 404s are routes too, which are on every path and have no URL. */
function describeRoute(store: unknown, tracing: Tracing): string | undefined {
  if (!isFastifyContext(store)) return undefined;
  const url = store.config?.url;
  if (typeof url !== 'string') return undefined;
  if (tracing.config.frameworks.fastify !== 'none') watchHandler(store, url, tracing);
  return url || '/';
}

function watchHandler(context: FastifyContext, route: string, tracing: Tracing): void {
  tracing.replace(context, 'handler', (original) => {
    const layer = { name: `handler ${route}`, fn: original, route };
    return function (this: unknown, ...args: unknown[]): unknown {
      return runLayer(tracing, layer, (args[0] as Request | undefined)?.raw, original, this, args);
    };
  });
}

/** An error goes to the error handler through `send`, whoever throws it, hooks and validation too. */
function patchReply(Reply: { prototype: object }, tracing: Tracing): void {
  tracing.replace(Reply.prototype, 'send', (original) => {
    return function (this: { request?: Request }, payload: unknown): unknown {
      try {
        if (payload instanceof Error && !tracing.off) {
          const raw = this.request?.raw;
          if (raw !== undefined) noteError(raw, payload);
        }
      } catch (failure) {
        tracing.fail(failure);
      }
      return Reflect.apply(original, this, arguments);
    };
  });
}

/** Those that run for every request, before the response is over. */
const HOOKS: ReadonlySet<unknown> = new Set([
  ...['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'],
]);

function patchHooks({ Hooks }: { Hooks: { prototype: object } }, tracing: Tracing): void {
  if (tracing.config.frameworks.fastify !== 'all') return;
  tracing.replace(Hooks.prototype, 'add', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      try {
        const [hook, fn] = args;
        if (typeof fn === 'function' && HOOKS.has(hook))
          args[1] = watchHook(hook as string, fn as AnyFunction, tracing);
      } catch (failure) {
        tracing.fail(failure);
      }
      return Reflect.apply(original, this, args);
    };
  });
}

function watchHook(hook: string, fn: AnyFunction, tracing: Tracing): AnyFunction {
  const holder = { fn };
  const name = functionName(fn);
  const layer = { name: name === undefined ? hook : `${hook} ${name}`, fn, route: undefined };
  tracing.replace(holder, 'fn', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      return runLayer(tracing, layer, (args[0] as Partial<Request> | undefined)?.raw, original, this, args);
    };
  });
  return holder.fn;
}
