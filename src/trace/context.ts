import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span as ApiSpan, Context, ContextManager } from '@opentelemetry/api';
import { noteApiFailure } from './api-failure';
import { NO_SPAN, NonRecordingSpan } from './non-recording-span';
import { Span } from './span';
import { NO_IDENTITY, SpanIdentity } from './span-identity';

// The API makes its keys with Symbol.for, so that every copy of it agrees on them.
const SPAN_KEY = Symbol.for('OpenTelemetry Context Key SPAN');
const SUPPRESS_TRACING_KEY = Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/**
 * The API's Context, immutable, with slots for the two values that are read on every operation.
 *
 * It holds a span's identity and never the span, so a context that outlives its request keeps nothing of it alive.
 */
export class TraceContext implements Context {
  #nonRecording: NonRecordingSpan | undefined = undefined;

  constructor(
    /** The active span's identity; `undefined` when no span is active. */
    readonly identity: SpanIdentity | undefined,
    /** True where nothing may be traced: around our own export, ignored requests, and where an SDK's key says so. */
    readonly suppressed: boolean,
    /** A span of another make that the application put in. */
    readonly foreignSpan: ApiSpan | undefined,
    /** All other values. */
    readonly entries: ReadonlyMap<symbol, unknown> | undefined,
    /** The application's own Context object that this one stands for; `context.active()` returns it. */
    readonly source: Context | undefined,
  ) {}

  /** This context with another active span. */
  withIdentity(identity: SpanIdentity): TraceContext {
    return new TraceContext(identity, this.suppressed, undefined, this.#copyEntries(), undefined);
  }

  /** The same for a span of ours; one that records nothing is kept, so that the application finds the object that it put in. */
  withSpan(span: Span | NonRecordingSpan): TraceContext {
    const context = this.withIdentity(span.identity);
    if (span instanceof NonRecordingSpan) context.#nonRecording = span;
    return context;
  }

  /** This context with tracing off. */
  suppress(): TraceContext {
    return new TraceContext(this.identity, true, this.foreignSpan, this.#copyEntries(), undefined);
  }

  // The application calls these three: where something is wrong in us, it keeps its own values.

  getValue(key: symbol): unknown {
    try {
      return this.#valueOf(key);
    } catch (error) {
      noteApiFailure(error);
      return this.entries?.get(key);
    }
  }

  setValue(key: symbol, value: unknown): TraceContext {
    try {
      return this.#with(key, value);
    } catch (error) {
      noteApiFailure(error);
      const entries = new Map(this.entries).set(key, value);
      if (key === SPAN_KEY) return new TraceContext(undefined, this.suppressed, value as ApiSpan, entries, this.source);
      return new TraceContext(this.identity, this.suppressed, this.foreignSpan, entries, this.source);
    }
  }

  deleteValue(key: symbol): TraceContext {
    try {
      return this.#without(key);
    } catch (error) {
      noteApiFailure(error);
      const entries = new Map(this.entries);
      entries.delete(key);
      return new TraceContext(this.identity, this.suppressed, this.foreignSpan, entries, undefined);
    }
  }

  #valueOf(key: symbol): unknown {
    if (key === SPAN_KEY) return this.foreignSpan ?? this.#ownSpan();
    if (key === SUPPRESS_TRACING_KEY) return this.suppressed ? true : this.entries?.get(key);
    return this.entries?.get(key) ?? this.source?.getValue(key);
  }

  #with(key: symbol, value: unknown): TraceContext {
    if (key === SPAN_KEY && (value instanceof Span || value instanceof NonRecordingSpan)) return this.withSpan(value);
    const entries = this.#copyEntries();
    if (key === SPAN_KEY) {
      const span = value as ApiSpan | undefined;
      return new TraceContext(identityOf(span), this.suppressed, span, entries, undefined);
    }
    if (key === SUPPRESS_TRACING_KEY) return this.#sameSpan(Boolean(value), entries);
    const next = new Map(entries);
    next.set(key, value);
    return this.#sameSpan(this.suppressed, next);
  }

  #without(key: symbol): TraceContext {
    const next = new Map(this.#copyEntries());
    next.delete(key);
    if (key === SPAN_KEY) return new TraceContext(undefined, this.suppressed, undefined, next, undefined);
    return this.#sameSpan(key === SUPPRESS_TRACING_KEY ? false : this.suppressed, next);
  }

