/**
 * Global `fetch` and the `undici` package (5.12 to 8), through the diagnostics channels that both publish on. Nothing
 * that applications call is replaced, so `fetch` and its arguments stay exactly what they were, in bundled applications
 * too. The first request of each copy leads to its internal Request class, whose events are given the caller's context:
 * they arrive in that of whoever opened the pooled connection, where a redirect or a retry would go on in a foreign trace.
 *
 * One span per request on the wire: every hop of a redirect and every retry has its own. A span starts when the request
 * is created, so time in the queue counts, and ends when the response headers were read, since the application may
 * leave the body unread. CONNECT, which ProxyAgent makes for its tunnels, gets no span.
 */
import type { Done, Instrumentation, Operation, Span, TraceContext, Tracing } from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { isPurpose } from '../src/http/cancellation';
import { type ClientTarget, clientAttributes, endClientSpan, serverOf } from '../src/http/client-attributes';
import { captureHeaders, rawHeader } from '../src/http/headers';
import { spanName } from '../src/http/method';
import { isSigned } from '../src/http/signed';
import { HTTP_REQUEST_HEADER } from '../src/semconv';

const CLIENT = 2;

/** undici's internal Request, as far as all supported versions agree. */
interface Request {
  readonly method: string;
  readonly origin: string | URL;
  readonly path: string;
  /** Header lines up to 5.x and early 6.x, then a flat list of names and values. */
  readonly headers: string | readonly unknown[];
  addHeader(name: string, value: string): unknown;
}

interface Response {
  readonly statusCode: number;
  /** Flat list of names and values. */
  readonly headers: readonly (Uint8Array | string)[];
}

/** A request under way. */
interface Attempt {
  readonly done: Done;
  /** A connection took it. */
  sent: boolean;
  peerAddress: string | undefined;
  peerPort: number | undefined;
  version: string | undefined;
}

interface Answer {
  readonly attempt: Attempt;
  /** `undefined` when there was none. */
  readonly response: Response | undefined;
}

const attemptOf = createStamp<Attempt>();

/** The context that a request was made in. */
const callerOf = createStamp<TraceContext>();

/** Prototypes of Request that were patched: one per copy of undici. */
const patched = createStamp<true>();

/** Through these a Request hands events on: names up to 7.x, then those of 8.x. */
const EVENTS = [
  ...['onBodySent', 'onRequestSent', 'onConnect', 'onHeaders', 'onData', 'onUpgrade', 'onComplete', 'onError'],
  ...['onRequestStart', 'onResponseStarted', 'onResponseStart', 'onResponseData', 'onResponseEnd', 'onResponseError'],
  'onRequestUpgrade',
];

export default {
  name: 'undici',
  subscribe(tracing: Tracing) {
    const operation = requestOperation(tracing);

    tracing.on('undici:request:create', ({ request }: { request: Request }) => {
      const prototype = Object.getPrototypeOf(request) as object;
      if (patched.get(prototype) === undefined) {
        patched.set(prototype, true);
        patchRequest(prototype, tracing);
      }
      callerOf.set(request, tracing.active());
      if (request.method === 'CONNECT') return;
      const begun = tracing.begin(operation, { self: undefined, args: [request] });
      if (begun?.span === undefined) return;
      attemptOf.set(request, {
        done: begun.done,
        sent: false,
        peerAddress: undefined,
        peerPort: undefined,
        version: undefined,
      });
    });

    tracing.on('undici:client:sendHeaders', ({ request, socket }: { request: Request; socket: Socket | undefined }) => {
      const attempt = attemptOf.get(request);
      if (attempt === undefined) return;
      attempt.sent = true;
      attempt.peerAddress = socket?.remoteAddress;
      attempt.peerPort = socket?.remotePort;
      attempt.version = socket?.alpnProtocol === 'h2' ? '2' : '1.1';
    });

    tracing.on('undici:request:headers', ({ request, response }: { request: Request; response: Response }) => {
      const attempt = attemptOf.get(request);
      // 1xx: the answer is still to come.
      if (attempt !== undefined && response.statusCode >= 200) end(request, attempt, undefined, response);
    });

    tracing.on('undici:request:error', ({ request, error }: { request: Request; error: unknown }) => {
      const attempt = attemptOf.get(request);
      if (attempt === undefined) return;
      end(request, attempt, isCancellation(error, attempt.sent) ? undefined : error);
    });
  },
} satisfies Instrumentation;

