/**
 * The one interface between the engine and what it instruments; types only.
 *
 * An author says what an operation is called, what describes it and when it is over. The engine starts the span,
 * activates its context, runs the original exactly once, gives callbacks the caller's context back, records the
 * error and ends the span once. Nothing here tells how the module was reached, so the same definition serves the
 * run-time hooks and a bundler plug-in.
 */
import type { Attributes, SpanKind } from '@opentelemetry/api';
import type { Config } from '../config';
import type { AttributeBlocks } from '../trace/attribute-block';
import type { TraceContext } from '../trace/context';
import type { Span } from '../trace/span';

export type { AttributeBlocks } from '../trace/attribute-block';
export type { TraceContext } from '../trace/context';
export type { Span } from '../trace/span';

/** What an instrumentation file exports as `default`. */
export interface Instrumentation {
  /** The name in toggles (`OTEL_INSTRUMENTATION_<NAME>_ENABLED`) and in the scope (`hookline/<name>`). */
  readonly name: string;
  /** Patched when the application loads them. */
  readonly targets?: readonly Target[];
  /** For code that already publishes on `diagnostics_channel`; called once. */
  subscribe?(tracing: Tracing): void;
}

/** One seam in one module. */
export interface Target {
  /** Package or built-in, without `node:`. */
  readonly module: string;
  /** Semver range of the package; built-ins have none. */
  readonly versions?: string;
  /** Path inside the package (`lib/client.js`) when the seam is not exported by the main module. */
  readonly file?: string;
  /**
   * Called once per loaded copy with what `require` returns (an ES module: its namespace). What it returns, if
   * anything, replaces the module's exports.
   */
  // biome-ignore lint/suspicious/noExplicitAny: the edge where a library hands over its exports
  patch(exports: any, tracing: Tracing): unknown;
}

/** One call of the original function. `args` is the engine's copy: `inject` may change it. */
// biome-ignore lint/suspicious/noExplicitAny: libraries' own types
export interface Call<Self = any, Args extends unknown[] = any[]> {
  readonly self: Self;
  readonly args: Args;
}

/** How an operation came out: the error it failed with, or `undefined`, and its result where there is one. */
export interface Outcome {
  readonly error: unknown;
  // biome-ignore lint/suspicious/noExplicitAny: libraries' own types
  readonly value: any;
}

/** Ends an operation; the first call counts. `error` is `undefined` on success and when the caller cancelled. */
export type Done = (error?: unknown, value?: unknown) => void;

/** Sets one propagation field, as an HTTP header name in lower case. */
export type FieldSetter = (name: string, value: string) => void;

/** Reads one propagation field. */
export type FieldGetter = (name: string) => string | readonly string[] | undefined;

/** A host, an IPv6 address without brackets, and the port where it is known, a default one too. */
export interface Receiver {
  readonly host: string;
  readonly port: number | undefined;
}

/** Describes one kind of call. Every function of it runs under the guard. */
// biome-ignore lint/suspicious/noExplicitAny: libraries' own types
export interface Operation<Self = any, Args extends unknown[] = any[], Result = any> {
  /** SERVER, CONSUMER and INTERNAL spans are active while the original runs; CLIENT and PRODUCER spans never are. */
  readonly kind: SpanKind;
  /** The span's name; `undefined`: run the original, make no span. */
  name(call: Call<Self, Args>): string | undefined;
  /** For servers and consumers: the context the caller sent. Default: the active context. */
  parent?(call: Call<Self, Args>): TraceContext;
  /** Contexts that the span links to; those without a span are left out. Only asked for when the span records. */
  links?(call: Call<Self, Args>): readonly TraceContext[];
  /**
   * One fresh literal, adopted by the span; only asked for when the span records. `undefined` values are left out.
   * What many spans have in common can go to `blocks` instead, which spares encoding it again.
   */
  attributes(call: Call<Self, Args>, blocks: AttributeBlocks): Attributes;
  /** Puts the propagation fields into `call.args` or an object of the library's own, never into the user's objects. */
  inject?(call: Call<Self, Args>, write: (set: FieldSetter) => void): void;
  /**
   * Whom `inject` writes to; only asked for where HOOKLINE_PROPAGATION_HOSTS or HOOKLINE_PROPAGATION_EXCLUDED_HOSTS
   * name hosts, which then decide whether it is called. Without it, it always is.
   */
  receiver?(call: Call<Self, Args>): Receiver | undefined;
  /**
   * Arranges for `done` to be called. Returning `false` asks for the default: a trailing callback, else the promise
   * returned, else the return.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: most implementations return nothing
  settle?(call: Call<Self, Args>, result: Result, done: Done): boolean | void;
  /** Last look at the span: status code, rows. What it does not set on failure, the engine does. */
  end?(span: Span, outcome: Outcome): void;
}

