/**
 * `@grpc/grpc-js`, client and server: one span per call, over its whole life, streams and retries included.
 *
 * Client: every call of every kind of client asks `getInterceptingCall` for the call to start, with the method and the
 * channel at hand. What it returns is started once, with the metadata that goes out and the listener through which the
 * library learns of all that comes in: headers, messages, the final status. A copy of the one and an observer
 * in place of the other do everything, below the application's overloads, emitters and callbacks, none of which is
 * touched, and above its interceptors. So a call that a bad argument or a throwing interceptor keeps from starting has no
 * span; interceptors see the propagation fields in the metadata; and a retry by policy or interceptor is the same span.
 *
 * Server: the HTTP/2 stream tells everything in all versions, where the classes above it were rewritten twice: the
 * path, the metadata, and as the real status the one that was sent. A stream that went away without one was cancelled,
 * or ran into its deadline. All events of the stream are emitted in the context of the span; handlers, their call objects
 * and interceptors live on them.
 *
 * Both claim their part of the connection, so that http2.ts leaves it alone. Requests to a gRPC server that are not gRPC
 * stay with http2.ts.
 */

import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Attributes } from '@opentelemetry/api';
import type {
  Done,
  Instrumentation,
  Operation,
  Receiver,
  Span,
  TraceContext,
  Tracing,
} from '../src/hook/instrumentation';
import { createStamp } from '../src/hook/stamp';
import { parseAuthority } from '../src/http/authority';
import { captureHeaders, firstValue } from '../src/http/headers';
import { isHealthMethod } from '../src/http/health';
import { isIgnored } from '../src/http/ignore';
import { headerValues, type Metadata, metadataValues, withFields } from '../src/rpc/metadata';
import {
  CANCELLED,
  DEADLINE_EXCEEDED,
  decodeMessage,
  INTERNAL,
  isServerFailure,
  OK,
  parseTimeout,
  statusName,
  UNIMPLEMENTED,
  UNKNOWN,
} from '../src/rpc/status';
import { type Address, parsePeer, parseTarget } from '../src/rpc/target';
import {
  ERROR_TYPE,
  NETWORK_PEER_ADDRESS,
  NETWORK_PEER_PORT,
  RPC_METHOD,
  RPC_METHOD_ORIGINAL,
  RPC_REQUEST_METADATA,
  RPC_RESPONSE_METADATA,
  RPC_RESPONSE_STATUS_CODE,
  RPC_SYSTEM_NAME,
  SERVER_ADDRESS,
  SERVER_PORT,
} from '../src/semconv';

const SERVER = 1;
const CLIENT = 2;
const ERROR = 2;

const GRPC = 'grpc';
const DEFAULT_PORT = 443;
const OTHER = '_OTHER';

const VERSIONS = '>=1.0.3 <2';

export default {
  name: 'grpc',
  targets: [
    // What a unary call without a response message fails with was decided twice.
    target('client-interceptors', (exports, tracing) => patchClient(exports, tracing, OK), '>=1.0.3 <1.6.7'),
    target('client-interceptors', (exports, tracing) => patchClient(exports, tracing, INTERNAL), '>=1.6.7 <1.10.10'),
    target('client-interceptors', (exports, tracing) => patchClient(exports, tracing, UNIMPLEMENTED), '>=1.10.10 <2'),
    target('call', patchWrites),
    target('client', (exports, tracing) => bindIfThere(exports.Client?.prototype, 'waitForReady', tracing)),
    target('channel', patchChannel),
    target('internal-channel', patchQueues),
    target('load-balancing-call', (exports, tracing) => resumeIn(exports.LoadBalancingCall, 'doPick', tracing)),
    target('resolving-call', (exports, tracing) => resumeIn(exports.ResolvingCall, 'getConfig', tracing)),
    target('subchannel', patchSubchannel),
    target('http_proxy', patchProxy),
    target('server', patchServer),
  ],
} satisfies Instrumentation;

// biome-ignore lint/suspicious/noExplicitAny: the edge where a library hands over its exports
type Exports = any;

function target(file: string, patch: (exports: Exports, tracing: Tracing) => void, versions = VERSIONS) {
  return { module: '@grpc/grpc-js', versions, file: `build/src/${file}.js`, patch };
}

