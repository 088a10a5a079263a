import { definitions } from '../instrumentations/index';
import { registerApi } from './api';
import { loadConfig, type Config } from './config';
import { installExit } from './exit';
import { createProcessor } from './export/load';
import { Channels } from './hook/channels';
import { installHooks } from './hook/load';
import { Registry, unknownNames, type Definition, type InstrumentationStatus } from './hook/registry';
import { InstrumentationTracing } from './hook/tracing';
import { loadUserInstrumentations } from './hook/user-instrumentations';
import { isLogged, log, setLogLevel } from './log';
import { createPropagator } from './propagation/composite';
import { createResource } from './resource';
import { SCHEMA_URL } from './semconv';
import { createSampler } from './trace/sampler';
import { TracerProvider } from './trace/tracer';

/** What the running agent shows of itself, under `Symbol.for('hookline')` on the global object; src/index.ts types it. */
export interface Agent {
  readonly version: string;
  readonly config: Config;
  /** Sends what is queued. Resolves to whether everything was delivered within the time; never rejects. */
  flush(timeoutMs?: number): Promise<boolean>;
  status(): AgentStatus;
}

export interface AgentStatus {
  readonly instrumentations: readonly InstrumentationStatus[];
  readonly export: Readonly<Record<string, unknown>>;
}

/**
 * Starts the agent; called once per thread by the preload. Returns a promise only when an instrumentation of the
 * operator's own has to be imported, which the application is to wait for.
 */
export function start(): Promise<void> | undefined {
  const { config, problems } = loadConfig(process.env);
  setLogLevel(config.logLevel);
  for (const problem of problems) log.warn(problem);

  const processor = createProcessor(config);
  const resource = createResource(config);
  const sampler = createSampler(config.sampler);
  const provider = new TracerProvider({ resource, sampler, limits: config.limits, processor });
  const propagator = createPropagator(config.propagators);
  registerApi({ provider, propagator });

  const channels = new Channels();
  const registry = new Registry(
    config,
    (name, guard) =>
      new InstrumentationTracing({
        config,
        guard,
        propagator,
        tracer: provider.getTracer(`hookline/${name}`, HOOKLINE_VERSION, { schemaUrl: SCHEMA_URL }),
        subscribe: (channel, listener) => channels.on(channel, listener),
      }),
  );

  registry.add(definitions);
  const user = loadUserInstrumentations(config.instrumentations.userModules);
  const enabledByUser = registry.add(user.definitions);
  const hooks = installHooks(registry);
  for (const definition of enabledByUser) registry.load(definition);
  for (const definition of registry.enabled) {
    for (const name of definition.channels ?? []) channels.onFirst(name, () => void registry.load(definition));
  }

  installExit(processor, config.exitTimeoutMs);

  const agent: Agent = {
    version: HOOKLINE_VERSION,
    config,
    flush: (timeoutMs = config.batch.exportTimeoutMs) => processor.flush(timeoutMs),
    status: () => ({ instrumentations: registry.status(), export: processor.stats() }),
  };
  Object.defineProperty(globalThis, Symbol.for('hookline'), { value: agent, configurable: true });

  const announce = (): void => {
    for (const problem of unknownNames(registry.all, config.instrumentations)) log.warn(problem);
    if (isLogged('info')) log.info(startLine(config, registry.enabled, String(sampler), resource.attributes['service.name']));
  };
  if (user.pending === undefined) {
    announce();
    return undefined;
  }
  return user.pending.then((late) => {
    const enabled = registry.add(late);
    hooks.refresh();
    for (const definition of enabled) registry.load(definition);
    announce();
  });
}

function startLine(config: Config, enabled: readonly Definition[], sampler: string, serviceName: unknown): string {
  const exporters = config.exporters.map((name) => (name === 'otlp' ? `otlp ${withoutUserInfo(config.otlp.url)}` : name));
  return [
    `${HOOKLINE_VERSION} on Node.js ${process.versions.node}`,
    `service ${String(serviceName)}`,
    `exporter ${exporters.join(', ') || 'none'}`,
    `sampler ${sampler}`,
    `instrumentations ${enabled.map(({ name }) => name).join(', ') || 'none'}`,
  ].join('; ');
}

function withoutUserInfo(text: string): string {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  url.search = '';
  return url.href;
}

declare const HOOKLINE_VERSION: string;
