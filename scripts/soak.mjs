// Runs the shop of examples/ for a while with visitors, while servers, services and the collector misbehave at random, and says
// whether anything went wrong that no fault explains: requests, spans, memory, and how the processes end.
//
//   npm run test:soak                        a minute
//   npm run test:soak -- 4h                  four hours; 90s, 15m
//   npm run test:soak -- 10m --seed 7        the same visits and faults again
//   npm run test:soak -- 10m --bare          without the agent, to compare with
import { randomInt } from 'node:crypto';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import amqp from 'amqplib';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { services as shop } from '../examples/shop/shop.mjs';
import { random } from '../test/support/random.ts';
import { startServers } from './servers/start.mjs';
import { startCollector } from './soak/collector.mjs';
import { startProxy } from './soak/proxy.mjs';
import { delay, Service } from './soak/services.mjs';
import { Visitors } from './soak/visitors.mjs';
import { root } from './suite.mjs';

const VISITORS = 4;
/** After a fault, and once all services are there again: what notices late, or waits before it connects again. */
const GRACE_MS = 6_000;
const NOTICED_MS = 3_000;
const QUIET_MS = 3_000;
const SAMPLE_MS = 3_000;
/** Spans may wait this long for a collector that is back. */
const SETTLE_MS = 30_000;
/** So long before it was killed, a process may have had spans that were on their way when the collector did not take any. */
const LATE_MS = 20_000;
/** HOOKLINE_EXIT_TIMEOUT's default, and what a busy machine takes to notice. */
const END_MS = 1_000 + 2_000;
/** A process that still warms up may grow, and what it holds differs from look to look. */
const WARM_UP_MS = 20_000;
const GROWTH_BYTES = 6 * 2 ** 20;
const RSS_BYTES = 300 * 2 ** 20;

const { durationMs, seed, traced } = readArguments(process.argv.slice(2));
const dice = random(seed);
let startMs = performance.now();
const at = () => `${((performance.now() - startMs) / 1000).toFixed(0).padStart(5)} s`;
console.log(`soak: ${durationMs / 1000} s, seed ${seed}${traced ? '' : ', without the agent'}`);

const problems = [];
const faults = new Map();
/** When requests may fail: `[from, to]`. */
const disturbances = [];
/** When processes were killed in a way that lets nobody save anything. */
const kills = [];
const ends = [];

const servers = await startServers();
const collector = await startCollector();
const all = [];
let proxies;
try {
  await soak();
} finally {
  for (const service of all) service.current?.child.kill('SIGKILL');
  for (const proxy of Object.values(proxies ?? {})) proxy.close();
  await collector.close();
  await servers.close();
}
console.log(`\nsoak: ${problems.length === 0 ? 'nothing happened that no fault explains' : 'not as promised'}`);
for (const problem of problems) console.log(`- ${problem}`);
process.exit(problems.length === 0 ? 0 : 1);

async function soak() {
  const [postgres, mariadb, rabbitmq] = await Promise.all(['postgres', 'mysql', 'amqp'].map(lend));
  await prepare(postgres.url, mariadb.url);
  proxies = {
    postgres: await startProxy(postgres.url, 5432),
    mysql: await startProxy(mariadb.url, 3306),
    rabbitmq: await startProxy(rabbitmq.url, 5672),
  };
  const addresses = { bank: `http://127.0.0.1:${await unusedPort()}` };
  for (const [name, { url }] of Object.entries(proxies)) addresses[name] = url;
  for (const definition of shop) {
    const service = new Service(definition, { ...inherited(), ...definition.env?.(addresses) }, traced);
    all.push(service);
    await service.start();
    addresses[definition.name] = service.address;
  }

  startMs = performance.now();
  const stock = await openStock(addresses.stock);
  const visitors = new Visitors(
    addresses.storefront,
    () => dice.integer(2 ** 30) / 2 ** 30,
    VISITORS,
    (product) => stock.release({ product, quantity: 1 }, { deadline: Date.now() + 5_000 }, () => {}),
  );
  const visits = [];
  let incomplete = 0;
  const looks = every(SAMPLE_MS, async () => {
    await Promise.all(all.map(({ current }) => current.ask(true)));
    visits.push(...visitors.done.splice(0));
    // Those whose spans have had the time to come. A visit that is not looked at yet is all that grows here.
    const old = performance.now() - 2 * SETTLE_MS;
    while (visits.length > 0 && visits[0].endMs < old) incomplete += missing(visits.shift());
  });
  const until = startMs + durationMs;
  await Promise.all([disturb(until, visitors, rabbitmq.url, addresses), spoilCollector(until)]);
  await delay(GRACE_MS);
  await visitors.stop();
  await looks.stop();
  visits.push(...visitors.done.splice(0));
  if (traced) await settle();
  for (const visit of visits.splice(0)) incomplete += missing(visit);
  stock.close();

  const accounts = traced ? account() : [];
  for (const service of [...all].reverse()) {
    const end = await service.stop('SIGTERM', true);
    check(end, 'SIGTERM');
  }
  report(visitors, accounts, incomplete);
}