type Method = (this: object, ...args: never[]) => unknown;

/** Replaces a method that not all versions have, by one without a prototype, as methods are. */
function replaceIfThere(
  owner: object | undefined,
  method: string,
  tracing: Tracing,
  make: (original: Method) => Method,
): void {
  if (typeof (owner as Record<string, unknown> | undefined)?.[method] !== 'function') return;
  tracing.replace(owner as object, method, make as never);
}

function bindIfThere(owner: object | undefined, method: string, tracing: Tracing): void {
  if (typeof (owner as Record<string, unknown> | undefined)?.[method] === 'function') {
    tracing.bind(owner as object, method);
  }
}

// Client.

interface Status {
  readonly code: number;
  readonly details?: unknown;
  readonly metadata?: Metadata;
}

interface Channel {
  getTarget(): string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** Since 1.8. */
  readonly internalChannel?: { readonly options?: Readonly<Record<string, unknown>> };
}

/** What `getInterceptingCall` returns: the library's, or whatever the application's outermost interceptor made. */
interface ClientCall {
  start(metadata: Metadata, listener: Listener): unknown;
  getPeer(): unknown;
}

interface Listener {
  onReceiveMetadata?(metadata: Metadata): void;
  onReceiveMessage?(message: unknown): void;
  onReceiveStatus?(status: Status): void;
}

/** What a call is about to be started for. */
interface Intent {
  readonly path: string;
  readonly responseStream: boolean;
  readonly channel: Channel;
}

const intentOf = createStamp<Intent>();

function patchClient(exports: Exports, tracing: Tracing, noMessageCode: number): void {
  const client: ClientParts = { tracing, operation: clientOperation(tracing), noMessageCode };
  const intercepting = exports.InterceptingCall.prototype as object;
  const base = baseCallOf(exports.getInterceptingCall);

  patchStart(intercepting, client, false);
  patchStart(base, client, true);
  const { start } = intercepting as ClientCall;

  tracing.replace(
    exports,
    'getInterceptingCall',
    (original) =>
      function (this: unknown, _interceptors: unknown, method: unknown, _options: unknown, channel: unknown): unknown {
        const call = Reflect.apply(original, this, arguments) as ClientCall;
        tracing.guard(() => {
          const { path, responseStream } = method as { path: string; responseStream: boolean };
          const intent = { path, responseStream, channel: channel as Channel };
          if (Object.prototype.isPrototypeOf.call(base, call) || call.start === start) intentOf.set(call, intent);
          else shadowStart(call, intent, client);
        });
        return call;
      },
  );
}

/** The class behind all calls at the lower end of the interceptors, which is not exported: one is made over no channel. */
function baseCallOf(getInterceptingCall: (...args: unknown[]) => object): object {
  const none = { clientInterceptors: [], clientInterceptorProviders: [] };
  const interceptors = { ...none, callInterceptors: [], callInterceptorProviders: [] };
  const channel = { createCall: () => ({}) };
  const call = getInterceptingCall(interceptors, { path: '', responseStream: true }, {}, channel);
  let prototype = Object.getPrototypeOf(call) as object;
  while (!Object.hasOwn(prototype, 'start')) prototype = Object.getPrototypeOf(prototype) as object;
  return prototype;
}

/** What the starts of all clients share. */
interface ClientParts {
  readonly tracing: Tracing;
  readonly operation: Operation<Channel, [Intent, Metadata]>;
  /** The code a unary call without a response message ends with in this version. */
  readonly noMessageCode: number;
}

/**
 * The first `start` of a call begins its span. `isBase`: the call at the lower end, whose listeners are called from the
 * connection and so in nobody's context; those are interceptors' where it is not the outermost call itself.
 */
function patchStart(prototype: object, client: ClientParts, isBase: boolean): void {
  const { tracing } = client;
  tracing.replace(
    prototype,
    'start',
    (original) =>
      ({
        start(this: ClientCall, metadata: Metadata, listener: Listener): unknown {
          let started: Started | undefined;
          try {
            const intent = intentOf.get(this);
            if (intent !== undefined && !tracing.off) {
              intentOf.set(this, undefined);
              started = startCall(this, intent, metadata, listener, client);
            } else if (isBase && !tracing.off && isListener(listener)) {
              started = { metadata, listener: new Observer(tracing, listener, false), done: undefined };
            }
          } catch (failure) {
            tracing.fail(failure);
          }
          if (started === undefined) return Reflect.apply(original, this, arguments);
          try {
            return Reflect.apply(original, this, [started.metadata, started.listener]);
          } catch (error) {
            const { done } = started;
            tracing.guard(() => done?.(error));
            throw error;
          }
        },
      }).start,
  );
}

