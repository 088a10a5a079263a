import type { AnyFunction } from '../../hook/disguise';
import type { TraceContext, Tracing } from '../../hook/instrumentation';
import { createStamp } from '../../hook/stamp';
import { type ConnectionFields, endpointOf } from './endpoint';
import type { Queries } from './queries';
import type { Endpoint, Statement, StatementOperation } from './statement';

/** A pool of pg-pool 2 or 3. */
interface Pool {
  readonly options?: ConnectionFields;
  readonly Promise?: unknown;
  readonly idleCount?: number;
  readonly waitingCount?: number;
  readonly ending?: boolean;
  readonly _clients?: readonly ConnectionFields[];
  readonly _pendingQueue?: readonly unknown[];
}

/** A call of `pool.query`. */
interface PooledQuery {
  readonly pool: Pool;
  readonly startMs: number;
  readonly text: unknown;
  readonly values: unknown;
  /** It was called without a callback, and promises keep their callers' context by themselves. */
  readonly settlesPromise: boolean;
}

/** A call of `pool.connect` without a callback. */
interface Checkout {
  readonly pool: Pool;
  readonly startMs: number;
  /** pg-pool's own object for it, from 2.0.10 on. */
  item: object | undefined;
}

/**
 * What a pool adds to statements: the time they waited for a connection, the caller's context for callbacks that a
 * busy pool keeps, and the span of a `pool.query` that got no connection. Checking a client out makes no span.
 */
export class Pools {
  readonly #tracing: Tracing;
  readonly #queries: Queries;
  readonly #operation: StatementOperation;
  /** The global is an accessor, which costs as much as the reading itself. */
  readonly #clock = performance;

  /** Where a pool connects to, as the last client that it made understood it. */
  readonly #endpointOf = createStamp<Endpoint>();
  /** When what a pool keeps in its queue started to wait. */
  readonly #startMsOf = createStamp<number>();

  #pooledQuery: PooledQuery | undefined = undefined;
  #checkout: Checkout | undefined = undefined;

  /** Bound once: `guard` runs it for each `pool.query`. */
  readonly #forgetPooled = (): void => this.#queries.expectPooled(undefined, 0, false);

  constructor(tracing: Tracing, queries: Queries, operation: StatementOperation) {
    this.#tracing = tracing;
    this.#queries = queries;
    this.#operation = operation;
  }

  /** `exports` of pg-pool. */
  patch(Pool: { prototype: object }): void {
    const { prototype } = Pool;
    this.#tracing.replace(prototype, 'query', (original) => this.#querying(original));
    this.#tracing.replace(prototype, 'connect', (original) => this.#connecting(original));
    for (const [method, make] of [
      ['newClient', (original: AnyFunction) => this.#makingClient(original)],
      ['_acquireClient', (original: AnyFunction) => this.#acquiring(original)],
    ] as const) {
      // Both since 2.0.10.
      if (method in prototype) this.#tracing.replace(prototype, method, make);
    }
  }

  #querying(original: AnyFunction): AnyFunction {
    const pools = this;
    return function query(this: Pool | undefined, text?: unknown, values?: unknown, callback?: unknown): unknown {
      // Called on nothing, it fails, and by itself.
      if (this === undefined) return Reflect.apply(original, this, arguments);
      const outer = pools.#pooledQuery;
      try {
        if (!pools.#tracing.off) {
          pools.#pooledQuery = {
            pool: this,
            startMs: pools.#clock.now(),
            text,
            values,
            settlesPromise: typeof callback !== 'function' && typeof values !== 'function' && this.Promise === Promise,
          };
        }
      } catch (failure) {
        pools.#tracing.fail(failure);
      }
      try {
        return Reflect.apply(original, this, arguments);
      } finally {
        pools.#pooledQuery = outer;
      }
    };
  }

  #connecting(original: AnyFunction): AnyFunction {
    const pools = this;
    return function connect(this: Pool | undefined, callback?: unknown): unknown {
      if (this === undefined) return Reflect.apply(original, this, arguments);
      let checkout: Checkout | undefined;
      try {
        if (!pools.#tracing.off) {
          // In place: a copy would cost more than the rest of this.
          if (typeof callback === 'function') arguments[0] = pools.#bindCheckout(this, callback as AnyFunction);
          else if (hasToWait(this)) checkout = { pool: this, startMs: pools.#clock.now(), item: undefined };
        }
      } catch (failure) {
        pools.#tracing.fail(failure);
      }
      return checkout === undefined
        ? Reflect.apply(original, this, arguments)
        : pools.#connectWithPromise(original, checkout, this, arguments);
    };
  }

