// Runs a service under load against a collector that misbehaves, in one way after the other, and prints what that did to
// the service and to its spans. Ends with an error where the service noticed, or where a span is neither delivered once nor counted.
//
//   npm run test:faults              all ways
//   npm run test:faults -- 503 flaps those whose names contain one of these
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MODES, startCollector } from './faults/collector.mjs';
import { root } from './suite.mjs';

const LOAD_MS = 2_000;
const AT_ONCE = 8;
/** Between two requests of one connection: a service that is busy, and not one that does nothing else. */
const PAUSE_MS = 5;
const RECOVERY_MS = 15_000;
/** HOOKLINE_EXIT_TIMEOUT's default, and what a busy machine takes to notice. */
const END_MS = 1_000 + 1_000;

const asked = process.argv.slice(2);
const names = Object.keys(MODES).filter((name) => asked.length === 0 || asked.some((part) => name.includes(part)));
const bare = await run(undefined);
const rows = [];
for (const name of names) rows.push({ name, ...(await run(MODES[name])) });

const problems = rows.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`));
const line = (cells) => `| ${cells.join(' | ')} |`;
console.log(line(['collector', 'spans', 'delivered', 'twice', 'lost, by reason', 'p99 ms', 'MiB', 'end ms']));
console.log(line(['---', '---:', '---:', '---:', '---', '---:', '---:', '---:']));
for (const row of [{ name: 'no agent', ...bare }, ...rows]) {
  const lost = Object.entries(row.lost).map(([reason, spans]) => `${reason} ${spans}`);
  const times = [row.p99Ms.toFixed(1), (row.rss / 2 ** 20).toFixed(0), row.endMs.toFixed(0)];
  console.log(line([row.name, row.created, row.delivered, row.twice, lost.join(', '), ...times]));
}
console.log(
  `\nfaults: ${rows.length - new Set(problems.map((text) => text.split(':')[0])).size} of ${rows.length} as promised`,
);
for (const problem of problems) console.log(problem);
process.exitCode = problems.length > 0 || rows.length === 0 ? 1 : 0;

/** One service against one collector; `undefined`: no agent and no collector. */
async function run(mode) {
  const collector = mode && (await startCollector(mode));
  const app = await startApp(collector);
  const faults = [];
  const { times, failures } = await load(app.port, LOAD_MS);
  let created = times.length;
  const used = await app.ask();
  let delivered = 0;
  let twice = 0;
  let lost = {};
  if (collector !== undefined) {
    if (!mode.refuses) await collector.heal();
    const after = await settled(app, mode.refuses ? 0 : RECOVERY_MS);
    const { exported, dropped, queued, inFlight } = after.export;
    const sum = exported + queued + inFlight + Object.values(dropped).reduce((total, spans) => total + spans, 0);
    if (sum !== created) faults.push(`${created} spans were made, ${sum} are accounted for`);
    delivered = collector.taken.size;
    twice = [...collector.taken.values()].filter((count) => count > 1).length;
    lost = { ...dropped, ...(queued + inFlight > 0 && { 'still waiting': queued + inFlight }) };
    if (!mode.refuses && delivered !== exported)
      faults.push(`${exported} spans counted as exported, ${delivered} arrived`);
    if (!mode.refuses && queued + inFlight > 0) faults.push(`${queued + inFlight} spans wait although it recovered`);
    if (twice > 0) faults.push(`${twice} spans arrived more than once`);
    await collector.break();
    created += (await load(app.port, 50)).times.length;
  }
  const seen = await app.ask();
  faults.push(...seen.faults);
  if (failures > 0) faults.push(`${failures} requests failed`);
  const startMs = performance.now();
  app.child.kill('SIGTERM');
  const [code, signal] = await once(app.child, 'exit');
  const endMs = performance.now() - startMs;
  if (signal !== 'SIGTERM') faults.push(`ended with ${signal ?? `exit code ${code}`}`);
  if (endMs > END_MS) faults.push(`took ${endMs.toFixed(0)} ms to end`);
  await collector?.close();
  times.sort((a, b) => a - b);
  const p99Ms = times[Math.floor(times.length * 0.99)];
  return { created: times.length, delivered, twice, lost, p99Ms, rss: used.rss, endMs, faults };
}

async function startApp(collector) {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OTEL_|HOOKLINE_|NODE_OPTIONS$)/.test(name));
  const env = { OTEL_EXPORTER_OTLP_TIMEOUT: '500', OTEL_BSP_SCHEDULE_DELAY: '100', OTEL_LOG_LEVEL: 'none' };
  const child = fork(join(root, 'scripts/faults/app.cjs'), {
    execArgv: collector ? ['--import', pathToFileURL(join(root, 'register.mjs')).href] : [],
    env: { ...Object.fromEntries(kept), ...env, ...(collector && { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }) },
  });
  const [{ port }] = await once(child, 'message');
  return {
    child,
    port,
    async ask() {
      child.send({});
      const [answer] = await once(child, 'message');
      return answer;
    },
  };
}

/** Requests for so long; how long each took. */
async function load(port, forMs) {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const endMs = performance.now() + forMs;
  const times = [];
  let failures = 0;
  const request = () =>
    new Promise((resolve) => {
      const startMs = performance.now();
      get({ port, host: '127.0.0.1', agent }, (response) => {
        response.resume().on('end', () => {
          times.push(performance.now() - startMs);
          if (response.statusCode !== 200) failures++;
          resolve();
        });
      }).on('error', () => {
        failures++;
        resolve();
      });
    });
  const connection = async () => {
    while (performance.now() < endMs) {
      await request();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, connection));
  agent.destroy();
  return { times, failures };
}

/** What became of the spans once none waits any more, or after so long. */
async function settled(app, atMostMs) {
  const endMs = performance.now() + atMostMs;
  for (;;) {
    const answer = await app.ask();
    const { queued, inFlight } = answer.export;
    if ((queued === 0 && inFlight === 0) || performance.now() > endMs) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
