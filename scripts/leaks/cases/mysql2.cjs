// mysql2 by callbacks, promises and streams, on a connection and on a pool.
const { event, failing, ignore, leftBehind, load, texts } = require('./tools.cjs');

module.exports = async () => {
  const mysql = load('mysql2');
  const uri = process.env.MYSQL_URL;
  const pool = mysql.createPool({ uri, connectionLimit: 4, maxPreparedStatements: 50 });
  const single = mysql.createPool({ uri, connectionLimit: 1 });
  const cluster = mysql.createPoolCluster();
  cluster.add('one', { uri, connectionLimit: 1 });
  const promises = pool.promise();
  const own = () => {
    const connection = mysql.createConnection(uri);
    connection.on('error', ignore);
    return connection;
  };
  const unread = leftBehind((connection) => connection.destroy(), 1);

  const ROWS = 'SELECT 1 AS n UNION SELECT 2 UNION SELECT 3';
  const called = (start) =>
    new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));
  const withConnection = async (use) => {
    const connection = await promises.getConnection();
    try {
      return await use(connection);
    } finally {
      connection.release();
    }
  };

  // Of all operations, so that the warm-up fills caches of statements.
  let made = 0;
  const variants = {
    query: () => promises.query('SELECT 1 AS n'),
    'query with values': (i) => promises.query('SELECT ? AS n', [i]),
    'another text each time': () => promises.query(`SELECT 1 /* ${made++ % texts} */ AS n`),
    execute: (i) => promises.execute('SELECT ? AS n', [i]),
    callback: () => called((done) => pool.query('SELECT 1', done)),
    'execute by callback': () => called((done) => pool.execute('SELECT ? AS n', [1], done)),
    error: () => failing(promises.query('SELECT nothing')),
    'execute, error': () => failing(promises.execute('SELECT nothing')),
    'a pool of one': () => Promise.all([single.promise().query('SELECT 1'), single.promise().query('SELECT 2')]),
    cluster: () => called((done) => cluster.of('*').query('SELECT 1', done)),
    prepared: () =>
      withConnection(async (connection) => {
        const statement = await connection.prepare('SELECT ? AS n');
        await statement.execute([1]);
        await statement.close();
        connection.unprepare('SELECT ? AS n');
      }),
    transaction: () =>
      withConnection(async (connection) => {
        await connection.beginTransaction();
        await connection.query('SELECT 1');
        await connection.rollback();
      }),
    events: () => withConnection(({ connection }) => event(connection.query(ROWS), 'end', 'error').then(checked)),
    stream: () =>
      withConnection(async ({ connection }) => {
        for await (const _row of connection.query(ROWS).stream());
      }),
    'stream, error': () =>
      withConnection(async ({ connection }) => {
        const stream = connection.query('SELECT nothing').stream();
        stream.resume();
        if ((await event(stream, 'end', 'error')).name !== 'error') throw new Error('no error');
      }),
    'stream, never read': {
      rare: true,
      async run() {
        const connection = own();
        const stream = connection.query(ROWS).stream({ highWaterMark: 1 });
        stream.on('error', ignore);
        await event(stream, 'readable', 'error');
        unread(connection);
      },
    },
    'connection destroyed in a query': {
      rare: true,
      async run() {
        const connection = own();
        await called((done) => connection.query('SELECT 1', done));
        connection.query('SELECT SLEEP(0.1)', ignore);
        await new Promise(setImmediate);
        connection.destroy();
      },
    },
    'killed by the server': {
      rare: true,
      async run() {
        const connection = own();
        await called((done) => connection.query('SELECT 1', done));
        const asked = called((done) => connection.query('SELECT SLEEP(10)', done));
        asked.catch(ignore);
        await promises.query(`KILL ${connection.threadId}`);
        await failing(asked);
        connection.destroy();
      },
    },
    'no connection': {
      rare: true,
      async run() {
        const connection = mysql.createConnection({ host: '127.0.0.1', port: 1 });
        connection.on('error', ignore);
        await failing(called((done) => connection.query('SELECT 1', done)));
      },
    },
  };
  return {
    variants,
    async close() {
      await Promise.all([promises.end(), single.promise().end(), called((done) => cluster.end(done))]);
    },
  };
};

function checked({ name, value }) {
  if (name === 'error') throw value;
}
