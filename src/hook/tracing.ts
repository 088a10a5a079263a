import type { Attributes } from '@opentelemetry/api';
import type { Config } from '../config';
import type { PropagationHosts } from '../propagation/hosts';
import type { Propagator } from '../propagation/propagator';
import { BlockList } from '../trace/attribute-block';
import {
  activeContext,
  applyInContext,
  bindFunction,
  ROOT_CONTEXT,
  standIn,
  type TraceContext,
} from '../trace/context';
import type { Span } from '../trace/span';
import { SpanIdentity } from '../trace/span-identity';
import type { Tracer } from '../trace/tracer';
import type { AnyFunction } from './disguise';
import type { Guard } from './guard';
import type { Begun, Call, Done, FieldGetter, FieldSetter, Operation, Receiver, Tracing } from './instrumentation';
import { replace } from './replace';
import { Foreign } from './stamp';

/** The API's SpanKind and status code, as numbers: the agent never loads the API package. */
const CLIENT = 2;
const PRODUCER = 3;
const STATUS_ERROR = 2;

const ERROR_TYPE = 'error.type';

/** Connections whose traffic an instrumentation describes by itself; one for all of them. */
class Claimed extends Foreign {
  #isClaimed = true;

  static has(connection: object): boolean {
    return #isClaimed in connection;
  }

