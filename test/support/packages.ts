import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { nodeBinary, root } from './run-app';

/** Version of the Node that applications run under, without `v`. */
export const nodeVersion = execFileSync(nodeBinary, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();

const cache = join(root, '.cache', 'test-packages');

/**
 * Installs packages of exact versions, once per machine, outside the repository's own dependencies. Returns the folder
 * whose `node_modules` holds the first; the others are put beside it.
 * @param specs `name@version`
 */
export async function testPackage(...specs: [string, ...string[]]): Promise<string> {
  const target = join(cache, specs.map(folderName).join('+'));
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  // Test files run at the same time: each installs into a folder of its own, and the first to finish wins.
  const folder = mkdtempSync(join(cache, '.install-'));
  try {
    await promisify(execFile)(
      'npm',
      [
        'install',
        '--prefix',
        folder,
        '--no-save',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        '--loglevel=error',
        ...specs,
      ],
      { cwd: folder, shell: process.platform === 'win32' },
    );
    renameSync(folder, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return target;
}

/** `@scope/name@1.2.3` as one folder name: `@scope~name-1.2.3`. */
function folderName(spec: string): string {
  const at = spec.lastIndexOf('@');
  return `${spec.slice(0, at).replaceAll('/', '~')}-${spec.slice(at + 1)}`;
}

/** True when `version` (`22.11.0`) is not older than `wanted` (`22.11`). */
export function isAtLeast(version: string, wanted: string): boolean {
  const own = version.split('.').map(Number);
  for (const [index, part] of wanted.split('.').map(Number).entries()) {
    const difference = (own[index] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/**
 * Writes files (path to content) into a new folder, outside the repository; `node_modules` in it are its own. To be
 * called in a test, with whose end it is removed.
 */
export function writeFolder(files: Record<string, string>, prefix = 'hookline-app-'): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), prefix)));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  return folder;
}
