const { createRequire } = require('node:module');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { called, events, failure, once, outcome } = require('./tools.cjs');

// Of one installation, where the companions find the driver.
const load = createRequire(`${process.cwd()}/load.cjs`);
const pg = load('pg');
const Cursor = load('pg-cursor');
const QueryStream = load('pg-query-stream');
const copy = load('pg-copy-streams');

const rows = (result) => ({ rows: result.rows, count: result.rowCount, command: result.command });

exports.start = async () => {
  const config = { connectionString: process.env.DATABASE_URL };
  const client = new pg.Client(config);
  await client.connect();
  await client.query('CREATE TABLE IF NOT EXISTS numbers (round bigint, n int)');
  const pool = new pg.Pool({ ...config, max: 1 });
  // Other processes use the same table.
  let round = process.pid * 1_000;

  /** With handlers on its class, and with its own. */
  class Submitted {
    calls = [];
    ended = {};
    constructor(text) {
      this.text = text;
      this.done = new Promise((resolve) => {
        this.ended.resolve = resolve;
      });
    }
    submit(connection) {
      connection.query(this.text);
    }
    handleRowDescription() {
      this.calls.push('description');
    }
    handleDataRow(message) {
      this.calls.push(['row', message.fields.map(String)]);
    }
    handleCommandComplete() {
      this.calls.push('complete');
    }
    handleReadyForQuery() {
      this.calls.push('ready');
      this.ended.resolve(this.calls);
    }
    handleError(error) {
      this.calls.push(failure(error));
      if (pg.Query.prototype._checkForMultirow) this.ended.resolve(this.calls);
    }
  }
  const ownHandlers = (text) => {
    const submitted = new Submitted(text);
    for (const name of [
      'handleRowDescription',
      'handleDataRow',
      'handleCommandComplete',
      'handleReadyForQuery',
      'handleError',
      'submit',
    ]) {
      submitted[name] = Submitted.prototype[name];
    }
    return submitted;
  };

  return {
    async round(seen) {
      round++;
      const count = (where) =>
        where.query('SELECT count(*)::int AS count FROM numbers WHERE round = $1', [round]).then(rows);
      const insert = 'INSERT INTO numbers VALUES ($1, $2)';
      seen.promise = await outcome(client.query('SELECT 1 AS one'), rows);
      seen.values = await outcome(client.query('SELECT $1::int AS n, $2::text AS t', [7, 'seven']), rows);
      seen.callback = await called((done) => client.query('SELECT 2 AS two', done), rows);
      seen.callbackValues = await called((done) => client.query('SELECT $1::int AS n', [3], done), rows);
      const given = { text: 'SELECT $1::int AS n', values: [4], name: 'four', rowMode: 'array' };
      seen.named = await outcome(client.query(given), rows);
      seen.namedAgain = await called((done) => client.query({ ...given }, done), rows);
      seen.given = given;
      seen.error = await outcome(client.query('SELECT wrong'), rows);
      seen.errorCallback = await called((done) => client.query('SELECT * FROM nowhere', done), rows);
      seen.errorValues = await outcome(client.query('SELECT $1::int', ['no number']), rows);
      seen.typeParser = await outcome(
        client.query({
          text: 'SELECT 1 AS one',
          types: {
            getTypeParser: () => () => {
              throw new Error('cannot parse');
            },
          },
        }),
        rows,
      );
      seen.several = await outcome(client.query('SELECT 1 AS one; SELECT 2 AS two'), (results) => results.map(rows));
      seen.nothing = await outcome(() => client.query());
      seen.nullText = await outcome(() => client.query({ text: 1 }), rows);
      const query = new pg.Query('SELECT generate_series(1, 3) AS n');
      const list = events(query, ['row', 'end', 'error']);
      seen.query = client.query(query) === query;
      await once(query, 'end');
      seen.queryEvents = list;
      const bad = new pg.Query('SELECT wrong');
      seen.badQuery = await new Promise((resolve) => client.query(bad).on('error', (error) => resolve(failure(error))));
      seen.queued = await Promise.all([1, 2, 3].map((n) => client.query('SELECT $1::int AS n', [n]).then(rows)));
      seen.submitted = [];
      for (const make of [(text) => new Submitted(text), ownHandlers]) {
        const submitted = make('SELECT 5 AS five');
        client.query(submitted);
        const failing = make('SELECT wrong');
        client.query(failing);
        seen.submitted.push(await submitted.done, await failing.done);
      }
      const cursor = client.query(new Cursor('SELECT generate_series(1, 5) AS n'));
      const read = (count) =>
        called(
          (done) => cursor.read(count, done),
          (page) => page,
        );
      seen.cursor = [await read(2), await read(2), await read(2), await read(2)];
      const left = client.query(new Cursor('SELECT generate_series(1, 5) AS n'));
      seen.leftCursor = [await outcome(left.read(1)), await outcome(left.close())];
      seen.badCursor = await outcome(client.query(new Cursor('SELECT wrong')).read(1));
      const streamed = [];
      for await (const row of client.query(new QueryStream('SELECT generate_series(1, 3) AS n'))) streamed.push(row);
      seen.stream = streamed;
      seen.badStream = await new Promise((resolve) => {
        client
          .query(new QueryStream('SELECT wrong'))
          .on('error', (error) => resolve(failure(error)))
          .resume();
      });
      // A COPY reads from the socket itself, which has to be done with what was before.
      await client.query('SELECT 1');
      const out = [];
      for await (const chunk of client.query(copy.to('COPY (SELECT 1, 2) TO STDOUT'))) out.push(String(chunk));
      seen.copyTo = out;
      seen.copyFrom = await outcome(
        pipeline(Readable.from([`${round}\t7\n${round}\t8\n`]), client.query(copy.from('COPY numbers FROM STDIN'))),
      );
      await client.query('BEGIN');
      await client.query(insert, [round, 1]);
      await client.query('COMMIT');
      seen.inserted = await count(client);

      seen.pool = await outcome(pool.query('SELECT 1 AS one'), rows);
      seen.poolValues = await outcome(pool.query(insert, [round, 2]), rows);
      seen.poolCallback = await called((done) => pool.query('SELECT 2 AS two', done), rows);
      seen.poolError = await outcome(pool.query('SELECT wrong'), rows);
      seen.poolErrorCallback = await called((done) => pool.query('SELECT wrong', done), rows);
      seen.poolTogether = await Promise.all([1, 2, 3].map((n) => pool.query('SELECT $1::int AS n', [n]).then(rows)));
      const first = await pool.connect();
      const waiting = pool.connect();
      const waitingToo = called(
        (done) => pool.connect(done),
        (other, release) => {
          release();
          return typeof other.query;
        },
      );
      const waitingQuery = pool.query('SELECT 6 AS six').then(rows);
      seen.counts = [pool.totalCount, pool.idleCount, pool.waitingCount];
      first.release();
      const second = await waiting;
      seen.second = await outcome(second.query(insert, [round, 3]), rows);
      second.release();
      seen.waitingToo = await waitingToo;
      seen.waitingQuery = await waitingQuery;
      seen.poolClient = await called(
        (done) => pool.connect(done),
        (other, release) => {
          release();
          return [typeof other.query, other.listenerCount('error')];
        },
      );
      seen.poolInserted = await count(pool);

      const refused = new pg.Pool({ host: '127.0.0.1', port: 1, max: 1 });
      seen.refused = await outcome(refused.query('SELECT 1'), rows);
      seen.refusedCallback = await called((done) => refused.query('SELECT 1', done), rows);
      await refused.end();

      const lost = new pg.Client(config);
      const lostEvents = events(lost, ['error', 'end']);
      await lost.connect();
      const sleeping = outcome(lost.query('SELECT pg_sleep(10)'), rows);
      const unwatched = ownHandlers('SELECT 1');
      lost.query(unwatched);
      const behind = outcome(lost.query('SELECT 2'), rows);
      await client.query('SELECT pg_terminate_backend($1)', [lost.processID]);
      // How the end of a connection shows first is a race.
      seen.lost = [await sleeping, await behind].map((text) => text.split(' ')[0]);
      while (!lostEvents.some(([name]) => name === 'end')) await new Promise(setImmediate);
      seen.lostEvents = lostEvents.filter(([name]) => name === 'end').length;
      const over = new pg.Client(config);
      await over.connect();
      await over.end();
      seen.over = await outcome(over.query('SELECT 1'), rows);
      seen.overCallback = await called((done) => over.query('SELECT 1', done), rows);
      seen.listeners = [client, pool].map((object) =>
        object.eventNames().map((name) => [String(name), object.listenerCount(name)]),
      );
    },
    async stop() {
      await pool.end();
      await client.end();
    },
  };
};
