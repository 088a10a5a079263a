import { dirname, join } from 'node:path';
import { client, within } from './clients.mjs';
import { findProgram, freePort, makeFolder, run, startDaemon, unprivilegedUser, untilReady } from './processes.mjs';

/** MariaDB or MySQL. See `SERVICES` in find.mjs. */
export const mysql = {
  name: 'MySQL',
  client: 'mysql2',
  variable: 'HOOKLINE_TEST_MYSQL_URL',
  defaultUrl: 'mysql://root@127.0.0.1:3306/',
  port: 3306,
  needsPrivilege: true,
  aptPackage: 'mariadb-server',
  composeService: 'mysql',
  composePort: 'HOOKLINE_MYSQL_PORT',

  /** Resolves with the server's version. */
  probe(url) {
    return withConnection(url, async (connection) => {
      const [rows] = await connection.query('SELECT VERSION() AS version');
      return rows[0].version;
    });
  },

  findPrograms() {
    const server = findProgram(['mariadbd', 'mysqld'], ['/usr/libexec']);
    if (!server) return undefined;
    // MariaDB has a program that sets up its data, MySQL an option.
    return { server, install: findProgram(['mariadb-install-db', 'mysql_install_db'], [dirname(server)]) };
  },

  async start({ server, install }) {
    const user = unprivilegedUser('mysql');
    const folder = makeFolder('mysql', user);
    const data = join(folder, 'data');
    const isMariaDb = /MariaDB/i.test(await run(server, ['--no-defaults', '--version'], { user, cwd: folder }));
    if (isMariaDb) {
      if (!install) throw new Error(`${server} is there, but not mariadb-install-db`);
      const args = [
        '--no-defaults',
        `--datadir=${data}`,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
        '--skip-name-resolve',
      ];
      await run(install, args, { user, cwd: folder, timeoutMs: 120_000 });
    } else {
      const args = ['--no-defaults', '--initialize-insecure', `--datadir=${data}`];
      await run(server, args, { user, cwd: folder, timeoutMs: 120_000 });
    }
    const port = await freePort();
    const args = [
      '--no-defaults',
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${folder}/mysql.sock`,
      `--pid-file=${folder}/mysql.pid`,
      `--tmpdir=${folder}`,
      '--skip-log-bin',
      '--innodb-flush-log-at-trx-commit=0',
      ...(isMariaDb ? [] : ['--mysqlx=OFF']),
    ];
    // Its data is thrown away: nothing is gained by an orderly end.
    const daemon = startDaemon(server, args, { user, folder });
    const url = `mysql://root@127.0.0.1:${port}/`;
    return { url, folder, daemons: [daemon], ready: () => untilReady(daemon, () => mysql.probe(url)) };
  },

  async create(server, name) {
    await withConnection(server.url, (connection) => connection.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`));
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    return { url: url.href };
  },

  async drop(server, name) {
    await withConnection(server.url, async (connection) => {
      // An open transaction of a lost connection would hold the DROP up.
      const [rows] = await connection.query('SELECT id FROM information_schema.processlist WHERE db = ?', [name]);
      for (const { id } of rows) await connection.query(`KILL ${Number(id)}`).catch(() => {});
      await connection.query('SET SESSION lock_wait_timeout = 10');
      await connection.query(`DROP DATABASE IF EXISTS ${name}`);
    });
  },
};

async function withConnection(url, use) {
  const { createConnection } = await client('mysql2', 'mysql2/promise');
  const connecting = createConnection({ uri: url, connectTimeout: 10_000 });
  connecting.catch(() => {});
  const connection = await within(15_000, connecting);
  connection.on('error', () => {});
  try {
    return await use(connection);
  } finally {
    connection.destroy();
  }
}
