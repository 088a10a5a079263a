/**
 * `mysql2` 1.4.2 to 3.x, callback and promise API: one CLIENT span per `query`, `execute` and `statement.execute`, and so
 * per `beginTransaction`, `commit` and `rollback`, which are queries. No spans for connecting, `getConnection`, `prepare`,
 * `unprepare`, `ping`, `changeUser` and `reset`: the statement that is prepared for an `execute` belongs to its span.
 *
 * The promise API calls the callback API, so patching that covers both, and the promises stay the library's own. From
 * 3.20 on mysql2 also publishes on `diagnostics_channel`; that is left alone, since a subscriber makes it add listeners
 * and promises to each command, and names neither the application's text nor a pool's wait. Up to 3.11.4 the classes are
 * in lib/, then in lib/base/: both files are targets, and the one that has no `query` of its own is passed over.
 *
 * A span ends with the callback, else with the command's `end` or `error`, seen by its `emit`; a stream's with its last
 * row. Commands that die with their connection fail with its error. Those that the application leaves behind with
 * `destroy()` or `close()` end there, without an error: it gave them up.
 *
 * A pool's `query` and `execute`, and a cluster's, start their span at the call; the connection that they are given takes
 * the span over and adds where it leads. A call that has to wait for its connection says how long
 * (`hookline.db.client.connection.wait_time`), and so does the first one after a `getConnection` that had to wait.
 *
 * - `db.system.name` is always `mysql`: that a server is MariaDB is known only once a connection was made, and the first
 *   spans of a pool would say otherwise than the rest.
 * - `db.namespace` is the database of the configuration and of `changeUser`; `USE` is not followed.
 * - `db.query.text` is the text that the application gave, never the one that mysql2 puts values into.
 * - The status of a failed call has the server's message without what it cites, and with it when sanitization is `never`.
 *
 * What is not traced: the connections of `createServer`, which make no queries. `typeCast` functions run in the context
 * of whoever opened the connection.
 */
import type { Attributes } from '@opentelemetry/api';
import { safeMessage, serverErrorCode } from '../src/db/mysql-error';
import { hasValues, type Mysql2Call, readCall, withText } from '../src/db/mysql2-call';
import { captureNamedParameters, captureParameters } from '../src/db/parameters';
import { createQueryDescriber, type QueryDescription } from '../src/db/query';
import { appendTraceComment } from '../src/db/sqlcommenter';
import {
  addStatement,
  addTarget,
  commentFields,
  MAX_TEXT_LENGTH,
  STATUS_ERROR,
  type StatementTarget,
  statementName,
} from '../src/db/statement';
import type { Begun, Instrumentation, Operation, Span, TraceContext, Tracing } from '../src/hook/instrumentation';
import { createStamp, Foreign } from '../src/hook/stamp';
import {
  CONNECTION_WAIT_TIME,
  DB_NAMESPACE,
  DB_RESPONSE_STATUS_CODE,
  DB_SYSTEM_NAME,
  ERROR_TYPE,
  SERVER_ADDRESS,
  SERVER_PORT,
} from '../src/semconv';

const CLIENT = 2;

const SYSTEM = 'mysql';

const VERSIONS = '>=1.4.2 <4';

/** Taken before the application can put a clock of its own in its place, as tests do. */
const nowMs = performance.now.bind(performance);

export default {
  name: 'mysql2',
  targets: [
    { file: 'lib/commands/command.js', patch: patchCommand },
    { file: 'lib/commands/query.js', patch: patchQueryCommand },
    { file: 'lib/connection.js', patch: patchConnection },
    { file: 'lib/base/connection.js', patch: patchConnection },
    { file: 'lib/pool.js', patch: patchPool },
    { file: 'lib/base/pool.js', patch: patchPool },
    { file: 'lib/pool_cluster.js', patch: patchCluster },
  ].map((target) => ({ module: 'mysql2', versions: VERSIONS, ...target })),
} satisfies Instrumentation;

// The library's objects, as far as all supported versions agree.

interface ConnectionConfig {
  readonly host?: string;
  readonly port?: number | string;
  readonly socketPath?: string;
  readonly database?: string;
  readonly namedPlaceholders?: unknown;
}

interface Queue {
  readonly length: number;
  get(index: number): object | undefined;
}

