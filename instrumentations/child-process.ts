/**
 * `child_process`: no spans; what is started is given the active context in its environment, in the variables that
 * `src/propagation/environment.ts` names. Only where HOOKLINE_CHILD_PROCESS_CONTEXT asks for it.
 *
 * - `spawn`, `exec`, `execFile`, `fork`, and their promisified forms: `ChildProcess.prototype.spawn`, which all of them
 *   call with an object that Node made, environment included. None of the functions that applications call is replaced.
 * - `spawnSync`, `execSync`, `execFileSync` have nothing in common that can be reached: they are replaced, and called
 *   with a copy of the options. The latter two call the first one as it was.
 * - The workers of a cluster get nothing: they outlive whatever happens to be active.
 */
import type { Instrumentation, TraceContext, Tracing } from '../src/hook/instrumentation';
import { type ChildVariables, childVariables } from '../src/propagation/child-environment';

/** How cluster tells a worker that it is one. */
const CLUSTER_WORKER = 'NODE_UNIQUE_ID';

/** What `ChildProcess.prototype.spawn` is given. */
interface SpawnOptions {
  readonly envPairs?: unknown;
}

export default {
  name: 'child-process',
  targets: [{ module: 'child_process', patch: patchChildProcess }],
} satisfies Instrumentation;

function patchChildProcess(childProcess: typeof import('node:child_process'), tracing: Tracing): void {
  tracing.replace(
    childProcess.ChildProcess.prototype,
    'spawn',
    (original) =>
      function (this: unknown, ...args: unknown[]): unknown {
        const changed = tracing.guard(() => withVariables(args[0] as SpawnOptions, tracing));
        if (changed !== undefined) args[0] = changed;
        return Reflect.apply(original, this, args);
      },
  );
  const optionsAt: readonly [method: string, at: (args: readonly unknown[]) => number | undefined][] = [
    ['spawnSync', afterArguments],
    ['execFileSync', afterArguments],
    ['execSync', () => 1],
  ];
  for (const [method, at] of optionsAt) {
    tracing.replace(
      childProcess,
      method,
      (original) =>
        function (this: unknown, ...args: unknown[]): unknown {
          const changed = tracing.guard(() => withOptions(args, at(args), tracing));
          return Reflect.apply(original, this, changed ?? args);
        },
    );
  }
}

/** `(file, arguments?, options?)`: the arguments are a list, or left out with or without a placeholder. */
function afterArguments([, second]: readonly unknown[]): number | undefined {
  if (second === undefined || second === null || Array.isArray(second)) return 2;
  return typeof second === 'object' ? 1 : undefined;
}

/** A copy of what Node is about to spawn with; `undefined` where it stays as it is. */
function withVariables(options: SpawnOptions, tracing: Tracing): SpawnOptions | undefined {
  const pairs = options?.envPairs;
  if (!Array.isArray(pairs)) return undefined;
  const changes = changesFor((name) => valueIn(pairs, name), tracing);
  if (changes === undefined) return undefined;
  const kept = pairs.filter((pair) => !changes.has(nameOf(pair)));
  const envPairs = [
    ...kept,
    ...[...changes].flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`)),
  ];
  return Object.assign(Object.create(Object.getPrototypeOf(options) as object | null), options, { envPairs });
}

/** The arguments with a copy of the options in them, which has a copy of the environment; `undefined`: as they are. */
function withOptions(args: readonly unknown[], at: number | undefined, tracing: Tracing): unknown[] | undefined {
  const options = at === undefined ? undefined : args[at];
  // Anything else is refused, by Node.
  if (at === undefined || (options !== undefined && (typeof options !== 'object' || options === null))) {
    return undefined;
  }
  const env = environmentIn(options ?? {});
  if (env === undefined) return undefined;
  const changes = changesFor((name) => env[name], tracing);
  if (changes === undefined) return undefined;
  const copy: Record<string, string | undefined> = {};
  // As Node reads it: inherited ones too.
  for (const name in env) if (!changes.has(canonical(name))) copy[name] = env[name];
  for (const [name, value] of changes) if (value !== undefined) copy[name] = value;
  const changed = args.slice();
  while (changed.length < at) changed.push(undefined);
  changed[at] = Object.create(Object.getPrototypeOf(options ?? {}) as object | null, {
    ...Object.getOwnPropertyDescriptors(options ?? {}),
    env: { value: copy, writable: true, enumerable: true, configurable: true },
  });
  return changed;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The environment that Node will take out of options. Versions differ on inherited and hidden ones, and an accessor is the
 * application's code: those are left to Node.
 */
function environmentIn(options: object): Env | undefined {
  const own = Object.getOwnPropertyDescriptor(options, 'env');
  if (own === undefined) return 'env' in options ? undefined : process.env;
  if (!('value' in own) || own.enumerable !== true) return undefined;
  const env: unknown = own.value || process.env;
  return typeof env === 'object' ? (env as Env) : undefined;
}

function changesFor(own: (name: string) => string | undefined, tracing: Tracing): ChildVariables | undefined {
  if (own(CLUSTER_WORKER) !== undefined) return undefined;
  const context: TraceContext = tracing.active();
  return childVariables((set) => tracing.inject(context, set), own, tracing.environment);
}

function valueIn(pairs: readonly unknown[], name: string): string | undefined {
  const pair = pairs.find((pair) => nameOf(pair) === name);
  return pair === undefined ? undefined : String(pair).slice(name.length + 1);
}

function nameOf(pair: unknown): string {
  const text = String(pair);
  // A name of Windows may begin with one.
  const equals = text.indexOf('=', 1);
  return canonical(equals < 0 ? text : text.slice(0, equals));
}

/** Windows takes names in any case for one. */
function canonical(name: string): string {
  return process.platform === 'win32' ? name.toUpperCase() : name;
}
