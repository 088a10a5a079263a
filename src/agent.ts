import { definitions } from '../instrumentations/index';
import * as api from './api';
import type { Config } from './config';
import { DEFAULT_CONFIG } from './config-defaults';
import type { Core } from './core';
import type { MemorySpans, ProcessorStats } from './export/processor';
import { Channels } from './hook/channels';
import { installedPackages } from './hook/es-packages';
import { type Hooks, installHooks } from './hook/load';
import { type Definition, type InstrumentationStatus, Registry, unknownNames } from './hook/registry';
import { supportsSyncHooks } from './hook/sync-hooks';
import * as logging from './log';
import { countedInternalErrors, isLogged, log, setLogLevel } from './log';
import { share } from './shared';
import * as timers from './timers';
import { ownVariables, type Variables } from './variables';
import { VERSION } from './version';

/** What the running agent shows of itself, under `Symbol.for('hookline')` on the global object; src/index.ts types it. */
export interface Agent {
  readonly version: string;
  readonly config: Config;
  /** Sends what is queued. Resolves to whether everything was delivered within the time; never rejects. */
  flush(timeoutMs?: number): Promise<boolean>;
  status(): AgentStatus;
  /** What OTEL_TRACES_EXPORTER=memory keeps; `undefined` without it, and before the first span has ended. */
  memory(): MemorySpans | undefined;
}

export interface AgentStatus {
  readonly instrumentations: readonly InstrumentationStatus[];
  readonly export: ProcessorStats;
  /** Errors of the agent's own that belong to no instrumentation: of its start, its load hooks, the export. */
  readonly failures: number;
  /** The first of them. */
  readonly firstError: string | undefined;
}

/** Of a process that has made no span. */
const NOTHING: ProcessorStats = { queued: 0, inFlight: 0, exported: 0, dropped: {} };

share({ log: logging, api, timers });

/**
 * Starts the agent; called once per thread by the preload. Returns a promise only when an instrumentation of the
 * operator's own has to be imported, which the application is to wait for.
 *
 * What runs here is what every process pays that starts under the preload, npm and its children included: it watches modules
 * load, and no more. All else is in src/core.ts.
 */
export function start(): Promise<void> | undefined {
  const { config, problems } = readConfig(process.env);
  setLogLevel(config.logLevel);
  for (const problem of problems) log.warn(problem);

  const channels = new Channels();
  let core: Core | undefined;
  let coreFailure: { readonly error: unknown } | undefined;
  const env = startEnvironment(config, process.env);
  let hooks: Hooks | undefined;
  const makeCore = (): Core =>
    (require('./core.js') as typeof import('./core')).createCore({
      config,
      env: env ?? process.env,
      subscribe: (channel, listener) => channels.on(channel, listener),
    });
  const getCore = (): Core => {
    if (core !== undefined) return core;
    // Once: parts of it may be in place, and a second try would add to them.
    if (coreFailure !== undefined) throw coreFailure.error;
    // What is seen to be loaded while its files are read would be patched with one that is half there.
    const hold = hooks?.hold ?? ((work) => work());
    return hold(() => {
      try {
        core = makeCore();
        return core;
      } catch (error) {
        coreFailure = { error };
        throw error;
      }
    });
  };
  if (env === undefined) getCore();
  api.registerApi(getCore);

  const registry = new Registry(config, (name, guard) => getCore().makeTracing(name, guard));
  registry.add(definitions);
  // Always on, and nowhere listed.
  registry.add([
    { name: 'api', internal: true, modules: ['@opentelemetry/api'], load: () => getCore().apiInstrumentation },
  ]);
  const installed = installHooks(registry);
  hooks = installed;
  for (const definition of registry.enabled) {
    for (const name of definition.channels ?? []) channels.onFirst(name, () => void registry.load(definition));
  }

  const agent: Agent = {
    version: VERSION,
    config,
    flush: (timeoutMs = config.batch.exportTimeoutMs) => core?.flush(timeoutMs) ?? Promise.resolve(true),
    memory: () => core?.memory(),
    status: () => {
      const { count: failures, first: firstError } = countedInternalErrors();
      return { instrumentations: registry.status(), export: core?.stats() ?? NOTHING, failures, firstError };
    },
  };
  Object.defineProperty(globalThis, Symbol.for('hookline'), { value: agent, configurable: true });

  const announce = (): void => {
    for (const problem of unknownNames(registry.all, config.instrumentations)) log.warn(problem);
    if (isLogged('info')) log.info(getCore().startLine(registry.enabled.map(({ name }) => name)));
  };
  hookEsPackages(registry);
  const { userModules } = config.instrumentations;
  const pending = userModules.length === 0 ? undefined : addUserInstrumentations(userModules, registry, installed);
  if (pending === undefined) {
    announce();
    return undefined;
  }
  return pending.finally(announce);
}

function readConfig(env: Variables): ReturnType<typeof import('./config').loadConfig> {
  const variables = ownVariables(env);
  if (variables === undefined) return { config: DEFAULT_CONFIG, problems: [] };
  return (require('./lazy/config.js') as typeof import('./config')).loadConfig(variables);
}

/**
 * What the default propagators read of the environment that the process was started in: the application may change it before
 * there is a core. `undefined`: the core has to read it now.
 */
function startEnvironment({ environmentContext, childProcessContext, propagators }: Config, env: Variables) {
  if (childProcessContext) return undefined;
  if (!environmentContext) return {};
  if (propagators !== DEFAULT_CONFIG.propagators && propagators.join() !== DEFAULT_CONFIG.propagators.join())
    return undefined;
  // Those who look for what becomes of it look now.
  return env['TRACEPARENT'] || env['TRACESTATE'] || env['BAGGAGE'] ? undefined : {};
}

/** Targets that the application may import as ES modules, which are not compiled where the others are seen. */
function hookEsPackages(registry: Registry): void {
  const wanted = registry.enabled.filter(({ needsSyncHooks }) => needsSyncHooks !== true || supportsSyncHooks());
  const installed = installedPackages(wanted.flatMap(({ esModules }) => esModules ?? []));
  if (installed.length === 0) return;
  const user = require('./lazy/user.js') as typeof import('./hook/user');
  const names = user.esModulePackages(installed);
  const files = wanted.flatMap(({ esModules, esFiles }) => (esModules ?? []).map((name) => [name, esFiles] as const));
  if (names.length > 0) user.hookEsModules(registry, names, new Map(files));
}

/**
 * The operator's own: their code is what says which modules they patch, so they are read at start and subscribe at once.
 * Returns a promise when some of them are ES modules.
 */
function addUserInstrumentations(
  specifiers: readonly string[],
  registry: Registry,
  hooks: Hooks,
): Promise<void> | undefined {
  const user = require('./lazy/user.js') as typeof import('./hook/user');
  const take = (definitions: readonly Definition[]): void => {
    const enabled = registry.add(definitions);
    hooks.refresh();
    for (const definition of enabled) registry.load(definition);
    const esModules = user.esModulePackages(enabled.flatMap(({ modules }) => modules ?? []));
    if (esModules.length > 0) user.hookEsModules(registry, esModules);
  };
  const { definitions, pending } = user.loadUserInstrumentations(specifiers);
  take(definitions);
  return pending?.then(take);
}
