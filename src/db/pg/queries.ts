import type { AnyFunction } from '../../hook/disguise';
import type { Done, TraceContext, Tracing } from '../../hook/instrumentation';
import { createStamp, Foreign } from '../../hook/stamp';
import { type ConnectionFields, endpointOf } from './endpoint';
import type { Endpoint, Statement, StatementOperation } from './statement';

/** What goes through a client's queue: the driver's Query, or the application's with a `submit` of its own. */
export interface Submittable {
  readonly text?: unknown;
  readonly values?: unknown;
  readonly name?: unknown;
  readonly submit?: unknown;
  callback?: unknown;
  /** pg-query-stream hands everything to one. */
  readonly cursor?: unknown;
  readonly pipe?: unknown;
  readonly read?: unknown;
  /** The error of a type parser, which the driver keeps until the server is ready again. */
  readonly _canceledDueToError?: unknown;
  /** The addon's client, in queries of the native driver. */
  readonly native?: object;
  listenerCount?(event: string): number;
}

/** Clients of both drivers, as far as all versions agree. */
export interface Client extends ConnectionFields {
  /** Up to 8.13 without the underscore, which later is an accessor that prints a deprecation. */
  readonly _queryQueue?: readonly Submittable[];
  readonly queryQueue?: readonly Submittable[];
  readonly _activeQuery?: Submittable | null;
  readonly activeQuery?: Submittable | null;
  readonly readyForQuery?: boolean;
  readonly connection?: object;
  readonly native?: object;
}

/** A statement under way. */
export interface Flight {
  /** Ends the span; `over` once it did, so that a query that is kept does not keep its span. */
  done: Done;
  /** What callbacks and events run in; `undefined` for a promise, which keeps its caller's context by itself. */
  context: TraceContext | undefined;
  /** The application reads further rows when it likes, or never. */
  readonly endsWithFirstRows: boolean;
}

/** What is known of a client. */
interface ClientState {
  readonly endpoint: Endpoint;
  /** For the next statement. */
  waitMs: number | undefined;
  /** Whether it was given objects whose handlers cannot be watched. */
  unwatchable: boolean;
  /** The one of them that is active. */
  active: Flight | undefined;
}

/** A call of `client.query`. */
interface Entry {
  readonly client: Client;
  readonly given: unknown;
  flight: Flight | undefined;
}

const over: Done = () => {};

class FlightStamp extends Foreign {
  #flight: Flight | undefined;

  static get(query: object): Flight | undefined {
    return #flight in query ? (query as FlightStamp).#flight : undefined;
  }

  static set(query: object, flight: Flight | undefined): void {
    if (#flight in query) (query as FlightStamp).#flight = flight;
    else new FlightStamp(query).#flight = flight;
  }
}

class StateStamp extends Foreign {
  #state: ClientState | undefined;

  static get(client: object): ClientState | undefined {
    return #state in client ? (client as StateStamp).#state : undefined;
  }

  static set(client: object, state: ClientState | undefined): void {
    if (#state in client) (client as StateStamp).#state = state;
    else new StateStamp(client).#state = state;
  }
}

/**
 * Statements from the call of `client.query` to their end.
 *
 * The driver makes a Query of whatever it is called with, puts it at the end of the client's queue and pulses the queue,
 * all before the call returns. There the Query is looked at: every call form has become the same, and nothing of the
 * application's is read twice. A span ends in the Query's own `handleReadyForQuery` and `handleError`, before the
 * callback runs or the promise settles; the promise is the driver's own and nobody else attaches anything to it.
 */
export class Queries {
  readonly #tracing: Tracing;
  readonly #operation: StatementOperation;

  readonly #flightOf = FlightStamp;
  readonly #stateOf = StateStamp;
  /** The client behind a connection, or behind an addon's client, that took no statement. */
  readonly #refusingClientOf = createStamp<Client>();
  /** Prototypes of Submittables that were seen. */
  readonly #watched = createStamp<true>();

  /** The call of `client.query` that is running. */
  #entry: Entry | undefined = undefined;
  /** The call of `pool.query` that is about to use its client. */
  #pooled: { readonly client: object; readonly startMs: number; readonly settlesPromise: boolean } | undefined =
    undefined;

  /** Bound once: `guard` runs it for each call. */
  readonly #takeEntered = (): void => this.#enter(this.#entry as Entry);

