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
  AttributeBlocks,
  Begun,
  Instrumentation,
  Operation,
  Receiver,
  Span,
  TraceContext,
  Tracing,
} from '../src/hook/instrumentation';
import { createStamp, Foreign } from '../src/hook/stamp';
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
  UNAUTHENTICATED,
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
import { AttributeBlock, BlockSlot } from '../src/trace/attribute-block';

const SERVER = 1;
const CLIENT = 2;
const ERROR = 2;

const GRPC = 'grpc';
/** What the content type of a call is, or begins with. */
const CONTENT_TYPE = 'application/grpc';
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

// What calls have in common.

/** Longer ones, and more of them than this at once, are not kept. */
const MAX_PATH_LENGTH = 256;
const MAX_PATHS = 512;

/** A method that is called, on either side. */
class RpcMethod {
  /** `package.Service/Method` of `/package.Service/Method`. */
  readonly name: string;
  /** The operator wants no spans of it. */
  readonly isIgnored: boolean;
  readonly block: AttributeBlock;

  constructor(path: string, { grpc, http }: Tracing['config']) {
    this.name = methodOf(path);
    const isHealth = http.muteHealthChecks && isHealthMethod(path);
    this.isIgnored = isHealth || (grpc.ignoreMethods.length > 0 && isIgnored(this.name, grpc.ignoreMethods));
    this.block = new AttributeBlock({ [RPC_SYSTEM_NAME]: GRPC, [RPC_METHOD]: this.name });
  }
}

/** Methods by their path; an application has few. */
class RpcMethods {
  readonly #byPath = new Map<string, RpcMethod>();
  readonly #config: Tracing['config'];

  constructor(config: Tracing['config']) {
    this.#config = config;
  }

