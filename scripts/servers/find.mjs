// Finds or brings up the servers that tests need. In this order:
//
//   environment  the URL in the service's variable
//   default      a server on its usual port of this machine, with the credentials of a fresh installation
//   private      an instance of our own from installed programs, on a free port and in a temporary folder
//   install      the same after installing the programs with apt-get (Debian and Ubuntu, as root)
//   docker       a container of compose.yaml
//
// HOOKLINE_TEST_SERVERS_FROM, names separated by commas, leaves only these.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { client, reach } from './clients.mjs';
import { mysql } from './mysql.mjs';
import { postgresql } from './postgresql.mjs';
import { findProgram, freePort, isOver, isRoot, OVER, removeFolder, run } from './processes.mjs';
import { rabbitmq } from './rabbitmq.mjs';

/**
 * By the names that tests ask for. Each has the variable with its URL, `probe` (rejects unless a server of this kind
 * accepts the credentials), `findPrograms` and `start` for private instances, and `create` and `drop` for the part of
 * a server that one test file has to itself; `needsPrivilege` says that not every user may `create`.
 */
export const SERVICES = { postgres: postgresql, mysql, amqp: rabbitmq };

const SOURCES = { environment: fromEnvironment, default: fromDefault, private: asPrivate, install, docker: fromDocker };
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * Resolves with the server's `url`, and `ours` when it was started for this run. Rejects with one line that says what
 * to do.
 * @param say prints one line about what was chosen or passed over
 */
export async function findServer(service, say) {
  // Before anything is started: without it there is no telling whether a server answers.
  await client(service.client);
  const asked = (process.env.HOOKLINE_TEST_SERVERS_FROM ?? '').split(',').filter(Boolean);
  for (const name of asked.length > 0 ? asked : Object.keys(SOURCES)) {
    const source = SOURCES[name];
    if (!source) throw new Error(`HOOKLINE_TEST_SERVERS_FROM: ${name} is none of ${Object.keys(SOURCES).join(', ')}`);
    const server = await source(service, say);
    if (isOver()) throw new Error(OVER);
    if (!server) continue;
    say(`${service.name} ${server.version} ${server.origin}`);
    return server;
  }
  throw new Error(
    `no ${service.name} for the tests: set ${service.variable}, or start one on 127.0.0.1:${service.port} ` +
      `(docker compose up -d ${service.composeService}), or install it (apt-get install ${service.aptPackage})`,
  );
}

async function fromEnvironment(service, say) {
  const url = process.env[service.variable];
  return url ? existing(service, url, `of ${service.variable}`, true, say) : undefined;
}

async function fromDefault(service, say) {
  return existing(service, service.defaultUrl, `on its default port ${service.port}`, false, say);
}

/** @param expected someone named it: not even listening is worth a line */
async function existing(service, url, origin, expected, say) {
  let listening = false;
  try {
    const { hostname, port } = new URL(url);
    await reach(hostname.replace(/^\[|\]$/g, '') || '127.0.0.1', Number(port) || service.port);
    listening = true;
    const server = { url, origin, version: await service.probe(url) };
    if (service.needsPrivilege) await tryOut(service, server);
    return server;
  } catch (error) {
    if (expected || listening) say(`${service.name} ${origin} is passed over: ${oneLine(error)}`);
    return undefined;
  }
}

/** Rejects when the user may connect but not make a database. */
async function tryOut(service, server) {
  const name = `hookline_test_${process.pid}_trial`;
  await service.create(server, name);
  await service.drop(server, name);
}

async function asPrivate(service, say, attempts = 2) {
  const programs = service.findPrograms();
  if (!programs) return undefined;
  let instance;
  const stop = async () => {
    await Promise.all(instance.daemons.map((daemon) => daemon.stop()));
    removeFolder(instance.folder);
  };
  try {
    instance = await service.start(programs);
    const version = await instance.ready();
    return { ...instance, ours: true, version, origin: `as a private instance of ${programs.server}` };
  } catch (error) {
    if (instance) await stop();
    if (isOver()) return undefined;
    say(`no private instance of ${programs.server}: ${oneLine(error)}`);
    // Its port may have been taken between choosing and using it.
    return attempts > 1 ? asPrivate(service, say, attempts - 1) : undefined;
  }
}

/** apt-get allows one of itself. */
let installing = Promise.resolve();

async function install(service, say) {
  const apt = isRoot && existsSync('/etc/debian_version') && findProgram(['apt-get']);
  if (!apt || service.findPrograms()) return undefined;
  const turn = installing.then(() => installPackage(apt, service, say));
  installing = turn.catch(() => {});
  try {
    await turn;
  } catch (error) {
    say(`${service.aptPackage} could not be installed: ${oneLine(error)}`);
    return undefined;
  }
  return asPrivate(service, say);
}

/** Says to the packages that no service is to be started now; theirs would take the default ports for good. */
const POLICY = '/usr/sbin/policy-rc.d';

async function installPackage(apt, service, say) {
  say(`installing ${service.aptPackage} with apt-get`);
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 600_000 };
  const ours = !existsSync(POLICY);
  const removePolicy = () => rmSync(POLICY, { force: true });
  if (ours) {
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
    process.on('exit', removePolicy);
  }
  try {
    // Another process may be installing, another run of these tests for example.
    const args = ['-o', 'DPkg::Lock::Timeout=600', 'install', '-y', '--no-install-recommends', service.aptPackage];
    // The lists may be missing, or name files that are gone.
    await run(apt, args, options).catch(() => run(apt, ['update'], options).then(() => run(apt, args, options)));
  } finally {
    if (ours) {
      removePolicy();
      process.off('exit', removePolicy);
    }
  }
}

async function fromDocker(service, say) {
  const docker = findProgram(['docker']);
  if (!docker) return undefined;
  try {
    await run(docker, ['version'], { timeoutMs: 10_000 });
    await run(docker, ['compose', 'version'], { timeoutMs: 10_000 });
  } catch {
    // No engine answers.
    return undefined;
  }
  const port = await freePort();
  const project = `hookline-test-${process.pid}-${service.composeService}`;
  const compose = (args, options) =>
    run(docker, ['compose', '--project-name', project, '--file', join(root, 'compose.yaml'), ...args], {
      env: { ...process.env, [service.composePort]: String(port) },
      timeoutMs: 600_000,
      ...options,
    });
  const stop = () => compose(['down', '--volumes', '--timeout', '0']);
  // Known before it is there, so that an end in the middle leaves no container behind.
  containers.add(stop);
  try {
    await compose(['up', '--detach', service.composeService], { untilOver: true });
    const url = new URL(service.defaultUrl);
    url.port = String(port);
    const version = await untilAnswering(() => service.probe(url.href));
    return { url: url.href, ours: true, version, origin: 'in a container of compose.yaml' };
  } catch (error) {
    await stop().then(
      () => containers.delete(stop),
      () => {},
    );
    say(`no ${service.name} from docker compose: ${oneLine(error)}`);
    return undefined;
  }
}

const containers = new Set();

export async function stopContainers() {
  await Promise.allSettled([...containers].map((stop) => stop()));
}

async function untilAnswering(probe) {
  const deadline = Date.now() + 120_000;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (isOver() || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

export function oneLine(error) {
  // Failures to connect to several addresses have no message of their own.
  const text = error.message || error.code || String(error.errors?.[0]?.message ?? error);
  return text.trim().split('\n')[0];
}
