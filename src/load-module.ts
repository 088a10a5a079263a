import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { applicationFolders } from './application-folders';

/** Stays `import()` in the CommonJS build: esbuild leaves it alone where the target has it. */
function importModule(url: string): Promise<unknown> {
  return import(url);
}

/**
 * `package`, `./file.js` or either with the name of an export behind `#`, as operators name modules in variables. Throws an
 * Error for an empty one.
 */
export function parseSpecifier(specifier: string): { readonly path: string; readonly exportName: string | undefined } {
  const [, path, exportName] = /^(.+?)(?:#([^#/\\]+))?$/s.exec(specifier) ?? [];
  if (path === undefined) throw new Error('empty module specifier');
  return { path, exportName };
}

/** What a specifier names: an export, or the default one. Rejects with an Error that says what is wrong. */
export async function loadExport(specifier: string): Promise<unknown> {
  const { path, exportName } = parseSpecifier(specifier);
  const module = await loadModule(path);
  return exportName === undefined ? defaultExport(module, () => false) : namedExport(module, exportName);
}

/** What modules are asked for by their specifier alone: an exporter, a resource detector. */
export interface Plugin<Instance> {
  is(value: unknown): value is Instance;
  /** Whether an export that was not named is meant, where it is the only one. */
  isMeant(name: string, value: unknown): boolean;
  /** `what it exports has no export() method` */
  readonly fault: string;
}

/**
 * What a module exports under a specifier: an instance, or one made from the class or function there, with `args`. Rejects with an
 * Error that says what is wrong.
 */
export async function loadPlugin<Instance>(
  specifier: string,
  plugin: Plugin<Instance>,
  ...args: readonly unknown[]
): Promise<Instance> {
  const { path, exportName } = parseSpecifier(specifier);
  const module = await loadModule(path);
  const picked = exportName === undefined ? onlyExport(module, plugin) : namedExport(module, exportName);
  const made = typeof picked === 'function' && !plugin.is(picked) ? await make(picked, plugin, args) : picked;
  if (!plugin.is(made)) throw new Error(plugin.fault);
  return made;
}

/** The default export, else the only one that can be meant. */
function onlyExport(module: unknown, plugin: Plugin<unknown>): unknown {
  const picked = defaultExport(module, plugin.is);
  if (typeof picked === 'function' || plugin.is(picked)) return picked;
  const candidates = Object.entries((module ?? {}) as Record<string, unknown>).filter(([name, value]) =>
    plugin.isMeant(name, value),
  );
  const [candidate] = candidates;
  if (candidates.length === 1 && candidate !== undefined) return candidate[1];
  const names = candidates.map(([name]) => name).join(', ');
  throw new Error(`name the export behind a #${names === '' ? '' : `: ${names}`}`);
}

function make(picked: CallableFunction, plugin: Plugin<unknown>, args: readonly unknown[]): unknown {
  const isClass = plugin.is(picked.prototype) || /^class\b/.test(Function.prototype.toString.call(picked));
  if (isClass) return new (picked as unknown as new (...args: readonly unknown[]) => unknown)(...args);
  return (picked as (...args: readonly unknown[]) => unknown)(...args);
}

/** CommonJS that was ES once has its default export one level down, and twice when it is imported. */
function defaultExport(module: unknown, isWanted: (value: unknown) => boolean): unknown {
  let picked = module;
  for (let i = 0; i < 2 && typeof picked === 'object' && picked !== null && !isWanted(picked); i++) {
    const { default: inner } = picked as { default?: unknown };
    if (inner === undefined) break;
    picked = inner;
  }
  return picked;
}

/** Throws an Error when there is none. */
function namedExport(module: unknown, exportName: string): unknown {
  const exports = module as Record<string, unknown> | undefined;
  const named = exports?.[exportName] ?? (exports?.['default'] as Record<string, unknown> | undefined)?.[exportName];
  if (named === undefined) throw new Error(`it has no export ${exportName}`);
  return named;
}

/**
 * The exports of a package or path, CommonJS or ES module, from the first folder that has it; by default where the
 * application would look. Rejects with what `require` said where nothing is found, and with what the module itself throws.
 */
export async function loadModule(path: string, folders: readonly string[] = applicationFolders()): Promise<unknown> {
  let failure: unknown;
  for (const folder of folders) {
    const requireFrom = createRequire(join(folder, 'noop.js'));
    let file: string;
    try {
      file = requireFrom.resolve(path);
    } catch (error) {
      failure ??= error;
      // Packages that only export for `import` do not resolve this way; they are imported from the folder below.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') continue;
      file = resolveForImport(requireFrom, path);
      if (file === '') continue;
      return importModule(pathToFileURL(file).href);
    }
    try {
      return requireFrom(file);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ERR_REQUIRE_ESM' && code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
      return importModule(pathToFileURL(file).href);
    }
  }
  throw failure;
}

/** The entry of a package that has no `require` condition, by the few shapes of `exports` in use; empty when not found. */
function resolveForImport(requireFrom: NodeJS.Require, path: string): string {
  const [, name, rest] = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(path) ?? [];
  if (name === undefined) return '';
  for (const folder of requireFrom.resolve.paths(name) ?? []) {
    try {
      const packageFolder = join(folder, name);
      const manifest = requireFrom(join(packageFolder, 'package.json')) as { exports?: unknown };
      const entry = importTarget(manifest.exports, `.${rest ?? ''}`);
      if (entry !== undefined) return join(packageFolder, entry);
    } catch {
      // Not in this node_modules.
    }
  }
  return '';
}

function importTarget(exports: unknown, subpath: string): string | undefined {
  let target = exports;
  if (target !== null && typeof target === 'object' && Object.keys(target).some((key) => key.startsWith('.'))) {
    target = (target as Record<string, unknown>)[subpath];
  } else if (subpath !== '.') {
    return undefined;
  }
  while (target !== null && typeof target === 'object') {
    const conditions = target as Record<string, unknown>;
    target = conditions['node'] ?? conditions['import'] ?? conditions['module'] ?? conditions['default'];
  }
  return typeof target === 'string' ? target : undefined;
}
