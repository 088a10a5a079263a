// Makes a fresh clone ready: installs dependencies and builds dist/, each only when needed. Every npm script that
// runs the agent starts here, so this file may use nothing but Node itself.
//
//   node scripts/bootstrap.mjs               dependencies, then build
//   node scripts/bootstrap.mjs --build-only  build only (node_modules must not change under a running test)
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = [
  'src',
  'instrumentations',
  'scripts/build.mjs',
  'package.json',
  'tsconfig.json',
  'tsconfig.types.json',
];

if (!process.argv.includes('--build-only')) {
  const reason = whyInstall();
  if (reason) {
    console.log(`bootstrap: npm ci (${reason})`);
    npm('ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error');
  }
}

const reason = whyBuild();
if (reason) {
  console.log(`bootstrap: building dist/ (${reason})`);
  run(process.execPath, [join(root, 'scripts/build.mjs')]);
}

/** Compares what is installed with the lock file by content: checkouts change times, and not every install is ours. */
function whyInstall() {
  const wanted = readPackages('package-lock.json');
  const installed = readPackages('node_modules/.package-lock.json');
  if (!installed) return 'node_modules is missing';
  for (const [path, { version, optional, devOptional }] of Object.entries(wanted ?? {})) {
    if (path === '') continue;
    const found = installed[path];
    // Optional packages are there only on the platform they are for.
    if (found ? found.version !== version : !optional && !devOptional) return `${path} is not at ${version}`;
  }
  return undefined;
}

function readPackages(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

function whyBuild() {
  // Written last, so a build that failed half-way is done again.
  const built = modifiedMs(join(root, 'dist/types/src/index.d.ts'));
  if (built === undefined || !existsSync(join(root, 'dist/agent.js'))) return 'missing';
  return SOURCES.some((source) => newestMs(join(root, source)) > built) ? 'sources are newer' : undefined;
}

function newestMs(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  // A directory's own time changes when a file is added or removed.
  const children = stat.isDirectory() ? readdirSync(path).map((name) => newestMs(join(path, name))) : [];
  return Math.max(stat.mtimeMs, ...children);
}

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function npm(...args) {
  const cli = process.env.npm_execpath;
  // Under `npm run` its own script is known; otherwise npm is on PATH (a .cmd file on Windows, which needs a shell).
  if (cli?.endsWith('.js')) run(process.execPath, [cli, ...args]);
  else run('npm', args, { shell: process.platform === 'win32' });
}

function run(command, args, options) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
