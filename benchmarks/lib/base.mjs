// Another commit of this repository, built, in a folder of its own below .cache/.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './variants.mjs';

const CACHE = join(ROOT, '.cache/bench');

/** Where this branch left the main one; undefined in a clone that does not reach so far. */
export function defaultBase() {
  for (const main of ['origin/main', 'main']) {
    const base = git('merge-base', 'HEAD', main);
    // On the main branch itself, what came before its last commit.
    if (base !== undefined) return base === git('rev-parse', 'HEAD') && isClean() ? git('rev-parse', 'HEAD~1') : base;
  }
  return git('rev-parse', 'HEAD~1');
}

/** The commit that a name stands for. */
export function resolveCommit(name) {
  return git('rev-parse', '--verify', `${name}^{commit}`);
}

/** @returns {string} the folder of a commit with its `dist/` */
export function buildCommit(commit) {
  const folder = join(CACHE, `base-${commit.slice(0, 12)}`);
  if (existsSync(join(folder, 'dist/agent.js'))) return folder;
  mkdirSync(CACHE, { recursive: true });
  const made = mkdtempSync(join(CACHE, '.base-'));
  try {
    // Not a worktree, which git would have to be told of when the cache is deleted.
    const archive = execFileSync('git', ['archive', '--format=tar', commit], { cwd: ROOT, maxBuffer: 2 ** 30 });
    execFileSync('tar', ['-x', '-C', made], { input: archive });
    // Its dependencies at this working tree's versions: the agent is what is compared.
    symlinkSync(join(ROOT, 'node_modules'), join(made, 'node_modules'), 'junction');
    execFileSync(process.execPath, ['scripts/build.mjs', '--no-types'], {
      cwd: made,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    renameSync(made, folder);
  } catch (error) {
    // Someone else was first.
    if (!existsSync(join(folder, 'dist/agent.js'))) throw error;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return folder;
}

function isClean() {
  return git('status', '--porcelain') === '';
}

function git(...args) {
  const { status, stdout } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
