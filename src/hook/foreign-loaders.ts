import Module from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describeError, log } from '../log';
import { pathOf } from './esm';
import { locate, type Registry } from './registry';
import { type AnyFunction, disguise } from './replace';
import { supportsSyncHooks } from './sync-hooks';

interface LoadResult {
  readonly format?: string | null;
  readonly source?: unknown;
}

interface ModuleApi {
  register?: AnyFunction;
  registerHooks?(hooks: {
    load(url: string, context: unknown, next: (url: string, context: unknown) => LoadResult): LoadResult;
  }): unknown;
}

/** Called by the line that is appended to a target file, with the module that was just evaluated. */
const HIT = Symbol.for('hookline.hit');

/**
 * Closes the one gap of the compile step: a customisation hook of the application's (`--loader`, `module.register`) that
 * returns the source of a CommonJS file makes Node evaluate that file without `_compile`. Nothing is installed until there
 * is such a hook.
 *
 * Where synchronous hooks accept what theirs return (22.22.3, 24.11.1, 25.1 and later), one that runs after all others
 * appends a call to target files. Before that, an asynchronous one behind theirs takes the source away again, and Node
 * compiles the file itself.
 */
export function coverForeignLoaders(registry: Registry): { refresh(): void } {
  const host = Module as unknown as ModuleApi;
  const original = host.register;
  if (original === undefined) return { refresh() {} };
  const synchronous = supportsSyncHooks();
  let covered = false;

  const cover = (): void => {
    if (synchronous && covered) return;
    covered = true;
    if (synchronous) {
      appendHits(host, registry);
      return;
    }
    // Hooks run last registered first, and ours has to see what theirs return: behind each of them.
    const url = pathToFileURL(join(__dirname, 'lazy', 'drop-source.mjs')).href;
    Reflect.apply(original, Module, [url, { data: { names: registry.packages } }]);
  };

  host.register = disguise(function (this: unknown, ...args: unknown[]): unknown {
    const result = Reflect.apply(original, this, args);
    try {
      if (!isImportInTheMiddle(args[0])) cover();
    } catch (error) {
      // The application's own hook stands; targets under it stay untraced.
      log.warn(`a module hook was registered that the agent cannot follow: ${describeError(error)}`);
    }
    return result;
  }, original);
  Module.syncBuiltinESMExports();

  if (hasForeignLoader()) cover();
  return {
    /** Takes up targets that came later. */
    refresh() {
      if (covered) cover();
    },
  };
}

/** Whether a hook is there already: put in by flag, or registered by an earlier preload, which starts Node's hook thread. */
function hasForeignLoader(): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList?: unknown };
  if (Array.isArray(moduleLoadList) && moduleLoadList.includes('NativeModule internal/modules/esm/hooks')) return true;
  const flags = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')];
  return flags.some((flag) => /^--(experimental-)?loader(=|$)/.test(flag));
}

function isImportInTheMiddle(specifier: unknown): boolean {
  return String(specifier).startsWith('import-in-the-middle/');
}

function appendHits(host: ModuleApi, registry: Registry): void {
  Object.defineProperty(globalThis, HIT, {
    configurable: true,
    value: (path: string, module: { exports: unknown }) => {
      const loaded = locate(path);
      if (loaded !== undefined) module.exports = registry.onLoad(loaded, module.exports);
    },
  });
  host.registerHooks?.({
    load(url, context, next) {
      const result = next(url, context);
      if (result.format !== 'commonjs' || result.source === null || result.source === undefined) return result;
      const path = pathOf(url);
      const loaded = path === undefined ? undefined : locate(path);
      if (loaded === undefined || !registry.has(loaded.module)) return result;
      const call = `\n;globalThis[Symbol.for('hookline.hit')]?.(${JSON.stringify(path)}, module);`;
      return { ...result, source: sourceText(result.source) + call };
    },
  });
}

function sourceText(source: unknown): string {
  return typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8');
}
