import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { client, within } from './clients.mjs';
import {
  findProgram,
  freePort,
  makeFolder,
  makeSubfolder,
  run,
  startDaemon,
  unprivilegedUser,
  untilReady,
  versionFolders,
} from './processes.mjs';

/** The scripts themselves: Debian's wrappers in /usr/sbin insist on the installed server's user and folders. */
const SCRIPT_FOLDERS = [
  ...versionFolders('/usr/lib/rabbitmq/lib').map((folder) => join(folder, 'sbin')),
  '/usr/lib/rabbitmq/bin',
  '/opt/homebrew/opt/rabbitmq/sbin',
];

/** See `SERVICES` in find.mjs. */
export const rabbitmq = {
  name: 'RabbitMQ',
  client: 'amqplib',
  variable: 'HOOKLINE_TEST_AMQP_URL',
  defaultUrl: 'amqp://guest:guest@127.0.0.1:5672',
  port: 5672,
  aptPackage: 'rabbitmq-server',
  composeService: 'rabbitmq',
  composePort: 'HOOKLINE_AMQP_PORT',

  /** Resolves with the server's version. */
  async probe(url) {
    const connection = await connect(url);
    const { version } = connection.connection.serverProperties;
    await close(connection);
    return version;
  },

  findPrograms() {
    const server = findProgram(['rabbitmq-server'], SCRIPT_FOLDERS);
    const control = findProgram(['rabbitmqctl'], SCRIPT_FOLDERS);
    const epmd = findProgram(
      ['epmd'],
      versionFolders('/usr/lib/erlang').map((folder) => join(folder, 'bin')),
    );
    return server && control && epmd && findProgram(['erl']) ? { server, control, epmd } : undefined;
  },

  async start({ server, control, epmd }) {
    const user = unprivilegedUser('rabbitmq');
    const folder = makeFolder('rabbitmq', user);
    const [port, nodePort, epmdPort] = await Promise.all([freePort(), freePort(), freePort()]);
    const file = (name, content) => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    };
    // Nothing of an installed broker: its settings, its plugins, its cookie (in HOME), its port mapper.
    const env = {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: folder,
      ERL_EPMD_PORT: String(epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `hookline-${process.pid}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_DIST_PORT: String(nodePort),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      RABBITMQ_MNESIA_BASE: makeSubfolder(folder, 'data', user),
      RABBITMQ_LOG_BASE: makeSubfolder(folder, 'log', user),
      RABBITMQ_GENERATED_CONFIG_DIR: makeSubfolder(folder, 'config', user),
      RABBITMQ_CONF_ENV_FILE: file('rabbitmq-env.conf', ''),
      // Without the memory and disk alarms: a machine short of either would hold every publish back.
      RABBITMQ_CONFIG_FILE: file(
        'rabbitmq.conf',
        'loopback_users = none\nvm_memory_high_watermark.absolute = 1TB\ndisk_free_limit.absolute = 1MB\n',
      ),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: file('enabled_plugins', '[].\n'),
    };
    // As a child of ours: one that the broker starts would be a daemon that outlives it.
    const mapper = startDaemon(epmd, ['-port', String(epmdPort), '-address', '127.0.0.1'], {
      user,
      env,
      folder,
      log: 'epmd.log',
    });
    const broker = startDaemon(server, [], { user, env, folder });
    const url = `amqp://guest:guest@127.0.0.1:${port}`;
    return {
      url,
      folder,
      daemons: [broker, mapper],
      control: (...args) => run(control, ['--timeout', '20', ...args], { user, env, cwd: folder }),
      ready: () => untilReady(broker, () => rabbitmq.probe(url), 120_000),
    };
  },

  /** A virtual host where we may have one, else the server's own; `prefix` keeps names apart either way. */
  async create(server, name) {
    const prefix = `${name}.`;
    server.vhosts ??= new Map();
    for (const manager of managersOf(server)) {
      try {
        await manager.add(name);
        const url = withVhost(server.url, name);
        // On a forwarded port the tool may have spoken with another broker than the one behind the URL.
        await connect(url).then(close);
        server.vhosts.set(name, manager);
        return { url, prefix };
      } catch {
        await manager.remove(name).catch(() => {});
      }
    }
    return { url: server.url, prefix };
  },

  async drop(server, name) {
    await server.vhosts?.get(name)?.remove(name);
    server.vhosts?.delete(name);
  },
};

/** Ways to make a virtual host, best first. */
function managersOf(server) {
  if (server.managers) return server.managers;
  const { hostname, username } = new URL(server.url);
  const user = decodeURIComponent(username) || 'guest';
  const managers = [];
  const control = server.control ?? localControl(hostname);
  if (control) {
    managers.push({
      async add(name) {
        await control('add_vhost', name);
        await control('set_permissions', '-p', name, user, '.*', '.*', '.*');
      },
      remove: (name) => control('delete_vhost', name),
    });
  }
  if (!server.control) managers.push(managementApi(server.url, user));
  server.managers = managers;
  return managers;
}

/** The broker's own tool; it talks to the installed broker of this machine, as root or as the broker's user. */
function localControl(hostname) {
  const control = ['127.0.0.1', 'localhost', '[::1]'].includes(hostname) && findProgram(['rabbitmqctl']);
  return control ? (...args) => run(control, args, { timeoutMs: 20_000 }) : undefined;
}

function managementApi(serverUrl, user) {
  const { hostname, username, password } = new URL(serverUrl);
  const credentials = `${decodeURIComponent(username) || 'guest'}:${decodeURIComponent(password) || 'guest'}`;
  const request = async (method, path, body) => {
    const response = await fetch(`http://${hostname}:15672/api/${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'content-type': 'application/json',
      },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
  };
  const everything = { configure: '.*', write: '.*', read: '.*' };
  return {
    async add(name) {
      await request('PUT', `vhosts/${name}`);
      await request('PUT', `permissions/${name}/${encodeURIComponent(user)}`, everything);
    },
    remove: (name) => request('DELETE', `vhosts/${name}`),
  };
}

function withVhost(serverUrl, name) {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function connect(url) {
  const { connect: open } = await client('amqplib');
  const opening = open(url, { timeout: 10_000 });
  // One that comes too late must not stay open, nor fail unheard.
  let late = false;
  opening.then((connection) => late && close(connection)).catch(() => {});
  try {
    const connection = await within(15_000, opening);
    connection.on('error', () => {});
    return connection;
  } catch (error) {
    late = true;
    throw error;
  }
}

function close(connection) {
  return within(5_000, connection.close()).catch(() => {});
}
