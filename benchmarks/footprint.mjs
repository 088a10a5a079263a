// What does the agent take on disk, how many packages, and how many files are read at start?
import { execFile } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runScript } from './lib/processes.mjs';
import { ROOT } from './lib/variants.mjs';

const run = promisify(execFile);

/** @type {import('./index.mjs').Benchmark} */
export const FOOTPRINT = {
  name: 'footprint',
  group: 'footprint',
  async run(bench) {
    const measured = {};
    for (const variant of [bench.hookline, ...bench.peers]) {
      const files = countFiles(variant, bench);
      measured[variant.name] = { ...(variant.folder ? measureFolder(variant.folder) : await measureOwn()), files };
    }
    const row = (key, title, unit, target) => ({
      name: key,
      title,
      unit,
      compare: 'absolute',
      rounds: [Object.fromEntries(Object.entries(measured).map(([name, sizes]) => [name, { samples: [sizes[key]] }]))],
      target,
    });
    return [
      row('megabytes', 'installed size', 'MB', { atMost: 2.5 }),
      row('packages', 'installed packages', '', { atMost: 12 }),
      row('files', 'modules loaded at start, empty script', '', { atMost: 10 }),
    ];
  },
};

/** As `npm install` leaves it behind: what is published of this working tree, with its dependencies. */
async function measureOwn() {
  const folder = mkdtempSync(join(tmpdir(), 'hookline-footprint-'));
  try {
    // What is built is packed: building once more would replace dist/ under whoever uses it.
    const packed = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], {
      cwd: ROOT,
    });
    const archive = join(folder, packed.stdout.trim().split('\n').at(-1));
    const install = ['install', '--prefix', folder, '--prefer-offline', '--no-save', '--no-audit', '--no-fund'];
    await run('npm', [...install, '--loglevel=error', archive], { cwd: folder, env: npmEnv() });
    return measureFolder(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `npm run` sets variables that would steer another npm. */
function npmEnv() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS|NODE_ENV)/i.test(name)),
  );
}

function measureFolder(folder) {
  const modules = join(folder, 'node_modules');
  const { packages } = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8'));
  // npm's own list of what it put there is none of the packages.
  const bytes = sizeOf(modules) - lstatSync(join(modules, '.package-lock.json')).size;
  return { megabytes: bytes / 1e6, packages: Object.keys(packages).length };
}

function sizeOf(path) {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

/** Under `--import`, the module that it names is one more than `require` knows of. */
function countFiles(variant, { node, apps, receiver }) {
  const flag = variant.preload;
  const { files } = runScript(join(apps, 'footprint.js'), {
    node,
    nodeArguments: variant.flags[flag],
    env: { ...receiver.env, ...variant.env },
  });
  return flag === 'import' ? files + 1 : files;
}
