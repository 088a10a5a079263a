// pg with its pool, cursors and streams.
const { event, failing, ignore, leftBehind, load, texts } = require('./tools.cjs');

module.exports = async () => {
  const pg = load('pg');
  const Cursor = load('pg-cursor');
  const QueryStream = load('pg-query-stream');
  const { to: copyTo, from: copyFrom } = load('pg-copy-streams');
  const connectionString = process.env.POSTGRES_URL;
  const pool = new pg.Pool({ connectionString, max: 4 }).on('error', ignore);
  const single = new pg.Pool({ connectionString, max: 1 });
  await pool.query('CREATE TABLE IF NOT EXISTS things (id int, name text)');

  const ROWS = 'SELECT generate_series(1, 100) AS n';
  const withClient = async (use) => {
    const client = await pool.connect();
    try {
      return await use(client);
    } finally {
      client.release();
    }
  };
  const own = async () => {
    const client = new pg.Client({ connectionString }).on('error', ignore);
    await client.connect();
    return client;
  };
  const unread = leftBehind((client) => client.end(), 1);

  // Of all operations, so that the warm-up fills caches of statements.
  let made = 0;
  const variants = {
    query: () => pool.query('SELECT 1 AS n'),
    parameters: (i) => pool.query('SELECT $1::int AS n', [i]),
    prepared: (i) => pool.query({ name: 'by number', text: 'SELECT $1::int AS n', values: [i] }),
    'another text each time': () => pool.query(`SELECT 1 AS n${made++ % texts}`),
    callback: () =>
      new Promise((resolve, reject) => pool.query('SELECT 1', (error) => (error ? reject(error) : resolve()))),
    error: () => failing(pool.query('SELECT nothing')),
    'error with parameters': (i) => failing(pool.query('SELECT 1 / $1::int', [i - i])),
    'wrong arguments': () => failing(pool.query(undefined)),
    'a pool of one': () => Promise.all([single.query('SELECT 1'), single.query('SELECT 2')]),
    transaction: () =>
      withClient(async (client) => {
        await client.query('BEGIN');
        await client.query('SELECT 1');
        await client.query('ROLLBACK');
      }),
    'query with events': () =>
      withClient((client) => event(client.query(new pg.Query('SELECT 1')), 'end', 'error').then(checked)),
    cursor: () =>
      withClient(async (client) => {
        const cursor = client.query(new Cursor(ROWS));
        while ((await cursor.read(50)).length > 0);
        await cursor.close();
      }),
    'cursor, read in part': () =>
      withClient(async (client) => {
        const cursor = client.query(new Cursor(ROWS));
        await cursor.read(10);
        await cursor.close();
      }),
    'cursor, error': () => withClient((client) => failing(client.query(new Cursor('SELECT nothing')).read(1))),
    stream: () =>
      withClient(async (client) => {
        for await (const _row of client.query(new QueryStream(ROWS)));
      }),
    'stream, destroyed': () =>
      withClient(async (client) => {
        for await (const _row of client.query(new QueryStream(ROWS, [], { highWaterMark: 10 }))) break;
      }),
    'copy out': () =>
      withClient(async (client) => {
        const stream = client.query(copyTo(`COPY (${ROWS}) TO STDOUT`));
        stream.resume();
        checked(await event(stream, 'end', 'error'));
      }),
    'copy in, given up': () =>
      withClient(async (client) => {
        const stream = client.query(copyFrom('COPY things FROM STDIN'));
        stream.on('error', ignore).write('1\tone\n');
        stream.destroy(new Error('given up'));
        await event(stream, 'close');
      }),
    'cursor, never read': {
      rare: true,
      async run() {
        const client = await own();
        client.query(new Cursor(ROWS));
        await new Promise(setImmediate);
        unread(client);
      },
    },
    'cursor, left open with its connection': {
      rare: true,
      async run() {
        const client = await own();
        await client.query(new Cursor(ROWS)).read(1);
        unread(client);
      },
    },
    'connection ended in a query': {
      rare: true,
      async run() {
        const client = await own();
        const asked = client.query('SELECT pg_sleep(0.1)');
        asked.catch(ignore);
        client.connection.stream.destroy();
        await failing(asked);
      },
    },
    'terminated by the server': {
      rare: true,
      async run() {
        const client = await own();
        const asked = client.query('SELECT pg_sleep(10)');
        asked.catch(ignore);
        await pool.query('SELECT pg_terminate_backend($1)', [client.processID]);
        await failing(asked);
      },
    },
    'no connection': {
      rare: true,
      run: () => failing(new pg.Client({ host: '127.0.0.1', port: 1 }).connect()),
    },
  };
  return {
    variants,
    async close() {
      await Promise.all([pool.end(), single.end()]);
    },
  };
};

function checked({ name, value }) {
  if (name === 'error') throw value;
}
