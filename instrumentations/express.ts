/**
 * `express` 4 and 5, and `router`, which express 5 is made of: the template of the route that answers, with those of the
 * mounts that lead to it.
 *
 * express and router keep what is registered as layers in a stack per router. What a layer is mounted under is only known
 * when it is registered (`use`, `route`), and which layers run only when they do (`handle_request`, `handle_error`), so both
 * are watched; `handle`, which enters a router, says how they are nested. express 5.3 publishes each layer on a
 * diagnostics channel, with the same cost per layer and with a promise more per handler: one way for all versions is enough.
 */

import type { Instrumentation, Span, Tracing } from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { finalHandler } from '../src/http/finalhandler';
import { functionName, runLayer, type Layer as TracedLayer } from '../src/http/layers';
import {
  enterRouter,
  joinTemplates,
  noteError,
  notePassed,
  type Place,
  placeIn,
  serverSpanOf,
  setRoute,
} from '../src/http/route';
import { HTTP_ROUTE } from '../src/semconv';

const EXPRESS_4 = '>=4.6.0 <5';
const ROUTER_1 = '>=1.0.0 <2';
const ROUTER_2 = '>=2.0.0 <3';

export default {
  name: 'express',
  targets: [
    { module: 'express', versions: EXPRESS_4, file: 'lib/router/index.js', patch: patchRouter },
    { module: 'express', versions: EXPRESS_4, file: 'lib/router/layer.js', patch: patchOldLayer },
    { module: 'router', versions: ROUTER_1, file: 'index.js', patch: patchRouterClass },
    { module: 'router', versions: ROUTER_1, file: 'lib/layer.js', patch: patchOldLayer },
    { module: 'router', versions: ROUTER_2, file: 'index.js', patch: patchRouterClass },
    { module: 'router', versions: ROUTER_2, file: 'lib/layer.js', patch: patchLayer },
    finalHandler,
  ],
} satisfies Instrumentation;

type Path = string | RegExp | readonly Path[];

/** A layer of any version. */
interface Layer {
  handle?: unknown;
  /** Of a router's layer: `undefined` unless it is a route's. Those inside of a route have `method` instead. */
  route?: { path?: unknown };
  method?: string | undefined;
  match(path: string): unknown;
  constructor: unknown;
}

interface Router {
  stack: Layer[];
  caseSensitive?: boolean;
  strict?: boolean;
}

interface Request {
  url: string;
  baseUrl?: string;
}

/** Several paths for one layer: a layer for each of them tells which one it is. */
interface Choice {
  readonly template: string;
  readonly probe: Layer;
}

/** By layer of a router: its path where that says something; routes have their own, unless it is several. */
const templateOf = createStamp<string | readonly Choice[]>();

/** A router's constructor with the methods on its prototype. */
function patchRouterClass(Router: { prototype: object }, tracing: Tracing): void {
  patchRouter(Router.prototype, tracing);
}

function patchRouter(prototype: object, tracing: Tracing): void {
  tracing.replace(prototype, 'use', (original) => {
    return function (this: Router, ...args: unknown[]): unknown {
      const before = this.stack?.length;
      const result = Reflect.apply(original, this, args);
      tracing.guard(() => describeLayers(this, before, pathIn(args), false));
      return result;
    };
  });
  tracing.replace(prototype, 'route', (original) => {
    return function (this: Router, ...args: unknown[]): unknown {
      const before = this.stack?.length;
      const result = Reflect.apply(original, this, args);
      try {
        if (Array.isArray(args[0]) && !tracing.off) describeLayers(this, before, args[0] as Path, true);
      } catch (failure) {
        tracing.fail(failure);
      }
      return result;
    };
  });
  tracing.replace(prototype, 'handle', (original) => {
    return function (this: Router, ...args: unknown[]): unknown {
      try {
        const [request, , out] = args;
        const span = tracing.off || typeof out !== 'function' ? undefined : serverSpanOf(request as object);
        if (span !== undefined) {
          const { baseUrl } = request as Request;
          args[2] = enterRouter(span, baseUrl?.length ?? 0, out as never);
        }
      } catch (failure) {
        tracing.fail(failure);
      }
      return Reflect.apply(original, this, args);
    };
  });
}

/** The first argument of `use`, unless that is what is mounted. */
function pathIn([first]: readonly unknown[]): Path {
  let inner = first;
  while (Array.isArray(inner) && inner.length > 0) inner = inner[0];
  return typeof first === 'function' || typeof inner === 'function' ? '/' : (first as Path);
}

