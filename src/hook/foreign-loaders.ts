import { Module, syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describeError, log } from '../log';
import { type AnyFunction, disguise } from './disguise';
import { HIT, withHit } from './hit';
import { noteHookFailure } from './hook-failure';
import { locate } from './locate';
import type { Registry } from './registry';
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

/**
 * Closes the one gap of the compile step: a customisation hook of the application's (`--loader`, `module.register`) that
 * returns the source of a CommonJS file makes Node evaluate that file without `_compile`. To be called when there is such a
 * hook; until then nothing is installed.
 *
 * A hook that runs after all others appends a call to target files: a synchronous one where these accept what others return
 * (22.22.3, 24.11.1, 25.1 and later), before that an asynchronous one behind each of theirs.
 */
export function coverForeignLoaders(registry: Registry): { refresh(): void } {
  const host = Module as unknown as ModuleApi;
  receiveHits(registry);
  if (supportsSyncHooks()) {
    appendHits(host, registry);
    return { refresh() {} };
  }
  const original = host.register;
  if (original === undefined) return { refresh() {} };

  // Hooks run last registered first, and ours has to see what theirs return: behind each of them.
  const cover = (): void => {
    const url = pathToFileURL(join(__dirname, 'append-hit.mjs')).href;
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
  syncBuiltinESMExports();
  cover();
  // Targets that came later.
  return { refresh: cover };
}

function isImportInTheMiddle(specifier: unknown): boolean {
  return String(specifier).startsWith('import-in-the-middle/');
}

function receiveHits(registry: Registry): void {
  Object.defineProperty(globalThis, Symbol.for(HIT), {
    configurable: true,
    value: (url: string, module: { exports: unknown }) => {
      try {
        const path = pathOf(url);
        const loaded = path === undefined ? undefined : locate(path);
        if (loaded !== undefined) module.exports = registry.onLoad(loaded, module.exports);
      } catch (error) {
        noteHookFailure('_compile', error);
      }
    },
  });
}

function appendHits(host: ModuleApi, registry: Registry): void {
  host.registerHooks?.({
    load(url, context, next) {
      const result = next(url, context);
      try {
        if (result.format !== 'commonjs' || result.source === null || result.source === undefined) return result;
        const path = pathOf(url);
        if (path === undefined) return result;
        const loaded = locate(path);
        if (loaded === undefined || !registry.has(loaded.module)) return result;
        return { ...result, source: withHit(result.source, url) };
      } catch (error) {
        noteHookFailure('a module hook', error);
        return result;
      }
    },
  });
}

/** Path of a `file:` URL; `undefined` for any other. */
function pathOf(url: string): string | undefined {
  try {
    return url.startsWith('file:') ? fileURLToPath(url) : undefined;
  } catch {
    return undefined;
  }
}