/** The services' own faults, one after the other, each kind once before any comes again. */
async function disturb(until, visitors, brokerUrl, addresses) {
  const anyService = () => dice.pick(all);
  const kinds = {
    'connections to PostgreSQL cut': () => proxies.postgres.cut(),
    'connections to MySQL cut': () => proxies.mysql.cut(),
    'connections to RabbitMQ cut': () => proxies.rabbitmq.cut(),
    'PostgreSQL slow': () => slow(proxies.postgres),
    'MySQL slow': () => slow(proxies.mysql),
    'queue deleted': () => deleteQueue(brokerUrl, addresses.shipping),
    'visitors give up': () => Promise.all(Array.from({ length: 40 }, () => visitors.visit(true))),
    'service restarted': () => restart(anyService(), 'SIGTERM'),
    'service killed': () => restart(anyService(), 'SIGKILL'),
  };
  // What explains no failed request of anybody else.
  const harmless = new Set(['visitors give up', 'PostgreSQL slow', 'MySQL slow']);
  let bag = [];
  while (performance.now() < until) {
    await delay(QUIET_MS + dice.integer(QUIET_MS));
    if (performance.now() >= until) return;
    if (bag.length === 0) bag = shuffled(Object.keys(kinds));
    const kind = bag.pop();
    const disturbance = [performance.now(), Number.POSITIVE_INFINITY];
    if (!harmless.has(kind)) disturbances.push(disturbance);
    note(kind);
    await kinds[kind]();
    if (harmless.has(kind)) continue;
    await delay(NOTICED_MS);
    while (!all.every(({ isUp }) => isUp)) await delay(100);
    await delay(GRACE_MS);
    disturbance[1] = performance.now();
  }
}

async function spoilCollector(until) {
  if (!traced) return;
  let bag = [];
  while (performance.now() < until) {
    await delay(QUIET_MS);
    if (performance.now() >= until) return;
    if (bag.length === 0) bag = shuffled(collector.moods);
    const mood = bag.pop();
    note(`collector ${mood}`);
    await collector.be(mood);
    await delay(2_000 + dice.integer(6_000));
    await collector.be('well');
  }
}

function note(kind) {
  faults.set(kind, (faults.get(kind) ?? 0) + 1);
  console.log(`${at()}  ${kind}`);
}

async function slow(proxy) {
  proxy.delay(100);
  await delay(3_000);
  proxy.delay(0);
}

async function restart(service, signal) {
  console.log(`${at()}  … ${service.name}, by ${signal}`);
  if (signal === 'SIGKILL') kills.push(performance.now());
  const end = await service.stop(signal, false);
  check(end, signal);
  await service.start();
}

/** A process that is asked to end does, by the signal it was sent, and in time. */
function check({ name, code, signal, tookMs, stderr }, asked) {
  ends.push(tookMs);
  if (signal !== asked)
    problems.push(`${name} was sent ${asked} and ended with ${signal ?? `exit code ${code}`}\n${stderr}`);
  if (tookMs > END_MS) problems.push(`${name} took ${tookMs.toFixed(0)} ms to end`);
}

function isDisturbed(from, to) {
  return disturbances.some(([start, end]) => from <= end && start <= to);
}

/** Looks at one visit that is over; returns how many of its spans are missing. */
function missing({ title, traceId, startMs: from, endMs, givesUp, outcome, spans }) {
  const arrived = collector.traces.get(traceId)?.size ?? 0;
  collector.traces.delete(traceId);
  // A message may still be on its way to those who ship when the answer is here.
  if (givesUp || isDisturbed(from, endMs + 1_000)) return 0;
  if (outcome !== 'right') {
    problems.push(
      `${title}: ${outcome} after ${(endMs - from).toFixed(0)} ms, ${((from - startMs) / 1000).toFixed(1)} s after the start`,
    );
    return 0;
  }
  if (!traced || arrived === spans || kills.some((ms) => endMs < ms && endMs > ms - LATE_MS)) return 0;
  if (arrived > spans) problems.push(`${title}: ${arrived} spans arrived, ${spans} were expected (trace ${traceId})`);
  return Math.max(0, spans - arrived);
}

