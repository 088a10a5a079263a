/** `@hapi/hapi` 20.2 to 21: the path of the route as it is registered, with the prefixes of plug-ins. */

import type { Instrumentation, Tracing } from '../src/hook/instrumentation';
import { functionName, type Layer, runLayer } from '../src/http/layers';
import { noteError, setRoute } from '../src/http/route';

const MODULE = '@hapi/hapi';
const VERSIONS = '>=20.2.0 <22';

export default {
  name: 'hapi',
  targets: [
    { module: MODULE, versions: VERSIONS, file: 'lib/request.js', patch: patchRequest },
    { module: MODULE, versions: VERSIONS, file: 'lib/toolkit.js', patch: patchToolkit },
  ],
} satisfies Instrumentation;

interface Route {
  path?: unknown;
  settings?: { handler?: unknown };
}

interface Request {
  readonly raw: { readonly req: object };
  readonly route: Route;
  readonly _route?: { readonly _special?: unknown };
}

function patchRequest(Request: { prototype: object }, tracing: Tracing): void {
  tracing.replace(Request.prototype, '_lookup', (original) => {
    return function (this: Request): unknown {
      const result = Reflect.apply(original, this, arguments);
      tracing.guard(() => {
        const path = pathOf(this);
        if (path !== undefined) setRoute(this.raw.req, path);
      });
      return result;
    };
  });
  // Every error becomes a response here, whoever throws it.
  tracing.replace(Request.prototype, '_setResponse', (original) => {
    return function (this: Request, response: unknown): unknown {
      tracing.guard(() => {
        if ((response as { isBoom?: unknown } | undefined)?.isBoom === true) noteError(this.raw.req, response);
      });
      return Reflect.apply(original, this, arguments);
    };
  });
}

/** The answers to what nobody has, and to bad paths and CORS requests, are routes of hapi's own. */
function pathOf({ route, _route }: Request): string | undefined {
  const { path } = route;
  return _route?._special === true || typeof path !== 'string' ? undefined : path;
}

/** Handlers, prerequisites and extensions are all run by the same function. */
function patchToolkit({ Manager }: { Manager: { prototype: object } }, tracing: Tracing): void {
  const spans = tracing.config.frameworks.hapi;
  if (spans === 'none') return;
  tracing.replace(Manager.prototype, 'execute', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      let layer: Layer | undefined;
      let req: object | undefined;
      try {
        req = (args[1] as Request | undefined)?.raw?.req;
        if (req !== undefined) layer = layerOf(args, spans === 'all');
      } catch (failure) {
        tracing.fail(failure);
      }
      return layer === undefined
        ? Reflect.apply(original, this, args)
        : runLayer(tracing, layer, req, original, this, args);
    };
  });
}

/** `undefined` for what has no span. */
function layerOf(args: readonly unknown[], all: boolean): Layer | undefined {
  const [fn, request, options] = args as [unknown, Request, { name?: unknown } | undefined];
  const isHandler = request.route.settings?.handler === fn;
  const route = isHandler ? pathOf(request) : undefined;
  // A handler without a path is hapi's own.
  if (route === undefined && (isHandler || !all)) return undefined;
  const kind = typeof options?.name === 'string' ? options.name : 'prerequisite';
  const name = functionName(fn);
  return {
    name: route === undefined ? `${kind}${name === undefined ? '' : ` ${name}`}` : `handler ${route}`,
    fn,
    route,
    around: true,
    // What is thrown is caught there.
    failure: (result) => ((result as { isBoom?: unknown } | null)?.isBoom === true ? result : undefined),
  };
}