interface Connection {
  readonly config: ConnectionConfig;
  /** The command that is under way. */
  readonly _command: object | null | undefined;
  readonly _commands: Queue;
  /** Set once the connection failed: its commands have been told. */
  readonly _fatalError: unknown;
  readonly addCommand: unknown;
  readonly _addCommandClosedState: unknown;
}

interface Pool {
  /** `undefined` in what is called like a pool and is none. */
  readonly config?: { readonly connectionConfig: ConnectionConfig };
  readonly _freeConnections: Queue;
}

interface Command {
  onResult: unknown;
  readonly _events?: Record<string | symbol, unknown>;
}

/** What `prepare` hands over. */
interface PreparedStatement {
  readonly query: unknown;
  readonly _connection: Connection;
}

// biome-ignore lint/suspicious/noExplicitAny: any function of the library
type Original = (...args: any[]) => any;

/** One call of the application's, from its start until its last event. */
class Execution {
  /** What had asked its pool before. */
  outer: Execution | undefined = undefined;
  #begun: Begun | undefined;

  constructor(
    /** What callbacks and listeners of the call run in. */
    readonly caller: TraceContext,
    /** What executes it; `undefined` when that is not known yet. */
    public connection: Connection | undefined,
    begun: Begun | undefined,
  ) {
    this.#begun = begun;
  }

  /** Until it ends. */
  get span(): Span | undefined {
    return this.#begun?.span;
  }

  /** The first call counts. */
  finish(error: unknown): void {
    const begun = this.#begun;
    if (begun === undefined) return;
    this.#begun = undefined;
    begun.end(error);
  }
}

/** On commands. */
class ExecutionStamp extends Foreign {
  #execution: Execution | undefined;

  static get(command: object): Execution | undefined {
    return #execution in command ? (command as ExecutionStamp).#execution : undefined;
  }

  static set(command: object, execution: Execution | undefined): void {
    if (#execution in command) (command as ExecutionStamp).#execution = execution;
    else new ExecutionStamp(command).#execution = execution;
  }
}

/** On configurations. */
class TargetStamp extends Foreign {
  #target: StatementTarget | undefined;

  static get(config: object): StatementTarget | undefined {
    return #target in config ? (config as TargetStamp).#target : undefined;
  }

