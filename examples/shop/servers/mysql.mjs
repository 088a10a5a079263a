// MySQL for the shop: a database of its own on the server at MYSQL_URL (a local one without a password by default) for
// as long as the demo runs, or else an embedded server.
import { randomBytes } from 'node:crypto';
import mysql from 'mysql2';

const CONNECT_TIMEOUT_MS = 900;
const url = new URL(process.env.MYSQL_URL || 'mysql://root@127.0.0.1:3306');

let refusal;
try {
  await createDatabase();
} catch (error) {
  refusal = error.code ?? error.message;
}
if (refusal) embed(`embedded, since ${url.host} gives none (${refusal})`);

/** Throws what the server, or its absence, has against it. */
async function createDatabase() {
  url.pathname = '';
  const connection = mysql.createConnection({ uri: url.href, connectTimeout: CONNECT_TIMEOUT_MS }).promise();
  const name = `hookline_demo_${randomBytes(4).toString('hex')}`;
  try {
    await connection.query(`CREATE DATABASE ${name}`);
    process.once('SIGTERM', async () => {
      await connection.query(`DROP DATABASE IF EXISTS ${name}`).catch(({ message }) => {
        console.error(`mysql: the database ${name} is still there: ${message}`);
      });
      process.exit();
    });
    await connection.query(`CREATE TABLE ${name}.orders (
      id INT AUTO_INCREMENT PRIMARY KEY,
      product VARCHAR(40) NOT NULL,
      price INT NOT NULL,
      state VARCHAR(20) NOT NULL DEFAULT 'placed')`);
  } catch (error) {
    connection.destroy();
    throw error;
  }
  url.pathname = name;
  console.log(`mysql listens on ${url}, the server on ${url.host}, in database ${name} until the end`);
}

/**
 * No database: it speaks MySQL's protocol through mysql2's own server API, understands the two statements of the shop
 * as mysql2 sends them, and answers all others with a syntax error.
 */
function embed(note) {
  const orders = [];
  const statements = [
    [
      /^INSERT INTO orders \(product, price\) VALUES \('(\w+)', (\d+)\)$/,
      (product, price) => ({
        affectedRows: 1,
        insertId: orders.push({ product, price: Number(price), state: 'placed' }),
      }),
    ],
    [
      /^UPDATE orders SET state = '(\w+)' WHERE id = (\d+)$/,
      (state, id) => {
        const order = orders[id - 1];
        if (order) order.state = state;
        return { affectedRows: order ? 1 : 0 };
      },
    ],
  ];
  const server = mysql.createServer();
  let connections = 0;
  server.on('connection', (connection) => {
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.0.0-embedded',
      connectionId: ++connections,
      statusFlags: 2, // autocommit
      characterSet: 45, // utf8mb4_general_ci
      // 4.1 protocol and authentication, transactions, a database in the handshake, long passwords; neither TLS nor
      // compression.
      capabilityFlags: 0x0000a209,
      authCallback: (_login, accept) => {
        accept(null);
        nextCommand(connection);
      },
    });
    connection.on('query', (sql) => {
      const known = statements.find(([pattern]) => pattern.test(sql));
      if (known) {
        const [pattern, run] = known;
        connection.writeOk(run(...sql.match(pattern).slice(1)));
      } else {
        connection.writeError({ code: 1064, message: `the embedded server does not understand: ${sql}` });
      }
      nextCommand(connection);
    });
    // A service that ends does not say good-bye.
    connection.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  server._server.once('listening', () => {
    console.log(`mysql listens on mysql://root@127.0.0.1:${server._server.address().port}/shop, ${note}`);
  });
}

/** Packets are counted anew for every command, which mysql2 leaves to the server. */
function nextCommand(connection) {
  connection.sequenceId = 0;
}
