// A folder for the tests of one library: the package as it is published, with what it needs beside it, and the tests of its repository
// laid into the package's own folder. So the code under test is the one that people install, in a place where they have it.
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { root } from '../suite.mjs';

const run = promisify(execFile);
const cache = join(root, '.cache', 'suites');

/**
 * Makes the folder once per version and returns its path.
 * @param entry of the table
 */
export async function prepare({
  name,
  version,
  repository,
  ref,
  packages = [],
  needs = [],
  manifests = [],
  copies,
  finish,
}) {
  const target = join(cache, `${name.split(' ')[0]}-${version}`);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, '.prepare-'));
  const checkout = mkdtempSync(join(cache, '.checkout-'));
  try {
    await checkOut(repository, ref, [...copies.map(([from]) => from), ...manifests], checkout);
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    const specs = [...packages, ...specsOf(needs, manifests, checkout)];
    if (specs.length > 0) await install(folder, specs);
    for (const [from, to] of copies) {
      const into = join(folder, to);
      mkdirSync(dirname(into), { recursive: true });
      cpSync(join(checkout, from), into, { recursive: true });
    }
    if (finish) await run(process.execPath, finish, { cwd: folder });
    renameSync(folder, target);
  } finally {
    for (const path of [folder, checkout]) rmSync(path, { recursive: true, force: true });
  }
  return target;
}

/**
 * Some paths of a public repository. `HOOKLINE_SUITES_SOURCES` names a folder that has repositories, or plain copies of files, called
 * `owner+name`, for machines that reach no network.
 */
async function checkOut(repository, ref, paths, into) {
  const stored = process.env.HOOKLINE_SUITES_SOURCES;
  const copy = stored && join(stored, repository.replace('/', '+'));
  if (stored && !existsSync(copy)) throw new Error(`${copy} is not there`);
  if (stored && !existsSync(join(copy, '.git')) && !existsSync(join(copy, 'objects'))) {
    for (const path of paths) cpSync(join(copy, path), join(into, path), { recursive: true });
    return;
  }
  const url = stored ? pathToFileURL(copy).href : `https://github.com/${repository}`;
  const git = (...args) => run('git', args, { cwd: into, maxBuffer: 2 ** 26 });
  // Some of these repositories are large, and all that is wanted is a few folders of one commit.
  const clone = ['clone', '--quiet', '--depth=1', '--no-checkout', '--filter=blob:none', `--branch=${ref}`, url, '.'];
  await git('-c', 'advice.detachedHead=false', ...clone);
  await git('sparse-checkout', 'set', '--no-cone', ...paths.map((path) => `/${path}`));
  await git('checkout', '--quiet');
}

/** What the tests need, in the versions that the repository has them in. */
function specsOf(needs, manifests, checkout) {
  const wanted = Object.assign(
    {},
    ...manifests.map((path) => JSON.parse(readFileSync(join(checkout, path), 'utf8')).devDependencies),
  );
  return needs.map((need) => {
    if (need.lastIndexOf('@') > 0) return need;
    if (wanted[need] === undefined) throw new Error(`${need} is in none of ${manifests.join(', ')}`);
    return `${need}@${wanted[need]}`;
  });
}

async function install(folder, specs) {
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--legacy-peer-deps', '--loglevel=error'];
  const options = { cwd: folder, shell: process.platform === 'win32', maxBuffer: 2 ** 26 };
  await run('npm', ['install', '--prefix', folder, ...flags, ...specs], options);
}
