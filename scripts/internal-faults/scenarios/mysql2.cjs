const mysql = require('mysql2');
const promises = require('mysql2/promise');
const { called, events, failure, once, outcome } = require('./tools.cjs');

const plain = (value) =>
  JSON.parse(JSON.stringify(value ?? null, (key, item) => (key === 'insertId' ? undefined : item)));
const read = (rows, fields) => [plain(rows), fields?.map?.((field) => field?.name)];

exports.start = async () => {
  const uri = process.env.MYSQL_URL;
  const connection = mysql.createConnection({ uri });
  const connected = events(connection, ['connect', 'error', 'end']);
  const promised = await promises.createConnection({ uri });
  await promised.query('CREATE TABLE IF NOT EXISTS numbers (round bigint, n int)');
  const pool = mysql.createPool({ uri, connectionLimit: 1 });
  const promisedPool = promises.createPool({ uri, connectionLimit: 1 });
  const cluster = mysql.createPoolCluster();
  cluster.add('one', { uri, connectionLimit: 1 });
  // Other processes use the same table.
  let round = process.pid * 1_000;

  return {
    async round(seen) {
      round++;
      const insert = 'INSERT INTO numbers VALUES (?, ?)';
      seen.callback = await called((done) => connection.query('SELECT 1 AS one', done), read);
      seen.values = await called((done) => connection.query('SELECT ? AS n', [7], done), read);
      const options = { sql: 'SELECT ? AS n', values: [8], rowsAsArray: true };
      seen.options = await called((done) => connection.query(options, done), read);
      seen.given = options;
      seen.error = await called((done) => connection.query('SELECT wrong', done), read);
      seen.execute = await called((done) => connection.execute('SELECT ? AS n', [9], done), read);
      seen.executeError = await called((done) => connection.execute('SELECT wrong', done), read);
      seen.executeInvalid = await outcome(() => connection.execute('SELECT ?', [undefined]));
      const command = connection.query('SELECT 1 AS one UNION SELECT 2');
      const list = events(command, ['fields', 'result', 'end', 'error']);
      await once(command, 'end');
      seen.command = list;
      const failing = connection.query('SELECT wrong');
      seen.failing = await new Promise((resolve) => failing.on('error', (error) => resolve(failure(error))));
      const stream = connection.query('SELECT 3 AS three UNION SELECT 4').stream();
      const streamed = [];
      for await (const row of stream) streamed.push(plain(row));
      seen.stream = streamed;
      const take = (error, rows) => {
        seen.made = error ?? plain(rows);
      };
      const made = mysql.createQuery('SELECT 5 AS five', [], take, {});
      seen.same = connection.query(made) === made;
      await once(made, 'end');
      seen.prepared = await called(
        (done) => connection.prepare('SELECT ? AS n', done),
        (statement) => statement,
      );
      const statement = seen.prepared.value;
      seen.prepared = typeof statement?.execute;
      seen.statement = await called((done) => statement.execute([10], done), read);
      seen.statementError = await called((done) => statement.execute([1, 2], done), read);
      connection.unprepare('SELECT ? AS n');
      seen.ping = await called((done) => connection.ping(done));
      seen.begin = await called((done) => connection.beginTransaction(done), read);
      seen.insert = await called((done) => connection.query(insert, [round, 1], done), read);
      seen.rollback = await called((done) => connection.rollback(done), read);
      seen.insertAgain = await called((done) => connection.query(insert, [round, 2], done), read);

      seen.promise = await outcome(promised.query('SELECT 1 AS one'), (result) => read(...result));
      seen.promiseExecute = await outcome(promised.execute('SELECT ? AS n', [11]), (result) => read(...result));
      seen.promiseError = await outcome(promised.query('SELECT wrong'), read);
      const promisedStatement = await promised.prepare('SELECT ? AS prepared');
      seen.promiseStatement = await outcome(promisedStatement.execute([12]), (result) => read(...result));
      promised.unprepare('SELECT ? AS prepared');
      await promised.beginTransaction();
      await promised.execute(insert, [round, 3]);
      await promised.commit();

      seen.pool = await called((done) => pool.query('SELECT 1 AS one', done), read);
      seen.poolExecute = await called((done) => pool.execute('SELECT ? AS n', [13], done), read);
      seen.poolError = await called((done) => pool.query('SELECT wrong', done), read);
      seen.poolTogether = await Promise.all(
        [1, 2, 3].map((n) => called((done) => pool.query('SELECT ? AS n', [n], done), read)),
      );
      const waiting = called(
        (done) => pool.getConnection(done),
        (taken) => taken,
      );
      const waitingToo = called(
        (done) => pool.getConnection(done),
        (taken) => {
          taken.release();
          return typeof taken.query;
        },
      );
      const taken = (await waiting).value;
      seen.taken = await called((done) => taken.query(insert, [round, 4], done), read);
      taken.release();
      seen.waitingToo = await waitingToo;
      const poolCommand = pool.query('SELECT 6 AS six');
      seen.poolCommand = await new Promise((resolve) => poolCommand.on('result', (row) => resolve(plain(row))));
      seen.promisedPool = await outcome(promisedPool.query('SELECT 1 AS one'), (result) => read(...result));
      seen.promisedPoolExecute = await outcome(promisedPool.execute('SELECT ? AS n', [14]), (result) =>
        read(...result),
      );
      seen.promisedPoolError = await outcome(promisedPool.execute('SELECT wrong'), read);
      const own = await promisedPool.getConnection();
      seen.own = await outcome(own.execute(insert, [round, 5]), (result) => read(...result));
      own.release();
      seen.cluster = await called((done) => cluster.of('*').query('SELECT 1 AS one', done), read);
      seen.clusterExecute = await called((done) => cluster.of('one').execute('SELECT ? AS n', [15], done), read);
      seen.clusterConnection = await called(
        (done) => cluster.getConnection('one', done),
        (other) => {
          other.release();
          return typeof other.query;
        },
      );
      seen.nowhere = await called((done) => cluster.of('none').query('SELECT 1', done), read);
      seen.inserted = await outcome(
        promised.query('SELECT count(*) AS count FROM numbers WHERE round = ?', [round]),
        ([result]) => plain(result),
      );

      const lost = mysql.createConnection({ uri });
      const lostEvents = events(lost, ['error', 'end']);
      await called((done) => lost.ping(done));
      const sleeping = called((done) => lost.query('SELECT SLEEP(10)', done), read);
      const behind = called((done) => lost.query('SELECT 2', done), read);
      await promised.query(`KILL ${lost.threadId}`);
      // How the end of a connection shows first is a race.
      seen.lost = [await sleeping, await behind].map(({ times, arguments: given, error }) => [
        times,
        given,
        error !== undefined,
      ]);
      seen.lostEvents = lostEvents.filter(([name]) => name === 'end').length;
      seen.afterLost = await called((done) => lost.query('SELECT 1', done), read);
      const left = mysql.createConnection({ uri });
      await called((done) => left.ping(done));
      let leftCalls = 0;
      // Briefly: the server sleeps on where KILL comes before the query, and takes only so many connections.
      left.query('SELECT SLEEP(0.5)', () => leftCalls++);
      left.destroy();
      // It may be gone by itself.
      await outcome(promised.query(`KILL ${left.threadId}`));
      const ended = mysql.createConnection({ uri });
      seen.ended = await called((done) => ended.end(done));
      seen.leftCalls = leftCalls;
      const refused = mysql.createConnection({ host: '127.0.0.1', port: 1 });
      refused.on('error', () => {});
      seen.refused = await called((done) => refused.query('SELECT 1', done), read);
      seen.connected = connected;
    },
    async stop() {
      await Promise.all([pool, cluster, connection].map((object) => called((done) => object.end(done))));
      await promised.end();
      await promisedPool.end();
    },
  };
};
