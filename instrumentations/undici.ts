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
import type { Attributes } from '@opentelemetry/api';
import type {
  AttributeBlocks,
  Begun,
  Instrumentation,
  Operation,
  Span,
  TraceContext,
  Tracing,
} from '../src/hook/instrumentation';
import { createStamp, Foreign } from '../src/hook/stamp';
import { isPurpose } from '../src/http/cancellation';
import { type ClientTarget, clientAttributes, serverOf } from '../src/http/client-attributes';
import { captureHeaders, rawHeader } from '../src/http/headers';
import { addMethod, spanName } from '../src/http/method';
import { OriginCache } from '../src/http/origin';
import { Peer } from '../src/http/peer';
import { redactTarget } from '../src/http/redact';
import { isSigned } from '../src/http/signed';
import { setStatus } from '../src/http/status';
import { HTTP_REQUEST_HEADER, HTTP_RESPONSE_HEADER, URL_FULL } from '../src/semconv';

const CLIENT = 2;
const SLASH = 47;

type HttpConfig = Tracing['config']['http'];

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
  /** The context that it was made in. */
  readonly caller: TraceContext;
  /** Until its span ends; `undefined` without one. */
  begun: Begun | undefined;
  /** A connection took it. */
  sent: boolean;
  peer: Peer | undefined;
}

interface Answer {
  readonly attempt: Attempt;
  /** `undefined` when there was none. */
  readonly response: Response | undefined;
}

/** On requests. */
class AttemptStamp extends Foreign {
  #attempt: Attempt | undefined;

  static get(request: object): Attempt | undefined {
    return #attempt in request ? (request as AttemptStamp).#attempt : undefined;
  }

  static set(request: object, attempt: Attempt | undefined): void {
    if (#attempt in request) (request as AttemptStamp).#attempt = attempt;
    else new AttemptStamp(request).#attempt = attempt;
  }
}

/** On sockets, once a request was sent over them. */
class PeerStamp extends Foreign {
  #peer: Peer | undefined;

  static get(socket: object): Peer | undefined {
    return #peer in socket ? (socket as PeerStamp).#peer : undefined;
  }

  static set(socket: object, peer: Peer): void {
    new PeerStamp(socket).#peer = peer;
  }
}

const origins = new OriginCache();

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
      const isTunnel = request.method === 'CONNECT';
      const begun = isTunnel ? undefined : tracing.begin(operation, { self: undefined, args: [request] });
      AttemptStamp.set(request, {
        caller: tracing.active(),
        begun: begun?.span === undefined ? undefined : begun,
        sent: false,
        peer: undefined,
      });
    });

    tracing.on('undici:client:sendHeaders', ({ request, socket }: { request: Request; socket: Socket | undefined }) => {
      const attempt = AttemptStamp.get(request);
      if (attempt?.begun === undefined) return;
      attempt.sent = true;
      attempt.peer = peerOf(socket);
    });

    tracing.on('undici:request:headers', ({ request, response }: { request: Request; response: Response }) => {
      const attempt = AttemptStamp.get(request);
      // 1xx: the answer is still to come.
      if (attempt !== undefined && response.statusCode >= 200) end(attempt, undefined, response);
    });

    tracing.on('undici:request:error', ({ request, error }: { request: Request; error: unknown }) => {
      const attempt = AttemptStamp.get(request);
      if (attempt?.begun === undefined) return;
      end(attempt, isCancellation(error, attempt.sent) ? undefined : error);
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
        function (this: Request, first?: unknown, second?: unknown): unknown {
          let caller: TraceContext | undefined;
          try {
            const attempt = AttemptStamp.get(this);
            caller = attempt?.caller;
            // Most versions publish nothing about an upgrade that succeeded.
            if (upgrade && attempt !== undefined && !tracing.off) endUpgrade(attempt, first, second);
          } catch (failure) {
            tracing.fail(failure);
          }
          return caller === undefined
            ? Reflect.apply(original, this, arguments)
            : tracing.run(caller, original, this, arguments);
        },
    );
  }
}