/** An interceptor may return a call of its own make. Its `start` is shadowed until it was called. */
function shadowStart(call: ClientCall, intent: Intent, client: ClientParts): void {
  if (typeof call?.start !== 'function' || !Object.isExtensible(call)) return;
  const before = Object.getOwnPropertyDescriptor(call, 'start');
  if (before?.configurable === false) return;
  const { start } = call;
  const { tracing } = client;
  Object.defineProperty(call, 'start', {
    configurable: true,
    enumerable: before?.enumerable ?? false,
    writable: true,
    value: function (this: ClientCall, metadata: Metadata, listener: Listener): unknown {
      let started: Started | undefined;
      try {
        if (before === undefined) delete (call as Partial<ClientCall>).start;
        else Object.defineProperty(call, 'start', before);
        if (!tracing.off) started = startCall(this, intent, metadata, listener, client);
      } catch (failure) {
        tracing.fail(failure);
      }
      if (started === undefined) return Reflect.apply(start, this, arguments as never);
      try {
        return Reflect.apply(start, this, [started.metadata, started.listener]);
      } catch (error) {
        const { done } = started;
        tracing.guard(() => done?.(error));
        throw error;
      }
    },
  });
}

/** What a call is started with in place of what the application gave. */
interface Started {
  readonly metadata: Metadata;
  readonly listener: Listener;
  /** For a `start` that throws. */
  readonly done: Done | undefined;
}

function isListener(listener: unknown): listener is Listener {
  return typeof listener === 'object' && listener !== null;
}

function startCall(
  call: ClientCall,
  intent: Intent,
  metadata: Metadata,
  listener: Listener,
  client: ClientParts,
): Started {
  const { tracing, operation } = client;
  const args: [Intent, Metadata] = [intent, metadata];
  const begun = tracing.begin(operation, { self: intent.channel, args });
  if (begun === undefined && isIgnoredPath(intent.path, tracing)) tracing.guard(() => passOn(args, tracing));
  const observer = isListener(listener) ? new Observer(tracing, listener, !intent.responseStream) : undefined;
  if (begun?.span !== undefined) {
    observer?.watch({ done: begun.done, call, intent, noMessageCode: client.noMessageCode });
  }
  return { metadata: args[1], listener: observer ?? listener, done: begun?.done };
}

/** A method without spans of its own still hands on its caller's trace. */
function passOn(args: [Intent, Metadata], tracing: Tracing): void {
  const context = tracing.active();
  if (context.identity === undefined) return;
  args[1] = withFields(args[1], (set) => tracing.inject(context, set, () => receiverOf(args[0].channel)));
}

/** Where a target names no port, the library takes that of HTTPS. */
function receiverOf(channel: Channel): Receiver | undefined {
  const target = targetOf(channel);
  return target && { host: target.address, port: target.port ?? DEFAULT_PORT };
}

/**
 * Stands in for a listener: hands everything on, in the context that the call was started in. The library knows its own
 * listeners from the application's by the length of `onReceiveMetadata`, which is 1 here as well.
 */
class Observer {
  readonly #tracing: Tracing;
  readonly #listener: Listener;
  readonly #context: TraceContext;
  /** The listener is the library's and only keeps a message: no need to enter a context, which costs on Node 24. */
  readonly #keepsMessages: boolean;
  #watched: Watched | undefined = undefined;
  #hasMessage = false;
  #initial: Metadata | undefined = undefined;

  constructor(tracing: Tracing, listener: Listener, keepsMessages: boolean) {
    this.#tracing = tracing;
    this.#listener = listener;
    this.#context = tracing.active();
    this.#keepsMessages = keepsMessages;
  }

  /** Ends a span with the status. */
  watch(watched: Watched): void {
    this.#watched = watched;
  }

