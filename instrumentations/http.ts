/**
 * `http` and `https`, server and client, HTTP/1.1.
 *
 * Everything is observed by replacing `emit` on the prototypes of Server, ServerResponse, IncomingMessage and
 * ClientRequest: Node calls it for each event anyway, so no listener is added to any object of the application, and
 * flow, listener counts and return values stay its own.
 *
 * A server span ends when the response was handed to the operating system, or with an error when the connection went
 * away before. A client span ends when the response headers were read: the application may leave the body unread.
 */

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Attributes } from '@opentelemetry/api';
import type { Begun, Instrumentation, Operation, Span, TraceContext, Tracing } from '../src/hook/instrumentation';
import { createStamp, Foreign } from '../src/hook/stamp';
import { isAbort, isPurpose } from '../src/http/cancellation';
import { type ClientTarget, clientAttributes, endClientSpan, serverOf } from '../src/http/client-attributes';
import { captureHeaders, firstValue, RawServerHeaders, rawHeader, serverHeaders } from '../src/http/headers';
import { isHealthCheck } from '../src/http/health';
import { isIgnored } from '../src/http/ignore';
import { setMethod, spanName } from '../src/http/method';
// Late events of a message run in its context: `data`, `end` and `close` come in the socket's own.
import { contextOf, settle } from '../src/http/route';
import { ServerConnection, type ServerRequest, serverAttributes } from '../src/http/server-attributes';
import { isSigned } from '../src/http/signed';
import { setStatus } from '../src/http/status';
import { HTTP_REQUEST_HEADER, HTTP_RESPONSE_HEADER } from '../src/semconv';

const SERVER = 1;
const CLIENT = 2;

type Emit = (this: unknown, event: unknown, ...args: unknown[]) => boolean;

export default {
  name: 'http',
  targets: [
    { module: 'http', patch: patchHttp },
    { module: 'https', patch: patchHttps },
    { module: 'http2', patch: patchHttp1Fallback },
  ],
} satisfies Instrumentation;

function patchHttp(http: typeof import('node:http'), tracing: Tracing): void {
  patchServer(http.Server.prototype, 'http', tracing);
  patchResponse(http.ServerResponse.prototype, tracing);
  patchMessage(http.IncomingMessage.prototype, tracing);
  patchClient(http, tracing);
}

function patchHttps(https: typeof import('node:https'), tracing: Tracing): void {
  patchServer(https.Server.prototype, 'https', tracing);
  patchRequestFunctions(https, tracing);
}

/** `createSecureServer({ allowHTTP1: true })` answers HTTP/1.1 with the classes of `http`, on a server of its own class. */
function patchHttp1Fallback(http2: typeof import('node:http2'), tracing: Tracing): void {
  tracing.replace(
    http2,
    'createSecureServer',
    (original) =>
      function (this: unknown, ...args: unknown[]): unknown {
        const server = Reflect.apply(original, this, args) as object;
        tracing.guard(() => {
          const prototype = Object.getPrototypeOf(server) as object;
          if (fallbackServers.get(prototype) === undefined) patchServer(prototype, 'https', tracing);
          fallbackServers.set(prototype, true);
        });
        return server;
      },
  );
}

const fallbackServers = createStamp<true>();

// Server.

class ExchangeStamp extends Foreign {
  #begun: Begun | undefined;

  private constructor(response: object, begun: Begun | undefined) {
    super(response);
    this.#begun = begun;
  }

  static get(response: object): Begun | undefined {
    return #begun in response ? (response as ExchangeStamp).#begun : undefined;
  }