function endUpgrade(attempt: Attempt, statusCode: unknown, headers: unknown): void {
  end(attempt, undefined, {
    statusCode: statusCode as number,
    headers: Array.isArray(headers) ? (headers as Response['headers']) : [],
  });
}

interface Socket {
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly alpnProtocol?: string | false;
}

function end(attempt: Attempt, error?: unknown, response?: Response): void {
  const { begun } = attempt;
  attempt.begun = undefined;
  begun?.end(error, { attempt, response } satisfies Answer);
}

function requestOperation(tracing: Tracing): Operation<undefined, [Request]> {
  const { http } = tracing.config;
  return {
    kind: CLIENT,
    name: ({ args: [request] }) => spanName(request.method, http.knownMethods),
    attributes: ({ args: [request] }, blocks) => {
      const attributes = attributesOf(request, http, blocks);
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

/** What a response adds to a client span: 4xx and 5xx are errors. */
function endSpan(span: Span, { attempt: { peer }, response }: Answer, http: HttpConfig): void {
  if (http.clientResponseHeaders.length > 0) {
    let list: string[] | undefined;
    const attributes: Attributes = {};
    captureHeaders(attributes, HTTP_RESPONSE_HEADER, http.clientResponseHeaders, (name) => {
      list ??= (response?.headers ?? []).map(textOf);
      return rawHeader(list, name);
    });
    span.adopt(attributes);
  }
  if (peer !== undefined) span.addBlock(peer.block(response !== undefined));
  if (response !== undefined) setStatus(span, response.statusCode, response.statusCode >= 400);
}

const UNKNOWN_PEER = new Peer(undefined, undefined, '1.1');

function peerOf(socket: Socket | undefined): Peer {
  if (typeof socket !== 'object' || socket === null) return UNKNOWN_PEER;
  let peer = PeerStamp.get(socket);
  if (peer === undefined) {
    peer = new Peer(socket.remoteAddress, socket.remotePort, socket.alpnProtocol === 'h2' ? '2' : '1.1');
    PeerStamp.set(socket, peer);
  }
  return peer;
}

function textOf(item: Uint8Array | string): string {
  return typeof item === 'string' ? item : Buffer.from(item).toString('latin1');
}

function targetOf(request: Request): ClientTarget {
  const { scheme, authority } = origins.get(String(request.origin));
  return { method: request.method, scheme, authority, path: request.path, port: undefined };
}

function attributesOf(request: Request, http: HttpConfig, blocks: AttributeBlocks): Attributes {
  const { method, path } = request;
  // Anything else is for proxies, or for the server as a whole.
  if (path.charCodeAt(0) !== SLASH) return clientAttributes(targetOf(request), http, blocks);
  const origin = origins.get(String(request.origin));
  const attributes: Attributes = { [URL_FULL]: redactTarget(origin.prefix + path, http.sensitiveQueryParameters) };
  addMethod(attributes, blocks, method, http.knownMethods);
  blocks.add(origin.block);
  return attributes;
}

/** A header of the request, whichever way this version keeps them. */
function requestHeader(request: Request, name: string): string | string[] | undefined {
  const { headers } = request;
  if (typeof headers !== 'string') {
    return Array.isArray(headers) ? listedHeader(headers, name) : undefined;
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

/** As `rawHeader`, of a list that may hold other things than texts. */
function listedHeader(list: readonly unknown[], name: string): string | string[] | undefined {
  let found: string | string[] | undefined;
  for (let i = 0; i + 1 < list.length; i += 2) {
    const key = String(list[i]);
    if (key.length !== name.length || key.toLowerCase() !== name) continue;
    const value = String(list[i + 1]);
    if (found === undefined) found = value;
    else if (typeof found === 'string') found = [found, value];
    else found.push(value);
  }
  return found;
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
