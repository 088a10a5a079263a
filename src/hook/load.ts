import { Module } from 'node:module';
import { describeError, log } from '../log';
import { watchBuiltins } from './builtin';
import { type AnyFunction, disguise } from './disguise';
import type { coverForeignLoaders } from './foreign-loaders';
import { attempt, noteHookFailure } from './hook-failure';
import { LinkedPackages } from './linked';
import { locate } from './locate';
import type { Registry } from './registry';

interface CompiledModule {
  exports: unknown;
  /** The `node_modules` folders that it looks in. */
  readonly paths?: readonly string[];
}

interface ModulePrototype {
  require: AnyFunction;
  _compile: AnyFunction;
}

/**
 * Installs the hooks. Every path ends in `registry.onLoad`.
 *
 * - CommonJS files of packages: `Module.prototype._compile`, which runs for `require`, for `createRequire` and, since
 *   Node compiles imported CommonJS through it, for `import` too (18.19 to 26).
 * - Built-ins: `watchBuiltins`.
 * - require-in-the-middle: the main module of a package whose package.json leads our own reading of it elsewhere than
 *   Node's, so that the compile step did not know it for one. It resolves every name it is asked for once more, which costs a
 *   1,000-module application several per cent, so it is asked for such modules alone, and read with the first.
 * - Packages that are links to elsewhere: src/hook/linked.ts, in the compile step.
 * - ES module packages: src/hook/esm.ts. Files that foreign loaders evaluate: src/hook/foreign-loaders.ts.
 */
export function installHooks(registry: Registry): Hooks {
  let packages: ReadonlySet<string> = new Set();
  const linked = new LinkedPackages((name) => packages.has(name));
  let foreign: ReturnType<typeof coverForeignLoaders> | undefined;
  const coverOnce = (): void => {
    if (foreign !== undefined || packages.size === 0) return;
    const loaders = require('./lazy/foreign-loaders.js') as typeof import('./foreign-loaders');
    foreign = loaders.coverForeignLoaders(registry);
  };
  let early: Set<string> | undefined = new Set();
  const watch = watchBuiltins(
    (name) => registry.has(name),
    (name, exports) => {
      early?.add(name);
      registry.onLoad({ module: name, file: undefined, folder: undefined }, exports);
    },
    coverOnce,
  );
  let throughRitm: AnyFunction | undefined;

  const prototype = Module.prototype as unknown as ModulePrototype;
  const original = prototype.require;
  prototype.require = disguise(function (this: unknown, id: unknown): unknown {
    let exports = Reflect.apply(original, this, arguments);
    try {
      if (packages.has(id as string) && registry.isMissedMain(exports)) {
        if (throughRitm === undefined) throughRitm = tryRitm(registry, packages, original);
        exports = Reflect.apply(throughRitm, this, arguments);
        // Whatever it was: once is enough.
        registry.noteMain(exports);
      }
      watch.drain();
    } catch (error) {
      noteHookFailure('require', error);
    }
    return exports;
  }, original);

  const host = process as unknown as { getBuiltinModule?: AnyFunction };
  const getBuiltinModule = host.getBuiltinModule;
  if (typeof getBuiltinModule === 'function') {
    host.getBuiltinModule = disguise(function (this: unknown): unknown {
      const exports = Reflect.apply(getBuiltinModule, this, arguments);
      try {
        watch.drain();
      } catch (error) {
        noteHookFailure('getBuiltinModule', error);
      }
      return exports;
    }, getBuiltinModule);
  }

  const refresh = (): void => {
    const isFirst = packages.size === 0;
    packages = new Set(registry.packages);
    if (packages.size === 0) return;
    linked.forget();
    if (isFirst) hookCompile(registry, linked);
    if (isTypeScriptMain()) coverOnce();
    else if (hasLoaderFlag()) queueMicrotask(attempt('the cover of module hooks', coverOnce));
    foreign?.refresh();
    throughRitm = undefined;
    patchCached(registry, early);
  };
  refresh();
  // Whether somebody did take functions cannot be told, so this is no warning.
  if (early.size > 0) {
    const names = [...early].sort().join(', ');
    log.info(`loaded before the agent: ${names}; what was taken from them until now may stay untraced`);
  }
  early = undefined;
  return {
    refresh() {
      refresh();
      watch.scan();
    },
    hold: watch.hold,
  };
}

