// npm run bench [-- <names or groups>] [--quick] [--rounds=N] [--peers=otel,dd] [--node=<path>] [--nodes=20,22,24,26]
//               [--json=<path>] [--readme]
//
// Measures what the agent costs, beside the bare application and other agents, and prints one Markdown table. Numbers
// never make it fail: compare two runs on the same machine, not a run with a wish.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { BENCHMARKS } from './index.mjs';
import { prepareApps } from './lib/apps.mjs';
import { parseOptions } from './lib/options.mjs';
import { startProcess } from './lib/processes.mjs';
import { toRow } from './lib/rows.mjs';
import { createServices } from './lib/services.mjs';
import { nodesTable, peersTable } from './lib/table.mjs';
import { bare, exportTo, hookline, peer, ROOT } from './lib/variants.mjs';

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

let options;
try {
  options = parseOptions(process.argv.slice(2), BENCHMARKS);
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exit(1);
}

const say = (text) => console.error(`bench: ${text}`);
const startMs = performance.now();
const [cpu] = cpus();
const about = {
  date: new Date().toISOString(),
  version: JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version,
  machine: `${cpu?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${platform()} ${arch()}`,
  mode: options.quick ? 'quick' : 'full',
};

const apps = await prepareApps();
const runs = [];
runs.push(await runAll(options.node ?? process.execPath));

const output = { ...about, runs };
const file = options.json ?? join(ROOT, '.cache/bench/latest.json');
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(output, undefined, 2)}\n`);

for (const run of runs) {
  console.log(runs.length === 1 ? peersTable(run.rows, run.variants) : '');
  console.log(`\nNode ${run.node}; ${run.variants.flatMap(({ version }) => version ?? []).join(', ')}`);
}
if (runs.length > 1) console.log(nodesTable(runs));
say(`${((performance.now() - startMs) / 1000).toFixed(0)} s; all rounds are in ${file}`);
process.exit();

async function runAll(node) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1);
  const peers = [];
  for (const name of options.peers) peers.push(await peer(name, version));
  const load = await startProcess('lib/load.mjs');
  const receiver = await startProcess('lib/receiver.mjs');
  receiver.env = exportTo(receiver.ready.url);
  const services = createServices();
  const bench = { ...options, services, node, apps, load, receiver, bare: bare(), hookline: hookline(), peers };
  const rows = [];
  for (const { name, run } of options.selected) {
    say(`${name} on Node ${version}`);
    for (const raw of await run(bench)) rows.push(toRow(raw));
  }
  await Promise.all([load.stop(), receiver.stop(), services.close()]);
  const variants = [bench.bare, bench.hookline, ...peers].map(({ name, title, version: packages }) => ({
    name,
    title,
    version: packages,
  }));
  return { node: version, variants, rows };
}
