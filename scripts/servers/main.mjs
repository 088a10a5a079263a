// A process that lends servers to test files: brought up when the first file asks, shared by all, stopped at the end.
// The end is that of standard input, so it comes too when the process that started this one is killed. It is in a
// process group of its own, out of reach of a terminal's Ctrl+C, and outlives that process until all is cleaned up.
//
//   POST   /<token>/postgres | mysql | amqp        { name, url, prefix? }: something empty, of the caller's own
//   DELETE /<token>/<service>/<name>               gives it back
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { findServer, oneLine, SERVICES, stopContainers } from './find.mjs';
import { isOver, leaveNothing, OVER, stopDaemons } from './processes.mjs';

const token = randomBytes(16).toString('hex');
/** By service; a failure is kept too, so that ten files do not wait ten times for it. */
const servers = new Map();
/** What is lent, by `service/name`; each with the promise of its making. */
const lent = new Map();
let closing;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => close(0));
process.on('exit', leaveNothing);
// The reader of our messages may be gone before us.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.on('uncaughtException', (error) => {
  say(`failed: ${error.stack}`);
  close(1);
});

// They would change what a URL means to the client.
for (const name of Object.keys(process.env)) if (/^PG[A-Z]/.test(name)) delete process.env[name];

const http = createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const [, given, service, name] = request.url.split('/');
  const known = given === token && Object.hasOwn(SERVICES, service);
  const action =
    known && request.method === 'POST'
      ? lend(service)
      : known && request.method === 'DELETE' && lent.has(`${service}/${name}`)
        ? takeBack(service, name).then(() => ({}))
        : Promise.reject(new Error(`no ${request.method} ${request.url}`));
  action.then(
    (body) => answer(200, body),
    (error) => answer(500, { error: oneLine(error) }),
  );
});
http.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${http.address().port}/${token}`));

process.stdin.on('error', () => close(0));
process.stdin.on('end', () => close(0));
process.stdin.resume();

function say(line) {
  process.stderr.write(`servers: ${line}\n`);
}

function serverFor(service) {
  if (closing) return Promise.reject(new Error(OVER));
  let server = servers.get(service);
  if (!server) {
    server = findServer(SERVICES[service], (line) => isOver() || say(line));
    server.catch(() => {});
    servers.set(service, server);
  }
  return server;
}

async function lend(service) {
  const server = await serverFor(service);
  if (closing) throw new Error(OVER);
  const name = `hookline_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  const made = SERVICES[service].create(server, name);
  lent.set(`${service}/${name}`, made);
  return { name, ...(await made) };
}

async function takeBack(service, name) {
  const key = `${service}/${name}`;
  // One that is being made is not there to be dropped; one that failed half-way may be.
  await lent.get(key).catch(() => {});
  await SERVICES[service].drop(await servers.get(service), name);
  lent.delete(key);
}

function close(exitCode) {
  closing ??= cleanUp().finally(() => process.exit(exitCode));
}

async function cleanUp() {
  // First what runs; then what is about to notices that, and rejects.
  await stopDaemons();
  await Promise.allSettled(servers.values());
  await stopContainers();
  // Private servers are gone with all they had; others get back what was lent.
  for (const key of lent.keys()) {
    const [service, name] = key.split('/');
    const server = await servers.get(service);
    if (server.ours) continue;
    await takeBack(service, name).catch((error) =>
      say(`${name} is still on ${SERVICES[service].name}: ${oneLine(error)}`),
    );
  }
}
