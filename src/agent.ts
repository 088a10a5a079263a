import { definitions } from '../instrumentations/index';
import { patchApiGlobals, registerApi } from './api';
import {
  type Config,
  type HttpTarget,
  loadConfig,
  type PropagationHostsConfig,
  type TailSamplingConfig,
} from './config';
import * as exit from './exit';
import { DeferredProcessor } from './export/deferred';
import { displayTarget } from './export/endpoint';
import type { MemorySpans, ProcessorStats } from './export/processor';
import { Channels } from './hook/channels';
import { installedPackages } from './hook/es-packages';
import { type Hooks, installHooks } from './hook/load';
import { type Definition, type InstrumentationStatus, Registry, unknownNames } from './hook/registry';
import { supportsSyncHooks } from './hook/sync-hooks';
import * as route from './http/route';
import * as logging from './log';
import { isLogged, log, setLogLevel } from './log';
import { createPropagator } from './propagation/composite';
import { fromEnvironment, propagationVariables } from './propagation/environment';
import type { PropagationHosts } from './propagation/hosts';
import * as traceState from './propagation/trace-state';
import { createResource } from './resource';
import type { TailSamplingProcessor } from './sampling/tail';
import { SCHEMA_URL } from './semconv';
import * as clock from './trace/clock';
import * as context from './trace/context';
import { useEpochHeads } from './trace/id';
import { createSampler } from './trace/sampler';
import type { Span } from './trace/span';
import * as identity from './trace/span-identity';
import { TracerProvider } from './trace/tracer';
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
}

/**
 * Modules with a state of their own: files that are built apart and read later take them from here, not from a copy
 * (`withAgent` and `withRoute` in scripts/build.mjs). On the global object, because applications that reload themselves empty
 * `require.cache`, and a second agent with a second context storage would come of it.
 */
Object.defineProperty(globalThis, Symbol.for('hookline.shared'), {
  value: { log: logging, exit, clock, context, identity, traceState, route },
  configurable: true,
});

/**
 * Starts the agent; called once per thread by the preload. Returns a promise only when an instrumentation of the
 * operator's own has to be imported, which the application is to wait for.
 */
export function start(): Promise<void> | undefined {
  const { config, problems } = loadConfig(process.env);
  setLogLevel(config.logLevel);
  for (const problem of problems) log.warn(problem);
  useEpochHeads(config.idGenerator === 'xray');

  const exporting = new DeferredProcessor(config);
  const tail = config.tailSampling === undefined ? undefined : startTailSampling(config.tailSampling, exporting);
  const processor = tail ?? exporting;
  const resource = createResource(config, () => require('./lazy/resource.js') as typeof import('./resource/load'));
  const sampler = createSampler(config.sampler, (sampler) =>
    (require('./lazy/samplers.js') as typeof import('./sampling/load')).loadSampler(sampler, resource),
  );
  const onStart = tail === undefined ? undefined : (span: Span): void => tail.onStart(span);
  const provider = new TracerProvider({ resource, sampler, limits: config.limits, processor, onStart });
  const propagator = createPropagator(config.propagators, (name) =>
    (require('./lazy/propagators.js') as typeof import('./propagation/load')).loadPropagator(name),
  );
  if (config.environmentContext) context.setInitialContext(fromEnvironment(propagator, process.env));
  const environment = config.childProcessContext ? propagationVariables(propagator, process.env) : undefined;
  const hosts = config.propagationHosts && loadPropagationHosts(config.propagationHosts);
  registerApi({
    provider,
    propagator,
    forceFlush: async () => void (await processor.flush(config.batch.exportTimeoutMs)),
  });

  const channels = new Channels();
  const registry = new Registry(config, (name, guard) => {
    const { InstrumentationTracing } = require('./lazy/tracing.js') as typeof import('./hook/tracing');
    // Spans are to come: what has to be asked for may be there even before a short process ends.
    if (resource.asyncAttributesPending) void resource.waitForAsyncAttributes();
    return new InstrumentationTracing({
      config,
      guard,
      propagator,
      hosts,
      ...(environment && { environment }),
      tracer: provider.getTracer(`hookline/${name}`, VERSION, { schemaUrl: SCHEMA_URL }),
      subscribe: (channel, listener) => channels.on(channel, listener),
    });
  });

  registry.add(definitions);
  registry.add([apiDefinition]);
  const hooks = installHooks(registry);
  for (const definition of registry.enabled) {
    for (const name of definition.channels ?? []) channels.onFirst(name, () => void registry.load(definition));
  }

  exit.installExit(processor, config.exitTimeoutMs, () => resource.stopWaiting());

  const agent: Agent = {
    version: VERSION,
    config,
    flush: (timeoutMs = config.batch.exportTimeoutMs) => processor.flush(timeoutMs),
    memory: () => exporting.memory,
    status: () => ({ instrumentations: registry.status(), export: processor.stats() }),
  };
  Object.defineProperty(globalThis, Symbol.for('hookline'), { value: agent, configurable: true });

  const announce = (): void => {
    for (const problem of unknownNames(registry.all, config.instrumentations)) log.warn(problem);
    if (isLogged('info')) log.info(startLine(config, registry.enabled, resource.attributes['service.name']));
  };
  hookEsPackages(registry);
  const { userModules } = config.instrumentations;
  const pending = userModules.length === 0 ? undefined : addUserInstrumentations(userModules, registry, hooks);
  if (pending === undefined) {
    announce();
    return undefined;
  }
  return pending.finally(announce);
}

