// Runs the test suites of the libraries themselves, bare and under the preload, and compares them test by test: the agent may change
// the outcome of none. Prints a table, and ends with an error where a test differs that is not in suites/differences.json.
//
//   npm run test:suites                 all that the Node.js under test runs
//   npm run test:suites -- pg undici    those whose names contain one of these
//   npm run test:suites -- pg test/unit one or several, and of their files those whose paths contain a word with a slash
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServers } from './servers/start.mjs';
import { root } from './suite.mjs';
import { startReceiver } from './suites/receiver.mjs';
import { causeOf, count, differences } from './suites/results.mjs';
import { agentPreload, EMPTY, preload, runFile } from './suites/run.mjs';
import { prepare } from './suites/sources.mjs';
import { filesOf, nodeEntry, TABLE } from './suites/table.mjs';
import { isAtLeast } from './versions-table.mjs';

/** How often files with a difference are run again, in each way. */
const AGAIN = 3;
/** And bare in all, where under us a test only sometimes ends otherwise: on a busy machine the same may happen without. */
const BARE_AGAIN = 12;
const CAUSES = {
  flaky: 'without the agent it ends in both ways, or it did not happen again',
  preload: 'a preload that does nothing has the same effect',
  headers: 'only with trace headers',
  agent: 'the agent',
};

const node = process.env.HOOKLINE_TEST_NODE || process.execPath;
const nodeVersion = execFileSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
const known = JSON.parse(readFileSync(new URL('./suites/differences.json', import.meta.url), 'utf8'));
const words = process.argv.slice(2);
const names = words.filter((word) => !word.includes('/'));
const paths = words.filter((word) => word.includes('/'));

// Their tests do as they like with databases: one of our own before one that somebody uses.
process.env.HOOKLINE_TEST_SERVERS_FROM ??= 'environment,private,default,install,docker';
const servers = await startServers();
// Of files that are run again the spans do not count.
const [receiver, receiverAgain] = [await startReceiver(), await startReceiver()];
const agent = {
  OTEL_EXPORTER_OTLP_ENDPOINT: receiverAgain.url,
  // Processes that are killed by their tests, or end in ways that nobody can watch, have sent what they had by then.
  OTEL_BSP_SCHEDULE_DELAY: '200',
};
const ours = agentPreload(root);
const waysOf = (flag) => ({
  bare: {},
  empty: preload(flag, EMPTY),
  traced: preload(flag, ours, { ...agent, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }),
  again: preload(flag, ours, agent),
  silent: preload(flag, ours, { ...agent, OTEL_PROPAGATORS: 'none' }),
});

const rows = [];
const folders = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
try {
  for (const entry of [...TABLE, nodeEntry(nodeVersion)]) {
    if (names.length > 0 && !names.some((name) => `${entry.name}`.includes(name))) continue;
    if (entry.node && !isAtLeast(nodeVersion, entry.node)) {
      console.log(
        `suites: ${entry.name} ${entry.version} not run, it needs Node.js ${entry.node} and this is ${nodeVersion}`,
      );
      continue;
    }
    console.log(`\n=== ${entry.name} ${entry.version}`);
    // Not in the cache itself: tests write into their folder, and some want no part of its path to begin with a dot.
    const folder = mkdtempSync(join(tmpdir(), 'hookline-suites-'));
    folders.add(folder);
    try {
      cpSync(await prepare(entry), folder, { recursive: true, verbatimSymlinks: true });
      rows.push({ entry, ...(await compare(entry, folder)) });
    } catch (error) {
      rows.push({ entry, problems: [`could not be run: ${error.message.trim()}`] });
    } finally {
      rmSync(folder, { recursive: true, force: true });
      folders.delete(folder);
    }
  }
} finally {
  receiver.close();
  receiverAgain.close();
  await servers.close();
}
report(rows);

async function compare(entry, folder) {
  const result = { found: [], said: new Set(), bare: new Map(), traced: new Map(), problems: [] };
  const env = await serverVariables(entry.server);
  receiver.spans.clear();
  for (const suite of entry.suites) {
    const here = { ...suite, folder, cwd: join(folder, suite.cwd), env: { ...suite.env, ...env } };
    for (const [file, reason] of Object.entries(suite.skip ?? {})) console.log(`not run: ${file}: ${reason}`);
    const files = filesOf(here).filter((file) => paths.length === 0 || paths.some((path) => file.includes(path)));
    if (files.length === 0 && paths.length === 0) throw new Error(`there are no files in ${suite.cwd}`);
    const label = (file) => join(suite.cwd, file).replace(/^node_modules\//, '');
    await inParallel(files, suite.serial ? 1 : availableParallelism(), (file, slot) =>
      compareFile(file, { here, slot, label: label(file), entry, result }),
    );
  }
  const { found, said, problems } = result;
  for (const { file, name, cause, reason } of found) {
    if ((cause === 'agent' || cause === 'headers') && !reason) problems.push(`${file}: ${name}`);
  }
  for (const line of said) {
    console.log(`said: ${line}`);
    if (/internal errors/.test(line)) problems.push(line);
  }
  if (!receiver.spans.has(`hookline/${entry.scope}`)) problems.push(`no span of ${entry.scope} arrived`);
  for (const { faults } of [receiver, receiverAgain]) {
    for (const fault of faults.splice(0)) problems.push(`an export could not be read: ${fault}`);
  }
  const spans = new Map(receiver.spans);
  return { found, problems, spans, bare: count(result.bare), traced: count(result.traced) };
}

/** Bare and traced, one after the other: a busy machine is as busy for both. */
async function compareFile(file, { here, slot, label, entry, result }) {
  const ways = waysOf(here.preload ?? 'import');
  const run = async (way) => {
    const { tests, lines } = await runFile(file, here, node, { TEST_THREAD_ID: String(slot), ...ways[way] });
    for (const line of lines) result.said.add(line);
    return tests;
  };
  const bare = await run('bare');
  const traced = await run('traced');
  result.bare.set(label, bare);
  result.traced.set(label, traced);
  printFailures(label, bare);
  const differing = differences(new Map([[label, bare]]), new Map([[label, traced]]));
  if (differing.length === 0) return;
  const again = { bare: [], empty: [], silent: [], traced: [] };
  const outcomes = (name) =>
    Object.fromEntries(
      Object.entries(again).map(([way, runs]) => [way, runs.map((tests) => tests.get(name)?.outcome ?? 'missing')]),
    );
  const isFlakyBare = ({ bare, name }) => outcomes(name).bare.some((outcome) => outcome !== bare);
  for (let time = 0; time < AGAIN && !differing.every(isFlakyBare); time++) {
    for (const way of ['bare', 'empty', 'silent', 'traced'])
      again[way].push(await run(way === 'traced' ? 'again' : way));
  }
  const isSometimes = (one) => {
    const { traced } = outcomes(one.name);
    return !isFlakyBare(one) && traced.includes(one.bare) && traced.some((outcome) => outcome !== one.bare);
  };
  while (again.bare.length < BARE_AGAIN && differing.some(isSometimes)) again.bare.push(await run('bare'));
  for (const difference of differing) {
    const cause = causeOf(difference, outcomes(difference.name));
    const one = { ...difference, cause, reason: reasonOf(entry, difference, cause) };
    result.found.push(one);
    printDifference(one);
  }
}

async function inParallel(items, atOnce, act) {
  const left = [...items];
  const work = async (slot) => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item, slot);
  };
  await Promise.all(Array.from({ length: atOnce }, (_, slot) => work(slot)));
}