  static set(response: object, begun: Begun | undefined): void {
    if (#begun in response) (response as ExchangeStamp).#begun = begun;
    else new ExchangeStamp(response, begun);
  }

  /** `set` for those that have hardly ever been stamped before. */
  static mark(response: object, begun: Begun): void {
    try {
      new ExchangeStamp(response, begun);
    } catch {
      // A private field cannot be added twice.
      ExchangeStamp.set(response, begun);
    }
  }
}

/** By response: the request that is being answered. */
const exchangeOf = ExchangeStamp;

function patchServer(server: object, scheme: string, tracing: Tracing): void {
  const operation = serverOperation(scheme, tracing);

  tracing.replace(server, 'emit', (original) => {
    const emit: Emit = function (event) {
      switch (event) {
        // An application that has a listener for one of the latter two may emit `request` itself afterwards.
        case 'request':
        case 'checkContinue':
        case 'checkExpectation':
          return serve(tracing, operation, original as Emit, this, arguments, event !== 'request');
        case 'upgrade':
        case 'connect':
          return handOver(tracing, operation, original as Emit, this, arguments);
        default:
          return Reflect.apply(original, this, arguments);
      }
    };
    return emit;
  });
}

function serve(
  tracing: Tracing,
  operation: Operation,
  original: Emit,
  server: unknown,
  args: ArrayLike<unknown>,
  repeats: boolean,
): boolean {
  let context: TraceContext | undefined;
  if (!tracing.off) {
    try {
      context = beginExchange(tracing, operation, server, args[1], args[2], repeats);
    } catch (error) {
      tracing.fail(error);
    }
  }
  return context === undefined
    ? Reflect.apply(original, server, args as never)
    : tracing.run(context, original as never, server, args);
}

/**
 * Starts the span of a request; returns the context to answer it in. `repeats`: the application may emit the same
 * request again, which has to find the decision that was taken.
 */
function beginExchange(
  tracing: Tracing,
  operation: Operation,
  server: unknown,
  request: unknown,
  response: unknown,
  repeats: boolean,
): TraceContext | undefined {
  if (!isObject(request) || !isObject(response) || exchangeOf.get(response) !== undefined) return undefined;
  const message = request as IncomingMessage;
  // A request of http2's compatibility API: its stream has the span.
  if (message.httpVersionMajor >= 2) return undefined;
  const ignored = ignoredContext(message, tracing);
  if (ignored !== undefined) {
    contextOf.set(request, ignored);
    return ignored;
  }
  const begun = tracing.begin(operation, { self: server, args: [request, response] });
  if (begun === undefined) return undefined;
  // Also without a body: `aborted` and `close` tell that the client is gone, and are where work is cancelled.
  contextOf.mark(request, begun.context);
  if (begun.span !== undefined || repeats) exchangeOf.mark(response, begun);
  return begun.context;
}

/** For a request that the operator wants no spans of: the caller's trace goes on, nothing is recorded. */
function ignoredContext(request: IncomingMessage, tracing: Tracing): TraceContext | undefined {
  const { serverIgnorePaths, muteHealthChecks } = tracing.config.http;
  const unwanted =
    isIgnored(request.url, serverIgnorePaths) ||
    (muteHealthChecks && isHealthCheck(request.method, request.url, firstValue(header(request, 'user-agent'))));
  return unwanted ? tracing.mute((name) => header(request, name)) : undefined;
}

function serverOperation(scheme: string, tracing: Tracing): Operation<unknown, [IncomingMessage, ServerResponse]> {
  const { http } = tracing.config;
  return {
    kind: SERVER,
    name: ({ args: [request] }) => spanName(request.method ?? '', http.knownMethods),
    parent: ({ args: [request] }) => tracing.extract((name) => header(request, name)),
    attributes: ({ args: [request] }, blocks) => {
      const connection = connectionTo(request.socket);
      const attributes = serverAttributes(describeRequest(request, scheme), http, connection, blocks);
      if (http.serverRequestHeaders.length > 0) {
        captureHeaders(attributes, HTTP_REQUEST_HEADER, http.serverRequestHeaders, (name) => header(request, name));
      }
      return attributes;
    },
    end: (span, { error, value }) => endServerSpan(span, error, value, tracing),
  };
}

function describeRequest(request: IncomingMessage, scheme: string): ServerRequest {
  const { rawHeaders, httpVersion } = request;
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    scheme,
    version: typeof httpVersion === 'string' ? httpVersion : undefined,
    headers: hasRawHeaders(rawHeaders)
      ? new RawServerHeaders(rawHeaders)
      : serverHeaders((name) => header(request, name)),
  };
}

