import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testPackage } from './packages';
import { root } from './run-app';
import type { TestedVersion } from './versions';

const SOURCE = join(root, 'test/e2e/fixtures/next-app');

/** A production build of test/e2e/fixtures/next-app/, kept beside the packages it was built with. */
export async function builtNextApp({ version, packages }: TestedVersion): Promise<string> {
  const installed = await testPackage(...packages);
  const target = join(installed, `app-${hashOf(SOURCE)}`);
  if (existsSync(target)) return target;
  // Test files run at the same time: the first to finish wins.
  const folder = mkdtempSync(join(installed, 'build-'));
  try {
    cpSync(SOURCE, folder, { recursive: true });
    await promisify(execFile)(process.execPath, [join(installed, 'node_modules/next/dist/bin/next'), 'build'], {
      cwd: folder,
      env: {
        ...process.env,
        NODE_ENV: 'production',
        NODE_OPTIONS: '',
        NEXT_TELEMETRY_DISABLED: '1',
        NEXT_HAS_TURBOPACK: Number.parseInt(version, 10) >= 16 ? '1' : '0',
      },
    });
    renameSync(folder, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return target;
}

function hashOf(folder: string): string {
  const hash = createHash('sha256');
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const path of paths.filter((one) => one.endsWith('.js')).sort()) {
    hash.update(path).update(readFileSync(join(folder, path)));
  }
  return hash.digest('hex').slice(0, 12);
}
