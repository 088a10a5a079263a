import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createConnection } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { addressesIn, listens, NO_SERVERS, runDemo, SAY_ADDRESSES } from './e2e/demo-support';
import { documentedVariables } from './support/readme';
import { runApp } from './support/run-app';
import { amqpBroker, mysqlDatabase } from './support/servers';
import { expectTree } from './support/tree';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');
const readme = read('README.md');

describe('demo', () => {
  test('fails with one line when spans are missing, and leaves no process behind', async () => {
    const { code, stdout, stderr } = await runDemo({
      env: NO_SERVERS,
      change: `visits[0].spans = 5; ${SAY_ADDRESSES}`,
    });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'demo: Browse the products: expected 5 spans in one trace, got 4 spans in 1 trace with 1 root\n',
    });
    expect(await left(stdout)).toEqual([]);
  });

  test('fails when a service does not start, and waits a second at most for servers that do not answer', async () => {
    // Accepts connections and says nothing.
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const { code, stdout, stderr } = await runDemo({
      env: { AMQP_URL: `amqp://${host}`, MYSQL_URL: `mysql://root@${host}` },
      change: `services[1].file = 'missing.js';`,
    });
    silent.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^demo: stock did not start: it ended with exit code 1$/m);
    expect(stdout).toContain(`embedded, since ${host} gives none (ETIMEDOUT)`);
    expect(stdout).toContain(`none on ${host} (connect ETIMEDOUT)`);
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGKILL', 'SIGKILL'],
  ] as const)('leaves nothing behind at %s', async (signal, expected) => {
    const MYSQL_URL = await mysqlDatabase();
    const { url: AMQP_URL } = await amqpBroker();
    const { code, stdout, stderr } = await runDemo({
      env: { MYSQL_URL, AMQP_URL },
      change: SAY_ADDRESSES,
      onOutput: (text, child) => text.includes('\n1. ') && child.kill(signal),
    });
    expect({ code, stderr }).toEqual({ code: expected, stderr: '' });
    // When the demo itself is gone at once, another process ends the rest.
    await expect.poll(() => left(stdout), { timeout: 10_000 }).toEqual([]);
    const connection = await createConnection(MYSQL_URL);
    const database = new URL(addressesIn(stdout)['mysql']!).pathname.slice(1);
    const find = async () => (await connection.query('SHOW DATABASES LIKE ?', [database]))[0];
    await expect.poll(find, { timeout: 10_000 }).toEqual([]);
    await connection.end();
  });
});

/** The names of what still listens; not the servers that were there before. */
async function left(stdout: string): Promise<string[]> {
  const { bank: _, mysql, rabbitmq: _broker, shipping: _queue, ...addresses } = addressesIn(stdout);
  const own = mysql?.endsWith('/shop') ? { ...addresses, mysql } : addresses;
  expect(Object.keys(own)).toEqual(expect.arrayContaining(['postgres', 'payment', 'stock', 'orders', 'catalog']));
  const names = await Promise.all(Object.entries(own).map(async ([name, at]) => ((await listens(at)) ? name : '')));
  return names.filter(Boolean);
}

describe('README', () => {
  test('shows the instrumentation of examples/own-instrumentation, which is under 20 lines', () => {
    const source = read('examples/own-instrumentation/dns.js');
    expect(readme).toContain(`\`\`\`js\n${source}\`\`\``);
    expect(source.trimEnd().split('\n').length).toBeLessThan(20);
  });

  test.each(['import', 'require', 'node-options'] as const)('its instrumentation runs under %s', async (preload) => {
    const { code, stderr, stdout, spans } = await runApp('examples/own-instrumentation/app.mjs', {
      preload,
      cwd: `${root}examples/own-instrumentation`,
      env: { HOOKLINE_INSTRUMENTATIONS: './dns.js' },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectTree(spans, {
      name: 'lookup localhost',
      kind: 'CLIENT',
      scope: 'hookline/dns',
      exactAttributes: true,
      attributes: { 'dns.question.name': 'localhost', 'dns.answers': [stdout.trim()] },
    });
  });

  test('has every environment variable in its table, and no other', () => {
    const table = documentedVariables();
    const sources = ['src/config.ts', 'src/register.ts'].map(read).join('\n');
    // Quoted names: in comments stand patterns of names too.
    const quoted = new Set(sources.match(/(?<=')(?:(?:OTEL|HOOKLINE)_[A-Z0-9_]*[A-Z0-9]|[A-Z]+_PROXY)(?=')/g));
    for (const [, suffix] of sources.matchAll(/otlp(?:Value\(\s*|Variable\(reader, )'([A-Z_]+)'/g)) {
      quoted.add(`OTEL_EXPORTER_OTLP_${suffix}`);
      quoted.add(`OTEL_EXPORTER_OTLP_TRACES_${suffix}`);
    }
    for (const name of quoted) expect(table, name).toContain(name);
    // An example of OTEL_INSTRUMENTATION_<NAME>_ENABLED.
    quoted.add('OTEL_INSTRUMENTATION_HTTP2_ENABLED');
    for (const name of table) expect(quoted, name).toContain(name);
  });

  test('links to files that are there', () => {
    for (const [, path] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g))
      expect(existsSync(root + path), path).toBe(true);
  });
});