  get(path: string): RpcMethod {
    let method = this.#byPath.get(path);
    if (method === undefined) {
      method = new RpcMethod(path, this.#config);
      if (path.length > MAX_PATH_LENGTH) return method;
      if (this.#byPath.size >= MAX_PATHS) this.#byPath.clear();
      this.#byPath.set(path, method);
    }
    return method;
  }
}

function methodOf(path: string): string {
  return path.charCodeAt(0) === 47 ? path.slice(1) : path;
}

/** By status code; only those that gRPC knows. */
const succeeded: (AttributeBlock | undefined)[] = [];
const failed: (AttributeBlock | undefined)[] = [];

/** Puts `rpc.response.status_code`, and `error.type` where it is an error. */
function setStatusCode(span: Span, code: number, isError: boolean): void {
  // What the application set itself is replaced, as a key may be there only once.
  const isSet =
    span.getAttribute(RPC_RESPONSE_STATUS_CODE) !== undefined ||
    (isError && span.getAttribute(ERROR_TYPE) !== undefined);
  if (isSet || !(code >= OK && code <= UNAUTHENTICATED)) {
    span.adopt(describeStatus(code, isError));
    return;
  }
  const blocks = isError ? failed : succeeded;
  blocks[code] ??= new AttributeBlock(describeStatus(code, isError));
  span.addBlock(blocks[code] as AttributeBlock);
}

function describeStatus(code: number, isError: boolean): Attributes {
  const name = statusName(code);
  return isError ? { [RPC_RESPONSE_STATUS_CODE]: name, [ERROR_TYPE]: name } : { [RPC_RESPONSE_STATUS_CODE]: name };
}

function setError(span: Span, message: unknown): void {
  const isText = typeof message === 'string' && message !== '';
  span.setStatus(isText ? { code: ERROR, message } : { code: ERROR });
}

/** Headers and trailers may both hold a key. */
function joined(first: string[] | undefined, second: string[] | undefined): string[] | undefined {
  return first === undefined || second === undefined ? (first ?? second) : first.concat(second);
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
  readonly method: RpcMethod;
  readonly responseStream: boolean;
  readonly channel: Channel;
}

/** On calls that have not started. */
class IntentStamp extends Foreign {
  #intent: Intent | undefined;

  static get(call: object): Intent | undefined {
    return #intent in call ? (call as IntentStamp).#intent : undefined;
  }

  static set(call: object, intent: Intent | undefined): void {
    if (#intent in call) (call as IntentStamp).#intent = intent;
    else new IntentStamp(call).#intent = intent;
  }
}

function patchClient(exports: Exports, tracing: Tracing, noMessageCode: number): void {
  const methods = new RpcMethods(tracing.config);
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
        if (tracing.off) return call;
        try {
          const { path, responseStream } = method as { path: string; responseStream: boolean };
          const intent = { method: methods.get(path), responseStream, channel: channel as Channel };
          if (call.start === start || Object.prototype.isPrototypeOf.call(base, call)) IntentStamp.set(call, intent);
          else shadowStart(call, intent, client);
        } catch (failure) {
          tracing.fail(failure);
        }
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
            const intent = IntentStamp.get(this);
            if (intent !== undefined && !tracing.off) {
              IntentStamp.set(this, undefined);
              started = startCall(this, intent, metadata, listener, client);
            } else if (isBase && !tracing.off && isListener(listener)) {
              started = { metadata, listener: new Observer(tracing, listener, false), begun: undefined };
            }
          } catch (failure) {
            tracing.fail(failure);
          }
          if (started === undefined) return Reflect.apply(original, this, arguments);
          try {
            return Reflect.apply(original, this, [started.metadata, started.listener]);
          } catch (error) {
            started.begun?.end(error);
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
        started.begun?.end(error);
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
  readonly begun: Begun | undefined;
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
  if (begun === undefined && intent.method.isIgnored) tracing.guard(() => passOn(args, tracing));
  const observer = isListener(listener) ? new Observer(tracing, listener, !intent.responseStream) : undefined;
  if (begun?.span !== undefined) observer?.watch({ begun, call, intent, noMessageCode: client.noMessageCode });
  return { metadata: args[1], listener: observer ?? listener, begun };
}

/** A method without spans of its own still hands on its caller's trace. */
function passOn(args: [Intent, Metadata], tracing: Tracing): void {
  const context = tracing.active();
  if (context.identity === undefined) return;
  args[1] = withFields(args[1], (set) => tracing.inject(context, set, () => receiverOf(args[0].channel)));
}

/** Where a target names no port, the library takes that of HTTPS. */
function receiverOf(channel: Channel): Receiver | undefined {
  const { target } = ends(channel);
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
    try {
      if (this.#watched !== undefined) this.#end(this.#watched, status);
    } catch (failure) {
      this.#tracing.fail(failure);
    }
    if (listener.onReceiveStatus !== undefined) {
      this.#tracing.run(this.#context, listener.onReceiveStatus, listener, [status]);
    }
  }

  #end({ begun, call, intent, noMessageCode }: Watched, status: Status): void {
    this.#watched = undefined;
    const isEmpty = status.code === OK && !this.#hasMessage && !intent.responseStream && noMessageCode !== OK;
    begun.end(undefined, {
      code: isEmpty ? noMessageCode : status.code,
      details: isEmpty ? 'No message received' : status.details,
      peer: ends(intent.channel).peer(call),
      initial: this.#initial,
      trailing: status.metadata,
    } satisfies Answer);
  }
}

/** The call that an observer is the outermost of. */
interface Watched {
  readonly begun: Begun;
  readonly call: ClientCall;
  readonly intent: Intent;
  readonly noMessageCode: number;
}

/** How a call came out. */
interface Answer {
  readonly code: number;
  readonly details: unknown;
  readonly peer: AttributeBlock | undefined;
  readonly initial: Metadata | undefined;
  readonly trailing: Metadata | undefined;
}

function clientOperation(tracing: Tracing): Operation<Channel, [Intent, Metadata]> {
  const { clientRequestMetadata, clientResponseMetadata } = tracing.config.grpc;
  return {
    kind: CLIENT,
    name: ({ args: [{ method }] }) => (method.isIgnored ? undefined : method.name),
    attributes: ({ self, args: [{ method }, metadata] }, blocks) => {
      blocks.add(method.block);
      blocks.add(ends(self).block);
      const attributes: Attributes = {};
      if (clientRequestMetadata.length > 0) {
        captureHeaders(attributes, RPC_REQUEST_METADATA, clientRequestMetadata, (name) =>
          metadataValues(metadata, name),
        );
      }
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
      if (peer !== undefined) span.addBlock(peer);
      setStatusCode(span, code, code !== OK);
      if (clientResponseMetadata.length > 0) {
        const attributes: Attributes = {};
        captureHeaders(attributes, RPC_RESPONSE_METADATA, clientResponseMetadata, (name) =>
          joined(metadataValues(initial, name), metadataValues(trailing, name)),
        );
        span.adopt(attributes);
      }
      if (code !== OK) setError(span, details);
    },
  };
}

/** Where the calls of a channel go. */
class ChannelEnds {
  readonly target: Address | undefined;
  /** `server.address` and `server.port`. */
  readonly block: AttributeBlock;
  readonly #targetText: string | undefined;
  #peerText: string | undefined = undefined;
  #peer: AttributeBlock | undefined = undefined;

  constructor(channel: Channel) {
    this.#targetText = targetText(channel);
    // Behind an HTTP proxy the channel's target is the proxy, and this option says where to go from there.
    const real = (channel.internalChannel ?? channel).options?.['grpc.http_connect_target'];
    const target = typeof real === 'string' ? real : this.#targetText;
    this.target = target === undefined ? undefined : parseTarget(target);
    this.block = new AttributeBlock({ [SERVER_ADDRESS]: this.target?.address, [SERVER_PORT]: this.target?.port });
  }

  /** The connection that the answer to a call came from; one channel mostly has one. */
  peer(call: ClientCall): AttributeBlock | undefined {
    const text = peerText(call);
    if (text !== this.#peerText) {
      this.#peerText = text;
      // Without a connection, `getPeer` gives the target.
      const peer = text === undefined || text === this.#targetText ? undefined : parsePeer(text);
      this.#peer = peer && new AttributeBlock(describePeer(peer));
    }
    return this.#peer;
  }
}

function describePeer({ address, port }: Address): Attributes {
  return { [NETWORK_PEER_ADDRESS]: address, [NETWORK_PEER_PORT]: port };
}

/** On channels. */
class EndsStamp extends Foreign {
  #ends: ChannelEnds | undefined;

  static get(channel: object): ChannelEnds | undefined {
    return #ends in channel ? (channel as EndsStamp).#ends : undefined;
  }

  static set(channel: object, ends: ChannelEnds): void {
    new EndsStamp(channel).#ends = ends;
  }
}

function ends(channel: Channel): ChannelEnds {
  let known = EndsStamp.get(channel);
  if (known === undefined) {
    known = new ChannelEnds(channel);
    EndsStamp.set(channel, known);
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
class WaitingStamp extends Foreign {
  #context: TraceContext | undefined;

  static get(call: object): TraceContext | undefined {
    return #context in call ? (call as WaitingStamp).#context : undefined;
  }

  static set(call: object, context: TraceContext | undefined): void {
    if (#context in call) (call as WaitingStamp).#context = context;
    else new WaitingStamp(call).#context = context;
  }
}

const waitingIn = WaitingStamp;

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
            try {
              if (!tracing.off) waitingIn.set(call, tracing.active());
            } catch (failure) {
              tracing.fail(failure);
            }
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
            try {
              if (!tracing.off) claimSession(this, tracing);
            } catch (failure) {
              tracing.fail(failure);
            }
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
  begun: Begun | undefined;
  /** By `performance.now()`. */
  readonly deadlineMs: number;
}

/** On streams. */
class ExchangeStamp extends Foreign {
  #exchange: Exchange;

  private constructor(stream: object, exchange: Exchange) {
    super(stream);
    this.#exchange = exchange;
  }

  static get(stream: object): Exchange | undefined {
    return #exchange in stream ? (stream as ExchangeStamp).#exchange : undefined;
  }

  static set(stream: object, exchange: Exchange): void {
    if (#exchange in stream) (stream as ExchangeStamp).#exchange = exchange;
    else new ExchangeStamp(stream, exchange);
  }
}

/** What the calls of all servers share. */
interface ServerParts {
  readonly tracing: Tracing;
  readonly operation: ServerOperation;
  readonly methods: RpcMethods;
}

function patchServer(exports: Exports, tracing: Tracing): void {
  const methods = new RpcMethods(tracing.config);
  const parts: ServerParts = { tracing, operation: serverOperation(tracing), methods };
  replaceIfThere(
    exports.Server?.prototype,
    '_setupHandlers',
    tracing,
    (original) =>
      ({
        _setupHandlers(this: Handlers, http2Server: object | null): unknown {
          tracing.guard(() => {
            if (typeof http2Server === 'object' && http2Server !== null) {
              watchServer(http2Server, this, parts);
            }
          });
          return Reflect.apply(original, this, arguments as never);
        },
      })._setupHandlers as Method,
  );
}

type Emit = (this: object, event: unknown, ...args: unknown[]) => boolean;

/** The library's own HTTP/2 server gets an `emit` of its own, so that no other server of the process pays for it. */
function watchServer(http2Server: object, server: Handlers, parts: ServerParts): void {
  const { tracing } = parts;
  if (Object.hasOwn(http2Server, 'emit')) return;
  const emit: Emit = function (event, stream, headers) {
    const original = (Object.getPrototypeOf(this) as { emit: Emit }).emit;
    if (event !== 'stream') return Reflect.apply(original, this, arguments as never);
    let context: TraceContext | undefined;
    try {
      context = beginCall(server, stream as ServerHttp2Stream, headers as IncomingHttpHeaders, parts);
    } catch (failure) {
      tracing.fail(failure);
    }
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
  { tracing, operation, methods }: ServerParts,
): TraceContext | undefined {
  if (tracing.off) return undefined;
  // The library refuses it, and it is a request like any other.
  const type = headers['content-type'];
  // Compared first: `startsWith` costs 80 ns, and it is rarely another.
  if (type !== CONTENT_TYPE && !type?.startsWith(CONTENT_TYPE)) return undefined;
  tracing.claim(stream);
  patchStream(Object.getPrototypeOf(stream) as object, tracing);
  const path = firstValue(headers[':path']) ?? '';
  // What nobody has registered may be anything, and is not kept.
  const isKnown = isRegistered(server, path);
  const method = isKnown ? methods.get(path) : new RpcMethod(path, tracing.config);
  if (method.isIgnored) {
    const context = tracing.mute((name) => headers[name]);
    ExchangeStamp.set(stream, { context, begun: undefined, deadlineMs: 0 });
    return context;
  }
  const begun = tracing.begin(operation, { self: isKnown ? method : undefined, args: [stream, headers] });
  if (begun === undefined) return undefined;
  const isRecorded = begun.span !== undefined;
  const timeoutMs = isRecorded ? parseTimeout(headers['grpc-timeout']) : undefined;
  ExchangeStamp.set(stream, {
    context: begun.context,
    begun: isRecorded ? begun : undefined,
    deadlineMs: timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs,
  });
  return begun.context;
}

const patchedStreams = createStamp<true>();

/** The last one that was asked about: there is one. */
let patchedStream: object | undefined;

function patchStream(prototype: object, tracing: Tracing): void {
  if (prototype === patchedStream) return;
  patchedStream = prototype;
  if (patchedStreams.get(prototype) !== undefined) return;
  patchedStreams.set(prototype, true);
  tracing.replace(prototype, 'emit', (original) => {
    const emit: Emit = function (event) {
      let context: TraceContext | undefined;
      let open: Exchange | undefined;
      try {
        const exchange = ExchangeStamp.get(this);
        if (exchange !== undefined) {
          if (hasListener(this, event)) context = exchange.context;
          if (exchange.begun !== undefined && isEnd(event)) open = exchange;
        }
      } catch (failure) {
        tracing.fail(failure);
      }
      try {
        return context === undefined
          ? Reflect.apply(original, this, arguments)
          : tracing.run(context, original as never, this, arguments);
      } finally {
        if (open !== undefined) tryEndCall(open, event, this as ServerHttp2Stream, tracing);
      }
    };
    return emit;
  });
}

/** Whether a status may have been sent with this event. */
function isEnd(event: unknown): boolean {
  return event === 'wantTrailers' || event === 'finish' || event === 'close';
}

function tryEndCall(exchange: Exchange, event: unknown, stream: ServerHttp2Stream, tracing: Tracing): void {
  try {
    endCall(exchange, event, stream);
  } catch (failure) {
    tracing.fail(failure);
  }
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
  const { begun } = exchange;
  exchange.begun = undefined;
  if (sent !== undefined) {
    const message = sent['grpc-message'];
    begun?.end(undefined, { code: Number(sent['grpc-status']), message, stream } satisfies Ending);
    return;
  }
  const expired = performance.now() + EARLY_MS >= exchange.deadlineMs;
  const ending: Ending = expired
    ? { code: DEADLINE_EXCEEDED, message: 'Deadline exceeded', stream }
    : { code: CANCELLED, message: undefined, stream };
  begun?.end(undefined, ending);
}

function statusIn(headers: OutgoingHttpHeaders | undefined): OutgoingHttpHeaders | undefined {
  return headers?.['grpc-status'] === undefined ? undefined : headers;
}

/** `self` is the method, where one is registered. */
type ServerOperation = Operation<RpcMethod | undefined, [ServerHttp2Stream, IncomingHttpHeaders]>;

function serverOperation(tracing: Tracing): ServerOperation {
  const { serverRequestMetadata, serverResponseMetadata } = tracing.config.grpc;
  return {
    kind: SERVER,
    name: ({ self }) => self?.name ?? GRPC,
    parent: ({ args: [, headers] }) => tracing.extract((name) => headers[name]),
    attributes: ({ self, args: [stream, headers] }, blocks) => {
      const attributes: Attributes = {};
      if (self !== undefined) {
        blocks.add(self.block);
      } else {
        attributes[RPC_SYSTEM_NAME] = GRPC;
        attributes[RPC_METHOD] = OTHER;
        attributes[RPC_METHOD_ORIGINAL] = methodOf(firstValue(headers[':path']) ?? '');
      }
      addEnds(attributes, blocks, stream, headers[':authority']);
      if (serverRequestMetadata.length > 0) {
        captureHeaders(attributes, RPC_REQUEST_METADATA, serverRequestMetadata, (name) => headerValues(headers, name));
      }
      return attributes;
    },
    end: (span, { value }) => {
      const { code, message, stream } = value as Ending;
      const isFailure = isServerFailure(code);
      setStatusCode(span, code, isFailure);
      if (serverResponseMetadata.length > 0) {
        const attributes: Attributes = {};
        captureHeaders(attributes, RPC_RESPONSE_METADATA, serverResponseMetadata, (name) =>
          joined(headerValues(stream.sentHeaders, name), headerValues(stream.sentTrailers, name)),
        );
        span.adopt(attributes);
      }
      if (isFailure) setError(span, typeof message === 'string' ? decodeMessage(message) : undefined);
    },
  };
}

function isRegistered({ handlers }: Handlers, path: string): boolean {
  return typeof handlers?.has !== 'function' || handlers.has(path);
}

/** What the calls over one connection usually have in common. */
interface SessionEnds {
  readonly remote: Address;
  readonly slot: BlockSlot;
}

const endsOf = createStamp<SessionEnds>();

/** Asked for once per connection: a session's socket is behind a proxy object. Unix sockets have no remote address. */
function endsOfSession({ session }: ServerHttp2Stream): SessionEnds | undefined {
  if (session === undefined || session.destroyed) return undefined;
  const known = endsOf.get(session);
  if (known !== undefined) return known;
  const { remoteAddress, remotePort } = session.socket;
  if (remoteAddress === undefined) return undefined;
  const made = { remote: { address: remoteAddress, port: remotePort }, slot: new BlockSlot() };
  endsOf.set(session, made);
  return made;
}

/** Puts the addresses of this side and the other. */
function addEnds(
  attributes: Attributes,
  blocks: AttributeBlocks,
  stream: ServerHttp2Stream,
  authority: string | undefined,
): void {
  const known = endsOfSession(stream);
  if (known?.slot.repeats(authority)) {
    known.slot.block ??= new AttributeBlock(describeEnds(authority, known.remote));
    blocks.add(known.slot.block);
  } else {
    Object.assign(attributes, describeEnds(authority, known?.remote));
  }
}

function describeEnds(authority: string | undefined, remote: Address | undefined): Attributes {
  const own = authority === undefined ? undefined : parseAuthority(authority);
  return {
    [SERVER_ADDRESS]: own?.host,
    [SERVER_PORT]: own?.port,
    [NETWORK_PEER_ADDRESS]: remote?.address,
    [NETWORK_PEER_PORT]: remote?.port,
  };
}
