import { Module } from 'node:module';
import { pathToFileURL } from 'node:url';
import { resolveFromApplication } from '../application-folders';
import { log } from '../log';
import type { Instrumentation } from './instrumentation';
import type { Definition } from './registry';

/**
 * The operator's own instrumentations, by module specifier: a package or a path, resolved from the working directory,
 * then from the folder of the main script. Each is one clear line when it cannot be used, and the others go on.
 *
 * Unlike ours they are read at start, since only their code says which modules they patch.
 */
export function loadUserInstrumentations(specifiers: readonly string[]): UserInstrumentations {
  const definitions: Definition[] = [];
  const later: Promise<Definition | undefined>[] = [];
  for (const specifier of specifiers) {
    const path = resolve(specifier);
    if (path === undefined) {
      log.error(`HOOKLINE_INSTRUMENTATIONS: cannot find "${specifier}" from ${process.cwd()}`);
      continue;
    }
    try {
      const definition = toDefinition(specifier, Module.createRequire(path)(path));
      if (definition !== undefined) definitions.push(definition);
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code !== 'ERR_REQUIRE_ESM' && code !== 'ERR_REQUIRE_ASYNC_MODULE' && !(error instanceof SyntaxError)) {
        report(specifier, error);
        continue;
      }
      later.push(
        import(pathToFileURL(path).href).then(
          (exports) => toDefinition(specifier, exports),
          (failure) => report(specifier, failure),
        ),
      );
    }
  }
  const pending =
    later.length === 0
      ? undefined
      : Promise.all(later).then((list) => list.filter((definition) => definition !== undefined));
  return { definitions, pending };
}

function report(specifier: string, error: unknown): undefined {
  log.error(`HOOKLINE_INSTRUMENTATIONS: "${specifier}" could not be loaded: ${String(error)}`);
  return undefined;
}

/** An absolute path, or `undefined`. */
function resolve(specifier: string): string | undefined {
  try {
    return resolveFromApplication(specifier);
  } catch {
    return undefined;
  }
}

function toDefinition(specifier: string, exports: unknown): Definition | undefined {
  const outer = exports as { default?: unknown };
  const inner = outer?.default as { default?: unknown } | undefined;
  const candidate = [inner?.default, inner, outer].find(isInstrumentation);
  if (candidate === undefined) {
    log.error(
      `HOOKLINE_INSTRUMENTATIONS: "${specifier}" exports no instrumentation: a default export with a name, and targets or subscribe`,
    );
    return undefined;
  }
  return {
    name: candidate.name,
    modules: [...new Set((candidate.targets ?? []).map(({ module }) => module))],
    load: () => candidate,
  };
}

function isInstrumentation(value: unknown): value is Instrumentation {
  if (typeof value !== 'object' || value === null) return false;
  const { name, targets, subscribe } = value as Partial<Instrumentation>;
  return typeof name === 'string' && (Array.isArray(targets) || typeof subscribe === 'function');
}

/** What was found. */
export interface UserInstrumentations {
  readonly definitions: Definition[];
  /** Resolves when the ES modules among them are read; `undefined` when there are none. */
  readonly pending: Promise<Definition[]> | undefined;
}
