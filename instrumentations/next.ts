/**
 * `next` 14 to 16, as `next start`, a server of its own (`output: 'standalone'`) or a custom server has it: the page or route
 * that was matched, as its files are named. Everything is CommonJS that the application's bundles leave outside.
 *
 * Next makes spans through `@opentelemetry/api` by itself, as soon as somebody listens: one of the server for each request, which
 * would be the second, and a dozen for steps of its own. They are what is asked for with OTEL_INSTRUMENTATION_NEXT_SPANS,
 * without that of the server and those of `fetch`, which have theirs. Else Next's tracer is told nothing, as without an agent.
 */

import type { Instrumentation, Span, Tracing } from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { beforeEnd, noteError, notePassed, serverSpanAbove, serverSpanOf, setRoute } from '../src/http/route';

const MODULE = 'next';
const VERSIONS = '>=14.0.0 <17';

export default {
  name: 'next',
  targets: [
    { module: MODULE, versions: VERSIONS, file: 'dist/server/base-server.js', patch: patchServer },
    { module: MODULE, versions: VERSIONS, file: 'dist/server/next-server.js', patch: patchNodeServer },
    { module: MODULE, versions: VERSIONS, file: 'dist/server/lib/trace/tracer.js', patch: patchTracer },
    ...['pages-api', 'pages-api-turbo'].map((name) => ({
      module: MODULE,
      versions: VERSIONS,
      file: `dist/compiled/next-server/${name}.runtime.prod.js`,
      patch: patchApiModule,
    })),
  ],
} satisfies Instrumentation;

// biome-ignore lint/suspicious/noExplicitAny: functions of the application
type AnyFunction = (...args: any[]) => any;

interface Server {
  readonly nextConfig?: { readonly basePath?: unknown };
}

/** Next's own around Node's. */
interface Request {
  readonly originalRequest?: object;
}

/** Pages that answer for others. */
const ERROR_PAGES: ReadonlySet<string> = new Set(['/404', '/500', '/_error', '/_not-found', '/_global-error']);

/** What renders a page, or runs a route handler, once its files have been found. */
function patchServer(exports: { default: { prototype: object } }, tracing: Tracing): void {
  tracing.replace(exports.default.prototype, 'renderToResponseWithComponents', (original) => {
    return function (this: Server, ...args: unknown[]): unknown {
      const [context] = args as [{ req?: Request; pathname?: unknown } | undefined];
      return answering(this, original, args, context?.req, context?.pathname, tracing);
    };
  });
}

/** API routes below `pages`. */
function patchNodeServer(exports: { default: { prototype: object } }, tracing: Tracing): void {
  tracing.replace(exports.default.prototype, 'runApi', (original) => {
    return function (this: Server, ...args: unknown[]): unknown {
      const [request, , , match] = args as [Request | undefined, unknown, unknown, Match | undefined];
      return answering(this, original, args, request, match?.definition?.pathname, tracing);
    };
  });
}

/** From version 15 on, what a handler of these throws is caught inside of what is traced, and told to `onError`. */
function patchApiModule(exports: { PagesAPIRouteModule?: { prototype: object } }, tracing: Tracing): void {
  const Module = exports.PagesAPIRouteModule;
  if (Module === undefined) return;
  tracing.replace(Module.prototype, 'render', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      tracing.guard(() => {
        const context = args[2] as { onError?: unknown } | undefined;
        if (typeof context?.onError !== 'function') return;
        const span = serverSpan(tracing);
        tracing.replace(context, 'onError', (onError) => {
          return function (this: unknown, ...details: unknown[]): unknown {
            noteFirst(span, details[0], tracing);
            return Reflect.apply(onError, this, details);
          };
        });
      });
      return Reflect.apply(original, this, args);
    };
  });
}

interface Match {
  readonly definition?: { readonly pathname?: unknown };
}

function answering(
  server: Server,
  original: AnyFunction,
  args: unknown[],
  request: Request | undefined,
  page: unknown,
  tracing: Tracing,
): unknown {
  const span = tracing.off ? undefined : tracing.guard(() => spanFor(request, tracing));
  if (span === undefined || typeof page !== 'string' || ERROR_PAGES.has(page)) {
    return Reflect.apply(original, server, args);
  }
  tracing.guard(() => {
    const basePath = server.nextConfig?.basePath;
    const path = typeof basePath === 'string' ? basePath + page : page;
    setRoute(span, path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);
    beforeEnd(span, () => dropAttributes(span));
  });
  const result = Reflect.apply(original, server, args);
  watchFailure(span, result, tracing);
  // Where the page turns out to have nothing of that name, the response is a 404.
  tracing.guard(() => {
    if (result instanceof Promise) result.then(undefined, () => tracing.guard(() => notePassed(span)));
  });
  return result;
}

/** What the code around a page, which is in the application's bundles, writes on the span that it finds: the status by its old name. */
function dropAttributes({ ownAttributes }: Span): void {
  if (!('next.rsc' in ownAttributes)) return;
  delete ownAttributes['next.rsc'];
  delete ownAttributes['http.status_code'];
}

function spanFor(request: Request | undefined, tracing: Tracing): Span | undefined {
  const node = request?.originalRequest;
  return (node === undefined ? undefined : serverSpanOf(node)) ?? serverSpanAbove(tracing.active());
}

/** Next's names for kinds of spans. */
const NEVER: ReadonlySet<unknown> = new Set(['BaseServer.handleRequest', 'AppRender.fetch']);
const HANDLERS: ReadonlySet<unknown> = new Set([
  'AppRender.getBodyResult',
  'AppRouteRouteHandlers.runHandler',
  'Node.runHandler',
  'Render.getServerSideProps',
]);