  static set(config: object, target: StatementTarget | undefined): void {
    if (#target in config) (config as TargetStamp).#target = target;
    else new TargetStamp(config).#target = target;
  }
}

/** What describes a call while its span is made. */
interface Request {
  readonly call: Mysql2Call;
  readonly args: unknown[];
  /** `undefined`: a cluster's node is yet to be chosen. */
  readonly config: ConnectionConfig | undefined;
  readonly waitSeconds: number | undefined;
  /** Whether a trace comment may be added. */
  readonly isQuery: boolean;
  /** Whether the first argument itself becomes the command when it is one. */
  readonly takesCommand: boolean;
  description: QueryDescription | undefined;
}

/** A way to a connection: `getConnection` of a pool or of a cluster's namespace. */
interface Checkout {
  /** The call that it is made for; `undefined` where the application asks for a connection itself. */
  readonly execution: Execution | undefined;
  readonly startMs: number;
  waits: boolean;
}

const executionOf = ExecutionStamp;
const knownTargetOf = TargetStamp;
/** On the callbacks that we gave to `getConnection`: a pool starts over with the same one when a connection died. */
const checkoutOf = createStamp<Checkout>();
/** How long the checkout of a connection had to wait, in seconds, until a call takes it. */
const waitOf = createStamp<number>();
const isPatched = createStamp<true>();
const operations = createStamp<Operation>();

/** The pool's call that is about to ask for a connection, within its synchronous part. */
let asking: Execution | undefined;
/** The pool's call whose connection just came, until it is used. */
let arrived: Execution | undefined;

// Events.

function patchCommand(Command: { prototype: object }, tracing: Tracing): void {
  tracing.replace(
    Command.prototype,
    'emit',
    (original) =>
      function emit(this: Command, event: unknown, error: unknown): unknown {
        let caller: TraceContext | undefined;
        try {
          const execution = executionOf.get(this);
          // Entering a context is what costs here, and most events of most commands have no listener.
          if (execution !== undefined && this._events?.[event as string] !== undefined) caller = execution.caller;
          if (event === 'end') execution?.finish(undefined);
          else if (event === 'error') execution?.finish(error ?? new Error('failed without a reason'));
        } catch (failure) {
          tracing.fail(failure);
        }
        return caller === undefined
          ? Reflect.apply(original, this, arguments)
          : tracing.run(caller, original as never, this, arguments);
      },
  );
}

/** LOAD DATA: the application's stream factory runs, and its stream is read, in the caller's context. */
function patchQueryCommand(Query: { prototype: object }, tracing: Tracing): void {
  for (const method of ['_findOrCreateReadStream', '_streamLocalInfile']) {
    if (!Object.hasOwn(Query.prototype, method)) continue;
    tracing.replace(
      Query.prototype,
      method,
      (original) =>
        function (this: object): unknown {
          const caller = tracing.guard(() => executionOf.get(this)?.caller);
          return caller === undefined
            ? Reflect.apply(original, this, arguments)
            : tracing.run(caller, original as never, this, arguments);
        },
    );
  }
}

// Connections.

function patchConnection({ prototype }: { prototype: object }, tracing: Tracing): void {
  if (!Object.hasOwn(prototype, 'query')) return;
  const operation = operationOf(tracing);
  for (const method of ['query', 'execute']) {
    const isQuery = method === 'query';
    observe<Connection, Execution>(tracing, prototype, method, {
      before(connection, args) {
        const execution = arrived;
        if (execution !== undefined) {
          // The call began at its pool.
          arrived = undefined;
          arrive(execution, connection);
          return execution;
        }
        // Without a configuration it is no connection: the call fails, which is the application's error and none of ours.
        const config = connection?.config;
        if (config === undefined) return undefined;
        const request: Request = {
          call: readCall(args),
          args,
          config,
          waitSeconds: takeWait(connection),
          isQuery,
          takesCommand: isQuery,
          description: undefined,
        };
        return start(tracing, operation, request, connection);
      },
      after: follow,
      failed: fail,
    });
  }
  observe<Connection>(tracing, prototype, 'prepare', {
    before(_connection, args) {
      const callback = args[1];
      if (typeof callback !== 'function') return;
      args[1] = bindPrepared(tracing, operation, tracing.active(), callback as Original);
    },
  });
  observe<Connection>(tracing, prototype, '_notifyError', {
    before(connection, [error]) {
      if (connection?._commands !== undefined && !connection._fatalError) finishCommands(connection, error);
    },
  });
  observe<Connection, Connection>(tracing, prototype, 'close', {
    before: (connection) => (connection?._commands === undefined ? undefined : connection),
    after: (connection) => finishCommands(connection, undefined),
  });
  for (const method of ['connect', 'ping', 'changeUser', 'reset', 'end']) tracing.bind(prototype, method);
}

/** Ends the spans of all commands that a connection has, and that it will not finish. */
function finishCommands({ _command, _commands }: Connection, error: unknown): void {
  if (_command) executionOf.get(_command)?.finish(error);
  for (let i = 0; i < _commands.length; i++) {
    const command = _commands.get(i);
    if (command !== undefined) executionOf.get(command)?.finish(error);
  }
}

/** The class of prepared statements is not exported: it is reached through the first one. */
function bindPrepared(tracing: Tracing, operation: Operation, caller: TraceContext, callback: Original): Original {
  return function (this: unknown): unknown {
    tracing.guard(() => {
      const statement = arguments[1] as unknown;
      if (typeof statement !== 'object' || statement === null) return;
      patchStatement(Object.getPrototypeOf(statement) as object, tracing, operation);
    });
    return tracing.run(caller, callback, this, arguments);
  };
}

function patchStatement(prototype: object, tracing: Tracing, operation: Operation): void {
  if (isPatched.get(prototype) !== undefined) return;
  isPatched.set(prototype, true);
  observe<PreparedStatement, Execution>(tracing, prototype, 'execute', {
    before(statement, args) {
      const connection = statement?._connection;
      if (connection === undefined) return undefined;
      // As if the text stood in front of the values, as it does in the other calls.
      const { values, callbackAt } = readCall([undefined, ...args]);
      const text = typeof statement.query === 'string' ? statement.query : undefined;
      const request: Request = {
        call: { text, values, callbackAt: Math.max(callbackAt - 1, -1), namedPlaceholders: undefined },
        args,
        config: connection.config,
        waitSeconds: takeWait(connection),
        isQuery: false,
        takesCommand: false,
        description: undefined,
      };
      return start(tracing, operation, request, connection);
    },
    after: follow,
    failed: fail,
  });
}

// Pools.

function patchPool({ prototype }: { prototype: object }, tracing: Tracing): void {
  if (!Object.hasOwn(prototype, 'getConnection')) return;
  const operation = operationOf(tracing);
  for (const method of ['query', 'execute']) {
    observeAsking(tracing, operation, prototype, method, (pool: Pool | undefined) => pool?.config?.connectionConfig);
  }
  observe<Pool>(tracing, prototype, 'getConnection', {
    before: (pool, args) => checkOut(tracing, args, pool?._freeConnections?.length === 0),
  });
  tracing.bind(prototype, 'end');
}

function patchCluster({ prototype }: { prototype: object }, tracing: Tracing): void {
  observe<object, object>(tracing, prototype, 'of', {
    before: (cluster) => cluster,
    after: (_cluster, namespace) => patchNamespace(Object.getPrototypeOf(namespace) as object, tracing),
  });
  tracing.bind(prototype, 'end');
}

function patchNamespace(prototype: object, tracing: Tracing): void {
  if (isPatched.get(prototype) !== undefined) return;
  isPatched.set(prototype, true);
  const operation = operationOf(tracing);
  // There from 2.0 on.
  for (const method of ['query', 'execute']) {
    if (Object.hasOwn(prototype, method)) observeAsking(tracing, operation, prototype, method, () => undefined);
  }
  observe<object>(tracing, prototype, 'getConnection', { before: (_self, args) => checkOut(tracing, args, false) });
}

/** `query` and `execute` of what has connections to hand out. */
function observeAsking<Self extends object | undefined>(
  tracing: Tracing,
  operation: Operation,
  prototype: object,
  method: string,
  configOf: (self: Self) => ConnectionConfig | undefined,
): void {
  const isQuery = method === 'query';
  observe<Self & object, Execution>(tracing, prototype, method, {
    before(self, args) {
      const request: Request = {
        call: readCall(args),
        args,
        config: configOf(self),
        waitSeconds: undefined,
        isQuery,
        takesCommand: false,
        description: undefined,
      };
      const execution = start(tracing, operation, request, undefined);
      execution.outer = asking;
      asking = execution;
      return execution;
    },
    after(execution, command) {
      asking = execution.outer;
      follow(execution, command);
    },
    failed(execution, error) {
      asking = execution.outer;
      fail(execution, error);
    },
  });
}

/** Gives the callback of a `getConnection` the caller's context, and measures how long it takes to be called. */
function checkOut(tracing: Tracing, args: unknown[], waits: boolean): void {
  const execution = asking;
  asking = undefined;
  const callback = args[0];
  if (typeof callback !== 'function') return;
  const known = checkoutOf.get(callback);
  if (known !== undefined) {
    known.waits = true;
    return;
  }
  const checkout: Checkout = { execution, startMs: nowMs(), waits };
  const caller = execution === undefined ? tracing.active() : execution.caller;
  const bound = function (this: unknown, error?: unknown, connection?: unknown): unknown {
    const outer = arrived;
    arrived = error ? undefined : execution;
    try {
      if (error) execution?.finish(error);
      else if (typeof connection === 'object' && connection !== null) noteWait(checkout, connection);
    } catch (failure) {
      tracing.fail(failure);
    }
    try {
      return tracing.run(caller, callback as Original, this, arguments);
    } finally {
      arrived = outer;
    }
  };
  checkoutOf.set(bound, checkout);
  args[0] = bound;
}

function noteWait(checkout: Checkout, connection: object): void {
  // A namespace does not see whether it had to wait: the pool that it asked does.
  const waited = checkout.waits || waitOf.get(connection) !== undefined;
  waitOf.set(connection, waited ? (nowMs() - checkout.startMs) / 1000 : undefined);
}

function takeWait(connection: object): number | undefined {
  const seconds = waitOf.get(connection);
  if (seconds !== undefined) waitOf.set(connection, undefined);
  return seconds;
}

// Calls.

/** What is done of our own around a call of the library's. What it throws is counted, and costs the call nothing. */
interface Steps<Self extends object, State> {
  /** May edit the arguments. What it returns is handed to the other two, which are left out without. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most return nothing
  before(self: Self, args: unknown[]): State | void;
  after?(state: State, result: unknown): void;
  failed?(state: State, error: unknown): void;
}

function observe<Self extends object, State = unknown>(
  tracing: Tracing,
  owner: object,
  method: string,
  { before, after, failed }: Steps<Self, State>,
): void {
  tracing.replace(
    owner,
    method,
    (original) =>
      function traced(this: Self, ...args: unknown[]): unknown {
        let state: State | undefined;
        try {
          if (!tracing.off) state = before(this, args) as State | undefined;
        } catch (failure) {
          tracing.fail(failure);
        }
        let result: unknown;
        try {
          result = Reflect.apply(original, this, args);
        } catch (error) {
          if (state !== undefined) tracing.guard(() => failed?.(state as State, error));
          throw error;
        }
        try {
          if (state !== undefined) after?.(state, result);
        } catch (failure) {
          tracing.fail(failure);
        }
        return result;
      },
  );
}

/** Starts the span of a call. `connection`: what will execute it; `undefined` when it is not known. */
function start(
  tracing: Tracing,
  operation: Operation,
  request: Request,
  connection: Connection | undefined,
): Execution {
  const {
    args,
    call: { callbackAt },
  } = request;
  const begun = tracing.begin(operation, { self: undefined, args: [request] });
  // Also without a span: what follows in the callback belongs to the caller, ignored requests included.
  const execution = new Execution(tracing.active(), connection, begun);
  if (callbackAt >= 0) args[callbackAt] = bindCallback(tracing, execution, args[callbackAt] as Original);
  const [command] = args;
  if (request.takesCommand && isCommand(command) && typeof command.onResult === 'function') {
    bindCommand(tracing, execution, command);
  }
  return execution;
}

/** A connection takes over a call that began at its pool. */
function arrive(execution: Execution, connection: Connection): void {
  execution.connection = connection;
  const { span } = execution;
  if (span === undefined) return;
  const waitSeconds = takeWait(connection);
  if (waitSeconds !== undefined) span.adopt({ [CONNECTION_WAIT_TIME]: waitSeconds });
  const { database, address, port } = targetOf(connection.config);
  // Nearly always what the pool's configuration said, which other spans say too.
  if (
    span.getAttribute(DB_NAMESPACE) !== database ||
    span.getAttribute(SERVER_ADDRESS) !== address ||
    span.getAttribute(SERVER_PORT) !== port
  ) {
    span.adopt({ [DB_NAMESPACE]: database, [SERVER_ADDRESS]: address, [SERVER_PORT]: port } as Attributes);
  }
}

/** The call was made: sees to it that its span ends. */
function follow(execution: Execution, command: unknown): void {
  if (typeof command === 'object' && command !== null) executionOf.set(command, execution);
  const { connection } = execution;
  // A closed connection has told the callback by now; where there is none, it tells only its own listeners.
  if (connection !== undefined && connection.addCommand === connection._addCommandClosedState) {
    execution.finish(new Error("Can't add new command when connection is in closed state"));
  }
}

function fail(execution: Execution, error: unknown): void {
  execution.finish(error ?? new Error('failed without a reason'));
}

/**
 * Without the callback's name and length: setting them takes over a microsecond, more than all else here, and nothing but
 * a look at the command's `onResult` would show them.
 */
function bindCallback(tracing: Tracing, execution: Execution, callback: Original): Original {
  return function (this: unknown): unknown {
    try {
      execution.finish(arguments[0] ?? undefined);
    } catch (failure) {
      tracing.fail(failure);
    }
    return tracing.run(execution.caller, callback, this, arguments);
  };
}

/** The same for a command that the application made itself; it has its own callback back when that is called. */
function bindCommand(tracing: Tracing, execution: Execution, command: Command): void {
  const callback = command.onResult as Original;
  const bound = bindCallback(tracing, execution, function (this: unknown): unknown {
    tracing.guard(() => {
      if (command.onResult === bound) command.onResult = callback;
    });
    return Reflect.apply(callback, this, arguments);
  });
  command.onResult = bound;
}

function isCommand(value: unknown): value is Command {
  return typeof value === 'object' && value !== null && '_queryOptions' in value;
}

// Spans.

/** One for all classes, since it keeps what it learned of texts. */
function operationOf(tracing: Tracing): Operation {
  let operation = operations.get(tracing);
  if (operation === undefined) {
    operation = createOperation(tracing);
    operations.set(tracing, operation);
  }
  return operation;
}

function createOperation(tracing: Tracing): Operation<undefined, [Request]> {
  const { mysql2 } = tracing.config;
  const { querySanitization } = mysql2;
  const describe = createQueryDescriber({ dialect: 'mysql', maxLength: MAX_TEXT_LENGTH });
  return {
    kind: CLIENT,
    name({ args: [request] }) {
      const {
        call: { text },
        config,
      } = request;
      const description = text === undefined ? undefined : describe(text);
      request.description = description;
      return description?.summary || statementName('', config && targetOf(config), SYSTEM);
    },
    attributes({ args: [request] }, blocks) {
      const {
        call: { text, values },
        config,
        description,
        waitSeconds,
      } = request;
      const attributes: Attributes = {};
      if (config === undefined) attributes[DB_SYSTEM_NAME] = SYSTEM;
      else addTarget(blocks, targetOf(config), SYSTEM);
      addStatement(attributes, blocks, text, hasValues(values), description, querySanitization);
      if (waitSeconds !== undefined) attributes[CONNECTION_WAIT_TIME] = waitSeconds;
      if (mysql2.captureQueryParameters) addParameters(attributes, request);
      return attributes;
    },
    ...(mysql2.sqlCommenter && { inject: ({ args: [request] }, write) => addComment(request, write) }),
    end(span, { error }) {
      if (error !== undefined) describeError(span, error, querySanitization === 'never');
    },
  } satisfies Operation<undefined, [Request]>;
}

/** The same as long as the configuration says the same: `changeUser` writes into it. */
function targetOf(config: ConnectionConfig): StatementTarget {
  const database = databaseOf(config);
  const address = addressOf(config);
  const port = portOf(config);
  let target = knownTargetOf.get(config);
  if (target?.database !== database || target?.address !== address || target?.port !== port || target === undefined) {
    target = { database, address, port };
    knownTargetOf.set(config, target);
  }
  return target;
}

function databaseOf({ database }: ConnectionConfig): string | undefined {
  return typeof database === 'string' && database !== '' ? database : undefined;
}

function addressOf({ socketPath, host }: ConnectionConfig): string | undefined {
  const address = socketPath || host;
  return typeof address === 'string' && address !== '' ? address : undefined;
}

function portOf({ socketPath, port }: ConnectionConfig): number | undefined {
  if (socketPath) return undefined;
  const number = Number(port);
  return Number.isInteger(number) && number > 0 && number < 65536 ? number : undefined;
}

function addParameters(attributes: Attributes, { call, config }: Request): void {
  const { values, namedPlaceholders } = call;
  if (!hasValues(values)) return;
  if (Array.isArray(values)) captureParameters(attributes, values);
  else if ((namedPlaceholders ?? config?.namedPlaceholders) && typeof values === 'object') {
    captureNamedParameters(attributes, values as Record<string, unknown>);
  } else captureParameters(attributes, [values]);
}

/** Adds the trace context to the SQL of a `query`. The text of an `execute` is the key of its prepared statement. */
function addComment(request: Request, write: Parameters<NonNullable<Operation['inject']>>[1]): void {
  const {
    call: { text },
    args,
    isQuery,
    takesCommand,
  } = request;
  if (!isQuery || text === undefined) return;
  const commented = appendTraceComment(text, commentFields(write));
  if (takesCommand && isCommand(args[0])) (args[0] as { sql?: string }).sql = commented;
  else args[0] = withText(args[0], commented);
}

function describeError(span: Span, error: unknown, verbatim: boolean): void {
  const code = serverErrorCode(error);
  if (code !== undefined) span.adopt({ [DB_RESPONSE_STATUS_CODE]: code, [ERROR_TYPE]: code });
  if (verbatim) return;
  const message = safeMessage(error);
  span.setStatus(message === undefined ? { code: STATUS_ERROR } : { code: STATUS_ERROR, message });
}
