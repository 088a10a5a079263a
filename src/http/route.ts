/**
 * What a framework tells of the request that it answers. The instrumentation of `http` or `http2` owns the server span;
 * that of a framework only finds the template of the route, and the error that never gets out of the framework.
 *
 * One copy for all instrumentations, in the agent (`withRoute` in scripts/build.mjs): what one file stamps, another reads.
 */

import { createStamp } from '../hook/stamp';
import { HTTP_REQUEST_METHOD, HTTP_ROUTE } from '../semconv';
import type { TraceContext } from '../trace/context';
import type { Span } from '../trace/span';
import { OTHER, OTHER_NAME } from './method';

const ERROR = 2;

/** By message of HTTP/1 and by stream of HTTP/2: the context that its listeners run in, on a server that of its span. */
export const contextOf = createStamp<TraceContext>();

/** The server span of a request that is being answered; `undefined` when none is recorded, or when it has ended. */
export function serverSpanOf(request: object): Span | undefined {
  return contextOf.get(carrierOf(request))?.identity?.live;
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
  const { attributes } = span;
  const before = attributes[HTTP_ROUTE];
  if (before === template) return;
  const method = attributes[HTTP_REQUEST_METHOD] === OTHER ? OTHER_NAME : String(attributes[HTTP_REQUEST_METHOD]);
  const isOurs = span.name === (before === undefined ? method : `${method} ${before}`);
  if (template === undefined) delete attributes[HTTP_ROUTE];
  else span.adopt({ [HTTP_ROUTE]: template });
  if (isOurs) span.updateName(template === undefined ? method : `${method} ${template}`);
}

/** By the same: the last error of a handler that the framework took care of. */
const errorOf = createStamp<unknown>();

/**
 * Takes note of an error that a handler failed with and that the framework turns into a response. Whether it was one of the
 * server's, the response's status tells.
 */
export function noteError(request: object, error: unknown): void {
  if (error === undefined || error === null) return;
  const carrier = carrierOf(request);
  if (contextOf.get(carrier)?.identity?.live !== undefined) errorOf.set(carrier, error);
}

/** Puts the error that was noted on the span of a response that is a failure; `carrier` is the message or the stream. */
export function recordNoted(span: Span, carrier: object | undefined): void {
  const error = carrier === undefined ? undefined : errorOf.get(carrier);
  if (error === undefined) return;
  span.recordException(error as Error);
  const message = messageOf(error);
  if (message !== undefined) span.setStatus({ code: ERROR, message });
}

function messageOf(error: unknown): string | undefined {
  const message = typeof error === 'string' ? error : (error as { message?: unknown }).message;
  return typeof message === 'string' && message !== '' ? message : undefined;
}

/** `/api/` and `/users/:id` as one template; either may be empty or the root. */
export function joinTemplates(mount: string, path: string): string {
  if (mount === '' || mount === '/') return path;
  if (path === '' || path === '/') return mount;
  const end = mount.endsWith('/') ? mount.slice(0, -1) : mount;
  return path.startsWith('/') ? end + path : `${end}/${path}`;
}