/** A started operation that is driven by events. */
export interface Begun {
  /** The context of the operation: for servers and consumers, what their handlers run in. */
  readonly context: TraceContext;
  /** `undefined` when the span is not sampled. */
  readonly span: Span | undefined;
  /** `end` as a function of its own; made when it is asked for. */
  readonly done: Done;
  /** Ends the operation, as `Done` says. */
  end(error?: unknown, value?: unknown): void;
}

/** What the engine offers an instrumentation. */
export interface Tracing {
  readonly config: Config;
  /**
   * The variables that carry the propagation fields between processes, as they were when this one started; only
   * where HOOKLINE_CHILD_PROCESS_CONTEXT asks for them.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** One call of `owner[method]`, one span. */
  span(owner: object, method: string, operation: Operation): void;
  /** Function arguments of `owner[method]` run in the caller's context; no span. */
  bind(owner: object, method: string): void;
  /**
   * Replaces `owner[method]` by what `make` returns, with name, length and own properties kept. For seams that are
   * no single operation. `make`'s function must call the original itself, once, whatever happens.
   */
  // biome-ignore lint/suspicious/noExplicitAny: any function of a library
  replace(owner: object, method: string, make: (original: (...args: any[]) => any) => (...args: any[]) => any): void;
  /** Subscribes to a diagnostics channel; the listener runs under the guard. */
  // biome-ignore lint/suspicious/noExplicitAny: the message is the publisher's
  on(channel: string, listener: (message: any) => void): void;
  /** Starts the same operation where no function is replaced; `undefined`: no span and nothing to run in. */
  begin(operation: Operation, call: Call, startMs?: number): Begun | undefined;
  /** The context that propagation fields carry; never that of the code that is running. */
  extract(get: FieldGetter): TraceContext;
  /**
   * The context to answer a request in that no spans are wanted of: the caller's trace goes on, or one that is not
   * sampled starts, and nothing below is recorded.
   */
  mute(get: FieldGetter): TraceContext;
  /** Writes the propagation fields of a context, unless they are not to go to `receiver`. */
  inject(context: TraceContext, set: FieldSetter, receiver?: () => Receiver | undefined): void;
  /** The context of the code that is running now. */
  active(): TraceContext;
  /** Runs `fn` in `context`. */
  run<Result>(context: TraceContext, fn: (...args: never[]) => Result, self: unknown, args: ArrayLike<unknown>): Result;
  /**
   * Says that what goes over `connection` is described by this instrumentation's own spans, so that those of the
   * protocol below leave it alone.
   */
  claim(connection: object): void;
  /** Whether an instrumentation claimed `connection`. */
  isClaimed(connection: object): boolean;
  /** Runs our own code: what it throws is counted and swallowed, and `undefined` comes back. */
  guard<Result>(fn: () => Result): Result | undefined;
  /** Takes note of an error of ours, where a `try` of its own costs less than the function `guard` needs. */
  fail(error: unknown): void;
  /** True once the instrumentation was switched off because it kept failing. */
  readonly off: boolean;
}
