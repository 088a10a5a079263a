/**
 * `http2`, server and client, core and compatibility API: one span per stream.
 *
 * The classes are not exported, so their prototypes are reached through the first server, session and stream. Events
 * are observed by replacing `emit`, as in http.ts. A server span ends when the stream closes, a client span when the
 * response headers were read. Sessions and streams that another instrumentation claimed, as gRPC's are, have no spans here.
 */

import type { ClientHttp2Session, ClientHttp2Stream, Http2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Attributes } from '@opentelemetry/api';
import type { Done, Instrumentation, Operation, Span, TraceContext, Tracing } from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { type ClientTarget, clientAttributes, endClientSpan, serverOf } from '../src/http/client-attributes';
import { captureHeaders, firstValue, serverHeaders } from '../src/http/headers';
import { isHealthCheck } from '../src/http/health';
import { isIgnored } from '../src/http/ignore';
import { spanName } from '../src/http/method';
import { contextOf, settle } from '../src/http/route';
import { ServerConnection, serverAttributes } from '../src/http/server-attributes';
import { isSigned } from '../src/http/signed';
import { setStatus } from '../src/http/status';
import { HTTP_REQUEST_HEADER, HTTP_RESPONSE_HEADER } from '../src/semconv';

const SERVER = 1;
const CLIENT = 2;
const VERSION = '2';

type Emit = (this: object, event: unknown, ...args: unknown[]) => boolean;
type Headers = Readonly<Record<string, string | string[] | undefined>>;

export default {
  name: 'http2',
  targets: [{ module: 'http2', patch: patchHttp2 }],
} satisfies Instrumentation;

function patchHttp2(http2: typeof import('node:http2'), tracing: Tracing): void {
  const server = serverOperation(tracing);
  for (const method of ['createServer', 'createSecureServer']) {
    tracing.replace(http2, method, (original) =>
      returning(original, tracing, (created) => patchServer(prototypeOf(created), server, tracing)),
    );
  }
  const client = clientOperation(tracing);
  tracing.replace(http2, 'connect', (original) =>
    returning(original, tracing, (session, args) => {
      originOf.set(session, originIn(args[0]));
      patchSession(prototypeOf(session), client, tracing);
    }),
  );
}

/** A replacement that looks at what the original returns. */
function returning(
  original: (...args: unknown[]) => unknown,
  tracing: Tracing,
  look: (result: object, args: unknown[]) => void,
): (...args: unknown[]) => unknown {
  return function (this: unknown, ...args: unknown[]): unknown {
    const result = Reflect.apply(original, this, args);
    if (typeof result === 'object' && result !== null) tracing.guard(() => look(result, args));
    return result;
  };
}

function prototypeOf(object: object): object {
  return Object.getPrototypeOf(object) as object;
}

/** Makes a function that is true the first time it is asked about a prototype. */
function firstTime(): (prototype: object) => boolean {
  const seen = createStamp<true>();
  return (prototype) => {
    if (seen.get(prototype) !== undefined) return false;
    seen.set(prototype, true);
    return true;
  };
}

const isNew = firstTime();
const isNewCancel = firstTime();

/** A stream under way. */
interface Exchange {
  /** What the stream's listeners run in. */
  readonly context: TraceContext;
  /** Gone once the span has ended: an application that keeps its streams does not keep their spans. */
  done: Done | undefined;
  error: unknown;
  /** The application closed the stream. */
  cancelled: boolean;
}

const exchangeOf = createStamp<Exchange>();

/** The first call counts. */
function finish(exchange: Exchange, error: unknown, value?: unknown): void {
  const { done } = exchange;
  exchange.done = undefined;
  done?.(error, value);
}

