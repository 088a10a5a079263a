// Runs the end-to-end tests of each library once per version in test/versions.json and prints one table.
//
//   npm run test:versions                       every library, every version
//   npm run test:versions -- pg mysql2@3.11.5   one library, one version of another
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages } from './packages.mjs';
import { startServers } from './servers/start.mjs';
import { printTable, root, runSuite } from './suite.mjs';
import { selectVersions, TABLE } from './versions-table.mjs';

const selection = process.argv.slice(2).join(',') || 'all';
const nodeVersion = execFileSync(process.env.HOOKLINE_TEST_NODE || process.execPath, ['-p', 'process.versions.node'], {
  encoding: 'utf8',
}).trim();

let plan;
try {
  plan = Object.keys(TABLE).map((library) => ({ library, ...selectVersions(library, selection, nodeVersion) }));
} catch (error) {
  console.error(`versions: ${error.message}`);
  process.exit(1);
}

// One for all runs: what has to be brought up is brought up once.
const servers = await startServers();
const rows = [];
try {
  for (const { library, selected, tooNew } of plan) {
    for (const { label, node } of tooNew) {
      console.log(`versions: ${library} ${label} not run, it needs Node.js ${node} and this is ${nodeVersion}`);
    }
    for (const { label, packages } of selected) {
      console.log(`\n=== ${library} ${label}`);
      rows.push({ library, version: label, ...(await runVersion(library, label, packages)) });
    }
  }
} finally {
  await servers.close();
}
printTable('versions', ['library', 'version'], rows);

async function runVersion(library, label, packages) {
  // `pg.test.ts`, and `pg-cursor.test.ts` where one file is not enough.
  const files = readdirSync(join(root, 'test/e2e')).filter(
    (file) => file.endsWith('.test.ts') && file.startsWith(library) && /^[-.]/.test(file.slice(library.length)),
  );
  if (files.length === 0) return { passed: 0, failed: 1, note: `there is no test/e2e/${library}.test.ts` };
  try {
    await installPackages(...packages);
  } catch (error) {
    return { passed: 0, failed: 1, note: error.message };
  }
  return runSuite(
    files.map((file) => `test/e2e/${file}`),
    { HOOKLINE_TEST_VERSIONS: `${library}@${label}` },
  );
}