  constructor(tracing: Tracing, operation: StatementOperation) {
    this.#tracing = tracing;
    this.#operation = operation;
  }

  /** What the first statement on `client` has to say: how long it waited for the connection. */
  checkedOut(client: object, waitMs: number | undefined): void {
    const state = this.#stateOf.get(client);
    if (state !== undefined) state.waitMs = waitMs;
    else if (waitMs !== undefined) {
      this.#tracing.guard(() => {
        this.#state(client as Client).waitMs = waitMs;
      });
    }
  }

  /**
   * The first statement on `client`, which `pool.query` is about to make, started at `startMs`; `settlesPromise`: what comes
   * of it goes to a promise and to nobody else. `undefined`: it was made.
   */
  expectPooled(client: object | undefined, startMs: number, settlesPromise: boolean): void {
    this.#pooled = client === undefined ? undefined : { client, startMs, settlesPromise };
  }

  /** `exports` of lib/client.js. */
  patchClient(Client: { prototype: object; Query?: { prototype: object } }): void {
    this.#patchCalls(Client.prototype);
    if (Client.Query !== undefined && this.#isNew(Client.Query.prototype)) this.#patchEnds(Client.Query.prototype);
    this.#patch(Client.prototype, '_handleErrorMessage', (original) => this.#failingActive(original));
  }

  /** `exports` of lib/native/client.js. */
  patchNativeClient(Client: { prototype: object; Query?: { prototype: object } }): void {
    this.#patchCalls(Client.prototype);
    if (Client.Query === undefined) return;
    const { prototype } = Client.Query;
    if (!this.#isNew(prototype)) return;
    this.#patch(prototype, 'handleError', (original) => this.#failingNatively(original));
    this.#patch(prototype, 'emit', (original) => this.#emitting(original, true));
  }

  /** `exports` of pg-cursor. A QueryStream binds the handlers of its cursor when it is made, before we see it. */
  patchCursor(Cursor: { prototype: object }): void {
    this.watch(Cursor.prototype);
    this.#tracing.bind(Cursor.prototype, 'read');
    this.#tracing.bind(Cursor.prototype, 'close');
    this.#patch(Cursor.prototype, 'close', (original) => this.#closing(original));
  }

  /** Gives the handlers of a class of Submittables the ends of spans and the caller's context. */
  watch(prototype: object): void {
    if (!this.#isNew(prototype)) return;
    this.#patchEnds(prototype);
    this.#patch(prototype, 'handlePortalSuspended', (original) => this.#pausing(original));
    for (const method of ['handleCommandComplete', 'handleCopyInResponse', 'handleCopyData']) {
      this.#patch(prototype, method, (original) => this.#inContext(original));
    }
    // A stream has events of its own, in the context of whoever opened the connection.
    if ('pipe' in prototype) this.#patch(prototype, 'emit', (original) => this.#emitting(original, false));
  }

  #patchCalls(prototype: object): void {
    this.#patch(prototype, 'query', (original) => this.#calling(original));
    this.#patch(prototype, '_pulseQueryQueue', (original) => this.#pulsing(original));
    this.#patch(prototype, '_errorAllQueries', (original) => this.#losing(original));
  }

  #patchEnds(prototype: object): void {
    this.#patch(prototype, 'handleReadyForQuery', (original) => this.#finishing(original));
    this.#patch(prototype, 'handleError', (original) => this.#failing(original));
    this.#patch(prototype, 'handleDataRow', (original) => this.#givingRow(original));
  }

  #patch(owner: object, method: string, make: (original: AnyFunction) => AnyFunction): void {
    if (typeof (owner as Record<string, unknown>)[method] === 'function') this.#tracing.replace(owner, method, make);
  }

  #isNew(prototype: object): boolean {
    if (this.#watched.get(prototype) !== undefined) return false;
    this.#watched.set(prototype, true);
    return true;
  }

