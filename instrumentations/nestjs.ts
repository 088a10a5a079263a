/**
 * NestJS 8 to 12. Its routes are those of express or fastify, with the global prefix, version and controller in their path; here
 * are its errors, which never reach either, and spans of controllers.
 */

import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { runLayer } from '../src/http/layers';
import { noteError, serverSpanOf } from '../src/http/route';
import { HTTP_ROUTE } from '../src/semconv';

const MODULE = '@nestjs/core';
const VERSIONS = '>=8.0.0 <13';

export default {
  name: 'nestjs',
  targets: [
    { module: MODULE, versions: VERSIONS, file: 'exceptions/exceptions-handler.js', patch: patchExceptions },
    { module: MODULE, versions: VERSIONS, file: 'router/router-execution-context.js', patch: patchControllers },
  ],
} satisfies Instrumentation;

interface Arguments {
  getArgByIndex(index: number): unknown;
}

/** Filters of the application's and the built-in one are all called from here. */
function patchExceptions({ ExceptionsHandler }: { ExceptionsHandler: { prototype: object } }, tracing: Tracing): void {
  tracing.replace(ExceptionsHandler.prototype, 'next', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => {
        const request = rawRequest((args[1] as Arguments).getArgByIndex(0));
        if (request !== undefined) noteError(request, args[0]);
      });
      return Reflect.apply(original, this, args);
    };
  });
}

/** fastify's has Node's in `raw`, express's is it. */
function rawRequest(request: unknown): object | undefined {
  if (typeof request !== 'object' || request === null) return undefined;
  const { raw } = request as { raw?: unknown };
  return typeof raw === 'object' && raw !== null ? raw : request;
}

type Handler = (...args: never[]) => unknown;

/** What `create` makes of a method of a controller: the method with its guards, pipes and interceptors. */
function patchControllers(exports: { RouterExecutionContext: { prototype: object } }, tracing: Tracing): void {
  if (tracing.config.frameworks.nestjs === 'none') return;
  tracing.replace(exports.RouterExecutionContext.prototype, 'create', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const handler = Reflect.apply(original, this, args) as Handler;
      if (typeof handler !== 'function') return handler;
      const holder = { handler };
      tracing.guard(() => {
        const [instance, callback, method] = args;
        const name = `handler ${className(instance)}.${String(method)}`;
        tracing.replace(holder, 'handler', (created) => inSpan(created, name, callback, tracing));
      });
      return holder.handler;
    };
  });
}

function inSpan(created: Handler, name: string, fn: unknown, tracing: Tracing): Handler {
  return function (this: unknown, ...values: unknown[]): unknown {
    let request: object | undefined;
    let route: string | undefined;
    try {
      request = rawRequest(values[0]);
      if (request !== undefined) route = serverSpanOf(request)?.getAttribute(HTTP_ROUTE) as string | undefined;
    } catch (failure) {
      tracing.fail(failure);
    }
    return request === undefined
      ? Reflect.apply(created, this, values as never)
      : runLayer(tracing, { name, fn, route, around: true }, request, created, this, values);
  };
}

function className(instance: unknown): string {
  const name = (instance as { constructor?: { name?: unknown } } | null)?.constructor?.name;
  return typeof name === 'string' && name !== '' ? name : 'anonymous';
}
