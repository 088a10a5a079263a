import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import type { Config, InstrumentationsConfig } from '../config';
import { log } from '../log';
import { Guard } from './guard';
import type { Instrumentation, Target } from './instrumentation';
import type { LoadedFile } from './locate';
import type { InstrumentationTracing } from './tracing';
import { satisfies } from './version-range';

/** One line of the table in instrumentations/index.ts. */
export interface Definition {
  readonly name: string;
  /** Other names that users know it by, accepted in toggles. */
  readonly aliases?: readonly string[];
  /** Always on and never listed: part of the agent itself. */
  readonly internal?: boolean;
  /** For what is off until a variable of its own asks for it: decides in place of the toggles, which do not know it. */
  wanted?(config: Config): boolean;
  /** Packages and built-ins whose loading reads the instrumentation's file. */
  readonly modules?: readonly string[];
  /** Those of `modules` that may come as ES modules, by which only packages that are installed cost anything. */
  readonly esModules?: readonly string[];
  /** Where these have many files of which few are patched: the paths of those, and nothing else of them is touched. */
  readonly esFiles?: readonly string[];
  /** They are worth it only where hooking them takes no loader thread, through which every ES module of the application goes. */
  readonly needsSyncHooks?: boolean;
  /** Diagnostics channels whose first message reads it. */
  readonly channels?: readonly string[];
  load(): Instrumentation;
}

/** How an instrumentation is doing, for the start line and the status. */
export interface InstrumentationStatus {
  readonly name: string;
  readonly enabled: boolean;
  /** `module@version` of each patched copy; `module` for built-ins. */
  readonly patched: readonly string[];
  /** `module@version (accepted range)` of each copy that was left alone. */
  readonly skipped: readonly string[];
  /** Errors of its own; it is off after a few, and after one that kept it from being loaded. */
  readonly failures: number;
  /** The first of them. */
  readonly firstError: string | undefined;
  readonly off: boolean;
}

/**
 * Decides whether an instrumentation runs. The most specific word counts: its own variable, then the list of disabled
 * ones, then the list of enabled ones, then OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED.
 */
export function isEnabled(definition: Pick<Definition, 'name' | 'aliases'>, config: InstrumentationsConfig): boolean {
  if (isUntouched(config)) return config.defaultEnabled;
  const names = [definition.name, ...(definition.aliases ?? [])];
  for (const name of names) {
    const own = config.byName[variableName(name)];
    if (own !== undefined) return own;
  }
  const lists = (list: readonly string[]) => names.some((name) => list.includes(name));
  if (lists(config.disabled)) return false;
  if (config.enabled !== undefined) return lists(config.enabled);
  return config.defaultEnabled;
}

/** Nothing is said about any instrumentation by name, as at most starts. */
function isUntouched({ enabled, disabled, byName }: InstrumentationsConfig): boolean {
  if (enabled !== undefined || disabled.length > 0) return false;
  for (const _name in byName) return false;
  return true;
}

/** The <NAME> of OTEL_INSTRUMENTATION_<NAME>_ENABLED as `InstrumentationsConfig.byName` spells it. */
export function variableName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '_');
}

/** Names in the toggles that no instrumentation has, each with the variable it stands in. */
export function unknownNames(definitions: readonly Definition[], config: InstrumentationsConfig): string[] {
  if (isUntouched(config)) return [];
  const known = definitions.flatMap(({ name, aliases, wanted }) =>
    wanted === undefined ? [name, ...(aliases ?? [])] : [],
  );
  const knownVariables = new Set(known.map(variableName));
  const problems: string[] = [];
  const accepted = known.slice().sort().join(', ');
  const check = (variable: string, list: readonly string[] = []): void => {
    for (const name of list) {
      if (!known.includes(name))
        problems.push(`${variable}: no instrumentation is called "${name}"; known are ${accepted}`);
    }
  };
  check('OTEL_NODE_ENABLED_INSTRUMENTATIONS', config.enabled);
  check('OTEL_NODE_DISABLED_INSTRUMENTATIONS', config.disabled);
  for (const name of Object.keys(config.byName)) {
    if (!knownVariables.has(name)) {
      const variable = `OTEL_INSTRUMENTATION_${name.toUpperCase()}_ENABLED`;
      problems.push(`${variable}: no instrumentation has this name; known are ${accepted}`);
    }
  }
  return problems;
}

function isListed({ internal }: Definition): boolean {
  return internal !== true;
}

interface Loaded {
  readonly instrumentation: Instrumentation;
  readonly guard: Guard;
  readonly tracing: InstrumentationTracing;
}

interface Manifest {
  readonly version: string;
  /** Files that the package's entry points name, relative to its folder. */
  readonly entryFiles: ReadonlySet<string>;
}

