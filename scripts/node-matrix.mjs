// Runs the end-to-end tests once per supported Node version and prints one table. vitest needs a newer Node than the
// oldest we support, so the runner stays on this machine's Node and only the applications under test change theirs.
// The first and the last Node run the oldest and the newest version of each library, those in between the newest;
// HOOKLINE_TEST_VERSIONS chooses others, for all of them.
//
//   npm run test:matrix                     every version
//   npm run test:matrix -- 18.19.0 22.11.0  these versions
import { execFileSync } from 'node:child_process';
import { fetchNode, hasNodeBinaries } from './node-binaries.mjs';
import { startServers } from './servers/start.mjs';
import { printTable, runSuite } from './suite.mjs';

// The oldest supported release, the edges of each line's module hooks, and the newest of each line.
const VERSIONS = ['18.19.0', '18.20.8', '20.9.0', '22.11.0', '22.23.3', '24.21.0', '26.10.0'];
/**
 * Their routers are the same on each Node.js, so the newest version of each that runs there is tested on the first and the last
 * of the Node.js versions: a minute and a half each. `HOOKLINE_TEST_NODE` is for any other.
 */
const FRAMEWORKS = [
  ...['connect', 'express', 'fastify', 'find-my-way', 'graphql', 'h3', 'hapi', 'hono', 'koa', 'nestjs', 'next'],
  ...['restify', 'router', 'ws'],
];
const FRAMEWORKS_SUITE = FRAMEWORKS.map((name) => `test/e2e/${name}.test.ts`);
/** Without what measures for minutes. */
const SUITE = ['test/e2e', ...['leaks', ...FRAMEWORKS].flatMap((name) => ['--exclude', `test/e2e/${name}.test.ts`])];

const endsOnly = (process.env.HOOKLINE_TEST_VERSIONS ?? 'ends') === 'ends';
const asked = process.argv.slice(2);
const nodes = hasNodeBinaries ? (asked.length > 0 ? asked : VERSIONS).map(fetchNode) : findNodes();

// One for all runs: what has to be brought up is brought up once.
const servers = await startServers();
let rows;
try {
  rows = nodes.flatMap(({ version, binary, error }, at) => {
    if (!binary) return [{ version, passed: 0, failed: 1, note: error }];
    console.log(`\n=== Node ${version}`);
    const newest = { HOOKLINE_TEST_NODE: binary, HOOKLINE_TEST_VERSIONS: 'newest' };
    const isEdge = at === 0 || at === nodes.length - 1;
    const row = { version, ...runSuite(SUITE, isEdge || !endsOnly ? { HOOKLINE_TEST_NODE: binary } : newest) };
    if (!isEdge) return [row];
    console.log(`\n=== Node ${version}, frameworks`);
    return [row, { version: `${version}, frameworks`, ...runSuite(FRAMEWORKS_SUITE, newest) }];
  });
} finally {
  await servers.close();
}
printTable('matrix', ['version'], rows);

/** Elsewhere there is no such package: the Node that runs this, and any `node` found in HOOKLINE_MATRIX_NODES. */
function findNodes() {
  const extra = (process.env.HOOKLINE_MATRIX_NODES ?? '').split(',').filter(Boolean);
  console.log(`matrix: no prebuilt versions for ${process.platform}-${process.arch}; running this machine's Node`);
  console.log('matrix: (HOOKLINE_MATRIX_NODES, paths of node binaries separated by commas, adds others)');
  return [process.execPath, ...extra].map((binary) => ({
    version: execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim().slice(1),
    binary,
  }));
}
