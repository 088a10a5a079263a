// Packages under test: exact versions, outside the repository's own dependencies, installed once per machine.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache', 'test-packages');

export async function installPackages(...specs) {
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
    if (!existsSync(target))
      throw new Error(`${specs.join(' ')} could not be installed: ${whyOf(error)}`, { cause: error });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return target;
}

/** npm's own first line; the error's is the whole command. */
function whyOf({ stderr = '', message }) {
  return (
    stderr.split('\n').find((line) => /^npm (error|ERR!) (?!code|syscall|errno)/.test(line)) ?? message.split('\n')[0]
  );
}

/** `@scope/name@1.2.3` as one folder name: `@scope~name-1.2.3`. */
function folderName(spec) {
  const at = spec.lastIndexOf('@');
  return `${spec.slice(0, at).replaceAll('/', '~')}-${spec.slice(at + 1)}`;
}