/**
 * Knows what is to be patched and what was. Every way to load a module ends in `onLoad`; a target is patched once per
 * loaded copy, however many ways lead to it.
 */
export class Registry {
  readonly #byModule = new Map<string, Definition[]>();
  readonly #loaded = new Map<Definition, Loaded | undefined>();
  readonly #guards = new Map<Definition, Guard>();
  readonly #patched = new WeakMap<Target, WeakSet<object>>();
  readonly #manifests = new Map<string, Manifest | undefined>();
  readonly #patchedNames = new Map<Definition, Set<string>>();
  readonly #skippedNames = new Map<Definition, Set<string>>();
  /** What the main modules of packages with targets export, as far as the compile step met them. */
  readonly #mains = new WeakSet<object>();
  readonly #definitions: Definition[] = [];
  readonly #enabled: Definition[] = [];

  constructor(
    private readonly config: Config,
    private readonly makeTracing: (name: string, guard: Guard) => InstrumentationTracing,
  ) {}

  /** Takes up further lines of the table; returns those that are enabled. */
  add(definitions: readonly Definition[]): Definition[] {
    const known = definitions.filter(({ wanted }) => wanted?.(this.config) !== false);
    this.#definitions.push(...known.filter(isListed));
    const enabled = known.filter(
      (definition) =>
        definition.internal === true ||
        definition.wanted !== undefined ||
        isEnabled(definition, this.config.instrumentations),
    );
    this.#enabled.push(...enabled.filter(isListed));
    for (const definition of enabled) {
      for (const name of definition.modules ?? []) {
        const list = this.#byModule.get(name);
        if (list === undefined) this.#byModule.set(name, [definition]);
        else list.push(definition);
      }
    }
    return enabled;
  }

  /** The enabled instrumentations, in the table's order. */
  get enabled(): readonly Definition[] {
    return this.#enabled;
  }

  get all(): readonly Definition[] {
    return this.#definitions;
  }

  /** Whether any enabled instrumentation has a target in this module. */
  has(moduleName: string): boolean {
    return this.#byModule.has(moduleName);
  }