function patchStream(
  prototype: object,
  tracing: Tracing,
  onEvent: (exchange: Exchange, stream: object, event: unknown, arg: unknown) => void,
): void {
  if (!isNew(prototype)) return;
  tracing.replace(prototype, 'emit', (original) => {
    const emit: Emit = function (event, ...rest) {
      let context: TraceContext | undefined;
      try {
        const exchange = exchangeOf.get(this);
        if (exchange !== undefined) {
          context = exchange.context;
          if (!tracing.off) onEvent(exchange, this, event, rest[0]);
        }
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

// Server.

function patchServer(prototype: object, operation: Operation, tracing: Tracing): void {
  if (!isNew(prototype)) return;
  tracing.replace(prototype, 'emit', (original) => {
    const emit: Emit = function (event, ...rest) {
      if (event !== 'stream') return Reflect.apply(original, this, arguments);
      const context = tracing.guard(() => beginStream(this, rest, operation, tracing));
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : tracing.run(context, original as never, this, arguments);
    };
    return emit;
  });
}

function beginStream(
  server: object,
  [stream, headers]: unknown[],
  operation: Operation,
  tracing: Tracing,
): TraceContext | undefined {
  const target = stream as ServerHttp2Stream;
  if (exchangeOf.get(target) !== undefined || tracing.isClaimed(target)) return undefined;
  patchStream(prototypeOf(target), tracing, onServerEvent);
  const fields = headers as Headers;
  if (isUnwanted(fields, tracing)) {
    const context = tracing.mute((name) => fields[name]);
    exchangeOf.set(target, { context, done: undefined, error: undefined, cancelled: false });
    return context;
  }
  const begun = tracing.begin(operation, { self: server, args: [target, fields] });
  if (begun === undefined) return undefined;
  exchangeOf.set(target, { context: begun.context, done: begun.done, error: undefined, cancelled: false });
  contextOf.set(target, begun.context);
  return begun.context;
}

/** A request that the operator wants no spans of. */
function isUnwanted(fields: Headers, { config }: Tracing): boolean {
  const { serverIgnorePaths, muteHealthChecks } = config.http;
  const path = firstValue(fields[':path']);
  if (isIgnored(path, serverIgnorePaths)) return true;
  return muteHealthChecks && isHealthCheck(firstValue(fields[':method']), path, firstValue(fields['user-agent']));
}

function onServerEvent(exchange: Exchange, stream: object, event: unknown, arg: unknown): void {
  if (event === 'error') exchange.error = arg;
  if (event !== 'close') return;
  const { aborted, rstCode, writableFinished } = stream as ServerHttp2Stream;
  // Node ends the writable side of a stream that is reset, which then counts as finished: `aborted` tells.
  const cut = aborted || (rstCode !== 0 && !writableFinished);
  const error = cut
    ? { code: 'ERR_HTTP2_STREAM_ERROR', message: `the stream was closed with code ${rstCode}` }
    : undefined;
  finish(exchange, exchange.error ?? error, stream);
}

function serverOperation(tracing: Tracing): Operation<object, [ServerHttp2Stream, Headers]> {
  const { http } = tracing.config;
  return {
    kind: SERVER,
    name: ({ args: [, headers] }) => spanName(firstValue(headers[':method']) ?? '', http.knownMethods),
    parent: ({ args: [, headers] }) => tracing.extract((name) => headers[name]),
    attributes: ({ args: [stream, headers] }, blocks) => {
      const attributes = serverAttributes(
        {
          method: firstValue(headers[':method']) ?? '',
          target: firstValue(headers[':path']) ?? firstValue(headers[':authority']) ?? '',
          scheme: firstValue(headers[':scheme']) ?? 'http',
          version: VERSION,
          headers: serverHeaders((name) => headers[name]),
        },
        http,
        connectionTo(stream.session),
        blocks,
      );
      captureHeaders(attributes, HTTP_REQUEST_HEADER, http.serverRequestHeaders, (name) => headers[name]);
      return attributes;
    },
    end: (span, { error, value }) => endServerSpan(span, error, value as ServerHttp2Stream | undefined, tracing),
  };
}

function endServerSpan(span: Span, error: unknown, stream: ServerHttp2Stream | undefined, tracing: Tracing): void {
  const sent = stream?.sentHeaders;
  const status = sent?.[':status'];
  settle(span, status === undefined ? undefined : Number(status));
  if (sent === undefined || status === undefined) return;
  const attributes: Attributes = {};
  captureHeaders(attributes, HTTP_RESPONSE_HEADER, tracing.config.http.serverResponseHeaders, (name) => sent[name]);
  span.adopt(attributes);
  setStatus(span, Number(status), Number(status) >= 500 && error === undefined);
}

const connectionOf = createStamp<ServerConnection>();

function connectionTo(session: Http2Session | undefined): ServerConnection {
  const known = session && connectionOf.get(session);
  if (known !== undefined) return known;
  const socket = socketOf(session);
  const connection = new ServerConnection(socket?.remoteAddress, socket?.remotePort);
  if (session !== undefined && socket !== undefined) connectionOf.set(session, connection);
  return connection;
}

/** A destroyed session has a socket that throws when it is looked at. */
function socketOf(session: Http2Session | undefined): Socket | undefined {
  return session === undefined || session.destroyed ? undefined : (session.socket as Socket | undefined);
}

// Client.

/** Where a session goes. */
interface Origin {
  readonly scheme: string;
  readonly authority: string;
}

const originOf = createStamp<Origin>();

function originIn(authority: unknown): Origin {
  if (typeof authority === 'object' && authority !== null && !(authority instanceof URL)) {
    const { protocol, host, hostname, port } = authority as Record<string, unknown>;
    const name = String(hostname ?? host ?? 'localhost');
    return {
      scheme: String(protocol ?? 'https:').replace(':', ''),
      authority: port === undefined ? name : `${name}:${port}`,
    };
  }
  const url = new URL(String(authority));
  return { scheme: url.protocol.slice(0, -1), authority: url.host };
}

function patchSession(prototype: object, operation: Operation, tracing: Tracing): void {
  if (isNew(prototype)) tracing.span(prototype, 'request', operation);
}

/**
 * undici speaks HTTP/2 through sessions of its own, which it marks, and tells of its requests itself: undici.ts makes their
 * spans.
 */
function isUndici(session: object): boolean {
  let known = undiciOf.get(session);
  if (known === undefined) {
    known = Object.getOwnPropertySymbols(session).some(({ description }) => description === 'open streams');
    undiciOf.set(session, known);
  }
  return known;
}

const undiciOf = createStamp<boolean>();

function clientOperation(tracing: Tracing): Operation<ClientHttp2Session, [unknown, ...unknown[]], ClientHttp2Stream> {
  const { http } = tracing.config;
  return {
    kind: CLIENT,
    name: ({ self, args: [headers] }) =>
      // Called on what is no session, it fails, which is the application's error and none of ours.
      typeof self !== 'object' || self === null || isUndici(self) || tracing.isClaimed(self)
        ? undefined
        : spanName(text(headers, ':method') ?? 'GET', http.knownMethods),
    attributes: ({ self, args: [headers] }, blocks) => {
      const attributes = clientAttributes(targetOf(self, headers), http, blocks);
      captureHeaders(attributes, HTTP_REQUEST_HEADER, http.clientRequestHeaders, (name) => field(headers, name));
      return attributes;
    },
    receiver: ({ self, args: [headers] }) => serverOf(targetOf(self, headers)),
    inject: (call, write) => {
      const [headers] = call.args;
      // Not headers: Node is about to say so, and must find what the application gave.
      if (headers !== undefined && (typeof headers !== 'object' || headers === null)) return;
      if (isSigned(field(headers, 'authorization'), text(headers, ':path') ?? '')) return;
      // A traceparent of the application's own is not to be joined by a tracestate of ours.
      const traced = field(headers, 'traceparent') !== undefined;
      const added: Record<string, string> = {};
      write((name, value) => {
        if (field(headers, name) === undefined && !(traced && name === 'tracestate')) added[name] = value;
      });
      if (Object.keys(added).length === 0) return;
      try {
        call.args[0] = withFields(headers as object | undefined, added);
      } catch {
        // What the application's object throws it throws at Node as well: no failure of ours.
      }
    },
    settle: ({ self }, stream, done) => {
      const prototype = prototypeOf(stream);
      patchStream(prototype, tracing, onClientEvent);
      patchCancel(prototype, tracing);
      exchangeOf.set(stream, {
        context: tracing.active(),
        done: (error, value) => done(error, value && { session: self, headers: value }),
        error: undefined,
        cancelled: false,
      });
    },
    end: (span, { value }) => endSpan(span, value as Answer | undefined, tracing),
  };
}

function targetOf(session: ClientHttp2Session, headers: unknown): ClientTarget {
  const origin = originOf.get(session);
  return {
    method: text(headers, ':method') ?? 'GET',
    scheme: text(headers, ':scheme') ?? origin?.scheme ?? (session.encrypted ? 'https' : 'http'),
    authority: text(headers, ':authority') ?? text(headers, 'host') ?? origin?.authority ?? '',
    path: text(headers, ':path') ?? '/',
    port: undefined,
  };
}

/** Response headers and the session they came on. */
interface Answer {
  readonly session: ClientHttp2Session;
  readonly headers: Headers;
}

function endSpan(span: Span, answer: Answer | undefined, tracing: Tracing): void {
  if (answer === undefined) return;
  const { headers } = answer;
  const socket = socketOf(answer.session);
  const response = {
    status: Number(headers[':status']) || undefined,
    version: VERSION,
    peerAddress: socket?.remoteAddress,
    peerPort: socket?.remotePort,
    header: (name: string) => headers[name],
  };
  endClientSpan(span, response, tracing.config.http);
}

/** A copy with more fields. Symbols belong to headers in both of their forms: they say which are never to be indexed. */
function withFields(headers: object | undefined, added: Record<string, string>): object {
  if (!Array.isArray(headers)) return { ...headers, ...added };
  // Of an odd list Node ignores the name at the end, which must not get one of ours for its value.
  const pairs = headers.length - (headers.length % 2);
  const fields = Object.entries(added).flat();
  const copy = [...headers.slice(0, pairs), ...fields, ...headers.slice(pairs)] as unknown[] & Record<symbol, unknown>;
  for (const key of Object.getOwnPropertySymbols(headers)) copy[key] = (headers as unknown as typeof copy)[key];
  return copy;
}

/**
 * Header names are lower case on the wire, but applications may write them otherwise. The object is theirs: what it throws
 * when it is read is no failure of ours.
 */
function field(headers: unknown, name: string): unknown {
  try {
    if (Array.isArray(headers)) {
      for (let i = 0; i + 1 < headers.length; i += 2)
        if (String(headers[i]).toLowerCase() === name) return headers[i + 1];
      return undefined;
    }
    if (typeof headers !== 'object' || headers === null) return undefined;
    const direct = (headers as Record<string, unknown>)[name];
    if (direct !== undefined) return direct;
    for (const key of Object.keys(headers)) {
      if (key.length === name.length && key.toLowerCase() === name) return (headers as Record<string, unknown>)[key];
    }
    return undefined;
  } catch {
    return undefined;
  }
}

/** `field` as text, which not every value has. */
function text(headers: unknown, name: string): string | undefined {
  const value = field(headers, name);
  try {
    return value === undefined || value === null ? undefined : String(value);
  } catch {
    return undefined;
  }
}

/**
 * Notes that the application closes a stream. Node calls the same two methods when a reset came in, with the stream
 * closed already, and when the connection was lost.
 */
function patchCancel(prototype: object, tracing: Tracing): void {
  if (!isNewCancel(prototype)) return;
  for (const method of ['close', 'destroy']) {
    tracing.replace(
      prototype,
      method,
      (original) =>
        ({
          // A method, as the original is: it has no prototype.
          cancel(this: ClientHttp2Stream, ...args: unknown[]): unknown {
            tracing.guard(() => {
              const exchange = exchangeOf.get(this);
              if (exchange === undefined) return;
              if (!this.closed && socketOf(this.session)?.destroyed === false) exchange.cancelled = true;
            });
            return Reflect.apply(original, this, args);
          },
        }).cancel,
    );
  }
}

const TIMEOUT = { name: 'TimeoutError', message: 'the request timed out' };

function onClientEvent(exchange: Exchange, stream: object, event: unknown, arg: unknown): void {
  switch (event) {
    case 'response':
      finish(exchange, undefined, arg);
      break;
    case 'timeout':
      exchange.error ??= TIMEOUT;
      break;
    case 'error':
      finish(exchange, failureOf(exchange, arg));
      break;
    case 'close': {
      const { rstCode } = stream as ClientHttp2Stream;
      const reset = { code: 'ERR_HTTP2_STREAM_ERROR', message: `the stream was closed with code ${rstCode}` };
      finish(exchange, exchange.cancelled ? exchange.error : (exchange.error ?? reset));
      break;
    }
  }
}

/** What the span fails with: nothing when the application cancelled on purpose, which a timeout is not. */
function failureOf(exchange: Exchange, error: unknown): unknown {
  const { name, code, cause } = error as { name?: unknown; code?: unknown; cause?: { name?: unknown } };
  if (name === 'AbortError') return cause?.name === 'TimeoutError' ? cause : exchange.error;
  // Says only that the session was lost; why is in its cause.
  return exchange.error ?? (code === 'ERR_HTTP2_STREAM_CANCEL' ? (cause ?? error) : error);
}