  onReceiveMetadata(metadata: Metadata): void {
    const listener = this.#listener;
    this.#initial = metadata;
    if (listener.onReceiveMetadata !== undefined) {
      this.#tracing.run(this.#context, listener.onReceiveMetadata, listener, [metadata]);
    }
  }

  onReceiveMessage(message: unknown): void {
    if (message !== null) this.#hasMessage = true;
    const listener = this.#listener;
    if (listener.onReceiveMessage === undefined) return;
    if (this.#keepsMessages) Reflect.apply(listener.onReceiveMessage, listener, [message]);
    else this.#tracing.run(this.#context, listener.onReceiveMessage, listener, [message]);
  }

  onReceiveStatus(status: Status): void {
    const listener = this.#listener;
    if (this.#watched !== undefined) this.#tracing.guard(() => this.#end(status));
    if (listener.onReceiveStatus !== undefined) {
      this.#tracing.run(this.#context, listener.onReceiveStatus, listener, [status]);
    }
  }

  #end(status: Status): void {
    const { done, call, intent, noMessageCode } = this.#watched as Watched;
    this.#watched = undefined;
    const isEmpty = status.code === OK && !this.#hasMessage && !intent.responseStream && noMessageCode !== OK;
    done(undefined, {
      code: isEmpty ? noMessageCode : status.code,
      details: isEmpty ? 'No message received' : status.details,
      peer: peerOf(call, intent),
      initial: this.#initial,
      trailing: status.metadata,
    } satisfies Answer);
  }
}

/** The call that an observer is the outermost of. */
interface Watched {
  readonly done: Done;
  readonly call: ClientCall;
  readonly intent: Intent;
  readonly noMessageCode: number;
}

/** How a call came out. */
interface Answer {
  readonly code: number;
  readonly details: unknown;
  readonly peer: Address | undefined;
  readonly initial: Metadata | undefined;
  readonly trailing: Metadata | undefined;
}

function isIgnoredPath(path: string, tracing: Tracing): boolean {
  const { grpc, http } = tracing.config;
  if (http.muteHealthChecks && isHealthMethod(path)) return true;
  return grpc.ignoreMethods.length > 0 && isIgnored(methodOf(path), grpc.ignoreMethods);
}

/** `package.Service/Method` of `/package.Service/Method`. */
function methodOf(path: string): string {
  return path.charCodeAt(0) === 47 ? path.slice(1) : path;
}

function clientOperation(tracing: Tracing): Operation<Channel, [Intent, Metadata]> {
  const { clientRequestMetadata, clientResponseMetadata } = tracing.config.grpc;
  return {
    kind: CLIENT,
    name: ({ args: [{ path }] }) => (isIgnoredPath(path, tracing) ? undefined : methodOf(path)),
    attributes: ({ self, args: [{ path }, metadata] }) => {
      const target = targetOf(self);
      const attributes: Attributes = {
        [RPC_SYSTEM_NAME]: GRPC,
        [RPC_METHOD]: methodOf(path),
        [SERVER_ADDRESS]: target?.address,
        [SERVER_PORT]: target?.port,
      };
      captureHeaders(attributes, RPC_REQUEST_METADATA, clientRequestMetadata, (name) => metadataValues(metadata, name));
      return attributes;
    },
    receiver: ({ self }) => receiverOf(self),
    inject: (call, write) => {
      call.args[1] = withFields(call.args[1], write);
    },
    end: (span, { error, value }) => {
      if (value === undefined) {
        // An interceptor threw in `start`: there is no status, which gRPC calls UNKNOWN.
        if (error !== undefined) span.adopt({ [RPC_RESPONSE_STATUS_CODE]: statusName(UNKNOWN) });
        return;
      }
      const { code, details, peer, initial, trailing } = value as Answer;
      const attributes = statusAttributes(code, peer);
      captureHeaders(attributes, RPC_RESPONSE_METADATA, clientResponseMetadata, (name) =>
        joined(metadataValues(initial, name), metadataValues(trailing, name)),
      );
      if (code !== OK) fail(span, attributes, code, details);
      span.adopt(attributes);
    },
  };
}

function statusAttributes(code: number, peer: Address | undefined): Attributes {
  const attributes: Attributes = { [RPC_RESPONSE_STATUS_CODE]: statusName(code) };
  if (peer !== undefined) {
    attributes[NETWORK_PEER_ADDRESS] = peer.address;
    if (peer.port !== undefined) attributes[NETWORK_PEER_PORT] = peer.port;
  }
  return attributes;
}

function fail(span: Span, attributes: Attributes, code: number, details: unknown): void {
  attributes[ERROR_TYPE] = statusName(code);
  const isText = typeof details === 'string' && details !== '';
  span.setStatus(isText ? { code: ERROR, message: details } : { code: ERROR });
}

/** Headers and trailers may both hold a key. */
function joined(first: string[] | undefined, second: string[] | undefined): string[] | undefined {
  return first === undefined || second === undefined ? (first ?? second) : first.concat(second);
}

const targetByChannel = createStamp<Address>();

function targetOf(channel: Channel): Address | undefined {
  let known = targetByChannel.get(channel);
  if (known === undefined) {
    // Behind an HTTP proxy the channel's target is the proxy, and this option says where to go from there.
    const real = (channel.internalChannel ?? channel).options?.['grpc.http_connect_target'];
    const target = typeof real === 'string' ? real : targetText(channel);
    if (target === undefined) return undefined;
    known = parseTarget(target);
    targetByChannel.set(channel, known);
  }
  return known;
}

/** A channel of the application's own make may have no target to tell. */
function targetText(channel: Channel): string | undefined {
  try {
    const target = channel.getTarget();
    return typeof target === 'string' ? target : undefined;
  } catch {
    return undefined;
  }
}

const peerByChannel = createStamp<{ readonly text: string; readonly peer: Address | undefined }>();

/** The connection that the answer came from; one channel mostly has one. */
function peerOf(call: ClientCall, { channel }: Intent): Address | undefined {
  const text = peerText(call);
  if (text === undefined) return undefined;
  const known = peerByChannel.get(channel);
  if (known?.text === text) return known.peer;
  // Without a connection, `getPeer` gives the target.
  const peer = text === targetText(channel) ? undefined : parsePeer(text);
  peerByChannel.set(channel, { text, peer });
  return peer;
}

/** The calls below a call: those of interceptors, and at the lower end the one on the wire. */
interface Layer {
  readonly nextCall?: Layer;
  readonly call?: {
    /** Up to 1.7. */
    readonly subchannel?: { getAddress?(): unknown };
    /** Since 1.7, with the attempts of a call that may be retried. */
    readonly child?: { readonly underlyingCalls?: readonly { readonly call?: { getPeer?(): unknown } }[] };
  };
}

/**
 * In 1.0 `getPeer` only throws; what it says since is the address of the subchannel. From 1.7 to 1.12 it is `unknown` where
 * an attempt failed that was not the last one allowed.
 */
function peerText(call: ClientCall): string | undefined {
  let text: unknown;
  try {
    text = call.getPeer();
  } catch {
    text = lowest(call)?.subchannel?.getAddress?.();
  }
  if (text === 'unknown') text = lowest(call)?.child?.underlyingCalls?.at(-1)?.call?.getPeer?.();
  return typeof text === 'string' ? text : undefined;
}

function lowest(call: object): Layer['call'] {
  let layer = call as Layer;
  for (let depth = 0; layer.nextCall !== undefined && depth < MAX_LAYERS; depth++) layer = layer.nextCall;
  return layer.call;
}

/** More interceptors than anybody has. */
const MAX_LAYERS = 64;

/** The callback of a write is called from the connection; `drain`, `finish` and the application's own callback follow it. */
function patchWrites(exports: Exports, tracing: Tracing): void {
  for (const { prototype } of [exports.ClientWritableStreamImpl, exports.ClientDuplexStreamImpl]) {
    replaceIfThere(
      prototype,
      '_write',
      tracing,
      (original) =>
        ({
          _write(this: object, chunk: unknown, encoding: unknown, callback: (...args: never[]) => unknown): unknown {
            const bound = tracing.guard(() => bindWritten(callback, tracing)) ?? callback;
            return Reflect.apply(original, this, [chunk, encoding, bound] as never);
          },
        })._write as Method,
    );
  }
}

function bindWritten(callback: (...args: never[]) => unknown, tracing: Tracing): (...results: unknown[]) => unknown {
  const context = tracing.active();
  return (...results) => tracing.run(context, callback, undefined, results);
}

// Connections. A call that needs one opens it for all that follow, and calls wait in queues until there is one: neither
// may put a call into the context of another.

/** The context in which calls wait that have no connection or no service configuration yet. */
const waitingIn = createStamp<TraceContext>();

/** Since 1.7 calls queue by themselves. */
function patchQueues(exports: Exports, tracing: Tracing): void {
  for (const method of ['queueCallForPick', 'queueCallForConfig']) {
    replaceIfThere(
      exports.InternalChannel?.prototype,
      method,
      tracing,
      (original) =>
        ({
          queue(this: object, call: object): unknown {
            tracing.guard(() => waitingIn.set(call, tracing.active()));
            return Reflect.apply(original, this, arguments as never);
          },
        }).queue as Method,
    );
  }
}

function resumeIn(made: { prototype: object } | undefined, method: string, tracing: Tracing): void {
  replaceIfThere(
    made?.prototype,
    method,
    tracing,
    (original) =>
      ({
        resume(this: object): unknown {
          let context: TraceContext | undefined;
          try {
            context = waitingIn.get(this);
            if (context !== undefined) waitingIn.set(this, undefined);
          } catch (failure) {
            tracing.fail(failure);
          }
          return context === undefined
            ? Reflect.apply(original, this, arguments as never)
            : tracing.run(context, original, this, arguments);
        },
      }).resume as Method,
  );
}

function patchChannel(exports: Exports, tracing: Tracing): void {
  const prototype = exports.ChannelImplementation?.prototype as object | undefined;
  bindIfThere(prototype, 'watchConnectivityState', tracing);
  // Up to 1.7 the channel tries again for the calls in its queues: the first try is the caller's.
  for (const method of ['tryGetConfig', 'tryPick']) {
    replaceIfThere(
      prototype,
      method,
      tracing,
      (original) =>
        ({
          attempt(this: object, stream: object): unknown {
            let context: TraceContext | undefined;
            try {
              context = waitingIn.get(stream) ?? tracing.active();
              waitingIn.set(stream, context);
            } catch (failure) {
              tracing.fail(failure);
            }
            return context === undefined
              ? Reflect.apply(original, this, arguments as never)
              : tracing.run(context, original, this, arguments);
          },
        }).attempt as Method,
    );
  }
}

function patchSubchannel(exports: Exports, tracing: Tracing): void {
  const prototype = exports.Subchannel?.prototype as object | undefined;
  const nobody = tracing.extract(() => undefined);
  replaceIfThere(
    prototype,
    'startConnectingInternal',
    tracing,
    (original) =>
      ({
        startConnectingInternal(this: object): unknown {
          return tracing.run(nobody, original, this, arguments);
        },
      }).startConnectingInternal as Method,
  );
  // The one from 1.8 on, the other before.
  for (const method of ['createCall', 'startCallStream']) {
    replaceIfThere(
      prototype,
      method,
      tracing,
      (original) =>
        ({
          createCall(this: object): unknown {
            tracing.guard(() => claimSession(this, tracing));
            return Reflect.apply(original, this, arguments as never);
          },
        }).createCall as Method,
    );
  }
}

function claimSession(subchannel: object, tracing: Tracing): void {
  const { transport, session: own } = subchannel as { transport?: { session?: object }; session?: object };
  const session = transport?.session ?? own;
  if (typeof session === 'object' && session !== null && !tracing.isClaimed(session)) tracing.claim(session);
}

/** The CONNECT to an HTTP proxy is part of connecting, and no request of the application's. */
function patchProxy(exports: Exports, tracing: Tracing): void {
  const nothing = tracing.extract(() => undefined).suppress();
  replaceIfThere(
    exports,
    'getProxiedConnection',
    tracing,
    (original) =>
      function (this: unknown): unknown {
        return tracing.run(nothing, original, this, arguments);
      } as Method,
  );
}

// Server.

/** What we use of grpc-js's Server. */
interface Handlers {
  readonly handlers?: ReadonlyMap<string, unknown>;
}

/** A call under way. */
interface Exchange {
  /** What everything that the stream tells runs in. */
  readonly context: TraceContext;
  /** Gone once the span has ended; never there for a call that is ignored or not sampled. */
  done: Done | undefined;
  /** By `performance.now()`. */
  readonly deadlineMs: number;
}

const exchangeOf = createStamp<Exchange>();

function patchServer(exports: Exports, tracing: Tracing): void {
  const operation = serverOperation(tracing);
  replaceIfThere(
    exports.Server?.prototype,
    '_setupHandlers',
    tracing,
    (original) =>
      ({
        _setupHandlers(this: Handlers, http2Server: object | null): unknown {
          tracing.guard(() => {
            if (typeof http2Server === 'object' && http2Server !== null) {
              watchServer(http2Server, this, operation, tracing);
            }
          });
          return Reflect.apply(original, this, arguments as never);
        },
      })._setupHandlers as Method,
  );
}

type Emit = (this: object, event: unknown, ...args: unknown[]) => boolean;

/** The library's own HTTP/2 server gets an `emit` of its own, so that no other server of the process pays for it. */
function watchServer(http2Server: object, server: Handlers, operation: Operation, tracing: Tracing): void {
  if (Object.hasOwn(http2Server, 'emit')) return;
  const emit: Emit = function (event, stream, headers) {
    const original = (Object.getPrototypeOf(this) as { emit: Emit }).emit;
    if (event !== 'stream') return Reflect.apply(original, this, arguments as never);
    const context = tracing.guard(() =>
      beginCall(server, stream as ServerHttp2Stream, headers as IncomingHttpHeaders, operation, tracing),
    );
    return context === undefined
      ? Reflect.apply(original, this, arguments as never)
      : tracing.run(context, original as never, this, arguments);
  };
  Object.defineProperty(http2Server, 'emit', { value: emit, configurable: true, enumerable: false, writable: true });
}

function beginCall(
  server: Handlers,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  operation: Operation,
  tracing: Tracing,
): TraceContext | undefined {
  // The library refuses it, and it is a request like any other.
  if (!headers['content-type']?.startsWith('application/grpc')) return undefined;
  tracing.claim(stream);
  patchStream(Object.getPrototypeOf(stream) as object, tracing);
  const path = firstValue(headers[':path']) ?? '';
  if (isIgnoredPath(path, tracing)) {
    const context = tracing.mute((name) => headers[name]);
    exchangeOf.set(stream, { context, done: undefined, deadlineMs: 0 });
    return context;
  }
  const begun = tracing.begin(operation, { self: server, args: [stream, headers] });
  if (begun === undefined) return undefined;
  const timeoutMs = begun.span === undefined ? undefined : parseTimeout(headers['grpc-timeout']);
  exchangeOf.set(stream, {
    context: begun.context,
    done: begun.span === undefined ? undefined : begun.done,
    deadlineMs: timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs,
  });
  return begun.context;
}

const patchedStreams = createStamp<true>();

function patchStream(prototype: object, tracing: Tracing): void {
  if (patchedStreams.get(prototype) !== undefined) return;
  patchedStreams.set(prototype, true);
  tracing.replace(prototype, 'emit', (original) => {
    const emit: Emit = function (event) {
      let context: TraceContext | undefined;
      let open: Exchange | undefined;
      try {
        const exchange = exchangeOf.get(this);
        if (exchange !== undefined && hasListener(this, event)) context = exchange.context;
        if (exchange?.done !== undefined) open = exchange;
      } catch (failure) {
        tracing.fail(failure);
      }
      try {
        return context === undefined
          ? Reflect.apply(original, this, arguments)
          : tracing.run(context, original as never, this, arguments);
      } finally {
        if (open !== undefined && (event === 'wantTrailers' || event === 'finish' || event === 'close')) {
          const ending = open;
          tracing.guard(() => endCall(ending, event, this as ServerHttp2Stream));
        }
      }
    };
    return emit;
  });
}

/** Entering a context costs up to 0.2 µs on Node 24 and later, and many events of a stream have nobody to hear them. */
function hasListener(emitter: unknown, event: unknown): boolean {
  const { _events: listeners } = emitter as { _events?: Record<PropertyKey, unknown> };
  return listeners === undefined || listeners[event as PropertyKey] !== undefined;
}

/** What was said at the end, and where: in trailers, or in headers that are trailers too. */
interface Ending {
  readonly code: number;
  readonly message: unknown;
  readonly stream: ServerHttp2Stream;
}

/**
 * A client that gives up at its deadline resets the stream, as one that cancels does, and its clock is ahead of ours by
 * what its request was late. A reset this close to the deadline counts as the deadline.
 */
const EARLY_MS = 20;

function endCall(exchange: Exchange, event: unknown, stream: ServerHttp2Stream): void {
  const sent = statusIn(stream.sentTrailers) ?? statusIn(stream.sentHeaders);
  if (sent === undefined && event !== 'close') return;
  const { done } = exchange;
  exchange.done = undefined;
  if (sent !== undefined) {
    const message = sent['grpc-message'];
    done?.(undefined, { code: Number(sent['grpc-status']), message, stream } satisfies Ending);
    return;
  }
  const expired = performance.now() + EARLY_MS >= exchange.deadlineMs;
  const ending: Ending = expired
    ? { code: DEADLINE_EXCEEDED, message: 'Deadline exceeded', stream }
    : { code: CANCELLED, message: undefined, stream };
  done?.(undefined, ending);
}

function statusIn(headers: OutgoingHttpHeaders | undefined): OutgoingHttpHeaders | undefined {
  return headers?.['grpc-status'] === undefined ? undefined : headers;
}

function serverOperation(tracing: Tracing): Operation<Handlers, [ServerHttp2Stream, IncomingHttpHeaders]> {
  const { serverRequestMetadata, serverResponseMetadata } = tracing.config.grpc;
  return {
    kind: SERVER,
    name: ({ self, args: [, headers] }) => {
      const path = firstValue(headers[':path']) ?? '';
      return isRegistered(self, path) ? methodOf(path) : GRPC;
    },
    parent: ({ args: [, headers] }) => tracing.extract((name) => headers[name]),
    attributes: ({ self, args: [stream, headers] }) => {
      const path = firstValue(headers[':path']) ?? '';
      const attributes: Attributes = { [RPC_SYSTEM_NAME]: GRPC };
      if (isRegistered(self, path)) {
        attributes[RPC_METHOD] = methodOf(path);
      } else {
        attributes[RPC_METHOD] = OTHER;
        attributes[RPC_METHOD_ORIGINAL] = methodOf(path);
      }
      const authority = headers[':authority'];
      const own = authority === undefined ? undefined : parseAuthority(authority);
      if (own !== undefined) {
        attributes[SERVER_ADDRESS] = own.host;
        if (own.port !== undefined) attributes[SERVER_PORT] = own.port;
      }
      const peer = remoteOf(stream);
      if (peer !== undefined) {
        attributes[NETWORK_PEER_ADDRESS] = peer.address;
        attributes[NETWORK_PEER_PORT] = peer.port;
      }
      captureHeaders(attributes, RPC_REQUEST_METADATA, serverRequestMetadata, (name) => headerValues(headers, name));
      return attributes;
    },
    end: (span, { value }) => {
      const { code, message, stream } = value as Ending;
      const attributes = statusAttributes(code, undefined);
      captureHeaders(attributes, RPC_RESPONSE_METADATA, serverResponseMetadata, (name) =>
        joined(headerValues(stream.sentHeaders, name), headerValues(stream.sentTrailers, name)),
      );
      if (isServerFailure(code)) {
        fail(span, attributes, code, typeof message === 'string' ? decodeMessage(message) : undefined);
      }
      span.adopt(attributes);
    },
  };
}

function isRegistered({ handlers }: Handlers, path: string): boolean {
  return typeof handlers?.has !== 'function' || handlers.has(path);
}

const remoteBySession = createStamp<Address>();

/** Asked for once per connection: a session's socket is behind a proxy object. Unix sockets have no remote address. */
function remoteOf({ session }: ServerHttp2Stream): Address | undefined {
  if (session === undefined || session.destroyed) return undefined;
  const known = remoteBySession.get(session);
  if (known !== undefined) return known;
  const { remoteAddress, remotePort } = session.socket;
  if (remoteAddress === undefined) return undefined;
  const remote = { address: remoteAddress, port: remotePort };
  remoteBySession.set(session, remote);
  return remote;
}