/**
 * Whether a hook was put in by flag. Node starts its hooks later then, where nothing of ours would see it in time. But to
 * register ours at once reads files of Node's that keep the functions of `fs` as they are, and a later --require may be
 * about to replace these: Yarn's .pnp.cjs does. What a flag hooks is loaded in turns of the microtask queue, so one is early enough.
 */
function hasLoaderFlag(): boolean {
  const flags = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')];
  return flags.some((flag) => /^--(experimental-)?loader(=|$)/.test(flag));
}

/** Under --import, Node 22 evaluates a CommonJS main with types stripped, and all that it requires, past `_compile`. */
function isTypeScriptMain(): boolean {
  return process.versions.node.startsWith('22.') && /\.c?ts$/.test(process.argv[1] ?? '');
}

/** Handles of the installed hooks. */
export interface Hooks {
  /** Takes up targets that the registry learned of since, in modules already loaded too. */
  refresh(): void;
  /** See `BuiltinWatch.hold`. */
  hold<Result>(work: () => Result): Result;
}

function tryRitm(registry: Registry, packages: ReadonlySet<string>, original: AnyFunction): AnyFunction {
  try {
    return requireThroughRitm(registry, packages, original);
  } catch (error) {
    log.warn(`some packages may stay untraced: ${describeError(error)}`);
    return original;
  }
}

/** require-in-the-middle's `require`, taken off the prototype again: the caller decides what goes through it. */
function requireThroughRitm(registry: Registry, packages: ReadonlySet<string>, original: AnyFunction): AnyFunction {
  const prototype = Module.prototype as unknown as ModulePrototype;
  const host = process as unknown as { getBuiltinModule?: AnyFunction };
  const current = prototype.require;
  const { getBuiltinModule } = host;
  const { Hook, types } = require('./lazy/ritm.js') as typeof import('../lazy/ritm');
  prototype.require = original;
  new Hook([...packages], { internals: false }, <T>(exports: T, name: string, folder?: string): T => {
    try {
      // An ES module's namespace cannot be patched in place; src/hook/esm.ts sees to those.
      if (types.isModuleNamespaceObject(exports)) return exports;
      return registry.onLoad({ module: name, file: undefined, folder }, exports) as T;
    } catch (error) {
      noteHookFailure('require', error);
      return exports;
    }
  });
  const through = prototype.require;
  prototype.require = current;
  if (getBuiltinModule !== undefined) host.getBuiltinModule = getBuiltinModule;
  return through;
}

function hookCompile(registry: Registry, linked: LinkedPackages): void {
  const prototype = Module.prototype as unknown as ModulePrototype;
  const original = prototype._compile;
  const compile = function (this: CompiledModule, _content: string, filename: string): unknown {
    const result = Reflect.apply(original, this, arguments);
    try {
      if (typeof filename !== 'string') return result;
      const loaded = locate(filename) ?? linked.locate(filename, this.paths ?? []);
      if (loaded !== undefined && registry.has(loaded.module)) {
        const exports = registry.onLoad(loaded, this.exports);
        if (exports !== this.exports) this.exports = exports;
      }
    } catch (error) {
      noteHookFailure('_compile', error);
    }
    return result;
  };
  prototype._compile = disguise(compile, original);
}

/** Another preload may have loaded a target before us: prototypes and members can still be patched. */
function patchCached(registry: Registry, names: Set<string> | undefined): void {
  const cache = (Module as unknown as { _cache: Record<string, { exports: unknown; loaded: boolean } | undefined> })
    ._cache;
  for (const filename of Object.keys(cache)) {
    const loaded = locate(filename);
    const cached = cache[filename];
    if (loaded === undefined || cached?.loaded !== true || !registry.has(loaded.module)) continue;
    names?.add(loaded.module);
    registry.onLoad(loaded, cached.exports);
  }
}