  #sameSpan(suppressed: boolean, entries: ReadonlyMap<symbol, unknown> | undefined): TraceContext {
    const context = new TraceContext(this.identity, suppressed, this.foreignSpan, entries, undefined);
    context.#nonRecording = this.#nonRecording;
    return context;
  }

  #ownSpan(): ApiSpan | undefined {
    if (this.identity === undefined) return undefined;
    if (this.identity.live !== undefined) return this.identity.live;
    this.#nonRecording ??= this.identity === NO_IDENTITY ? NO_SPAN : new NonRecordingSpan(this.identity);
    return this.#nonRecording;
  }

  #copyEntries(): ReadonlyMap<symbol, unknown> | undefined {
    if (this.source === undefined) return this.entries;
    // Another copy of the API keeps its values in a map of its own; BaseContext has had this field since 1.0.
    const foreign = (this.source as { _currentContext?: unknown })._currentContext;
    if (!(foreign instanceof Map)) return this.entries;
    const entries = new Map<symbol, unknown>(foreign);
    entries.delete(SPAN_KEY);
    entries.delete(SUPPRESS_TRACING_KEY);
    return entries;
  }
}

/** The identity behind a span of any make. */
export function identityOf(span: ApiSpan | undefined): SpanIdentity | undefined {
  if (span === undefined || span === null) return undefined;
  if (span instanceof Span || span instanceof NonRecordingSpan) return span.identity;
  try {
    return SpanIdentity.from(span.spanContext());
  } catch {
    return undefined;
  }
}

/** No span, nothing suppressed. */
export const ROOT_CONTEXT = new TraceContext(undefined, false, undefined, undefined, undefined);

/** Our form of any Context; contexts made by another copy of the API are wrapped, not copied. */
export function toTraceContext(context: Context | undefined | null): TraceContext {
  if (context instanceof TraceContext) return context;
  if (context === undefined || context === null || typeof context.getValue !== 'function') return ROOT_CONTEXT;
  const span = context.getValue(SPAN_KEY) as ApiSpan | undefined;
  const own = span instanceof Span || span instanceof NonRecordingSpan;
  const suppressed = Boolean(context.getValue(SUPPRESS_TRACING_KEY));
  return new TraceContext(identityOf(span), suppressed, own ? undefined : span, undefined, context);
}

/**
 * The one AsyncLocalStorage of the agent: up to Node 22 every instance costs each promise about 60 ns.
 */
const storage = new AsyncLocalStorage<TraceContext>();

/** `AsyncLocalStorage.run` as it really is: the rest of the arguments go to the function, which saves a closure per call. */
type Run = (store: TraceContext, fn: (...args: never[]) => unknown, ...args: unknown[]) => unknown;

/** From the first time on Node carries stores along, which up to Node 22 every promise and tick of the process pays for. */
let isEntered = false;

let initialContext = ROOT_CONTEXT;

/** Sets what is active where nothing was activated: the context that the process was started in. */
export function setInitialContext(context: TraceContext): void {
  initialContext = context;
}

/** The context of the code that is running now. */
export function activeContext(): TraceContext {
  return storage.getStore() ?? initialContext;
}

/** Runs `fn` in `context`; what was active before is active again when it returns or throws. */
export function runInContext<Args extends unknown[], Result>(
  context: TraceContext,
  fn: (...args: Args) => Result,
  ...args: Args
): Result {
  isEntered = true;
  return storage.run(context, fn, ...args);
}

const UNTRACED = ROOT_CONTEXT.suppress();

/**
 * Runs work of our own outside of the application's traces. Where there are none yet, as it is: processes that only make
 * requests never enter a context, and need not pay for ours. What may pass through modules that we patch has to run in
 * a suppressed context in any case.
 */
export function runUntraced<Result>(work: () => Result): Result {
  return isEntered ? storage.run(UNTRACED, work) : work();
}

