import { request } from 'node:http';
import { afterAll } from 'vitest';

/** What a test file has borrowed, as paths of the process in scripts/servers/main.mjs. */
const borrowed: string[] = [];

// Here and not in `borrow`: vitest takes no hooks from within a hook.
afterAll(async () => {
  for (const path of borrowed.splice(0)) await ask('DELETE', path);
});

/**
 * An empty database of this test file's own: `postgres://user@host:port/name`. It is dropped when the file is done.
 * To be called in `beforeAll`; the first call of a run may bring a server up. Rejects with one line that says what to
 * do when there is none.
 */
export async function postgresDatabase(): Promise<string> {
  return (await borrow('postgres')).url;
}

/** As `postgresDatabase`, on MySQL or MariaDB: `mysql://root@127.0.0.1:3306/name`. */
export async function mysqlDatabase(): Promise<string> {
  return (await borrow('mysql')).url;
}

/**
 * A broker with a virtual host of this file's own, removed when the file is done. Where the broker lets us make none,
 * `url` is that of its default virtual host: so names of queues and exchanges start with `prefix`, and whatever would
 * stay there the test deletes itself.
 */
export async function amqpBroker(): Promise<{ url: string; prefix: string }> {
  const { url, prefix = '' } = await borrow('amqp');
  return { url, prefix };
}

interface Lent {
  name: string;
  url: string;
  prefix?: string;
}

async function borrow(service: 'postgres' | 'mysql' | 'amqp'): Promise<Lent> {
  const lent = (await ask('POST', service)) as Lent;
  borrowed.push(`${service}/${lent.name}`);
  return lent;
}

/** Not `fetch`: bringing a server up, which may mean installing it, takes longer than that waits. */
function ask(method: 'POST' | 'DELETE', path: string): Promise<unknown> {
  const address = process.env.HOOKLINE_TEST_SERVERS;
  if (!address) return Promise.reject(new Error('servers are there for tests that vitest runs with its global setup'));
  return new Promise((resolve, reject) => {
    const sent = request(`${address}/${path}`, { method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => {
        const body = JSON.parse(text) as { error?: string };
        if (body.error === undefined) return resolve(body);
        const error = new Error(body.error);
        // It says what to do, and where it was thrown does not matter: one line is all there is to read.
        error.stack = '';
        reject(error);
      });
    });
    sent.once('error', reject);
    sent.end();
  });
}