/** Waits until no span waits any more. */
async function settle() {
  const until = performance.now() + SETTLE_MS;
  const isWaiting = (spans) => spans === undefined || spans.queued + spans.inFlight > 0;
  do {
    await delay(250);
    await Promise.all(all.map(({ current }) => current.ask()));
  } while (performance.now() < until && all.some(({ current }) => isWaiting(current.spans)));
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** What became of the spans of each service, over all of its processes. */
function account() {
  return all.map(({ name, instances, current }) => {
    const lost = {};
    const lose = (reason, count) => {
      lost[reason] = (lost[reason] ?? 0) + count;
    };
    for (const { spans, stderr } of instances) {
      for (const [reason, count] of Object.entries(spans?.dropped ?? {})) lose(reason, count);
      // What a process had not delivered when it ended, it says.
      const [, atTheEnd] = /^hookline: (\d+) spans were not delivered /m.exec(stderr) ?? [];
      if (atTheEnd !== undefined) lose('at the end', Number(atTheEnd) - sum(Object.values(spans?.dropped ?? {})));
    }
    const { exported, queued, inFlight } = current.spans ?? { exported: 0, queued: 0, inFlight: 0 };
    const arrived = collector.delivered.get(current.id) ?? 0;
    if (exported !== arrived) problems.push(`${name}: ${exported} spans counted as exported, ${arrived} arrived`);
    if (queued + inFlight > 0)
      problems.push(`${name}: ${queued + inFlight} spans still wait for a collector that is well`);
    const delivered = sum(instances.map(({ id }) => collector.delivered.get(id) ?? 0));
    const twice = sum(instances.map(({ id }) => collector.twice.get(id) ?? 0));
    if (twice > 0) problems.push(`${name}: ${twice} spans arrived twice`);
    return { name, delivered, twice, lost };
  });
}

/** The process of each service that lived longest: what it held at first, after warming up, and in the end. */
function memory(service) {
  const lived = (samples) => (samples.length < 2 ? 0 : samples.at(-1).atMs - samples[0].atMs);
  const { samples } = service.instances.reduce((a, b) => (lived(b.samples) > lived(a.samples) ? b : a));
  const warm = samples.filter(({ atMs }) => atMs - samples[0].atMs > WARM_UP_MS);
  const rss = Math.max(...service.instances.flatMap((instance) => instance.samples.map((sample) => sample.rss)));
  if (rss > RSS_BYTES) problems.push(`${service.name} used ${mib(rss)} MiB`);
  if (warm.length < 6) return { rss, text: 'too short to say' };
  const third = Math.floor(warm.length / 3);
  const middle = (part) => part.map(({ heapUsed }) => heapUsed).sort((a, b) => a - b)[part.length >> 1];
  const first = middle(warm.slice(0, third));
  const last = middle(warm.slice(-third));
  if (last - first > GROWTH_BYTES) problems.push(`${service.name} grew from ${mib(first)} to ${mib(last)} MiB`);
  return { rss, text: `${mib(first)} → ${mib(last)} in ${(lived(samples) / 1000).toFixed(0)} s` };
}

function report(visitors, accounts, incomplete) {
  const dropped = sum(accounts.flatMap(({ lost }) => Object.values(lost)));
  if (incomplete > dropped) {
    problems.push(`${incomplete} spans of undisturbed visits never arrived, and ${dropped} are counted as lost`);
  }
  console.log('\n| service | starts | crashes | heap, MiB | most RSS, MiB | delivered | twice | lost |');
  console.log('| --- | ---: | ---: | --- | ---: | ---: | ---: | --- |');
  for (const service of all) {
    const { name, instances, crashes } = service;
    const { rss, text } = memory(service);
    for (const { atMs, code, signal, stderr } of crashes) {
      if (isDisturbed(atMs - 1_000, atMs)) continue;
      problems.push(`${name} ended by itself with ${signal ?? `exit code ${code}`}\n${stderr}`);
    }
    const { delivered = 0, twice = 0, lost = {} } = accounts.find((row) => row.name === name) ?? {};
    const reasons = Object.entries(lost).map(([reason, count]) => `${reason} ${count}`);
    const cells = [name, instances.length, crashes.length, text, mib(rss), delivered, twice, reasons.join(', ')];
    console.log(`| ${cells.join(' | ')} |`);
  }
  const said = new Map();
  for (const { stderr } of all.flatMap(({ instances }) => instances)) {
    for (const line of stderr.split('\n')) {
      if (!line.startsWith('hookline:')) continue;
      const text = line.replace(/\d+/g, '#');
      said.set(text, (said.get(text) ?? 0) + 1);
    }
  }
  console.log(
    `\n${visitors.count} visits, ${visitors.aborted} of them given up; ${ends.length} processes ended when asked,`,
  );
  console.log(
    `the slowest after ${Math.max(...ends).toFixed(0)} ms; ${incomplete} spans of undisturbed visits missing`,
  );
  console.log(`faults: ${[...faults].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  for (const [text, count] of said) console.log(`said ${count} times: ${text}`);
}

function mib(bytes) {
  return (bytes / 2 ** 20).toFixed(1);
}

function shuffled(items) {
  const left = [...items];
  return items.map(() => left.splice(dice.integer(left.length), 1)[0]);
}

function every(ms, look) {
  let running = true;
  const loop = (async () => {
    while (running) {
      await delay(ms);
      await look();
    }
  })();
  return {
    async stop() {
      running = false;
      await loop;
    },
  };
}

/** Consumers of a queue that is deleted are told by a message that is none. */
async function deleteQueue(url, queue) {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  await channel.deleteQueue(queue);
  await connection.close();
}

async function prepare(postgresUrl, mysqlUrl) {
  const products = new pg.Client(postgresUrl);
  await products.connect();
  await products.query(`
    CREATE TABLE products (id text PRIMARY KEY, price integer NOT NULL);
    INSERT INTO products VALUES ('coffee', 12), ('tea', 8), ('mug', 15), ('kettle', 30);
  `);
  await products.end();
  const orders = await mysql.createConnection(mysqlUrl);
  await orders.query(`CREATE TABLE orders (
    id INT AUTO_INCREMENT PRIMARY KEY,
    product VARCHAR(40) NOT NULL,
    price INT NOT NULL,
    state VARCHAR(20) NOT NULL DEFAULT 'placed')`);
  await orders.end();
}

/** Puts back on the shelf what was sold, so that the shop never sells out for long. */
async function openStock(address) {
  const proto = protoLoader.loadSync(join(root, 'examples/shop/services/stock.proto'));
  const { Stock } = grpc.loadPackageDefinition(proto).shop;
  return new Stock(address, grpc.credentials.createInsecure());
}

/** A database or virtual host of this run's own. */
function lend(service) {
  return new Promise((resolve, reject) => {
    request(`${process.env.HOOKLINE_TEST_SERVERS}/${service}`, { method: 'POST', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        const answer = JSON.parse(text);
        if (answer.error === undefined) resolve(answer);
        else reject(new Error(answer.error));
      });
    })
      .on('error', reject)
      .end();
  });
}

function inherited() {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(OTEL_.*|HOOKLINE_.*|NODE_OPTIONS|PORT|PG[A-Z]+|NODE_USE_ENV_PROXY|\w+_proxy)$/i.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    ...{
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '500',
      OTEL_EXPORTER_OTLP_TIMEOUT: '10000',
    },
  };
}

/** A port where nobody answers: the bank that is down. */
async function unusedPort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function readArguments(args) {
  const isBare = args.includes('--bare');
  const seedAt = args.indexOf('--seed');
  const given = seedAt < 0 ? undefined : args[seedAt + 1];
  const [time = '60s', ...rest] = args.filter(
    (arg, i) => arg !== '--bare' && (seedAt < 0 || (i !== seedAt && i !== seedAt + 1)),
  );
  const [, amount, unit] = /^(\d+)([smh])?$/.exec(time) ?? [];
  if (amount === undefined || rest.length > 0 || (given !== undefined && !/^\d+$/.test(given))) {
    console.error('soak: a time such as 90s, 15m or 4h, --seed with a number, --bare');
    process.exit(1);
  }
  const unitMs = { s: 1_000, m: 60_000, h: 3_600_000 }[unit ?? 's'];
  return { durationMs: Number(amount) * unitMs, seed: Number(given ?? randomInt(1e9)), traced: !isBare };
}
