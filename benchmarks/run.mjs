// npm run bench [-- [names or groups] [options]]
//
//   --quick            fewer and shorter rounds, and of the peers only OpenTelemetry with traces alone: five minutes
//   --rounds=N         of each benchmark
//   --peers=otel,dd    which other agents: otel, otel-default, dd, elastic; all, none
//   --node=<path>      under another Node.js
//   --nodes=20,22,24   under the newest of these lines, or exact versions: one column each
//   --json=<path>      where the results go; default: .cache/bench/latest.json
//   --table            measures nothing, and prints the table of the results at --json
//   --readme           the same as README.md has it, with machine, versions and date
//
// Measures what the agent costs, beside the bare application and other agents, and prints one Markdown table. Numbers
// never make it fail: compare two runs on the same machine, not a run with a wish.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fetchNode } from '../scripts/node-binaries.mjs';
import { BENCHMARKS } from './index.mjs';
import { openBench } from './lib/bench.mjs';
import { parseOptions } from './lib/options.mjs';
import { readmeText, resultText } from './lib/report.mjs';
import { toRow } from './lib/rows.mjs';
import { ROOT } from './lib/variants.mjs';

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const say = (text) => console.error(`bench: ${text}`);

let options;
try {
  options = parseOptions(process.argv.slice(2), BENCHMARKS);
} catch (error) {
  say(error.message);
  process.exit(1);
}

const file = options.json ?? join(ROOT, '.cache/bench/latest.json');
if (!options.table && !options.readme) {
  const results = await measure();
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
  say(`${results.seconds} s; all samples are in ${file}`);
}
const results = JSON.parse(readFileSync(file, 'utf8'));
console.log(options.readme ? readmeText(results) : resultText(results));
process.exit();

async function measure() {
  const startMs = performance.now();
  const [cpu] = cpus();
  const about = {
    date: new Date().toISOString(),
    version: JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version,
    machine: `${cpu?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${platform()} ${arch()}`,
    mode: options.quick ? 'quick' : 'full',
  };
  const runs = [];
  for (const node of nodes()) runs.push(await measureOn(node));
  return { ...about, seconds: Math.round((performance.now() - startMs) / 1000), runs };
}

function nodes() {
  if (options.nodes === undefined) return [options.node ?? process.execPath];
  const fetched = options.nodes.map(fetchNode);
  for (const { version, error } of fetched) {
    if (error === undefined) continue;
    say(`Node ${version} ${error}`);
    process.exit(1);
  }
  return fetched.map(({ binary }) => binary);
}

async function measureOn(node) {
  const bench = await openBench({ ...options, node });
  const rows = [];
  for (const [i, { name, run }] of options.selected.entries()) {
    say(`Node ${bench.version}: ${name} (${i + 1} of ${options.selected.length})`);
    try {
      for (const row of await run(bench)) rows.push(toRow(row));
    } catch (error) {
      // The others are worth their time all the same.
      say(`${name} failed: ${error.message}`);
      process.exitCode = 1;
    }
  }
  await bench.close();
  const variants = [bench.bare, bench.hookline, ...bench.peers];
  return {
    node: bench.version,
    variants: variants.map(({ name, title, packages }) => ({ name, title, packages })),
    rows,
  };
}