  #calling(original: AnyFunction): AnyFunction {
    const queries = this;
    return function query(this: Client): unknown {
      let entry: Entry | undefined;
      try {
        // Called on what is no client, it fails, which is the application's error and none of ours.
        if (!queries.#tracing.off && isObject(this)) entry = { client: this, given: arguments[0], flight: undefined };
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      if (entry === undefined) return Reflect.apply(original, this, arguments);
      const outer = queries.#entry;
      queries.#entry = entry;
      let result: unknown;
      try {
        result = Reflect.apply(original, this, arguments);
      } catch (error) {
        queries.#entry = outer;
        queries.#tracing.guard(() => queries.#failAtCall(entry, error));
        throw error;
      }
      queries.#entry = outer;
      try {
        if (entry.flight !== undefined) {
          if (result instanceof Promise) entry.flight.context = undefined;
        } else if (!queries.#tracing.off) queries.#rememberRefusal(this);
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return result;
    };
  }

  #pulsing(original: AnyFunction): AnyFunction {
    const queries = this;
    return function _pulseQueryQueue(this: Client): unknown {
      let watched: ClientState | undefined;
      try {
        const entry = queries.#entry;
        if (entry !== undefined && entry.flight === undefined && entry.client === this) {
          queries.#tracing.guard(queries.#takeEntered);
        }
        const state = queries.#stateOf.get(this);
        if (state?.unwatchable === true) watched = state;
        // The server is ready: what was active is over.
        if (watched?.active !== undefined && this.readyForQuery === true) queries.#end(watched.active);
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      if (watched === undefined) return Reflect.apply(original, this, arguments);
      const result = Reflect.apply(original, this, arguments);
      const state = watched;
      queries.#tracing.guard(() => {
        state.active = queries.#unwatchableFlight(activeQueryOf(this));
      });
      return result;
    };
  }

  /** Starts the span of what `client.query` has just put at the end of the queue. */
  #enter(entry: Entry): void {
    const { client, given } = entry;
    const queue = queueOf(client);
    const query = queue?.[queue.length - 1];
    if (query === undefined) return;
    // An object that is submitted again starts anew; anything else that has a flight was there before.
    const own = query === given;
    if (!own && this.#flightOf.get(query) !== undefined) return;
    if (own) this.#prepareGiven(client, query);
    entry.flight = this.#begin(client, query, own);
    if (client.native !== undefined && !own) this.#bindCallback(query, entry.flight);
  }

  #begin(client: Client, query: Submittable, own: boolean): Flight {
    const pooled = this.#pooled?.client === client ? this.#pooled : undefined;
    if (pooled !== undefined) this.#pooled = undefined;
    const state = this.#state(client);
    const { waitMs } = state;
    state.waitMs = undefined;

    const cursor = innerCursor(query);
    const { text, values, name } = cursor ?? query;
    const isText = typeof text === 'string';
    const statement: Statement = {
      text: isText ? text : undefined,
      values: Array.isArray(values) ? values : undefined,
      waitMs,
      // A named statement is prepared once and compared by its text, and an object of the application's stays as it is.
      editable: own || !isText || name ? undefined : (query as { text: string }),
      description: undefined,
    };
    const begun = this.#tracing.begin(this.#operation, { self: state.endpoint, args: [statement] }, pooled?.startMs);
    const flight: Flight = {
      done: begun?.done ?? over,
      context: pooled?.settlesPromise === true ? undefined : this.#tracing.active(),
      endsWithFirstRows: own && typeof query.read === 'function' && typeof query.pipe !== 'function',
    };
    this.#flightOf.set(query, flight);
    if (cursor !== undefined) this.#flightOf.set(cursor, flight);
    return flight;
  }

