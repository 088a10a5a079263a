// npm run bench [-- --quick] [startup] [http-server] [libraries] [span] [route]
// Measures what the agent costs and prints one Markdown table. Numbers never make it fail: compare two runs on the
// same machine, not a run with a wish.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BENCHMARKS = ['startup', 'http-server', 'libraries', 'span', 'route'];
const OUTPUT = fileURLToPath(new URL('../.cache/bench', import.meta.url));

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const asked = args.filter((argument) => !argument.startsWith('--'));
const unknown = asked.filter((name) => !BENCHMARKS.includes(name));
if (unknown.length > 0) {
  console.error(`bench: no benchmark is called ${unknown.join(', ')}; there are ${BENCHMARKS.join(', ')}`);
  process.exit(1);
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const [cpu] = cpus();
const about = {
  date: new Date().toISOString(),
  agent: version,
  node: process.versions.node,
  machine: `${cpu?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${platform()} ${arch()}`,
  mode: quick ? 'quick' : 'full',
};

mkdirSync(OUTPUT, { recursive: true });
const rows = [];
for (const name of asked.length > 0 ? asked : BENCHMARKS) {
  // On stderr, so that the table can be redirected.
  console.error(`bench: ${name}`);
  const { run } = await import(`./${name}.mjs`);
  rows.push(...(await run({ quick })));
}

console.log(table(rows));
console.log(
  `\nMedian (minimum) of interleaved rounds, each in a fresh process. Node ${about.node}; ${about.machine}; ${about.date.slice(0, 10)}; ${about.mode} run.`,
);
for (const note of new Set(rows.map((row) => row.note && `${row.name}: ${row.note}.`).filter(Boolean)))
  console.log(note);

const file = join(OUTPUT, `${about.date.replaceAll(':', '-').slice(0, 19)}.json`);
writeFileSync(file, `${JSON.stringify({ ...about, rows }, undefined, 2)}\n`);
console.error(`\nbench: all rounds are in ${file}`);
process.exit();

function table(all) {
  const cells = all.map(({ name, unit, base, agent }) => [
    name,
    unit,
    show(base),
    show(agent),
    signed(agent.median - base.median),
    `${(agent.median / base.median).toFixed(2)}`,
  ]);
  const lines = [['benchmark', 'unit', 'without', 'with the agent', 'difference', 'ratio'], ...cells];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  // Names and units to the left, numbers to the right.
  const pad = (text, column) => (column < 2 ? text.padEnd(widths[column]) : text.padStart(widths[column]));
  const rule = widths.map((width, column) => (column < 2 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [lines[0].map(pad), rule, ...cells.map((line) => line.map(pad))]
    .map((line) => `| ${line.join(' | ')} |`)
    .join('\n');
}

function show({ median, min }) {
  return `${number(median)} (${number(min)})`;
}

function signed(value) {
  return `${value < 0 ? '−' : '+'}${number(Math.abs(value))}`;
}

function number(value) {
  return value.toFixed(value >= 100 ? 0 : 1);
}
