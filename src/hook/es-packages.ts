import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { applicationFolders } from '../application-folders';

/**
 * Of packages that may be ES modules, those that the application has installed, whatever they are. A look at a few files, which
 * every start pays; what hooks ES modules is read only when there is one.
 */
export function installedPackages(names: readonly string[]): string[] {
  return names.filter((name) => applicationFolders().some((folder) => isInstalled(name, folder)));
}

function isInstalled(name: string, from: string): boolean {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'node_modules', name))) return true;
    if (dirname(folder) === folder) return false;
  }
}