  #connectWithPromise(original: AnyFunction, checkout: Checkout, pool: Pool, args: ArrayLike<unknown>): unknown {
    const outer = this.#checkout;
    this.#checkout = checkout;
    let result: unknown;
    try {
      result = Reflect.apply(original, pool, args);
    } finally {
      this.#checkout = outer;
    }
    this.#tracing.guard(() => {
      const item = checkout.item ?? pool._pendingQueue?.[pool._pendingQueue.length - 1];
      if (typeof item === 'object' && item !== null) this.#startMsOf.set(item, checkout.startMs);
    });
    return result;
  }

  /** The callback of `pool.connect` in its caller's context; that of `pool.query` goes on to use the client. */
  #bindCheckout(pool: Pool, callback: AnyFunction): AnyFunction {
    const pools = this;
    const context = this.#tracing.active();
    const pooled = this.#pooledQuery?.pool === pool ? this.#pooledQuery : undefined;
    if (pooled !== undefined) this.#pooledQuery = undefined;
    const waitsSinceMs = hasToWait(pool) ? (pooled?.startMs ?? this.#clock.now()) : undefined;
    return function (this: unknown, error?: unknown, client?: unknown): unknown {
      try {
        const waitMs = waitsSinceMs === undefined ? undefined : pools.#clock.now() - waitsSinceMs;
        if (typeof client === 'object' && client !== null) {
          pools.#queries.checkedOut(client, waitMs);
          if (pooled !== undefined) pools.#queries.expectPooled(client, pooled.startMs, pooled.settlesPromise);
        } else if (pooled !== undefined) pools.#failInContext(context, pooled, waitMs, error);
      } catch (failure) {
        pools.#tracing.fail(failure);
      }
      if (pooled === undefined) return pools.#tracing.run(context, callback, this, arguments);
      try {
        return pools.#tracing.run(context, callback, this, arguments);
      } finally {
        pools.#tracing.guard(pools.#forgetPooled);
      }
    };
  }

  /** The span of a `pool.query` that got no connection. */
  #failInContext(context: TraceContext, pooled: PooledQuery, waitMs: number | undefined, error: unknown): void {
    const fail = (): void => {
      const { pool, startMs } = pooled;
      const self = this.#endpointOf.get(pool) ?? endpointOf(pool.options ?? {});
      const statement = statementOf(pooled, waitMs);
      this.#tracing.begin(this.#operation, { self, args: [statement] }, startMs)?.done(error ?? {});
    };
    this.#tracing.guard(() => this.#tracing.run(context, fail, undefined, []));
  }

  #makingClient(original: AnyFunction): AnyFunction {
    const pools = this;
    return function newClient(this: Pool, item?: unknown): unknown {
      try {
        const checkout = pools.#checkout;
        if (checkout?.pool === this && typeof item === 'object' && item !== null) checkout.item = item;
      } catch (failure) {
        pools.#tracing.fail(failure);
      }
      const result = Reflect.apply(original, this, arguments);
      pools.#tracing.guard(() => {
        const clients = this._clients;
        const client = clients?.[clients.length - 1];
        if (client !== undefined) pools.#endpointOf.set(this, endpointOf(client));
      });
      return result;
    };
  }

  /** Every checkout, with a promise or a callback; that of a callback says afterwards how long it waited. */
  #acquiring(original: AnyFunction): AnyFunction {
    const pools = this;
    return function _acquireClient(this: Pool, client?: unknown, item?: unknown): unknown {
      if (typeof client !== 'object' || client === null) return Reflect.apply(original, this, arguments);
      let waitMs: number | undefined;
      try {
        const startMs = typeof item === 'object' && item !== null ? pools.#startMsOf.get(item) : undefined;
        if (startMs !== undefined) waitMs = pools.#clock.now() - startMs;
        pools.#queries.checkedOut(client, undefined);
      } catch (failure) {
        pools.#tracing.fail(failure);
      }
      const result = Reflect.apply(original, this, arguments);
      // Afterwards: what listeners of `connect` and `acquire` ask the server has not waited.
      if (waitMs !== undefined) pools.#tracing.guard(() => pools.#queries.checkedOut(client, waitMs));
      return result;
    };
  }
}

/** Whether a checkout of now will get no idle client at once. */
function hasToWait(pool: Pool): boolean {
  try {
    const { idleCount = 0, waitingCount = 0, ending } = pool;
    return idleCount <= waitingCount && ending !== true;
  } catch {
    // Accessors, which a class of the application may have its own of.
    return false;
  }
}

/** What `pool.query` was called with; read here only when it never got as far as a client that reads it. */
function statementOf({ text, values }: PooledQuery, waitMs: number | undefined): Statement {
  const config = typeof text === 'object' && text !== null ? (text as { text?: unknown; values?: unknown }) : undefined;
  const sql = config === undefined ? text : config.text;
  const bound = Array.isArray(values) ? values : config?.values;
  return {
    text: typeof sql === 'string' ? sql : undefined,
    values: Array.isArray(bound) ? bound : undefined,
    waitMs,
    editable: undefined,
  };
}
