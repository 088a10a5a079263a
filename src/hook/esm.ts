import { existsSync, readFileSync } from 'node:fs';
import { Module } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Namespace } from 'import-in-the-middle';
import { applicationFolders } from '../application-folders';
import { plugAndPlayFolder } from './es-packages';
import type { Registry } from './registry';
import { supportsSyncHooks } from './sync-hooks';

/**
 * Of these packages, the ones that the application has installed as ES modules: what `_compile` will never see. Ours are
 * all CommonJS, so this looks at packages of the operator's own instrumentations only.
 */
export function esModulePackages(names: readonly string[]): string[] {
  return names.filter((name) => {
    const folder = findPackage(name);
    return folder !== undefined && isEsModule(folder);
  });
}

function findPackage(name: string): string | undefined {
  for (const start of applicationFolders()) {
    const archived = plugAndPlayFolder(name, start);
    if (archived !== undefined) return archived;
    for (let folder = start; ; folder = dirname(folder)) {
      const candidate = join(folder, 'node_modules', name);
      if (existsSync(join(candidate, 'package.json'))) return candidate;
      if (dirname(folder) === folder) break;
    }
  }
  return undefined;
}

function isEsModule(folder: string): boolean {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
    if (manifest['type'] === 'module') return true;
    // A package with both forms names the one for `import` under that condition, or by the ending.
    const entries = JSON.stringify([manifest['main'], manifest['exports']]);
    return entries.includes('"import"') || entries.includes('.mjs"');
  } catch {
    return false;
  }
}

/**
 * Puts import-in-the-middle between the application and these packages; all others load untouched. With synchronous hooks
 * where Node has them, else with a loader thread, which costs 30 to 75 ms of CPU: the price of tracing an ES module
 * package there, paid by nobody else.
 * @param files by package, the paths of those files that matter; all of them where it has none
 */
export function hookEsModules(
  registry: Registry,
  names: readonly string[],
  files: ReadonlyMap<string, readonly string[] | undefined> = new Map(),
): void {
  const load = Module.createRequire(__filename);
  const include = names.flatMap((name) => {
    const paths = files.get(name)?.map((file) => `${literal(file)}$`) ?? [''];
    return paths.map((path) => new RegExp(`/node_modules/${literal(name)}/${path}`));
  });
  if (supportsSyncHooks()) {
    // An ES module, which every Node that has these hooks can `require`: so this works under --require too.
    (load('import-in-the-middle/register-hooks.mjs') as SyncHooks).register({ include });
  } else {
    Module.register('import-in-the-middle/hook.mjs', pathToFileURL(__filename), { data: { include } });
  }
  const { Hook } = load('import-in-the-middle') as typeof import('import-in-the-middle');
  new Hook(
    [...names],
    { internals: true },
    // biome-ignore lint/suspicious/noConfusingVoidType: import-in-the-middle's own declaration
    (exports: Namespace, name: string, folder: string | void, format?: string) => {
      // CommonJS files were patched when they were compiled.
      if (format === 'commonjs' || typeof folder !== 'string') return;
      const module = names.find((candidate) => name === candidate || name.startsWith(candidate + sep));
      if (module === undefined) return;
      const file = name === module ? undefined : name.slice(module.length + 1).replaceAll(sep, '/');
      registry.onLoad({ module, file, folder }, exports);
    },
  );
}

/** As an expression that matches this text. */
function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

type SyncHooks = typeof import('import-in-the-middle/register-hooks.mjs');
