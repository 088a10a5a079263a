import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { nodeBinary } from './run-app';

/** Version of the Node that applications run under, without `v`. */
export const nodeVersion = execFileSync(nodeBinary, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();

export { installLayout as testLayout, installPackages as testPackage } from '../../scripts/packages.mjs';
export { isAtLeast } from '../../scripts/versions-table.mjs';

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