  static add(connection: object): void {
    if (!(#isClaimed in connection)) new Claimed(connection);
  }
}

/** What every instrumentation's Tracing is made of. */
export interface TracingOptions {
  readonly config: Config;
  readonly tracer: Tracer;
  readonly propagator: Propagator;
  /** Who may be sent the propagation fields; `undefined`: everybody. */
  readonly hosts?: PropagationHosts | undefined;
  /** See `Tracing.environment`. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly guard: Guard;
  /** Subscribes a guarded listener; the registry's, since a channel may be what loads an instrumentation. */
  readonly subscribe: (channel: string, listener: (message: unknown) => void) => void;
}

/** The lifecycle of every traced call, once for all instrumentations. */
export class InstrumentationTracing implements Tracing {
  readonly config: Config;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly #tracer: Tracer;
  readonly #propagator: Propagator;
  readonly #hosts: PropagationHosts | undefined;
  readonly #guard: Guard;
  readonly #subscribe: TracingOptions['subscribe'];

  constructor(options: TracingOptions) {
    this.config = options.config;
    this.environment = options.environment ?? {};
    this.#tracer = options.tracer;
    this.#propagator = options.propagator;
    this.#hosts = options.hosts;
    this.#guard = options.guard;
    this.#subscribe = options.subscribe;
  }

  get off(): boolean {
    return this.#guard.off;
  }

  span(owner: object, method: string, operation: Operation): void {
    const entry = isEntry(operation);
    this.replace(owner, method, (original) => {
      const tracing = this;
      if (!Object.hasOwn(original, 'prototype')) {
        // A method or an arrow function has no prototype, and what replaces it has to have none either.
        return {
          traced(this: unknown, ...args: unknown[]): unknown {
            if (tracing.#guard.off) return Reflect.apply(original, this, args);
            return tracing.#call(operation, entry, original, this, args);
          },
        }.traced;
      }
      return function traced(this: unknown, ...args: unknown[]): unknown {
        // Construction is no call; a class could not even be called.
        if (new.target !== undefined) return construct(original, args, new.target, traced);
        if (tracing.#guard.off) return Reflect.apply(original, this, args);
        return tracing.#call(operation, entry, original, this, args);
      };
    });
  }

  bind(owner: object, method: string): void {
    const guard = this.#guard;
    this.replace(owner, method, (original) => {
      if (!Object.hasOwn(original, 'prototype')) {
        return {
          bound(this: unknown, ...args: unknown[]): unknown {
            return Reflect.apply(original, this, bindFunctions(args, guard));
          },
        }.bound;
      }
      return function bound(this: unknown, ...args: unknown[]): unknown {
        if (new.target !== undefined) return construct(original, bindFunctions(args, guard), new.target, bound);
        return Reflect.apply(original, this, bindFunctions(args, guard));
      };
    });
  }

  replace(owner: object, method: string, make: (original: AnyFunction) => AnyFunction): void {
    replace(owner, method, make);
  }

  on(channel: string, listener: (message: never) => void): void {
    this.#subscribe(channel, (message) => {
      if (this.#guard.off) return;
      try {
        listener(message as never);
      } catch (error) {
        this.#guard.fail(error);
      }
    });
  }

  begin(operation: Operation, call: Call, startMs?: number): Begun | undefined {
    if (this.#guard.off) return undefined;
    try {
      return this.#begin(operation, call, startMs);
    } catch (error) {
      this.#guard.fail(error);
      return undefined;
    }
  }

  extract(get: FieldGetter): TraceContext {
    // What is active where a message arrives is the context its connection or server was opened in: another trace's.
    return this.#propagator.extract(ROOT_CONTEXT, get);
  }

  mute(get: FieldGetter): TraceContext {
    const context = this.extract(get);
    // Without a trace of its own, the services it calls would each start one.
    const identity = context.identity ?? SpanIdentity.root(false, undefined);
    return context.withIdentity(identity).suppress();
  }

  inject(context: TraceContext, set: FieldSetter, receiver?: () => Receiver | undefined): void {
    if (receiver === undefined || this.#hosts === undefined || this.#hosts.mayReceive(receiver())) {
      this.#propagator.inject(context, set);
    }
  }

  active(): TraceContext {
    return activeContext();
  }

  run<Result>(
    context: TraceContext,
    fn: (...args: never[]) => Result,
    self: unknown,
    args: ArrayLike<unknown>,
  ): Result {
    return applyInContext(context, fn as (...args: unknown[]) => Result, self, args);
  }

  claim(connection: object): void {
    Claimed.add(connection);
  }

  isClaimed(connection: object): boolean {
    return Claimed.has(connection);
  }

  guard<Result>(fn: () => Result): Result | undefined {
    return this.#guard.run(fn);
  }

  fail(error: unknown): void {
    this.#guard.fail(error);
  }

  /** One call of a replaced function. */
  #call(operation: Operation, entry: boolean, original: AnyFunction, self: unknown, userArgs: unknown[]): unknown {
    // Only an operation that edits its arguments, or whose callback is bound, needs a second list.
    const call: Call = { self, args: entry ? userArgs : userArgs.slice() };
    const begun = this.begin(operation, call);
    if (begun === undefined)
      return Reflect.apply(original, self, operation.inject === undefined ? userArgs : call.args);

    let settled = false;
    if (operation.settle === undefined) settled = this.#bindCallback(call, begun);
    let result: unknown;
    try {
      result = entry
        ? applyInContext(begun.context, original, self, call.args)
        : Reflect.apply(original, self, call.args);
    } catch (error) {
      begun.end(error);
      throw error;
    }
    if (settled) return result;
    try {
      if (operation.settle !== undefined && operation.settle(call, result, begun.done) !== false) return result;
      return settleByDefault(result, begun);
    } catch (error) {
      this.#guard.fail(error);
      begun.end();
      return result;
    }
  }

  /** Replaces a trailing callback by one that ends the span first and runs in the caller's context. */
  #bindCallback(call: Call, begun: Begun): boolean {
    const last = call.args.length - 1;
    const callback = call.args[last];
    if (typeof callback !== 'function') return false;
    const caller = activeContext();
    call.args[last] = standIn(callback, (self, results) => {
      begun.end(results[0] ?? undefined, results[1]);
      return applyInContext(caller, callback, self, results);
    });
    return true;
  }

  #begin(operation: Operation, call: Call, startMs: number | undefined): Begun | undefined {
    const name = operation.name(call);
    if (name === undefined) return undefined;
    const parent = operation.parent === undefined ? activeContext() : operation.parent(call);
    if (parent.suppressed) {
      // No span, but the trace goes on downstream. Our own export runs in a context without identity: nothing to write.
      this.#inject(operation, call, parent);
      return undefined;
    }

    const tracer = this.#tracer;
    const { kind } = operation;
    const attributes = tracer.describesFirst(parent.identity) ? describe(operation, call) : undefined;
    const identity = tracer.decide(parent, name, kind, attributes, undefined);
    const context = parent.withIdentity(identity);
    if (!identity.sampled) {
      this.#inject(operation, call, context);
      return new RunningOperation(context, undefined, operation, this.#guard);
    }

    let span: Span;
    if (attributes !== undefined) {
      span = tracer.record(identity, parent.identity, name, kind, attributes, startMs);
    } else {
      blocks.clear();
      const own = operation.attributes(call, blocks);
      span = tracer.record(identity, parent.identity, name, kind, own, startMs, blocks);
    }
    if (operation.links !== undefined) addLinks(span, operation.links(call));
    this.#inject(operation, call, context);
    return new RunningOperation(context, span, operation, this.#guard);
  }

  #inject(operation: Operation, call: Call, context: TraceContext): void {
    if (operation.inject === undefined || context.identity === undefined) return;
    try {
      if (this.#hosts !== undefined && operation.receiver !== undefined) {
        if (!this.#hosts.mayReceive(operation.receiver(call))) return;
      }
      operation.inject(call, (set) => this.#propagator.inject(context, set));
    } catch (error) {
      this.#guard.fail(error);
    }
  }
}

/** A started operation. A class and not a closure: there is one for each call. */
class RunningOperation implements Begun {
  readonly #operation: Operation;
  readonly #guard: Guard;

  constructor(
    readonly context: TraceContext,
    readonly span: Span | undefined,
    operation: Operation,
    guard: Guard,
  ) {
    this.#operation = operation;
    this.#guard = guard;
  }

  get done(): Done {
    return (error, value) => this.end(error, value);
  }

  end(error?: unknown, value?: unknown): void {
    const { span } = this;
    if (span === undefined || span.ended) return;
    try {
      this.#operation.end?.(span, { error, value });
      if (error !== undefined) recordError(span, error);
    } catch (failure) {
      this.#guard.fail(failure);
    }
    try {
      span.finish();
    } catch (failure) {
      this.#guard.fail(failure);
    }
  }
}

/** Everything about a call as one object, for a sampler that reads it. */
function describe(operation: Operation, call: Call): Attributes {
  blocks.clear();
  const own = operation.attributes(call, blocks);
  return blocks.mergedWith(own);
}

/** Where `attributes` puts its blocks while a span is made; one for all, since making a span never waits. */
const blocks = new BlockList();

function addLinks(span: Span, contexts: readonly TraceContext[]): void {
  for (const { identity } of contexts) if (identity !== undefined) span.linkTo(identity);
}

/** `new` of a replaced constructor, by itself or as the base of a class. */
function construct(original: AnyFunction, args: unknown[], target: unknown, replacement: unknown): object {
  return Reflect.construct(original, args, target === replacement ? original : (target as AnyFunction)) as object;
}

/** Gives the functions among the arguments the context that is active now; in place. */
function bindFunctions(args: unknown[], guard: Guard): unknown[] {
  try {
    const context = activeContext();
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      if (typeof arg === 'function') args[i] = bindFunction(context, arg as AnyFunction);
    }
  } catch (failure) {
    guard.fail(failure);
  }
  return args;
}

/** Calls that leave the process have nothing below them here, and entering a context is what costs on Node 24 and later. */
function isEntry(operation: Operation): boolean {
  return operation.kind !== CLIENT && operation.kind !== PRODUCER;
}

/** Returns what the application gets: the derived promise, so that an unhandled rejection still surfaces as one. */
function settleByDefault(result: unknown, begun: Begun): unknown {
  if (!(result instanceof Promise)) {
    begun.end(undefined, result);
    return result;
  }
  return result.then(
    (value) => {
      begun.end(undefined, value);
      return value;
    },
    (error) => {
      begun.end(error ?? new Error('rejected without a reason'));
      throw error;
    },
  );
}

/** Error status and `error.type`, unless the instrumentation set its own (conventions: recording errors). */
export function recordError(span: Span, error: unknown): void {
  if (span.getAttribute(ERROR_TYPE) === undefined) span.adopt({ [ERROR_TYPE]: errorType(error) });
  if (span.status.code !== 0) return;
  const message = messageOf(error);
  span.setStatus(message === undefined ? { code: STATUS_ERROR } : { code: STATUS_ERROR, message });
}

/** A specific code where there is one, else the class of the error, else `_OTHER`. Never a number, never a message. */
export function errorType(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '_OTHER';
  try {
    const { code, name, cause } = error as { code?: unknown; name?: unknown; cause?: { code?: unknown } };
    if (typeof code === 'string' && code !== '') return code;
    // `TypeError: fetch failed` says nothing; its cause does.
    if (typeof cause?.code === 'string' && cause.code !== '') return cause.code;
    const { constructor: made } = error as { constructor?: { name?: unknown } };
    if (typeof name === 'string' && name !== '' && name !== 'Error') return name;
    return typeof made?.name === 'string' && made.name !== '' ? made.name : '_OTHER';
  } catch {
    return '_OTHER';
  }
}

function messageOf(error: unknown): string | undefined {
  try {
    const message = (error as { message?: unknown } | null)?.message;
    return typeof message === 'string' && message !== '' ? message : undefined;
  } catch {
    return undefined;
  }
}