  /** An object of the application's: its class is watched from now on, or the client where it has none. */
  #prepareGiven(client: Client, query: Submittable): void {
    const before = this.#flightOf.get(query);
    if (before !== undefined) this.#end(before);
    this.#watchClassOf(query);
    const cursor = innerCursor(query);
    if (cursor !== undefined) this.#watchClassOf(cursor);
    if (isUnwatchable(query)) this.#state(client).unwatchable = true;
  }

  /** Watches the class that defines `submit`; never the base of everything. */
  #watchClassOf(query: object): void {
    let holder: object | null = query;
    while (holder !== null && !Object.hasOwn(holder, 'submit')) holder = Object.getPrototypeOf(holder);
    if (holder !== null && holder !== query && holder !== Object.prototype) this.watch(holder);
  }

  #state(client: Client): ClientState {
    let state = this.#stateOf.get(client);
    if (state === undefined) {
      state = { endpoint: endpointOf(client), waitMs: undefined, unwatchable: false, active: undefined };
      this.#stateOf.set(client, state);
    }
    return state;
  }

  /** The call itself threw: arguments that no version takes, or a `submit` that throws. */
  #failAtCall(entry: Entry, error: unknown): void {
    if (entry.flight !== undefined) {
      this.#end(entry.flight, error ?? {});
      return;
    }
    const { client, given } = entry;
    const text = typeof given === 'string' ? given : undefined;
    const statement: Statement = {
      text,
      values: undefined,
      waitMs: undefined,
      editable: undefined,
      description: undefined,
    };
    this.#tracing.begin(this.#operation, { self: this.#state(client).endpoint, args: [statement] })?.done(error ?? {});
  }

  /**
   * A client that is closed or broken takes no statement: it lets the Query fail in the next tick, which `failing`
   * sees, and where the caller's context is still active.
   */
  #rememberRefusal(client: Client): void {
    const connection = client.connection ?? client.native;
    if (typeof connection === 'object' && connection !== null) this.#refusingClientOf.set(connection, client);
  }

  #end(flight: Flight, error?: unknown): void {
    const { done } = flight;
    flight.done = over;
    done(error);
  }

  #finishing(original: AnyFunction): AnyFunction {
    const queries = this;
    return function handleReadyForQuery(this: Submittable): unknown {
      let context: TraceContext | undefined;
      try {
        const flight = queries.#flightOf.get(this);
        context = flight?.context;
        // With an error kept back, the driver goes on to `handleError`.
        if (flight !== undefined && flight.done !== over && keptError(this) === undefined) queries.#end(flight);
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : queries.#tracing.run(context, original, this, arguments);
    };
  }

  #failing(original: AnyFunction): AnyFunction {
    const queries = this;
    return function handleError(this: Submittable, error?: unknown, connection?: object): unknown {
      let context: TraceContext | undefined;
      try {
        const flight = queries.#flightOf.get(this) ?? queries.#refused(this, connection);
        context = flight?.context;
        if (flight !== undefined && flight.done !== over) queries.#end(flight, keptError(this) ?? error ?? {});
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : queries.#tracing.run(context, original, this, arguments);
    };
  }

  /**
   * The native driver's `handleError` first copies what the server said into the error, then hands it on: the span ends
   * in between, in the callback that was bound or with the event, and afterwards where the application made the query.
   */
  #failingNatively(original: AnyFunction): AnyFunction {
    const queries = this;
    return function handleError(this: Submittable, error?: unknown, connection?: object): unknown {
      let flight: Flight | undefined;
      const context = queries.#tracing.guard(() => {
        flight = queries.#flightOf.get(this) ?? queries.#refused(this, connection);
        return flight?.context;
      });
      try {
        return context === undefined
          ? Reflect.apply(original, this, arguments)
          : queries.#tracing.run(context, original, this, arguments);
      } finally {
        queries.#tracing.guard(() => {
          if (flight !== undefined && flight.done !== over) queries.#end(flight, error ?? {});
        });
      }
    };
  }

  /** The span of a statement that its client refused; `undefined` when this is none. */
  #refused(query: Submittable, connection: object | undefined): Flight | undefined {
    if (this.#tracing.off) return undefined;
    return this.#tracing.guard(() => {
      const known = connection ?? query.native;
      const client = typeof known === 'object' && known !== null ? this.#refusingClientOf.get(known) : undefined;
      return client === undefined ? undefined : this.#begin(client, query, true);
    });
  }

  /** A page of rows is there. */
  #pausing(original: AnyFunction): AnyFunction {
    const queries = this;
    return function handlePortalSuspended(this: Submittable): unknown {
      let context: TraceContext | undefined;
      try {
        const flight = queries.#flightOf.get(this);
        context = flight?.context;
        if (flight?.endsWithFirstRows === true && flight.done !== over) queries.#end(flight);
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : queries.#tracing.run(context, original, this, arguments);
    };
  }

  /** The application gives up what it has not read; what the server answers to that is none of the statement. */
  #closing(original: AnyFunction): AnyFunction {
    const queries = this;
    return function close(this: Submittable): unknown {
      try {
        const flight = queries.#flightOf.get(this);
        if (flight !== undefined && flight.done !== over) queries.#end(flight);
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return Reflect.apply(original, this, arguments);
    };
  }

  #givingRow(original: AnyFunction): AnyFunction {
    const queries = this;
    return function handleDataRow(this: Submittable): unknown {
      let context: TraceContext | undefined;
      try {
        context = queries.#flightOf.get(this)?.context;
        // Entering a context costs more than a row: only where somebody listens.
        if (context !== undefined && !listensToRows(this)) context = undefined;
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : queries.#tracing.run(context, original, this, arguments);
    };
  }

  #inContext(original: AnyFunction): AnyFunction {
    const queries = this;
    return function handler(this: Submittable): unknown {
      let context: TraceContext | undefined;
      try {
        context = queries.#flightOf.get(this)?.context;
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : queries.#tracing.run(context, original, this, arguments);
    };
  }

  #emitting(original: AnyFunction, endsWithEvent: boolean): AnyFunction {
    const queries = this;
    return function emit(this: Submittable, event?: unknown, error?: unknown): unknown {
      let context: TraceContext | undefined;
      try {
        // `_done` is between the native driver's objects only.
        const flight = event === '_done' ? undefined : queries.#flightOf.get(this);
        context = flight?.context;
        if (endsWithEvent && flight !== undefined && flight.done !== over) {
          if (event === 'end') queries.#end(flight);
          else if (event === 'error') queries.#end(flight, error ?? {});
        }
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(original, this, arguments)
        : queries.#tracing.run(context, original, this, arguments);
    };
  }

  /** In place of `client._handleErrorMessage`, 8.4 and later: the server's error for the active query. */
  #failingActive(original: AnyFunction): AnyFunction {
    const queries = this;
    return function _handleErrorMessage(this: Client, error?: unknown): unknown {
      try {
        const active = queries.#stateOf.get(this)?.active;
        if (active !== undefined) queries.#end(active, error ?? {});
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return Reflect.apply(original, this, arguments);
    };
  }

  /** In place of `client._errorAllQueries`: the connection is gone. */
  #losing(original: AnyFunction): AnyFunction {
    const queries = this;
    return function _errorAllQueries(this: Client, error?: unknown): unknown {
      queries.#tracing.guard(() => {
        if (queries.#stateOf.get(this)?.unwatchable !== true) return;
        for (const query of [activeQueryOf(this), ...(queueOf(this) ?? [])]) {
          const flight = queries.#unwatchableFlight(query);
          if (flight !== undefined) queries.#end(flight, error ?? {});
        }
      });
      return Reflect.apply(original, this, arguments);
    };
  }

  #unwatchableFlight(query: Submittable | undefined): Flight | undefined {
    return query !== undefined && isUnwatchable(query) ? this.#flightOf.get(query) : undefined;
  }

  /** The native driver calls the callback of its own Query from the addon. */
  #bindCallback(query: Submittable, flight: Flight): void {
    const { callback } = query;
    if (typeof callback !== 'function') return;
    const queries = this;
    query.callback = function (this: unknown, error?: unknown): unknown {
      let context: TraceContext | undefined;
      try {
        context = flight.context;
        if (flight.done !== over) queries.#end(flight, error || undefined);
      } catch (failure) {
        queries.#tracing.fail(failure);
      }
      return context === undefined
        ? Reflect.apply(callback as AnyFunction, this, arguments)
        : queries.#tracing.run(context, callback as AnyFunction, this, arguments);
    };
  }
}

/** Objects of the application may have accessors that throw. */
function keptError(query: Submittable): unknown {
  try {
    return query._canceledDueToError || undefined;
  } catch {
    return undefined;
  }
}

function listensToRows(query: Submittable): boolean {
  try {
    return Number(query.listenerCount?.('row')) > 0;
  } catch {
    return false;
  }
}

function queueOf(client: Client): readonly Submittable[] | undefined {
  return client._queryQueue ?? client.queryQueue;
}

function activeQueryOf(client: Client): Submittable | undefined {
  return ('_activeQuery' in client ? client._activeQuery : client.activeQuery) ?? undefined;
}

/** Its handlers are its own, and an object of the application's is not written to. */
function isUnwatchable(query: Submittable): boolean {
  return Object.hasOwn(query, 'handleReadyForQuery') && innerCursor(query) === undefined;
}

/** What a QueryStream reads from. */
function innerCursor({ cursor }: Submittable): Submittable | undefined {
  if (typeof cursor !== 'object' || cursor === null) return undefined;
  return typeof (cursor as Submittable).submit === 'function' ? (cursor as Submittable) : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
