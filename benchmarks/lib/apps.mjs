// The applications under measurement, in a folder where they find their libraries as any application does.
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages } from '../../scripts/packages.mjs';
import { local } from './processes.mjs';
import { LIBRARIES } from './variants.mjs';

export async function prepareApps() {
  const libraries = await installPackages(...LIBRARIES);
  const folder = mkdtempSync(join(tmpdir(), 'hookline-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  cpSync(local('apps'), folder, { recursive: true });
  symlinkSync(join(libraries, 'node_modules'), join(folder, 'node_modules'), 'junction');
  return folder;
}
