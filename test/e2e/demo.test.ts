import { createRequire } from 'node:module';
import { createConnection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { amqpBroker, mysqlDatabase } from '../support/servers';
import { NO_SERVERS, runDemo } from './demo-support';

// It comes without types.
const amqp = createRequire(import.meta.url)('amqplib');

// None of the machine's settings may reach the services.
const SETTINGS = {
  OTEL_SDK_DISABLED: 'true',
  OTEL_TRACES_SAMPLER: 'always_off',
  PGSSLMODE: 'require',
  http_proxy: 'http://127.0.0.1:1',
};

function expectTraces(stdout: string): void {
  // Not a terminal: no colours.
  expect(stdout).not.toContain('\u001b');
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  expect(stdout).toMatch(/^ {2}PostgreSQL +PGlite in memory$/m);
  expect(stdout.match(/^\d\. /gm)).toHaveLength(5);
  expect(stdout.match(/^ {2}(GET|POST) .* server /gm)).toHaveLength(5);
  expect(stdout.match(/─ SELECT products +catalog +client /g)).toHaveLength(5);
  expect(stdout.match(/─ INSERT orders +orders +client /g)).toHaveLength(2);
  expect(stdout.match(/─ shop\.Stock\/Reserve +orders +client /g)).toHaveLength(4);
  expect(stdout.match(/─ shop\.Stock\/Reserve +stock +server /g)).toHaveLength(4);
  expect(stdout).toMatch(/└─ POST \/charges +payment +server +([5-9]\d\d|\d{4,})\.\d ms/);
  expect(stdout).toMatch(/└─ POST \/authorizations +payment +client .* ECONNREFUSED$/m);
  expect(stdout).toMatch(/└─ shop\.Stock\/Release +stock +server /);
  expect(stdout).toMatch(/└─ shop\.Stock\/Reserve +orders +client .* RESOURCE_EXHAUSTED$/m);
  expect(stdout).toMatch(/traces +5$/m);
  expect(stdout).toMatch(/errors +8 +starting in payment: POST \/authorizations, ECONNREFUSED$/m);
  expect(stdout).toMatch(/^ +starting in orders: shop\.Stock\/Reserve, RESOURCE_EXHAUSTED$/m);
  expect(stdout).toMatch(/slowest +\d{3,} ms +in \w+: ./m);
}

test('with MySQL and RabbitMQ: one trace crosses all of them, and nothing is left there', async () => {
  const { url: AMQP_URL } = await amqpBroker();
  const MYSQL_URL = await mysqlDatabase();
  const { code, stdout, stderr } = await runDemo({ env: { ...SETTINGS, AMQP_URL, MYSQL_URL } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expectTraces(stdout);
  const [, mysqlHost, database] = stdout.match(/^ {2}MySQL +the server on (\S+), in database (\w+) until the end$/m)!;
  expect(mysqlHost).toBe(new URL(MYSQL_URL).host);
  expect(stdout).toMatch(/^ {2}RabbitMQ +the broker on \S+$/m);
  expect(stdout).toMatch(/services +6 /);
  expect(stdout).toMatch(/spans +55$/m);

  const coffee = stdout.slice(stdout.indexOf('\n2. '), stdout.indexOf('\n3. '));
  for (const span of [
    /^ {2}├─ GET \/products\/coffee +storefront +client/m,
    /^ {2}│ {5}└─ SELECT products +catalog +client/m,
    /^ {8}│ {2}└─ shop.Stock\/Reserve +stock +server/m,
    /^ {8}├─ INSERT orders +orders +client/m,
    /^ {8}└─ \w+ shipping-\w+ +orders +producer/m,
    /^ {11}└─ \w+ shipping-\w+ +shipping +consumer/m,
    /^ {14}├─ UPDATE orders +shipping +client/m,
    /^ {14}└─ ack shipping-\w+ +shipping +client/m,
  ])
    expect(coffee).toMatch(span);

  const connection = await createConnection(MYSQL_URL);
  const [databases] = await connection.query('SHOW DATABASES LIKE ?', [database]);
  await connection.end();
  expect(databases).toEqual([]);
  const broker = await amqp.connect(AMQP_URL);
  const channel = await broker.createChannel();
  channel.on('error', () => {});
  await expect(channel.checkQueue(coffee.match(/shipping-\w+/)![0])).rejects.toThrow('404');
  await broker.close();
});

test('without them: an embedded MySQL, and nothing is shipped', async () => {
  const { code, stdout, stderr } = await runDemo({ env: { ...SETTINGS, ...NO_SERVERS } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expectTraces(stdout);
  expect(stdout).toMatch(/^ {2}MySQL +embedded, since 127\.0\.0\.1:1 gives none \(ECONNREFUSED\)$/m);
  expect(stdout).toMatch(/^ {2}RabbitMQ +none on 127\.0\.0\.1:1 \(ECONNREFUSED\), so what is ordered is not shipped$/m);
  expect(stdout).not.toContain('producer');
  expect(stdout).toMatch(/services +5 /);
  expect(stdout).toMatch(/spans +47$/m);
});
