import { existsSync } from 'node:fs';
import { Module } from 'node:module';
import { dirname, join } from 'node:path';
import { applicationFolders } from '../application-folders';

/**
 * Of packages that may be ES modules, those that the application has installed, whatever they are. A look at a few files, which
 * every start pays; what hooks ES modules is read only when there is one.
 */
export function installedPackages(names: readonly string[]): string[] {
  return names.filter((name) => applicationFolders().some((folder) => isInstalled(name, folder)));
}

/** Where Yarn's .pnp.cjs, which was required before us, has a package, there being no `node_modules` then. */
export function plugAndPlayFolder(name: string, from: string): string | undefined {
  if (process.versions['pnp'] === undefined) return undefined;
  try {
    const { findPnpApi } = Module as unknown as {
      findPnpApi?(path: string): { resolveToUnqualified(name: string, from: string): string | null } | null;
    };
    return findPnpApi?.(`${from}/`)?.resolveToUnqualified(name, `${from}/`) ?? undefined;
  } catch {
    // No dependency of the application's.
    return undefined;
  }
}

function isInstalled(name: string, from: string): boolean {
  if (plugAndPlayFolder(name, from) !== undefined) return true;
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'node_modules', name))) return true;
    if (dirname(folder) === folder) return false;
  }
}