function loadPropagationHosts(config: PropagationHostsConfig): PropagationHosts {
  const { PropagationHosts } = require('./lazy/propagation-hosts.js') as typeof import('./propagation/hosts');
  return new PropagationHosts(config);
}

function startTailSampling(config: TailSamplingConfig, exporting: DeferredProcessor): TailSamplingProcessor {
  const { createTailSampling } = require('./lazy/tail-sampling.js') as typeof import('./sampling/tail');
  return createTailSampling(config, exporting);
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

/**
 * Not an instrumentation: lets each copy of the API that the application loads register its metrics, logs and diag beside
 * us. Always on, and nowhere listed.
 */
const apiDefinition: Definition = {
  name: 'api',
  internal: true,
  modules: ['@opentelemetry/api'],
  load: () => ({
    name: 'api',
    targets: ['build/src/internal/global-utils.js', 'dist/internal/global-utils.cjs'].map((file) => ({
      module: '@opentelemetry/api',
      file,
      patch: (exports) => void patchApiGlobals(exports),
    })),
  }),
};

function takesRatio(name: string): boolean {
  return name.endsWith('ratio') || name.endsWith('consistent_probability');
}

function throughProxy({ url, proxy: config }: HttpTarget): string {
  if (config === undefined) return '';
  const { chooseProxy } = require('./lazy/proxy.js') as typeof import('./export/proxy');
  const { proxy } = chooseProxy(new URL(url), config);
  return proxy === undefined ? '' : ` through proxy ${proxy.displayUrl}`;
}

function startLine(config: Config, enabled: readonly Definition[], serviceName: unknown): string {
  const { name, ratio, perSecond } = config.sampler;
  const exporters = config.exporters.map((name) => {
    if (name === 'otlp' || name === 'zipkin')
      return `${name} ${displayTarget(config[name])}${throughProxy(config[name])}`;
    return name === 'file' ? `file ${config.file.path}` : name;
  });
  return [
    `${VERSION} on Node.js ${process.versions.node}`,
    `service ${String(serviceName)}`,
    `exporter ${exporters.join(', ') || 'none'}`,
    `sampler ${name}${takesRatio(name) ? ` ${ratio}` : perSecond === undefined ? '' : ` ${perSecond}/s`}`,
    ...(config.tailSampling === undefined ? [] : ['tail sampling']),
    `instrumentations ${enabled.map(({ name }) => name).join(', ') || 'none'}`,
  ].join('; ');
}
