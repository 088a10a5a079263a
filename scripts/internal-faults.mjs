// Makes every function of the agent fail that an application reaches, and looks at the application: what it prints, gets,
// throws and counts has to be as without the agent. A function that fails once costs spans at most; one that always fails
// has its instrumentation switched off, which one line and the status say.
//
//   npm run test:faults:internal                     all scenarios, every function
//   npm run test:faults:internal -- pg http          these scenarios
//   npm run test:faults:internal -- --brief          a part of it, in a minute; --seed=7 repeats the choice
//   npm run test:faults:internal -- --only=Guard.run functions whose id contains this
//   npm run test:faults:internal -- --absorbed       also says whose failures were counted nowhere
//   npm run test:faults:internal -- --list           names of scenarios
//
// The agent is a build of its own, .dist-faults/ (internal-faults/probes.mjs), which is never packed.
import { execFileSync, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { installPackages } from './packages.mjs';
import { startServers } from './servers/start.mjs';
import { root } from './suite.mjs';
import { selectVersions } from './versions-table.mjs';

const folder = join(root, 'scripts/internal-faults');
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const flag = (name) => flags.find((text) => text.startsWith(`--${name}=`))?.slice(name.length + 3);
const only = flag('only');
const brief = flags.includes('--brief');
const seed = Number(flag('seed') ?? Math.floor(Math.random() * 1e6));

/** What a function of the start does that all scenarios reach is looked at in one of them. */
const PER_SCENARIO = /^(instrumentations|src\/(hook|http|db|messaging|rpc))\//;
const ALWAYS = Number.MAX_SAFE_INTEGER;
const FRESH_ROUNDS = 3;
/** `--brief` takes one in so many. */
const BRIEF_SHARE = 5;
const PROCESS_MS = 60_000;
/** What differs is tried again so often, after a pause, and is a finding when it comes once more. */
const CONFIRMATIONS = 2;
const CONFIRMATION_PAUSE_MS = 2_000;

/** A function that is called again and again is called from several places: it fails once in each of so many calls. */
const MAX_CALLS = 4;

/** The scenario of all of these is frameworks.cjs. */
const FRAMEWORKS = [
  ...['connect', 'express', 'fastify', 'find-my-way', 'h3', 'hapi', 'hono', 'koa', 'nestjs', 'restify', 'router'],
];
/** Of these, the newest version in test/versions.json is installed; the rest is among our own packages. */
const INSTALLED = ['graphql', 'pg', 'ws', ...FRAMEWORKS];
/** What turns on what a scenario is for. */
const VARIABLES = {
  'child-process': { HOOKLINE_CHILD_PROCESS_CONTEXT: 'true' },
  ...Object.fromEntries(
    FRAMEWORKS.map((name) => [name, { [`OTEL_INSTRUMENTATION_${name.toUpperCase()}_SPANS`]: 'all' }]),
  ),
};

const names = readdirSync(join(folder, 'scenarios'))
  .map((file) => file.replace('.cjs', ''))
  .filter((name) => name !== 'tools' && name !== 'frameworks')
  .concat(FRAMEWORKS)
  .filter((name) => asked.length === 0 || asked.includes(name));
if (flags.includes('--list')) {
  console.log(names.join('\n'));
  process.exit();
}

if (!flags.includes('--no-build')) {
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--faults'], { stdio: 'inherit' });
}
const startMs = performance.now();
const directory = mkdtempSync(join(tmpdir(), 'hookline-faults-'));
const collector = createServer((incoming, response) => incoming.resume().on('end', () => response.end()));
await new Promise((resolve) => collector.listen(0, '127.0.0.1', resolve));
const servers = await startServers();
const environment = {
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.address().port}`,
  DATABASE_URL: names.some((name) => name.startsWith('pg')) ? (await borrow('postgres')).url : undefined,
  MYSQL_URL: names.some((name) => name.startsWith('mysql')) ? (await borrow('mysql')).url : undefined,
  ...(names.some((name) => name.startsWith('amqp')) && (await brokerEnvironment())),
};

/** Of installed packages, by scenario. */
const folders = new Map();
const findings = [];
const rows = [];
const jobs = [];
/** Functions of the start that another scenario has had. */
const shared = new Set();
try {
  for (const name of names) {
    jobs.push(() =>
      playScenario(name)
        .catch(() => sleep(CONFIRMATION_PAUSE_MS).then(() => playScenario(name)))
        .catch((error) => scenarioFailed(name, error)),
    );
  }
  await work();
} finally {
  collector.closeAllConnections();
  collector.close();
  await servers.close();
  rmSync(directory, { recursive: true, force: true });
}
report();

async function work() {
  const worker = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

/** Learns what a scenario looks like without the agent, and which functions it reaches; then puts the rest into the queue. */
async function playScenario(name) {
  const bare = await run(name, { rounds: 3 }, false);
  if (bare.end === undefined) throw new Error(`${name}: ${describeEnd(bare)}`);
  // The first may have warnings that are given once.
  const expected = bare.rounds[1].seen;
  const difference = differenceOf(expected, bare.rounds[2].seen);
  if (expected.stray.length > 0) throw new Error(`${name}: without the agent: ${expected.stray[0]}`);
  if (difference) throw new Error(`${name}: two rounds without the agent differ: ${difference}`);
  const scanFile = join(directory, `${name}-ids`);
  const scan = await run(name, { rounds: 3, scanFile }, true);
  const problem = problemOf(scan, bare);
  if (problem) throw new Error(`${name}: with the agent, nothing failing: ${problem}`);
  const ids = readFileSync(scanFile, 'utf8').trim().split('\n');
  const [, second, third] = scan.rounds.map(({ reached }) => new Map(reached));
  const wanted = ids.filter((id) => only === undefined || id.includes(only));
  const steady = wanted.filter((id) => second.has(id) && third.has(id));
  const row = { name, reached: ids.length, steady: 0, fresh: 0, off: 0, absorbed: 0, notSeen: 0, problems: 0 };
  rows.push(row);
  const context = { name, bare, expected, row };
  const tries = steady
    .flatMap((id) => [
      ...callsOf(second.get(id)).map((skip) => ({ id, times: 1, skip })),
      { id, times: ALWAYS, skip: 0 },
    ])
    .filter(({ id, times, skip }) => isChosen(`${name} ${times} ${skip} ${id}`));
  for (const half of [0, 1]) {
    const part = tries.filter((_, at) => at < tries.length / 2 === (half === 0));
    if (part.length > 0) jobs.push(() => playSteady(context, part).catch((error) => scenarioFailed(name, error)));
  }
  for (const id of wanted) if (!steady.includes(id)) addFresh(context, id);
}

function addFresh(context, id) {
  if (!PER_SCENARIO.test(id)) {
    if (shared.has(id)) return;
    shared.add(id);
  }
  if (isChosen(`${context.name} ${id}`)) jobs.push(() => playFresh(context, id));
}

/** Which of so many calls of a round are to fail: the first one, and some of those that follow. */
function callsOf(count) {
  const step = Math.max(1, count / MAX_CALLS);
  return Array.from({ length: Math.min(count, MAX_CALLS) }, (_, at) => Math.floor(at * step));
}

/** All of them, or with `--brief` others for each seed. */
function isChosen(what) {
  if (!brief) return true;
  let hash = seed | 0;
  for (let i = 0; i < what.length; i++) hash = Math.imul(hash ^ what.charCodeAt(i), 0x01000193) >>> 0;
  return (hash >>> 8) % BRIEF_SHARE === 0;
}

/** What is reached in every round fails in one process, one function after the other. */
async function playSteady(context, tries) {
  const doubtful = [];
  await playOneAfterTheOther(context, tries, (attempt, what) => doubtful.push({ attempt, what }));
  context.row.steady += tries.length;
  // A server that takes no more connections for a moment is not the agent's doing: what that is comes again.
  for (const { attempt, what } of doubtful) {
    let again = false;
    for (let time = 0; time < CONFIRMATIONS && !again; time++) {
      await sleep(CONFIRMATION_PAUSE_MS);
      await playOneAfterTheOther(context, [attempt], (_attempt, repeated) => {
        again = true;
        finding(context, attempt.id, attempt.times, repeated);
      });
    }
    if (!again) chance(context, attempt.id, attempt.times, what);
  }
}

/** `differs(attempt, what)` is called for each of `tries` after which the application was not as before. */
async function playOneAfterTheOther(context, tries, differs) {
  const { name, expected, row } = context;
  let rest = tries;
  let barren = 0;
  while (rest.length > 0) {
    const before = rest.length;
    let current;
    let unlike;
    const result = await run(name, { expected, steady: rest }, true, (message, kill) => {
      if (message.begin) [current] = rest;
      if (message.unlike) unlike = differenceOf(expected, message.unlike);
      if (!message.result) return;
      const { fired, seen, after } = message.result;
      const [attempt] = rest;
      current = undefined;
      rest = rest.slice(1);
      const difference = differenceOf(expected, seen) ?? withPrefix('afterwards: ', differenceOf(expected, after));
      if (difference) differs(attempt, difference);
      else if (fired === 0) row.notSeen++;
      else lookAtStatus(context, message.result);
      // What is broken now would be blamed on the next one.
      if (difference) kill();
    });
    if (current !== undefined) {
      differs(current, describeEnd(result));
      rest = rest.slice(1);
    } else if (result.stdout !== '') finding(context, '(several)', 0, `standard output has ${result.stdout}`);
    barren = rest.length === before ? barren + 1 : 0;
    if (barren > CONFIRMATIONS) {
      throw new Error(`${name}: ${unlike ? `rounds with the agent differ: ${unlike}` : describeEnd(result)}`);
    }
    if (barren > 0) await sleep(CONFIRMATION_PAUSE_MS);
  }
}

/** What is reached at the start, at the end, or when something is first used, fails all along in a process of its own. */
async function playFresh(context, id) {
  const { name, bare, row } = context;
  row.fresh++;
  let first;
  for (let time = 0; time <= CONFIRMATIONS; time++) {
    const result = await run(name, { rounds: FRESH_ROUNDS, id, times: ALWAYS }, true);
    const problem = problemOf(result, bare);
    if (problem && first) return finding(context, id, ALWAYS, problem);
    if (!problem && !first) return result.last && lookAtStatus(context, { id, times: ALWAYS, ...result.last });
    first ??= problem;
    await sleep(CONFIRMATION_PAUSE_MS);
  }
  chance(context, id, ALWAYS, first);
}

/** A function that always fails has to show, where its failures were counted. */
function lookAtStatus(context, { id, times, status = [], lines = [] }) {
  if (times === 1) return;
  const { row } = context;
  const failing = status.filter(({ failures }) => failures > 0);
  if (failing.length === 0) {
    row.absorbed++;
    if (flags.includes('--absorbed')) console.log(`  absorbed: ${id} (${row.name})`);
  }
  for (const { name, failures, off, firstError } of failing) {
    if (failures < 5) continue;
    if (!off) finding(context, id, times, `${name} failed ${failures} times and is still on`);
    else if (!String(firstError).includes(id)) finding(context, id, times, `the status of ${name} does not say why`);
    else if (lines.filter((line) => line.includes(`${name} instrumentation switched off`)).length !== 1) {
      finding(context, id, times, `no line, or several, say that ${name} is off: ${lines.join(' | ')}`);
    } else row.off++;
  }
}

function finding({ name, row }, id, times, what) {
  row.problems++;
  findings.push({ id, scenario: name, when: times === 1 ? 'once' : 'always', what });
  console.log(`- ${id} (${name}, ${times === 1 ? 'once' : 'always'}): ${what}`);
}

/** Said, not counted: it came once, and not again when the same was tried `CONFIRMATIONS` times. */
function chance({ name }, id, times, what) {
  console.log(`  by chance: ${id} (${name}, ${times === 1 ? 'once' : 'always'}): ${what}`);
}

/** Nothing was tried, or not all of it. */
function scenarioFailed(name, { message }) {
  findings.push({ id: name, scenario: name, when: 'ever', what: message });
  console.log(`- ${message}`);
}

/** How a whole run differs from the one without the agent. */
function problemOf(result, bare) {
  for (const [at, { seen }] of result.rounds.entries()) {
    const difference = differenceOf((bare.rounds[at] ?? bare.rounds.at(-1)).seen, seen);
    if (difference) return difference;
  }
  if (result.crashed || !isDeepStrictEqual([result.code, result.signal], [bare.code, bare.signal])) {
    return describeEnd(result);
  }
  if (result.end !== bare.end) return 'it did not come to its end';
  if (result.stdout !== bare.stdout) return `standard output has ${result.stdout}`;
  const [own, others] = [bare, result].map(({ stderr }) => foreignLines(stderr));
  return isDeepStrictEqual(own, others) ? undefined : `standard error has ${others.join(' | ') || 'nothing'}`;
}

/** What others than the agent wrote; Node puts the process id in front of its warnings. */
function foreignLines(text) {
  return text
    .replace(/\(node:\d+\)/g, '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('hookline: '));
}

function describeEnd({ code, signal, crashed, stderr }) {
  return `ended with ${signal ?? `exit code ${code}`}${crashed ? `: ${crashed}` : ''} ${stderr.slice(0, 300)}`;
}

/** Runs app.cjs to its end. */
async function run(name, plan, traced, onMessage = () => {}) {
  const result = { rounds: [], stdout: '', stderr: '' };
  const file = `${FRAMEWORKS.includes(name) ? 'frameworks' : name}.cjs`;
  const installed = await installedFor(name);
  const child = fork(join(folder, 'app.cjs'), {
    cwd: installed.cwd,
    execArgv: traced
      ? ['--require', join(folder, 'preload.cjs'), '--require', join(root, '.dist-faults/register.js')]
      : [],
    env: {
      ...inherited(),
      ...environment,
      ...VARIABLES[name],
      VERSION: installed.version,
      NODE_ENV: 'production',
      HOOKLINE_FAULT_PLAN: JSON.stringify({ scenario: join(folder, 'scenarios', file), argument: name, ...plan }),
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  let error;
  let killed = false;
  const kill = () => {
    killed = true;
    child.kill('SIGKILL');
  };
  child.on('message', (message) => {
    if (killed) return;
    if (message.seen && message.reached) result.rounds.push(message);
    if (message.status || message.lines) result.last = message;
    if (message.end) result.end = true;
    if (message.crashed) result.crashed = message.crashed;
    try {
      onMessage(message, kill);
    } catch (failure) {
      error = failure;
      kill();
    }
  });
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      result[name] += text;
    });
  }
  const timer = plan.steady ? undefined : setTimeout(() => child.kill('SIGKILL'), PROCESS_MS);
  const [code, signal] = await new Promise((resolve) => child.once('close', (...ending) => resolve(ending)));
  clearTimeout(timer);
  if (error) throw error;
  return Object.assign(result, { code, signal });
}

/** The folder that a scenario runs in, with its packages. */
function installedFor(name) {
  if (!INSTALLED.includes(name)) return { cwd: root };
  if (!folders.has(name)) folders.set(name, install(name));
  return folders.get(name);
}

async function install(name) {
  const [{ version, packages }] = selectVersions(name, 'newest', process.versions.node).selected;
  const cwd = join(directory, `${name}-packages`);
  mkdirSync(cwd);
  const loader = 'export const load = async (name) => { const all = await import(name); return all.default ?? all; };';
  writeFileSync(join(cwd, 'load.mjs'), loader);
  symlinkSync(join(await installPackages(...packages), 'node_modules'), join(cwd, 'node_modules'), 'junction');
  return { cwd, version };
}

function inherited() {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OTEL_|HOOKLINE_|NODE_|PG|npm_)/.test(name));
  return Object.fromEntries(kept);
}

/** Where two results differ first, and how. */
function differenceOf(expected, actual, path = '') {
  if (isDeepStrictEqual(expected, actual)) return undefined;
  const isNested = (value) => typeof value === 'object' && value !== null;
  if (isNested(expected) && isNested(actual)) {
    // What was thrown says most.
    if (path === '' && actual.stray?.length > 0 && expected.stray?.length === 0) return actual.stray[0];
    for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      const difference = differenceOf(expected[key], actual[key], `${path}.${key}`);
      if (difference) return difference;
    }
  }
  return `${path.slice(1)} is ${brieflyOf(actual)} and not ${brieflyOf(expected)}`;
}

function brieflyOf(value) {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function withPrefix(prefix, text) {
  return text && prefix + text;
}

function report() {
  const columns = ['scenario', 'reached', 'in each round', 'in a process', 'not again', 'off', 'absorbed', 'findings'];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  console.log(`\n${line(columns)}\n${line(columns.map(() => '---'))}`);
  for (const { name, reached, steady, fresh, notSeen, off, absorbed, problems } of rows) {
    console.log(line([name, reached, steady, fresh, notSeen, off, absorbed, problems]));
  }
  const tried = rows.reduce((sum, { steady, fresh }) => sum + steady + fresh, 0);
  const failed = new Set(findings.map(({ id, scenario, when }) => `${id} ${scenario} ${when}`)).size;
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
  console.log(
    `\ninternal faults: ${Math.max(tried - failed, 0)} passed, ${failed} failed, in ${seconds} s${brief ? `, seed ${seed}` : ''}`,
  );
  process.exitCode = tried > 0 && failed === 0 ? 0 : 1;
}

async function brokerEnvironment() {
  const { url, prefix = '' } = await borrow('amqp');
  return { AMQP_URL: url, AMQP_PREFIX: prefix };
}

/** Of the process for servers: an empty database or virtual host, which is gone when that is closed. */
function borrow(service) {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${process.env.HOOKLINE_TEST_SERVERS}/${service}`,
      { method: 'POST', agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        response.once('end', () => {
          const body = JSON.parse(text);
          if (body.error === undefined) resolve(body);
          else reject(new Error(body.error));
        });
      },
    );
    sent.once('error', reject);
    sent.end();
  });
}