  /** Names of packages with targets, built-ins left out. */
  get packages(): string[] {
    return [...this.#byModule.keys()].filter((name) => !isBuiltin(name));
  }

  /** Takes note of exports that a main module has: see `isMissedMain`. */
  noteMain(exports: unknown): void {
    if (isPatchable(exports)) this.#mains.add(exports);
  }

  /** Whether these exports, of a package with targets, came by without being known for those of its main module. */
  isMissedMain(exports: unknown): boolean {
    return isPatchable(exports) && !this.#mains.has(exports);
  }

  /**
   * Patches the targets in a file that was just loaded. Returns the exports the application is to get: the same, unless
   * a target replaced them. Never throws.
   */
  onLoad(loaded: LoadedFile, exports: unknown): unknown {
    const definitions = this.#byModule.get(loaded.module);
    if (definitions === undefined) return exports;
    let current = exports;
    if (this.#isMain(loaded)) this.noteMain(exports);
    for (const definition of definitions) {
      const own = this.load(definition);
      if (own === undefined) continue;
      for (const target of own.guard.run(() => this.#fitting(definition, own, loaded)) ?? []) {
        current = own.guard.run(() => this.#patch(definition, own, target, loaded, current)) ?? current;
      }
    }
    if (current !== exports && this.#isMain(loaded)) this.noteMain(current);
    return current;
  }

  #isMain({ file, folder }: LoadedFile): boolean {
    if (file === undefined) return true;
    return folder !== undefined && this.#manifest(folder)?.entryFiles.has(file) === true;
  }

  /** Reads an instrumentation's file; once. `undefined` when that failed, which is said. */
  load(definition: Definition): Loaded | undefined {
    if (this.#loaded.has(definition)) return this.#loaded.get(definition);
    const guard = new Guard(definition.name);
    this.#guards.set(definition, guard);
    let loaded: Loaded | undefined;
    try {
      // In this order: what its file is built without comes with the core.
      const tracing = this.makeTracing(definition.name, guard);
      loaded = { instrumentation: definition.load(), guard, tracing };
    } catch (error) {
      guard.fail(error);
      guard.off = true;
      log.error(`instrumentation ${definition.name} could not be loaded: ${String(error)}`);
    }
    this.#loaded.set(definition, loaded);
    if (loaded !== undefined) guard.run(() => loaded.instrumentation.subscribe?.(loaded.tracing));
    return loaded;
  }

  status(): InstrumentationStatus[] {
    return this.#definitions.map((definition) => {
      const guard = this.#guards.get(definition);
      return {
        name: definition.name,
        enabled: this.#enabled.includes(definition),
        patched: [...(this.#patchedNames.get(definition) ?? [])],
        skipped: [...(this.#skippedNames.get(definition) ?? [])],
        failures: guard?.failures ?? 0,
        firstError: guard?.firstError,
        off: guard?.off ?? false,
      };
    });
  }

  /**
   * The targets in this file that its version suits. An instrumentation may have several for one file, each for some
   * versions: only a version that none of them takes is worth a line.
   */
  #fitting(definition: Definition, own: Loaded, loaded: LoadedFile): readonly Target[] {
    let inModule = (own.instrumentation.targets ?? []).filter(({ module }) => module === loaded.module);
    if (inModule.length === 0 || loaded.folder === undefined) return inModule;
    // A package that is called as a built-in is (`http/`) is none; only a target for some versions means it.
    if (isBuiltin(loaded.module)) inModule = inModule.filter(({ versions }) => versions !== undefined);
    const manifest = this.#manifest(loaded.folder);
    const isEntry = this.#isMain(loaded);
    const inFile = inModule.filter(({ file }) => (file === undefined ? isEntry : file === loaded.file));
    const suited = inFile.filter(
      ({ versions }) => versions === undefined || (manifest !== undefined && satisfies(manifest.version, versions)),
    );
    if (inFile.length > 0 && suited.length === 0) {
      const range = [...new Set(inFile.map(({ versions }) => versions))].join(' || ');
      const label = labelOf(loaded, manifest);
      if (note(this.#skippedNames, definition, `${label} (supported: ${range})`)) {
        const why = manifest === undefined ? 'has no readable package.json' : `is outside the supported range ${range}`;
        log.warn(`${definition.name}: ${label} ${why} and stays untraced`);
      }
    }
    return suited;
  }

  #patch(definition: Definition, own: Loaded, target: Target, loaded: LoadedFile, exports: unknown): unknown {
    if (!isPatchable(exports)) return exports;
    let done = this.#patched.get(target);
    if (done === undefined) {
      done = new WeakSet();
      this.#patched.set(target, done);
    }
    if (done.has(exports)) return exports;
    done.add(exports);
    const replaced = target.patch(exports, own.tracing);
    if (isPatchable(replaced)) done.add(replaced);
    const label = labelOf(loaded, loaded.folder === undefined ? undefined : this.#manifest(loaded.folder));
    note(this.#patchedNames, definition, label);
    log.debug(`${definition.name}: patched ${label}${target.file === undefined ? '' : ` ${target.file}`}`);
    return replaced ?? exports;
  }

  #manifest(folder: string): Manifest | undefined {
    if (this.#manifests.has(folder)) return this.#manifests.get(folder);
    let manifest: Manifest | undefined;
    try {
      const json = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
      manifest = { version: String(json['version'] ?? '0.0.0'), entryFiles: entryFiles(json) };
    } catch {
      // A package without a readable package.json has no version to check: it counts as out of range.
    }
    this.#manifests.set(folder, manifest);
    return manifest;
  }
}

function isPatchable(exports: unknown): exports is object {
  return typeof exports === 'function' || (typeof exports === 'object' && exports !== null);
}

function labelOf(loaded: LoadedFile, manifest: Manifest | undefined): string {
  return manifest === undefined ? loaded.module : `${loaded.module}@${manifest.version}`;
}

function note(notes: Map<Definition, Set<string>>, definition: Definition, text: string): boolean {
  let set = notes.get(definition);
  if (set === undefined) {
    set = new Set();
    notes.set(definition, set);
  }
  if (set.has(text) || set.size >= 64) return false;
  set.add(text);
  return true;
}

/** The files that `require(name)` and `import name` can reach, by `main` and the `.` entry of `exports`. */
export function entryFiles(manifest: Record<string, unknown>): Set<string> {
  const files = new Set<string>();
  const add = (path: string): void => {
    const file = path.replace(/^\.\//, '');
    files
      .add(file)
      .add(`${file}.js`)
      .add(`${file}.cjs`)
      .add(`${file.replace(/\/$/, '')}/index.js`);
  };
  const { main, exports } = manifest;
  if (typeof main === 'string') add(main);
  const root = isRecord(exports) && '.' in exports ? exports['.'] : exports;
  collect(root, add, 0);
  if (files.size === 0) files.add('index.js');
  return files;
}

function collect(node: unknown, add: (path: string) => void, depth: number): void {
  if (typeof node === 'string') add(node);
  else if (isRecord(node) && depth < 8) {
    for (const key of Object.keys(node)) if (!key.startsWith('./')) collect(node[key], add, depth + 1);
  } else if (Array.isArray(node)) {
    for (const item of node) collect(item, add, depth + 1);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