function patchTracer(exports: { getTracer(): object }, tracing: Tracing): void {
  const spans = tracing.config.frameworks.next;
  const isWanted = (type: unknown) =>
    !NEVER.has(type) && (spans === 'all' || (spans === 'handlers' && HANDLERS.has(type)));
  filterSpans(isWanted, tracing);
  const prototype = Object.getPrototypeOf(exports.getTracer()) as object;
  tracing.replace(prototype, 'trace', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const [type, second, third] = args;
      const fn = typeof second === 'function' ? second : third;
      if (tracing.off || typeof fn !== 'function' || tracing.guard(() => isWanted(type))) {
        return Reflect.apply(original, this, args);
      }
      // As Next does where nobody listens.
      if (!HANDLERS.has(type)) return Reflect.apply(fn, undefined, []);
      let result: unknown;
      try {
        result = Reflect.apply(fn, undefined, []);
      } catch (error) {
        noteFirst(serverSpan(tracing), error, tracing);
        throw error;
      }
      watchFailure(serverSpan(tracing), result, tracing);
      return result;
    };
  });
  tracing.replace(prototype, 'withSpan', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const [span, fn] = args;
      if (span instanceof StandIn && typeof fn === 'function') return Reflect.apply(fn, undefined, []);
      return Reflect.apply(original, this, args);
    };
  });
  if (spans !== 'none') return;
  // Where Next records what a component threw.
  tracing.replace(prototype, 'getActiveScopeSpan', (original) => {
    return function (this: unknown): unknown {
      return (!tracing.off && standIn(tracing)) || Reflect.apply(original, this, arguments);
    };
  });
}

interface Tracer {
  startSpan(name: string, options?: SpanOptions, context?: unknown): unknown;
  startActiveSpan(name: string, ...rest: unknown[]): unknown;
}

interface SpanOptions {
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/**
 * Bundles of the application's have copies of Next's tracer in them. What all of them get theirs from is the global provider.
 * Nothing that is done for no request has a span, such as reading pages at start.
 */
function filterSpans(isWanted: (type: unknown) => boolean, tracing: Tracing): void {
  const api = (globalThis as Record<symbol, unknown>)[Symbol.for('opentelemetry.js.api.1')];
  const provider = (api as { trace?: object } | undefined)?.trace;
  if (provider === undefined || filtered.get(provider) !== undefined) return;
  filtered.set(provider, true);
  /** Of a span that is left out. */
  const inPlace = (name: unknown, options: unknown) =>
    tracing.guard(() => {
      if (tracing.off) return undefined;
      const type = (options as SpanOptions | undefined)?.attributes?.['next.span_type'] ?? name;
      const span = serverSpan(tracing);
      return span !== undefined && isWanted(type) ? undefined : new StandIn(span, tracing);
    });
  tracing.replace(provider, 'getTracer', (original) => {
    return function (this: unknown, ...args: unknown[]): unknown {
      const tracer = Reflect.apply(original, this, args) as Tracer;
      if (args[0] !== 'next.js') return tracer;
      return {
        startSpan(...spanArgs: [string, SpanOptions?]): unknown {
          return inPlace(spanArgs[0], spanArgs[1]) ?? tracer.startSpan(...spanArgs);
        },
        startActiveSpan(...spanArgs: [string, ...unknown[]]): unknown {
          const fn = spanArgs[spanArgs.length - 1];
          const span = typeof fn === 'function' ? inPlace(spanArgs[0], spanArgs[1]) : undefined;
          return span === undefined
            ? tracer.startActiveSpan(...spanArgs)
            : Reflect.apply(fn as AnyFunction, undefined, [span]);
        },
      };
    };
  });
}

const filtered = createStamp<true>();

function serverSpan(tracing: Tracing): Span | undefined {
  return tracing.guard(() => serverSpanAbove(tracing.active()));
}

/** By server span: Next fails again while it answers an error, for want of a page or because of what it made of the error. */
const hasFailed = createStamp<true>();

function noteFirst(span: Span | undefined, error: unknown, tracing: Tracing): void {
  tracing.guard(() => {
    if (span === undefined || hasFailed.get(span) !== undefined) return;
    hasFailed.set(span, true);
    noteError(span, error);
  });
}

/** A branch of our own: the application gets the promise as it is. */
function watchFailure(span: Span | undefined, result: unknown, tracing: Tracing): void {
  tracing.guard(() => {
    if (result instanceof Promise) result.then(undefined, (error) => noteFirst(span, error, tracing));
  });
}

/** For the request that is being answered. */
function standIn(tracing: Tracing): StandIn | undefined {
  const span = serverSpan(tracing);
  return span && tracing.guard(() => new StandIn(span, tracing));
}

const NO_SPAN = Object.freeze({ traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 });

/** What Next gets in place of a span: it only takes errors, for the span of the server. */
class StandIn {
  readonly #span: Span | undefined;
  readonly #tracing: Tracing;

  constructor(span: Span | undefined, tracing: Tracing) {
    this.#span = span;
    this.#tracing = tracing;
  }

  spanContext() {
    return this.#span?.spanContext() ?? NO_SPAN;
  }

  recordException(error: unknown): void {
    noteFirst(this.#span, error, this.#tracing);
  }

  isRecording(): boolean {
    return false;
  }

  setAttribute(): this {
    return this;
  }

  setAttributes(): this {
    return this;
  }

  addEvent(): this {
    return this;
  }

  addLink(): this {
    return this;
  }

  addLinks(): this {
    return this;
  }

  setStatus(): this {
    return this;
  }

  updateName(): this {
    return this;
  }

  end(): void {}
}