function describeLayers(router: Router, from: number, path: Path, end: boolean): void {
  if (path === '/') return;
  for (const layer of router.stack.slice(from)) {
    templateOf.set(layer, Array.isArray(path) ? choicesIn(router, layer, path.flat(9), end) : textOf(path));
  }
}

function choicesIn(router: Router, layer: Layer, paths: readonly Path[], end: boolean): readonly Choice[] {
  const Class = layer.constructor as new (path: Path, options: object, fn: () => void) => Layer;
  const options = { sensitive: router.caseSensitive, strict: end ? router.strict : false, end };
  return paths.map((path) => ({ template: textOf(path), probe: new Class(path, options, () => {}) }));
}

/** A regular expression as it is written. */
function textOf(path: unknown): string {
  return typeof path === 'string' ? path : String(path);
}

/** express 4 and router 1. */
function patchOldLayer(Layer: { prototype: object }, tracing: Tracing): void {
  patchLayerMethods(Layer.prototype, 'handle_request', 'handle_error', tracing);
}

function patchLayer(Layer: { prototype: object }, tracing: Tracing): void {
  patchLayerMethods(Layer.prototype, 'handleRequest', 'handleError', tracing);
}

function patchLayerMethods(prototype: object, onRequest: string, onError: string, tracing: Tracing): void {
  const spans = tracing.config.frameworks.express;
  tracing.replace(prototype, onRequest, (original) => {
    return function (this: Layer, ...args: unknown[]): unknown {
      let span: Span | undefined;
      let traced: TracedLayer | undefined;
      try {
        const request = args[0] as Request;
        // Inside of a route nothing changes.
        if (!tracing.off && (spans !== 'none' || !isHandler(this))) span = serverSpanOf(request);
        if (span !== undefined) {
          enter(this, request, span);
          if (spans !== 'none') traced = tracedLayer(this, span, spans === 'all');
        }
      } catch (failure) {
        tracing.fail(failure);
      }
      return traced === undefined
        ? Reflect.apply(original, this, args)
        : runLayer(tracing, traced, span, original, this, args);
    };
  });
  tracing.replace(prototype, onError, (original) => {
    return function (this: Layer, ...args: unknown[]): unknown {
      tracing.guard(() => noteError(args[1] as object, args[0]));
      return Reflect.apply(original, this, args);
    };
  });
}

/** A layer inside of a route: it has a method, or `undefined` for all of them. */
function isHandler(layer: Layer): boolean {
  return layer.route === undefined && 'method' in layer;
}

/** A layer is about to run. */
function enter(layer: Layer, request: Request, span: Span): void {
  if (isHandler(layer)) return;
  const place = placeIn(span);
  if (layer.route === undefined) {
    const template = templateOf.get(layer);
    place.mount =
      template === undefined ? place.base : joinTemplates(place.base, chosen(template, layer, request, place));
    notePassed(span);
    return;
  }
  place.mount = place.base;
  const template = chosen(templateOf.get(layer) ?? textOf(layer.route.path), layer, request, place);
  setRoute(span, joinTemplates(place.base, template) || '/');
}

function chosen(template: string | readonly Choice[], layer: Layer, request: Request, place: Place): string {
  if (typeof template === 'string') return template;
  const { url, baseUrl = '' } = request;
  const path = layer.route === undefined ? baseUrl.slice(place.length) : pathOf(url);
  const found = template.find(({ probe }) => Boolean(probe.match(path)));
  return found?.template ?? template.map((choice) => choice.template).join('|');
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

/** Layers of express's own that every request passes. */
const OWN_LAYERS: ReadonlySet<string> = new Set(['query', 'expressInit']);

/** What the span of a layer says; `undefined` for one that has none. */
function tracedLayer(layer: Layer, span: Span, all: boolean): TracedLayer | undefined {
  const { handle } = layer;
  const name = functionName(handle);
  const isOwn = layer.route !== undefined || (name !== undefined && OWN_LAYERS.has(name));
  const isUnwanted = !isHandler(layer) && (!all || isOwn);
  // Handlers of errors are passed over here.
  if (isUnwanted || (typeof handle === 'function' && handle.length > 3)) return undefined;
  const route = span.getAttribute(HTTP_ROUTE) as string | undefined;
  if (isHandler(layer)) return { name: `handler ${route ?? name ?? 'anonymous'}`, fn: handle, route };
  const kind = isRouter(handle) ? `router ${placeIn(span).mount || '/'}` : `middleware ${name ?? 'anonymous'}`;
  return { name: kind, fn: handle, route: undefined };
}

function isRouter(handle: unknown): boolean {
  return (
    typeof handle === 'function' &&
    (Array.isArray((handle as { stack?: unknown }).stack) || handle.name === 'mounted_app')
  );
}
