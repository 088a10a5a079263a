// npm run demo: runs a small shop of several services under the agent and prints the traces that come out.
// The services in services/ know nothing of tracing; all that is added is the preload and OTEL_* variables. What
// stands in servers/ plays the part of database servers and runs without the agent.
import http from 'node:http';
import { createServer } from 'node:net';
import { isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findBroker } from './lib/broker.mjs';
import { createPrinter, describe } from './lib/print.mjs';
import { interruption, startProcess, stopProcesses } from './lib/processes.mjs';
import { startReceiver } from './lib/receiver.mjs';
import { servers, services, visits } from './shop.mjs';

const SPANS_TIMEOUT_MS = 10_000;
const REGISTER = new URL('../../register.mjs', import.meta.url).href;
const SERVERS = fileURLToPath(new URL('./servers/', import.meta.url));
const SERVICES = fileURLToPath(new URL('./services/', import.meta.url));

const print = createPrinter(process.stdout.isTTY === true && !process.env.NO_COLOR);

// `npm run demo | head`: nobody reads on.
process.stdout.on('error', () => process.exit(1));

let exitCode = 0;
try {
  exitCode = (await Promise.race([demo(), interruption])) ?? 0;
} catch (error) {
  console.error(`demo: ${error.message}`);
  exitCode = 1;
} finally {
  await stopProcesses();
}
// Idle keep-alive connections of fetch must not hold the end up.
process.exit(exitCode);

async function demo() {
  const receiver = await startReceiver();

  console.log(`${print.bold('Starting the servers')} that the shop stands on, untraced:\n`);
  const addresses = { bank: `http://127.0.0.1:${await unusedPort()}`, ...(await startServers()) };

  console.log(
    `\n${print.bold('Starting the shop')}, each service in a process of its own, not one line of tracing in any:\n`,
  );
  const withBroker = addresses.rabbitmq !== undefined;
  for (const { name, file, env } of services.filter(({ needsBroker }) => withBroker || !needsBroker)) {
    const script = join(SERVICES, file);
    const { address } = await startProcess(name, ['--import', REGISTER, script], {
      ...inherited(),
      ...env?.(addresses),
      PORT: '0',
      OTEL_SERVICE_NAME: name,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    });
    addresses[name] = address;
    console.log(`  ${print.dim('node --import hookline/register')} ${shown(script)}`);
  }

  for (const [index, visit] of visits.entries()) {
    const known = new Set(receiver.spans.map(({ traceId }) => traceId));
    const status = await send(visit, addresses.storefront);
    if (status !== visit.status) throw new Error(`${visit.title}: answered ${status}, expected ${visit.status}`);
    const expected = visit.spans + (withBroker ? (visit.brokerSpans ?? 0) : 0);
    const spans = await arrival(receiver, visit.title, expected, (span) => !known.has(span.traceId));
    const title = `${index + 1}. ${visit.title}`;
    console.log(
      `\n${print.bold(title)}  ${print.dim(`${method(visit)} ${visit.path} → ${status}, trace ${spans[0].traceId}`)}`,
    );
    console.log(print.formatTrace(spans));
  }

  console.log(`\n${summary(receiver.spans)}`);
  receiver.close();
}

/** Starts them side by side and says what they are; resolves to where they listen, by name. */
async function startServers() {
  const env = inherited();
  const [broker, ...started] = await Promise.all([
    findBroker(),
    ...servers.map(({ name, file }) => startProcess(name, [join(SERVERS, file)], env)),
  ]);
  const say = (label, note) => console.log(`  ${label.padEnd(12)}${print.dim(note)}`);
  for (const [index, { note }] of started.entries()) say(servers[index].label, note);
  say('RabbitMQ', broker.note);
  const addresses = Object.fromEntries(started.map(({ address }, index) => [servers[index].name, address]));
  return broker.url ? { ...addresses, rabbitmq: broker.url } : addresses;
}

/** One request of a visitor; resolves to the status of the answer. */
async function send(visit, storefront) {
  const url = `${storefront}${visit.path}`;
  const body = visit.body && JSON.stringify(visit.body);
  if (visit.by === 'fetch') {
    const response = await fetch(url, { method: method(visit), body });
    await response.text();
    return response.status;
  }
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: method(visit) }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.end(body);
  });
}

function method({ body }) {
  return body ? 'POST' : 'GET';
}

/** Waits until the spans of a visit have arrived; they have to be one trace with one root. */
function arrival(receiver, title, expected, belongs) {
  return new Promise((resolve, reject) => {
    const check = (isLast) => {
      const spans = receiver.spans.filter(belongs);
      const ids = new Set(spans.map(({ spanId }) => spanId));
      const roots = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId)).length;
      const traces = new Set(spans.map(({ traceId }) => traceId)).size;
      if (spans.length === expected && traces === 1 && roots === 1) {
        clearTimeout(timer);
        resolve(spans);
      } else if (isLast) {
        const got = `${count(spans.length, 'span')} in ${count(traces, 'trace')} with ${count(roots, 'root')}`;
        reject(new Error(`${title}: expected ${expected} spans in one trace, got ${got}`));
      }
    };
    const timer = setTimeout(check, SPANS_TIMEOUT_MS, true);
    receiver.onSpans(() => check(false));
    check(false);
  });
}

function summary(spans) {
  const traces = new Set(spans.map(({ traceId }) => traceId)).size;
  const names = new Set(spans.map(({ service }) => service));
  const failed = spans.filter((span) => span.failed);
  // The span itself took its time, and not one below it.
  const own = (span) =>
    span.endUs -
    span.startUs -
    spans.reduce(
      (sum, { parentSpanId, startUs, endUs }) => sum + (parentSpanId === span.spanId ? endUs - startUs : 0),
      0,
    );
  const slowest = spans.reduce((slow, span) => (own(span) > own(slow) ? span : slow));
  // An error goes up from the span that no span below explains.
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const explained = new Set();
  for (const { parentSpanId } of failed) {
    for (let above = byId.get(parentSpanId); above; above = byId.get(above.parentSpanId)) explained.add(above);
  }
  const origins = failed.filter((span) => !explained.has(span));
  const lines = [
    ['services', `${names.size}`, [...names].map(print.service).join(', ')],
    ['traces', `${traces}`, ''],
    ['spans', `${spans.length}`, ''],
    ...origins.map((span, index) => [
      index === 0 ? 'errors' : '',
      index === 0 ? `${failed.length}` : '',
      `starting in ${print.service(span.service)}: ${describe(span)}, ${span.attributes['error.type']}`,
    ]),
    ['slowest', `${(own(slowest) / 1000).toFixed(0)} ms`, `in ${print.service(slowest.service)}: ${describe(slowest)}`],
  ];
  const columns = Math.max(...lines.map(([, value]) => value.length));
  return lines
    .map(([label, value, detail]) => `  ${print.dim(label.padEnd(10))}${value.padStart(columns)}  ${detail}`.trimEnd())
    .join('\n');
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** A path as one would type it here. */
function shown(path) {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}

/** The environment without what would trace, preload, connect or colour differently on some machines. */
function inherited() {
  const kept = Object.entries(process.env).filter(
    // gRPC and newer versions of Node.js take proxies from it, pg its defaults.
    ([name]) => !/^(OTEL_.*|HOOKLINE_.*|NODE_OPTIONS|PORT|PG[A-Z]+|NODE_USE_ENV_PROXY|\w+_proxy)$/i.test(name),
  );
  return Object.fromEntries(kept);
}

/** A port where nobody answers: the bank that is down. */
async function unusedPort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
