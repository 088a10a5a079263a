import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { applicationFolders } from '../application-folders';
import { plugAndPlayFolder } from './es-packages';
import type { LoadedFile } from './locate';

interface LinkedPackage {
  readonly name: string;
  readonly folder: string;
}

/**
 * Locates files of packages that are links in `node_modules`, as of a workspace or by `npm link`: Node knows them by where they
 * really are, which has no `node_modules` in it. So have the application's own files, for which this looks once in each folder
 * whether it has a package.json, and reads that once.
 */
export class LinkedPackages {
  readonly #byFolder = new Map<string, LinkedPackage | undefined>();

  constructor(private readonly isTarget: (name: string) => boolean) {}

  /** @param lookup the `node_modules` folders that the file looks in, which in a workspace are those of its application too */
  locate(filename: string, lookup: readonly string[]): LoadedFile | undefined {
    const linked = this.#packageOf(dirname(filename), lookup);
    if (linked === undefined) return undefined;
    const file = filename.slice(linked.folder.length + 1).replaceAll(sep, '/');
    return { module: linked.name, file, folder: linked.folder };
  }

  /** Looks again; for targets that came later. */
  forget(): void {
    this.#byFolder.clear();
  }

  #packageOf(folder: string, lookup: readonly string[]): LinkedPackage | undefined {
    if (this.#byFolder.has(folder)) return this.#byFolder.get(folder);
    const parent = dirname(folder);
    const manifest = join(folder, 'package.json');
    let found: LinkedPackage | undefined;
    if (existsSync(manifest)) found = this.#linked(folder, manifest, lookup);
    else if (parent !== folder) found = this.#packageOf(parent, lookup);
    this.#byFolder.set(folder, found);
    return found;
  }

  #linked(folder: string, manifest: string, lookup: readonly string[]): LinkedPackage | undefined {
    let name: unknown;
    try {
      ({ name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown });
    } catch {
      return undefined;
    }
    // An application may be called like a library without being one.
    if (typeof name !== 'string' || !this.isTarget(name) || !isReachable(name, folder, lookup)) return undefined;
    return { name, folder };
  }
}

/** Whether this folder is what somebody gets who asks for the package. */
function isReachable(name: string, folder: string, lookup: readonly string[]): boolean {
  const starts = applicationFolders();
  if (starts.some((start) => plugAndPlayFolder(name, start)?.startsWith(folder))) return true;
  return [...lookup, ...starts.flatMap(nodeModulesAbove)].some((path) => {
    try {
      return realpathSync(join(path, name)) === folder;
    } catch {
      return false;
    }
  });
}

function nodeModulesAbove(start: string): string[] {
  const paths: string[] = [];
  for (let folder = start; ; folder = dirname(folder)) {
    paths.push(join(folder, 'node_modules'));
    if (dirname(folder) === folder) return paths;
  }
}
