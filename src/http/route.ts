/**
 * What a framework tells of the request that it answers. The instrumentation of `http` or `http2` owns the server span;
 * that of a framework only finds the template of the route, and the error that never gets out of the framework.
 *
 * One copy for all instrumentations, in the agent (`withRoute` in scripts/build.mjs): what one file stamps, another reads.
 */

import { createStamp, Foreign } from '../hook/stamp';
import { HTTP_REQUEST_METHOD, HTTP_ROUTE } from '../semconv';
import type { TraceContext } from '../trace/context';
import { Span } from '../trace/span';
import { OTHER, OTHER_NAME } from './method';

const SERVER = 1;
const ERROR = 2;

class ContextStamp extends Foreign {
  #context: TraceContext | undefined;

  private constructor(carrier: object, context: TraceContext | undefined) {
    super(carrier);
    this.#context = context;
  }

  static get(carrier: object): TraceContext | undefined {
    return #context in carrier ? (carrier as ContextStamp).#context : undefined;
  }

  static set(carrier: object, context: TraceContext | undefined): void {
    if (#context in carrier) (carrier as ContextStamp).#context = context;
    else new ContextStamp(carrier, context);
  }

  /** `set` for those that have hardly ever been stamped before. */
  static mark(carrier: object, context: TraceContext): void {
    try {
      new ContextStamp(carrier, context);
    } catch {
      // A private field cannot be added twice.
      ContextStamp.set(carrier, context);
    }
  }
}

/** By message of HTTP/1 and by stream of HTTP/2: the context that its listeners run in, on a server that of its span. */
export const contextOf = ContextStamp;

/**
 * The server span of a request that is being answered; `undefined` when none is recorded, or when it has ended. Where a
 * framework hands no request of Node's around, `serverSpanAbove` finds the span, which stands for its request.
 */
export function serverSpanOf(request: object): Span | undefined {
  if (request instanceof Span) return request.ended ? undefined : request;
  return contextOf.get(carrierOf(request))?.identity?.live;
}

/** The server span that the code in this context works for. */
export function serverSpanAbove({ identity }: TraceContext): Span | undefined {
  let span = identity?.live;
  while (span !== undefined && span.kind !== SERVER) span = span.parent?.live;
  return span;
}

/** What carries the stamps: the message itself, or the stream below a request of http2's compatibility API. */
function carrierOf(request: object): object {
  if (contextOf.get(request) !== undefined) return request;
  const { stream } = request as { stream?: unknown };
  return typeof stream === 'object' && stream !== null ? stream : request;
}

/**
 * Sets `http.route` and the name of the server span, at once, so that whoever looks at the span before it ends sees them.
 * Routers may call it again as they go deeper or try another route: the last one counts. `undefined`: no route answers
 * after all. A name that the application gave the span stays.
 */
export function setRoute(request: object, template: string | undefined): void {
  const span = serverSpanOf(request);
  if (span === undefined) return;
  const before = span.getAttribute(HTTP_ROUTE);
  if (before === template) return;
  const known = span.getAttribute(HTTP_REQUEST_METHOD);
  const method = known === OTHER ? OTHER_NAME : String(known);
  const isOurs = span.name === (before === undefined ? method : `${method} ${before}`);
  if (template === undefined) delete span.ownAttributes[HTTP_ROUTE];
  else span.adopt({ [HTTP_ROUTE]: template });
  // Another route took over from the one that passed the request on.
  const served = servedOf.get(span);
  if (served !== undefined) served.passed = false;
  if (isOurs) span.updateName(template === undefined ? method : `${method} ${template}`);
}

/** What is to be seen to when the response is over; by server span. */
interface Served {
  /** The last error of a handler that the framework took care of. */
  error: unknown;
  /** The handlers of the route passed the request on. */
  passed: boolean;
  /** Ends spans of layers that are still open. */
  closers: (() => void)[] | undefined;
}

const servedOf = createStamp<Served>();

/** `undefined` where there is no span to see to. */
function noteOn(request: object): Served | undefined {
  const span = serverSpanOf(request);
  if (span === undefined) return undefined;
  let served = servedOf.get(span);
  if (served === undefined) {
    served = { error: undefined, passed: false, closers: undefined };
    servedOf.set(span, served);
  }
  return served;
}

/**
 * Takes note of an error that a handler failed with and that the framework turns into a response. Whether it was one of the
 * server's, the response's status tells.
 */
export function noteError(request: object, error: unknown): void {
  if (error === undefined || error === null) return;
  const served = noteOn(request);
  if (served !== undefined) served.error = error;
}

/** The handlers of the route did not answer: if the response is a 404, it is nobody's. */
export function notePassed(request: object): void {
  const span = serverSpanOf(request);
  if (span?.getAttribute(HTTP_ROUTE) === undefined) return;
  const served = noteOn(request);
  if (served !== undefined) served.passed = true;
}

/** `close` is called before the server span of the request ends. */
export function beforeEnd(request: object, close: () => void): void {
  const served = noteOn(request);
  if (served === undefined) return;
  if (served.closers === undefined) served.closers = [close];
  else served.closers.push(close);
}

/** For the owner of a server span, right before its end. */
export function settle(span: Span, status: number | undefined): void {
  const served = servedOf.get(span);
  if (served === undefined) return;
  const { closers, error, passed } = served;
  servedOf.set(span, undefined);
  if (closers !== undefined) for (const close of closers) close();
  if (passed && status === 404) setRoute(span, undefined);
  if (error === undefined || status === undefined || status < 500) return;
  span.recordException(error as Error);
  const message = messageOf(error);
  if (message !== undefined) span.setStatus({ code: ERROR, message });
}

function messageOf(error: unknown): string | undefined {
  const message = typeof error === 'string' ? error : (error as { message?: unknown }).message;
  return typeof message === 'string' && message !== '' ? message : undefined;
}

/** Where a request is among nested routers. */
export interface Place {
  /** Templates of the mounts that lead to the router that has the request. */
  base: string;
  /** The same, with the mount of the layer that runs: the base of a router that is entered from there. */
  mount: string;
  /** Length of the path that `base` stands for. */
  length: number;
}

/**
 * By server span. One for all frameworks, since an application of one may be mounted in one of another. express gives each
 * request another prototype, and what has been that far is slow to look at: whoever looks often takes the span once.
 */
const placeOf = createStamp<Place>();

/**
 * A router is entered from the layer that runs, and has taken `length` characters of the path. Returns `out`, which it
 * calls when it passes the request on, with the way back.
 */
export function enterRouter<Out extends (...args: never[]) => unknown>(span: Span, length: number, out: Out): Out {
  const place = placeIn(span);
  const { base, mount, length: outer } = place;
  place.base = mount;
  place.length = length;
  return function (this: unknown): unknown {
    place.base = base;
    place.mount = mount;
    place.length = outer;
    return Reflect.apply(out, this, arguments as never);
  } as Out;
}

/** Where the request is; it is at the outermost router when nobody said anything else. */
export function placeIn(span: Span): Place {
  let place = placeOf.get(span);
  if (place === undefined) {
    place = { base: '', mount: '', length: 0 };
    placeOf.set(span, place);
  }
  return place;
}

/** `/api/` and `/users/:id` as one template; either may be empty or the root. */
export function joinTemplates(mount: string, path: string): string {
  if (mount === '' || mount === '/') return path;
  if (path === '' || path === '/') return mount;
  const end = mount.endsWith('/') ? mount.slice(0, -1) : mount;
  return path.startsWith('/') ? end + path : `${end}/${path}`;
}
