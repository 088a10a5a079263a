/**
 * `pg` 8 with `pg-pool`, `pg-cursor`, `pg-query-stream`, `pg-copy-streams` and `pg-native`: one CLIENT span per
 * statement handed to `client.query`, which is where `pool.query` and all libraries on top arrive. Connecting, checking
 * a client out, LISTEN's notifications and rows make none.
 *
 * Seams, in CommonJS files that ES modules import as well:
 * - `Client.query` and the pulse of its queue in lib/client.js and lib/native/client.js, where every call form has become
 *   a Query (src/db/pg/queries.ts);
 * - the handlers of Query, of pg-cursor's Cursor, and of any class with a `submit` that a client is given;
 * - `query` and `connect` of pg-pool (src/db/pg/pools.ts).
 * The promise of a query is the driver's own, nothing is attached to it, and no object of the application is written to.
 *
 * A span starts when `client.query` is called, or `pool.query`: waiting for a connection counts, and how long that was
 * is in `hookline.db.client.connection.wait_time`, also on the first statement after a `pool.connect` that had to wait.
 * A `pool.query` that gets no connection has a span with the error. A span ends
 * - of a query: before its callback runs or its promise settles;
 * - of a cursor: with the first rows, since the application may leave the rest unread, else with the end, the close or
 *   the error; a cursor that is neither read nor closed ends with its connection;
 * - of a QueryStream, a COPY stream and other Submittables: with the end, the close or the error.
 * Arguments that make `client.query` throw have a span with that error.
 *
 * What is recorded:
 * - `db.namespace` is the database; the schema is not known without asking. `server.address` is the configured host or
 *   the path of the socket.
 * - `db.query.text` has `?` for literals, unless the statement came with values: then it is recorded as it is, and
 *   `always` masks its literals too.
 * - The description of a failure keeps names and leaves values out (src/db/postgres-error.ts), and Node's own messages
 *   lose what stands before an `@`. DETAIL, HINT and CONTEXT are never read.
 *
 * Context: callbacks, and events of queries, cursors and streams, run in the context of the call they belong to. Events
 * of clients and pools (`error`, `notification`, `drain`, `connect`) stay in that of the connection, as without us.
 *
 * The trace context goes into the SQL, where that is turned on, by the text of the driver's own Query: not for named
 * statements, which are compared by their text, and not into objects of the application (`new Query`, cursors, streams).
 *
 * Given up: a Submittable whose handlers are its own properties shows its errors from pg 8.4 on; the time that a
 * `pool.connect` with a promise waited is known from pg-pool 2.0.10 on; the callback of a native `new Query` that the
 * application made itself runs where the addon calls it.
 */
import { Pools } from '../src/db/pg/pools';
import { Queries } from '../src/db/pg/queries';
import { type StatementOperation, statementOperation } from '../src/db/pg/statement';
import type { Instrumentation, Tracing } from '../src/hook/instrumentation';

const PG = '>=8.0.3 <9';

/** One per process: pools hand clients of any copy of pg to their callers. */
let parts: { tracing: Tracing; operation: StatementOperation; queries: Queries; pools: Pools } | undefined;

function partsOf(tracing: Tracing): NonNullable<typeof parts> {
  if (parts?.tracing !== tracing) {
    const operation = statementOperation(tracing);
    const queries = new Queries(tracing, operation);
    parts = { tracing, operation, queries, pools: new Pools(tracing, queries, operation) };
  }
  return parts;
}

export default {
  name: 'pg',
  targets: [
    {
      module: 'pg',
      versions: PG,
      file: 'lib/client.js',
      patch: (Client, tracing) => partsOf(tracing).queries.patchClient(Client),
    },
    {
      module: 'pg',
      versions: PG,
      file: 'lib/native/client.js',
      patch: (Client, tracing) => partsOf(tracing).queries.patchNativeClient(Client),
    },
    { module: 'pg-pool', versions: '>=2.0.0 <4', patch: (Pool, tracing) => partsOf(tracing).pools.patch(Pool) },
    {
      module: 'pg-cursor',
      versions: '>=2.0.0 <3',
      patch: (Cursor, tracing) => partsOf(tracing).queries.patchCursor(Cursor),
    },
  ],
} satisfies Instrumentation;
