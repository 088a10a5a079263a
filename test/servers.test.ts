import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { testPackage } from './support/packages';
import { root } from './support/run-app';
import { amqpBroker, mysqlDatabase, postgresDatabase } from './support/servers';

const SERVICES = [
  { service: 'postgres', name: 'PostgreSQL', variable: 'HOOKLINE_TEST_POSTGRES_URL', borrow: postgresDatabase },
  { service: 'mysql', name: 'MySQL', variable: 'HOOKLINE_TEST_MYSQL_URL', borrow: mysqlDatabase },
  {
    service: 'amqp',
    name: 'RabbitMQ',
    variable: 'HOOKLINE_TEST_AMQP_URL',
    borrow: async () => (await amqpBroker()).url,
  },
];

interface Answer {
  name: string;
  url: string;
  error?: string;
}

interface Lender {
  process: ChildProcess;
  ask(method: string, path: string): Promise<Answer>;
  /** What was printed for people. */
  lines(): string[];
  /** Closes its input, and waits until it has ended. */
  end(): Promise<void>;
}

/** The process of scripts/servers/main.mjs, without vitest around it. */
async function startLender(env: Record<string, string | undefined> = {}): Promise<Lender> {
  const child = spawn(process.execPath, [join(root, 'scripts/servers/main.mjs')], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.stdin.end();
    await ended;
  });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const [address] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return {
    process: child,
    ask: (method, path) => ask(method, `${address.trim()}/${path}`),
    // npm's complaints about a user's configuration are not ours.
    lines: () => printed.split('\n').filter((line) => line.startsWith('servers: ')),
    async end() {
      child.stdin.end();
      await ended;
    },
  };
}

