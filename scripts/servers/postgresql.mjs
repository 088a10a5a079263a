import { client, within } from './clients.mjs';
import {
  findProgram,
  freePort,
  makeFolder,
  run,
  startDaemon,
  unprivilegedUser,
  untilReady,
  versionFolders,
} from './processes.mjs';

/** See `SERVICES` in find.mjs. */
export const postgresql = {
  name: 'PostgreSQL',
  client: 'pg',
  variable: 'HOOKLINE_TEST_POSTGRES_URL',
  defaultUrl: 'postgres://postgres@127.0.0.1:5432/postgres',
  port: 5432,
  needsPrivilege: true,
  aptPackage: 'postgresql',
  composeService: 'postgres',
  composePort: 'HOOKLINE_POSTGRES_PORT',

  /** Resolves with the server's version. */
  probe(url) {
    return withClient(url, async (connection) => {
      const { rows } = await connection.query('SHOW server_version');
      return rows[0].server_version;
    });
  },

  findPrograms() {
    const folders = versionFolders('/usr/lib/postgresql').map((folder) => `${folder}/bin`);
    for (const folder of [...folders, undefined]) {
      const inFolder = folder === undefined ? [] : [folder];
      const initdb = findProgram(['initdb'], inFolder);
      const server = findProgram(['postgres'], inFolder);
      if (initdb && server) return { initdb, server };
    }
    return undefined;
  },

  async start({ initdb, server }) {
    const user = unprivilegedUser('postgres');
    const folder = makeFolder('postgres', user);
    const data = `${folder}/data`;
    const args = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    await run(initdb, args, { user, cwd: folder, timeoutMs: 120_000 });
    const port = await freePort();
    const settings = {
      port,
      listen_addresses: '127.0.0.1',
      // No socket file: its usual folder is not ours.
      unix_socket_directories: '',
      max_connections: 200,
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
    };
    const daemon = startDaemon(
      server,
      ['-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
      { user, folder, stopSignal: 'SIGQUIT' },
    );
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    return { url, folder, daemons: [daemon], ready: () => untilReady(daemon, () => postgresql.probe(url)) };
  },

  async create(server, name) {
    await withClient(server.url, (connection) =>
      // Independent of how the server was set up; template0 can be copied while others are connected.
      connection.query(
        `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' CONNECTION LIMIT -1`,
      ),
    );
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    return { url: url.href };
  },

  async drop(server, name) {
    await withClient(server.url, async (connection) => {
      // DROP DATABASE ... WITH (FORCE) exists since PostgreSQL 13.
      await connection.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
      await connection.query(`DROP DATABASE IF EXISTS ${name}`);
    });
  },
};

async function withClient(url, use) {
  const { Client } = await client('pg');
  const connection = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, query_timeout: 30_000 });
  // A server that goes away says so here too.
  connection.on('error', () => {});
  try {
    await within(15_000, connection.connect());
    return await use(connection);
  } finally {
    // On a server that does not speak the protocol the goodbye would wait for ever.
    connection.end().catch(() => {});
  }
}