/** The same with `this` and an argument list, for replaced functions. */
export function applyInContext<Result>(
  context: TraceContext,
  // biome-ignore lint/suspicious/noExplicitAny: any function of the application
  fn: (...args: any[]) => Result,
  self: unknown,
  args: ArrayLike<unknown>,
): Result {
  let inside = true;
  try {
    // Where nothing was activated, neither: Node would carry the store along with all that is started from here.
    inside = activeContext() === context;
  } catch {
    // What is run is the application's: it has to be, in whatever context.
  }
  if (inside) return Reflect.apply(fn, self, args);
  isEntered = true;
  return (storage.run as Run)(context, Reflect.apply, fn, self, args) as Result;
}

/** `context.with` and `context.bind` of the API. */
export const contextManager: ContextManager = {
  active(): Context {
    try {
      const context = activeContext();
      return context.source ?? context;
    } catch (error) {
      noteApiFailure(error);
      return ROOT_CONTEXT;
    }
  },

  with(context, fn, thisArg, ...args) {
    let within: TraceContext | undefined;
    try {
      within = toTraceContext(context);
    } catch (error) {
      noteApiFailure(error);
    }
    return within === undefined ? Reflect.apply(fn, thisArg, args) : applyInContext(within, fn, thisArg, args);
  },

  bind<T>(context: Context, target: T): T {
    try {
      const bound = toTraceContext(context);
      if (typeof target === 'function') return bindFunction(bound, target as never) as T;
      if (isEmitter(target)) bindEmitter(bound, target);
    } catch (error) {
      noteApiFailure(error);
    }
    return target;
  },

  enable() {
    return this;
  },

  disable() {
    return this;
  },
};

/**
 * A function that runs `fn` in `context`, with the same name and length. A closure over `run`, because
 * `AsyncResource.bind` costs 600 to 9,000 ns.
 */
export function bindFunction<Fn extends (this: unknown, ...args: never[]) => unknown>(
  context: TraceContext,
  fn: Fn,
): Fn {
  return standIn(fn as never, (self, args) => applyInContext(context, fn as never, self, args)) as unknown as Fn;
}

type Callback = (this: unknown, ...args: unknown[]) => unknown;

/**
 * A function made for one call, with the name and length of the one it stands for; what it does is `call`.
 *
 * Both come with the function, because giving a function another name and length afterwards costs 500 to 700 ns, half as
 * much as a span, and callbacks with more than four parameters are rare.
 */
export function standIn(
  fn: Callback,
  call: (self: unknown, args: ArrayLike<unknown> & Iterable<unknown>) => unknown,
): Callback {
  const { name, length } = fn;
  // As its own class may have it, it can be anything.
  if (typeof name !== 'string') return nameLike(standIn(nameless, call), fn);
  switch (length) {
    case 0:
      return {
        [name]: function (this: unknown) {
          return call(this, arguments);
        },
      }[name] as Callback;
    case 1:
      return {
        [name]: function (this: unknown, _a: unknown) {
          return call(this, arguments);
        },
      }[name] as Callback;
    case 2:
      return {
        [name]: function (this: unknown, _a: unknown, _b: unknown) {
          return call(this, arguments);
        },
      }[name] as Callback;
    case 3:
      return {
        [name]: function (this: unknown, _a: unknown, _b: unknown, _c: unknown) {
          return call(this, arguments);
        },
      }[name] as Callback;
    case 4:
      return {
        [name]: function (this: unknown, _a: unknown, _b: unknown, _c: unknown, _d: unknown) {
          return call(this, arguments);
        },
      }[name] as Callback;
    default:
      return nameLike(standIn(nameless, call), fn);
  }
}

function nameless(): void {}

function nameLike(replacement: Callback, { name, length }: { name: unknown; length: unknown }): Callback {
  Object.defineProperty(replacement, 'name', { value: name, configurable: true });
  Object.defineProperty(replacement, 'length', { value: length, configurable: true });
  return replacement;
}

interface Emitter {
  emit(...args: unknown[]): boolean;
}

function isEmitter(target: unknown): target is Emitter {
  return typeof target === 'object' && target !== null && typeof (target as Partial<Emitter>).emit === 'function';
}

/** Only `emit` is replaced: adding and removing listeners stays exactly the emitter's own. */
function bindEmitter(context: TraceContext, emitter: Emitter): void {
  const original = emitter.emit;
  Object.defineProperty(emitter, 'emit', {
    value: bindFunction(context, original as never),
    configurable: true,
    enumerable: false,
    writable: true,
  });
}