class ConnectionStamp extends Foreign {
  #connection: ServerConnection | undefined;

  private constructor(socket: object, connection: ServerConnection | undefined) {
    super(socket);
    this.#connection = connection;
  }

  static get(socket: object): ServerConnection | undefined {
    return #connection in socket ? (socket as ConnectionStamp).#connection : undefined;
  }

  static set(socket: object, connection: ServerConnection | undefined): void {
    if (#connection in socket) (socket as ConnectionStamp).#connection = connection;
    else new ConnectionStamp(socket, connection);
  }
}

const connectionOf = ConnectionStamp;

function connectionTo(socket: Socket | undefined): ServerConnection {
  if (!isObject(socket)) return new ServerConnection(undefined, undefined);
  let connection = connectionOf.get(socket);
  if (connection === undefined) {
    connection = new ServerConnection(socket.remoteAddress, socket.remotePort);
    connectionOf.set(socket, connection);
  }
  return connection;
}

function endServerSpan(span: Span, error: unknown, response: ServerResponse | undefined, tracing: Tracing): void {
  const status = response?.headersSent ? response.statusCode : undefined;
  settle(span, status);
  if (response === undefined || status === undefined) return;
  const { serverResponseHeaders } = tracing.config.http;
  if (serverResponseHeaders.length > 0) {
    const attributes: Attributes = {};
    captureHeaders(attributes, HTTP_RESPONSE_HEADER, serverResponseHeaders, (name) => response.getHeader(name));
    span.adopt(attributes);
  }
  // 4xx is the client's failure, not the server's.
  setStatus(span, status, status >= 500 && error === undefined);
}

/** `finish`: everything was handed over. `close` without it: the connection is gone. */
function patchResponse(response: object, tracing: Tracing): void {
  tracing.replace(response, 'emit', (original) => {
    const emit: Emit = function (event) {
      if (event !== 'finish' && event !== 'close') return Reflect.apply(original, this, arguments);
      let begun: Begun | undefined;
      let heard = false;
      try {
        begun = exchangeOf.get(this as object);
        heard = hasListener(this, event);
      } catch (failure) {
        tracing.fail(failure);
      }
      if (begun === undefined) return Reflect.apply(original, this, arguments);
      try {
        return heard
          ? tracing.run(begun.context, original as never, this, arguments)
          : Reflect.apply(original, this, arguments);
      } finally {
        endExchange(begun, event, this as ServerResponse, tracing);
      }
    };
    return emit;
  });
}

function endExchange(begun: Begun, event: 'finish' | 'close', response: ServerResponse, tracing: Tracing): void {
  try {
    if (event === 'finish') {
      begun.end(undefined, response);
      return;
    }
    begun.end(aborted(response), response);
    exchangeOf.set(response, undefined);
  } catch (error) {
    tracing.fail(error);
  }
}

const CUT_OFF = { code: 'ECONNRESET', message: 'the connection was closed before the response was complete' };

/** What a response failed with that never finished. */
function aborted(response: ServerResponse): unknown {
  return (response as { errored?: unknown }).errored ?? CUT_OFF;
}

/**
 * `upgrade` and `connect` hand the socket over. The span ends with the first thing the application writes to it, which
 * holds the status, or when it lets go of the socket. Three methods of this one socket are shadowed until then.
 */
function handOver(
  tracing: Tracing,
  operation: Operation,
  original: Emit,
  server: unknown,
  args: ArrayLike<unknown>,
): boolean {
  const request = args[1];
  const socket = args[2];
  if (tracing.off || !isObject(request) || !isObject(socket)) return Reflect.apply(original, server, args as never);
  const ignored = tracing.guard(() => ignoredContext(request as IncomingMessage, tracing));
  if (ignored !== undefined) return tracing.run(ignored, original as never, server, args) as boolean;
  const begun = tracing.begin(operation, { self: server, args: [request, undefined] });
  if (begun === undefined) return Reflect.apply(original, server, args as never);
  try {
    contextOf.set(request, begun.context);
    if (begun.span !== undefined) watchHandOver(socket as never, begun, tracing);
  } catch (failure) {
    tracing.fail(failure);
  }
  const handled = tracing.run(begun.context, original as never, server, args) as boolean;
  // Nobody listens: Node destroys the socket.
  if (!handled) begun.end();
  return handled;
}

function watchHandOver(socket: Socket, { span, done }: Begun, tracing: Tracing): void {
  const methods = ['write', 'end', 'destroy'] as const;
  const restore = (): void => {
    for (const method of methods) delete (socket as Partial<Socket>)[method];
  };
  for (const method of methods) {
    if (Object.hasOwn(socket, method)) continue;
    const inherited = socket[method] as (...args: unknown[]) => unknown;
    const shadow = function (this: Socket, ...args: unknown[]): unknown {
      try {
        restore();
        const status = method === 'destroy' ? undefined : statusOf(args[0]);
        if (status !== undefined && span !== undefined) setStatus(span, status, status >= 500);
        // Node destroys a socket whose other side went away by the same method.
        if (method === 'destroy') done(args[0] ?? CUT_OFF);
        else done();
      } catch (failure) {
        tracing.fail(failure);
      }
      const now = socket[method] as (...args: unknown[]) => unknown;
      return Reflect.apply(now === shadow ? inherited : now, this, args);
    };
    Object.defineProperty(socket, method, { configurable: true, enumerable: false, writable: true, value: shadow });
  }
}

/** The status of `HTTP/1.1 101 Switching Protocols…`. */
function statusOf(chunk: unknown): number | undefined {
  const head =
    typeof chunk === 'string'
      ? chunk.slice(0, 12)
      : chunk instanceof Uint8Array
        ? String.fromCharCode(...chunk.subarray(0, 12))
        : '';
  const status = head.startsWith('HTTP/1.') && head[8] === ' ' ? Number(head.slice(9, 12)) : Number.NaN;
  return Number.isInteger(status) ? status : undefined;
}

// Messages: requests of the server, responses of the client.

function patchMessage(message: object, tracing: Tracing): void {
  tracing.replace(message, 'emit', (original) => {
    const emit: Emit = function (event) {
      // The one event that every message emits without anything from the socket, in the context of whoever reads.
      if (event === 'resume') return Reflect.apply(original, this, arguments);
      let context: TraceContext | undefined;
      try {
        if (hasListener(this, event)) context = contextOf.get(this as object);
      } catch (failure) {
        tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : tracing.run(context, original as never, this, arguments);
    };
    return emit;
  });
}

/** Entering a context costs up to 0.2 µs on Node 24 and later, and most events of a message have nobody to hear them. */
function hasListener(emitter: unknown, event: unknown): boolean {
  const { _events: listeners } = emitter as { _events?: Record<PropertyKey, unknown> };
  return listeners === undefined || listeners[event as PropertyKey] !== undefined;
}

/** Adapters that emit `request` themselves may hand over messages that have `headers` only. */
function header(request: IncomingMessage, name: string): string | string[] | undefined {
  const { rawHeaders } = request;
  if (hasRawHeaders(rawHeaders)) return rawHeader(rawHeaders, name);
  const value = (request.headers as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'string' || Array.isArray(value) ? (value as string | string[]) : undefined;
}

function hasRawHeaders(rawHeaders: unknown): rawHeaders is string[] {
  return Array.isArray(rawHeaders) && rawHeaders.length > 0;
}

// Client.

/** A request under way. */
interface Attempt {
  readonly begun: Begun | undefined;
  /** What the application's listeners run in: the context of the call. */
  readonly caller: TraceContext;
  timedOut: boolean;
  /** The application gave the request up; what it gave as the reason, if anything. */
  cancelled: boolean;
  reason: unknown;
}

class AttemptStamp extends Foreign {
  #attempt: Attempt | undefined;

  private constructor(request: object, attempt: Attempt | undefined) {
    super(request);
    this.#attempt = attempt;
  }

  static get(request: object): Attempt | undefined {
    return #attempt in request ? (request as AttemptStamp).#attempt : undefined;
  }

  static set(request: object, attempt: Attempt | undefined): void {
    if (#attempt in request) (request as AttemptStamp).#attempt = attempt;
    else new AttemptStamp(request, attempt);
  }

  /** `set` for those that have hardly ever been stamped before. */
  static mark(request: object, attempt: Attempt): void {
    try {
      new AttemptStamp(request, attempt);
    } catch {
      // A private field cannot be added twice.
      AttemptStamp.set(request, attempt);
    }
  }
}

const attemptOf = AttemptStamp;

/** Published at the end of ClientRequest's constructor, whoever calls it. */
const CREATED = 'http.client.request.created';

function patchClient(http: typeof import('node:http'), tracing: Tracing): void {
  const operation = clientOperation(tracing);
  const onCreated = (request: ClientRequest): void => {
    if (attemptOf.get(request) !== undefined) return;
    const begun = tracing.begin(operation, { self: undefined, args: [request] });
    const caller = tracing.active();
    attemptOf.mark(request, { begun, caller, timedOut: false, cancelled: false, reason: undefined });
  };
  begin = onCreated;
  tracing.on(CREATED, ({ request }: { request: ClientRequest }) => onCreated(request));

  patchRequestFunctions(http, tracing);
  patchClientRequest(http.ClientRequest.prototype, tracing);
}

/** Set when `http` is patched, which is before `https` can be: https loads http. */
let begin: (request: ClientRequest) => void = () => {};

function patchRequestFunctions(module: { request: unknown; get: unknown }, tracing: Tracing): void {
  for (const method of ['request', 'get']) {
    tracing.replace(module, method, (original) => {
      const failing = failedCall(module, tracing);
      return function (this: unknown, ...args: unknown[]): unknown {
        let request: unknown;
        try {
          request = Reflect.apply(original, this, args);
        } catch (error) {
          // The constructor refused its arguments: there is no request, but there was a call.
          try {
            tracing.begin(failing, { self: this, args: [readArguments(args)] })?.end(error);
          } catch (failure) {
            tracing.fail(failure);
          }
          throw error;
        }
        // Before 22.12 Node publishes nothing at creation; the headers have not left yet.
        try {
          if (!tracing.off && isObject(request) && 'outputData' in request) begin(request as never);
        } catch (failure) {
          tracing.fail(failure);
        }
        return request;
      };
    });
  }
}

function clientOperation(tracing: Tracing): Operation<undefined, [ClientRequest]> {
  const { http } = tracing.config;
  return {
    kind: CLIENT,
    name: ({ args: [request] }) => spanName(request.method, http.knownMethods),
    attributes: ({ args: [request] }, blocks) => {
      const attributes = clientAttributes(targetOf(request), http, blocks);
      if (http.clientRequestHeaders.length > 0) {
        captureHeaders(attributes, HTTP_REQUEST_HEADER, http.clientRequestHeaders, (name) => fieldIn(request, name));
      }
      return attributes;
    },
    receiver: ({ args: [request] }) => serverOf(targetOf(request)),
    inject: ({ args: [request] }, write) => {
      if (isSigned(fieldIn(request, 'authorization'), request.path)) return;
      // A traceparent of the application's own is not to be joined by a tracestate of ours.
      const traced = fieldIn(request, 'traceparent') !== undefined;
      write((name, value) => {
        if (!traced || !name.startsWith('trace')) setField(request, name, value);
      });
    },
    end: (span, { value }) => {
      const response = value as IncomingMessage | undefined;
      if (response === undefined) return;
      const answer = {
        status: response.statusCode,
        version: response.httpVersion,
        peerAddress: response.socket?.remoteAddress,
        peerPort: response.socket?.remotePort,
        header: (name: string) => header(response, name),
      };
      endClientSpan(span, answer, http);
    },
  };
}

/** What a call that threw was given. */
interface Refused {
  readonly method: string;
  readonly url: URL | undefined;
  readonly protocol: string | undefined;
  readonly host: string | undefined;
  readonly path: string;
  readonly port: number | undefined;
}

/**
 * Reads each member once. They are the application's: what they throw, which may be why the call failed, is no failure of
 * ours, and then the span says less.
 */
function readArguments([first, second]: unknown[]): Refused {
  try {
    const url = typeof first === 'string' ? first : first instanceof URL ? first.href : '';
    const given = url === '' ? first : second;
    const options = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {};
    const { method, protocol, hostname, host, path, port } = options;
    const name = hostname ?? host;
    return {
      method: typeof method === 'string' ? method.toUpperCase() : 'GET',
      url: URL.canParse?.(url) ? new URL(url) : undefined,
      protocol: protocol === undefined ? undefined : String(protocol),
      host: name === undefined ? undefined : String(name),
      path: String(path ?? '/'),
      port: Number(port) || undefined,
    };
  } catch {
    return { method: 'GET', url: undefined, protocol: undefined, host: undefined, path: '/', port: undefined };
  }
}

/** A call that threw before there was a request: its arguments are all there is to describe it. */
function failedCall(module: object, tracing: Tracing): Operation<unknown, [Refused]> {
  const { http } = tracing.config;
  const scheme =
    'globalAgent' in module && (module.globalAgent as { protocol?: string })?.protocol === 'https:' ? 'https' : 'http';
  return {
    kind: CLIENT,
    name: ({ args: [{ method }] }) => spanName(method, http.knownMethods),
    attributes: ({ args: [{ method, url, protocol, host, path, port }] }, blocks) => {
      if (url === undefined && host === undefined) {
        const attributes: Attributes = {};
        setMethod(attributes, method, http.knownMethods);
        return attributes;
      }
      return clientAttributes(
        {
          method,
          scheme: (url?.protocol ?? protocol ?? scheme).replace(':', ''),
          authority: url?.host ?? host ?? '',
          path: url === undefined ? path : url.pathname + url.search,
          port,
        },
        http,
        blocks,
      );
    },
  };
}

function targetOf(request: ClientRequest): ClientTarget {
  const { host, protocol } = request as ClientRequest & { host?: string; protocol?: string };
  return {
    method: request.method,
    scheme: schemeOf(protocol),
    authority: String(fieldIn(request, 'host') ?? host ?? 'localhost'),
    path: request.path,
    port: undefined,
  };
}

function schemeOf(protocol: string | undefined): string {
  if (protocol === 'http:' || typeof protocol !== 'string') return 'http';
  return protocol === 'https:' ? 'https' : protocol.replace(':', '');
}

/** A request's header; those given as a list are serialised at once and cannot be asked for. */
function fieldIn(request: ClientRequest, name: string): unknown {
  const value = request.getHeader(name);
  if (value !== undefined) return value;
  const head = (request as { _header?: unknown })._header;
  // With a host there are headers to ask for, so that what is not among them is nowhere.
  if (typeof head !== 'string' || request.getHeader('host') !== undefined) return undefined;
  const at = head.toLowerCase().indexOf(`\r\n${name}: `);
  return at < 0 ? undefined : head.slice(at + name.length + 4, head.indexOf('\r\n', at + 2));
}

interface Outgoing {
  _header: string | null;
  _headerSent: boolean;
  outputData?: { data: unknown }[];
  outputSize?: number;
}

/** Sets a propagation field on a request, unless the application set one of that name itself. */
function setField(request: ClientRequest, name: string, value: string): void {
  const outgoing = request as unknown as Outgoing;
  const head = outgoing._header;
  // Whoever writes fields has looked for the first of them.
  const isKnownMissing = name === 'traceparent';
  if (head === null || head === undefined) {
    if (isKnownMissing || !request.hasHeader(name)) request.setHeader(name, value);
    return;
  }
  // Already serialised (a header list, `Expect`, or `get`, which ends the request), but not on its way: a socket
  // takes it over at the earliest in the next tick.
  if (!head.endsWith('\r\n\r\n')) return;
  if (!isKnownMissing && head.toLowerCase().includes(`\r\n${name}:`)) return;
  const line = `${name}: ${value}\r\n`;
  const longer = `${head.slice(0, -2)}${line}\r\n`;
  if (outgoing._headerSent) {
    const first = outgoing.outputData?.[0];
    if (typeof first?.data !== 'string') return;
    // Without a body the two are one string. Looking for one in another costs 5 ns a character, comparing one with itself nothing.
    if (first.data !== head && !first.data.startsWith(head)) return;
    first.data = longer + first.data.slice(head.length);
    outgoing.outputSize = (outgoing.outputSize ?? 0) + line.length;
  }
  outgoing._header = longer;
}

function patchClientRequest(request: object, tracing: Tracing): void {
  tracing.replace(request, 'emit', (original) => {
    const emit: Emit = function (event) {
      let caller: TraceContext | undefined;
      try {
        const attempt = attemptOf.get(this as object);
        if (attempt !== undefined) {
          if (hasListener(this, event)) caller = attempt.caller;
          onClientEvent(attempt, this as ClientRequest, event, arguments[1]);
          // The last event: an application that keeps the request must not keep its span.
          if (event === 'close') attemptOf.set(this as object, undefined);
        }
      } catch (error) {
        tracing.fail(error);
      }
      return caller === undefined
        ? Reflect.apply(original, this, arguments)
        : tracing.run(caller, original as never, this, arguments);
    };
    return emit;
  });

  tracing.replace(
    request,
    'destroy',
    (original) =>
      function (this: object, ...args: unknown[]): unknown {
        try {
          const attempt = attemptOf.get(this);
          // The first reason counts, as it does for Node.
          if (attempt !== undefined && !attempt.cancelled) {
            attempt.cancelled = true;
            attempt.reason = args[0];
          }
        } catch (failure) {
          tracing.fail(failure);
        }
        return Reflect.apply(original, this, args);
      },
  );
}

function onClientEvent(attempt: Attempt, request: ClientRequest, event: unknown, arg: unknown): void {
  switch (event) {
    case 'response':
    case 'upgrade':
    case 'connect':
      if (isObject(arg)) contextOf.mark(arg, attempt.caller);
      attempt.begun?.end(undefined, arg);
      break;
    case 'timeout':
      attempt.timedOut = true;
      break;
    case 'error':
      attempt.begun?.end(failureOf(attempt, arg));
      break;
    case 'close':
      // A 101 that nobody listens to: Node closes the connection without a `response`.
      attempt.begun?.end(attempt.timedOut ? TIMEOUT : undefined, (request as { res?: unknown }).res ?? undefined);
      break;
  }
}

const TIMEOUT = { name: 'TimeoutError', message: 'the request timed out' };

/** What the span fails with: nothing when the application cancelled on purpose, which a timeout is not. */
function failureOf(attempt: Attempt, error: unknown): unknown {
  if (attempt.cancelled && attempt.timedOut) return timeoutWith(attempt.reason);
  // A signal that had fired before the call destroys the request in its constructor, unseen by us.
  if (!attempt.cancelled) return isAbort(error) ? undefined : causeOfAbort(error);
  return isPurpose(attempt.reason) ? undefined : causeOfAbort(attempt.reason);
}

/** `AbortSignal.timeout` comes as an AbortError; what it is called is inside. */
function causeOfAbort(error: unknown): unknown {
  const { name, cause } = (error ?? {}) as { name?: unknown; cause?: { name?: unknown } };
  return name === 'AbortError' && cause?.name === 'TimeoutError' ? cause : error;
}

/** A plain Error says no more of its kind than that it is one. */
function timeoutWith(reason: unknown): unknown {
  if (reason === undefined || reason === null) return TIMEOUT;
  const { name, code, message } = reason as { name?: unknown; code?: unknown; message?: unknown };
  return name === 'Error' && code === undefined ? { name: TIMEOUT.name, message } : reason;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