function ask(method: string, url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve(JSON.parse(text) as Answer);
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** Opens the database or virtual host; false when there is none by that name, or no server any more. */
async function opens(url: string): Promise<boolean> {
  const load = async (spec: `${string}@${string}`, path: string) =>
    createRequire(join(await testPackage(spec), 'node_modules', 'a.js'))(path);
  try {
    switch (new URL(url).protocol) {
      case 'postgres:': {
        const { Client } = await load('pg@8.23.1', 'pg');
        const client = new Client({ connectionString: url });
        client.on('error', () => {});
        await client.connect();
        await client.end();
        return true;
      }
      case 'mysql:': {
        const { createConnection } = await load('mysql2@3.24.5', 'mysql2/promise');
        await (await createConnection(url)).end();
        return true;
      }
      default: {
        const amqplib = await load('amqplib@0.10.9', 'amqplib');
        await (await amqplib.connect(url)).close();
        return true;
      }
    }
  } catch {
    return false;
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Asks while another kind of server stands where the variable points. */
async function askWithForeign(service: string, variable: string, onConnection: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const lender = await startLender({
    HOOKLINE_TEST_SERVERS_FROM: 'environment',
    [variable]: `${service}://user:secret@127.0.0.1:${port}`,
  });
  return { answer: await lender.ask('POST', service), lines: lender.lines() };
}

describe.each(SERVICES)('$name', ({ service, name, variable, borrow }) => {
  const nothing = new RegExp(`^no ${name} for the tests: set ${variable}, or start one on 127\\.0\\.0\\.1:\\d+ .*$`);

  /** Of a server that was there before the ones these tests start, and stays. */
  let existing: string;
  // Not in the test: the server may have to be brought up.
  beforeAll(async () => {
    existing = await borrow();
  });

  it('lends each caller something of its own, and takes it back', async () => {
    const lender = await startLender({ HOOKLINE_TEST_SERVERS_FROM: 'environment', [variable]: existing });
    const [first, second] = await Promise.all([lender.ask('POST', service), lender.ask('POST', service)]);
    expect([first.error, second.error]).toEqual([undefined, undefined]);
    expect(first.name).toMatch(/^hookline_test_\d+_[0-9a-f]{8}$/);
    expect(first.name).not.toBe(second.name);
    expect(await Promise.all([opens(first.url), opens(second.url)])).toEqual([true, true]);
    expect(lender.lines()).toHaveLength(1);
    // A broker on which we may make no virtual host lends its default one, which stays.
    const own = new URL(first.url).pathname === `/${first.name}`;
    if (service !== 'amqp') expect(own).toBe(true);

    expect(await lender.ask('DELETE', `${service}/${first.name}`)).toEqual({});
    expect(await Promise.all([opens(first.url), opens(second.url)])).toEqual([!own, true]);
    await lender.end();
    if (own) expect(await opens(second.url)).toBe(false);
  });

  it.each([
    ['hangs up', (socket: Socket) => socket.destroy()],
    ['speaks HTTP', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')],
  ])('passes over a server that %s, in one line', async (_what, onConnection) => {
    const { answer, lines } = await askWithForeign(service, variable, onConnection);
    expect(answer.error).toMatch(nothing);
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^servers: ${name} of ${variable} is passed over: .+`))]);
    expect(lines[0]).not.toContain('secret');
  });

  it('says what to do when there is none, once per caller', async () => {
    const lender = await startLender({ HOOKLINE_TEST_SERVERS_FROM: 'environment', [variable]: undefined });
    const answers = await Promise.all([lender.ask('POST', service), lender.ask('POST', service)]);
    for (const { error } of answers) expect(error).toMatch(nothing);
    expect(lender.lines()).toEqual([]);
  });
});

it('passes over servers that say nothing, after seconds', async () => {
  // Together: each costs the whole time that a server is given.
  const results = await Promise.all(
    SERVICES.map(({ service, variable }) => askWithForeign(service, variable, () => {})),
  );
  expect(results.map(({ lines }) => lines)).toEqual(
    SERVICES.map(({ name }) => [expect.stringMatching(`^servers: ${name} of \\w+ is passed over: .+`)]),
  );
  expect(results.map(({ answer }) => answer.error)).toEqual(
    SERVICES.map(({ name }) => expect.stringMatching(`^no ${name} for the tests: `)),
  );
});

it('a server of its own is gone when the process that wanted it is killed', async ({ skip }) => {
  const script = `
    const { startServers } = await import(${JSON.stringify(pathToFileURL(join(root, 'scripts/servers/start.mjs')).href)});
    await startServers();
    console.log(process.env.HOOKLINE_TEST_SERVERS);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, HOOKLINE_TEST_SERVERS: undefined, HOOKLINE_TEST_SERVERS_FROM: 'private' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const [address] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string];
  const { error, url } = await ask('POST', `${address.trim()}/postgres`);
  if (error?.startsWith('no PostgreSQL for the tests')) {
    console.log('private instances are not tested: no programs of PostgreSQL are installed here');
    skip();
  }
  expect(error).toBeUndefined();
  const port = Number(new URL(url).port);
  expect([await isListening(port), await opens(url)]).toEqual([true, true]);

  // What it starts writes to the same pipe, so its end is the end of all of them.
  const allEnded = once(parent.stderr.resume(), 'end');
  parent.kill('SIGKILL');
  await allEnded;
  expect(await isListening(port)).toBe(false);
  expect(await isListening(Number(new URL(address.trim()).port))).toBe(false);
});

it('knows its own address only', async () => {
  const lender = await startLender({ HOOKLINE_TEST_SERVERS_FROM: 'environment' });
  expect((await lender.ask('POST', 'oracle')).error).toMatch(/^no POST /);
  expect((await lender.ask('DELETE', 'postgres/hookline')).error).toMatch(/^no DELETE /);
});

it('names the sources it knows when another is asked for', async () => {
  const lender = await startLender({ HOOKLINE_TEST_SERVERS_FROM: 'somewhere' });
  expect((await lender.ask('POST', 'mysql')).error).toBe(
    'HOOKLINE_TEST_SERVERS_FROM: somewhere is none of environment, default, private, install, docker',
  );
});