function patchRequest(prototype: object, tracing: Tracing): void {
  for (const event of EVENTS) {
    if (!Object.hasOwn(prototype, event)) continue;
    const upgrade = event === 'onUpgrade' || event === 'onRequestUpgrade';
    tracing.replace(
      prototype,
      event,
      (original) =>
        function (this: Request, ...args: unknown[]): unknown {
          let caller: TraceContext | undefined;
          try {
            caller = callerOf.get(this);
            // Most versions publish nothing about an upgrade that succeeded.
            if (upgrade && !tracing.off) endUpgrade(this, args);
          } catch (failure) {
            tracing.fail(failure);
          }
          return caller === undefined ? Reflect.apply(original, this, args) : tracing.run(caller, original, this, args);
        },
    );
  }
}

function endUpgrade(request: Request, [statusCode, headers]: unknown[]): void {
  const attempt = attemptOf.get(request);
  if (attempt === undefined) return;
  end(request, attempt, undefined, {
    statusCode: statusCode as number,
    headers: Array.isArray(headers) ? (headers as Response['headers']) : [],
  });
}

interface Socket {
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly alpnProtocol?: string | false;
}

function end(request: Request, attempt: Attempt, error?: unknown, response?: Response): void {
  attemptOf.set(request, undefined);
  attempt.done(error, { attempt, response } satisfies Answer);
}

function requestOperation(tracing: Tracing): Operation<undefined, [Request]> {
  const { http } = tracing.config;
  return {
    kind: CLIENT,
    name: ({ args: [request] }) => spanName(request.method, http.knownMethods),
    attributes: ({ args: [request] }, blocks) => {
      const attributes = clientAttributes(targetOf(request), http, blocks);
      captureHeaders(attributes, HTTP_REQUEST_HEADER, http.clientRequestHeaders, (name) =>
        requestHeader(request, name),
      );
      return attributes;
    },
    receiver: ({ args: [request] }) => serverOf(targetOf(request)),
    inject: ({ args: [request] }, write) => {
      if (isSigned(requestHeader(request, 'authorization'), request.path)) return;
      write((name, value) => {
        if (requestHeader(request, name) === undefined) request.addHeader(name, value);
      });
    },
    end: (span, { value }) => endSpan(span, value as Answer, http),
  };
}

function endSpan(span: Span, { attempt, response }: Answer, http: Tracing['config']['http']): void {
  let list: string[] | undefined;
  const answer = {
    status: response?.statusCode,
    // Without an answer nobody knows whether the other side speaks it.
    version: response === undefined ? undefined : attempt.version,
    peerAddress: attempt.peerAddress,
    peerPort: attempt.peerPort,
    header: (name: string) => {
      if (list === undefined) list = (response?.headers ?? []).map(textOf);
      return rawHeader(list, name);
    },
  };
  endClientSpan(span, answer, http);
}

function textOf(item: Uint8Array | string): string {
  return typeof item === 'string' ? item : Buffer.from(item).toString('latin1');
}

function targetOf(request: Request): ClientTarget {
  const origin = String(request.origin);
  const scheme = origin.startsWith('https:') ? 'https' : 'http';
  const start = origin.indexOf('://') + 3;
  const slash = origin.indexOf('/', start);
  return {
    method: request.method,
    scheme,
    authority: slash < 0 ? origin.slice(start) : origin.slice(start, slash),
    path: request.path,
    port: undefined,
  };
}

/** A header of the request, whichever way this version keeps them. */
function requestHeader(request: Request, name: string): string | string[] | undefined {
  const { headers } = request;
  if (typeof headers !== 'string') {
    if (!Array.isArray(headers)) return undefined;
    return rawHeader(headers.every(isString) ? headers : headers.map(String), name);
  }
  for (let start = 0; start < headers.length; ) {
    let end = headers.indexOf('\r\n', start);
    if (end < 0) end = headers.length;
    const colon = headers.indexOf(':', start);
    if (colon > start && colon < end && headers.slice(start, colon).toLowerCase() === name) {
      return headers.slice(colon + 1, end).trim();
    }
    start = end + 2;
  }
  return undefined;
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

/** How codes of undici, its parser, Node and the operating system begin; OpenSSL's have no common form. */
const FAILURE_CODE = /^(UND_ERR_|HPE_|ERR_|E[A-Z])/;

/**
 * The application gave the request up on purpose. Any reason it passed to `abort` arrives as the error, as it is; but
 * what fails by itself always has a code. Before a connection is there, that can be any of OpenSSL's.
 * `AbortSignal.timeout` gives a TimeoutError, which is a failure.
 */
function isCancellation(error: unknown, sent: boolean): boolean {
  if (isPurpose(error)) return true;
  const { name, code } = error as { name?: unknown; code?: unknown };
  return sent && name !== 'TimeoutError' && typeof code === 'string' && !FAILURE_CODE.test(code);
}