/** The reason that a difference is inherent, of suites/differences.json, where its cause is the one that is known. */
function reasonOf(entry, { file, name }, cause) {
  const isIt = (one) =>
    entry.name.startsWith(one.library) && file === one.file && (one.test ?? name) === name && cause === one.cause;
  return known.find(isIt)?.reason;
}

/** What fails without us is not ours to say more about, but a suite that mostly fails shows little. */
function printFailures(file, bare) {
  const failed = [...bare].filter(([, { outcome }]) => outcome === 'failed').map(([name]) => name);
  if (failed.length === 0) return;
  console.log(
    `fails bare: ${file}: ${failed.slice(0, 3).join(', ')}${failed.length > 3 ? `, … (${failed.length})` : ''}`,
  );
}

function printDifference({ file, name, bare, traced, cause, reason, why }) {
  console.log(`differs: ${file}: ${name}: ${bare}, traced ${traced} (${reason ?? CAUSES[cause]})`);
  if (!reason && cause !== 'flaky' && why) console.log(why.replace(/^/gm, '    '));
}

function report(rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log(`\n${line(['suite', 'tests', 'passed bare', 'passed traced', 'differ', 'explained', 'flaky', 'spans'])}`);
  console.log(line(['---', '---:', '---:', '---:', '---:', '---:', '---:', '---:']));
  let failed = 0;
  for (const { entry, problems, found = [], bare, traced, spans } of rows) {
    if (problems.length > 0) failed++;
    const label = `${entry.name} ${entry.version}`;
    if (bare === undefined) {
      console.log(line([label, '', '', '', '', '', '', problems[0].split('\n')[0]]));
      continue;
    }
    const flaky = found.filter(({ cause }) => cause === 'flaky').length;
    const explained = found.filter(({ cause, reason }) => cause === 'preload' || (cause !== 'flaky' && reason)).length;
    const scopes = [...spans]
      .sort(([, a], [, b]) => b - a)
      .map(([scope, number]) => `${scope.replace(/^hookline\//, '')} ${number}`);
    const tests = bare.passed + bare.failed;
    console.log(
      line([label, tests, bare.passed, traced.passed, found.length - flaky, explained, flaky, scopes.join(', ')]),
    );
  }
  console.log();
  for (const { entry, problems } of rows) for (const problem of problems) console.log(`${entry.name}: ${problem}`);
  console.log(`suites: ${rows.length - failed} passed, ${failed} failed`);
  process.exitCode = rows.length > 0 && failed === 0 ? 0 : 1;
}

/** A server of this run's own, in the variables that the library's tests read. */
async function serverVariables(service) {
  if (service === undefined) return {};
  const { url } = await borrow(service);
  const { hostname, port, username, password, pathname } = new URL(url);
  const database = decodeURIComponent(pathname.slice(1));
  switch (service) {
    case 'postgres':
      return {
        PGHOST: hostname,
        PGPORT: port || '5432',
        PGUSER: decodeURIComponent(username),
        PGPASSWORD: decodeURIComponent(password),
        PGDATABASE: database,
      };
    case 'mysql':
      return {
        MYSQL_HOST: hostname,
        MYSQL_PORT: port || '3306',
        MYSQL_USER: decodeURIComponent(username),
        MYSQL_DATABASE: database,
        // With CI set, its tests take a password from MYSQL_PASSWORD.
        MYSQL_PASSWORD: decodeURIComponent(password),
        CI: '1',
      };
    case 'amqp':
      return { URL: url };
  }
}

/** See servers/main.mjs. */
function borrow(service) {
  return new Promise((resolve, reject) => {
    const sent = request(`${process.env.HOOKLINE_TEST_SERVERS}/${service}`, { method: 'POST' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.once('end', () => {
        const lent = JSON.parse(text);
        if (lent.error === undefined) resolve(lent);
        else reject(new Error(lent.error));
      });
    });
    sent.once('error', reject);
    sent.end();
  });
}
