import type { TracerProvider as ApiTracerProvider, ContextManager, TextMapPropagator } from '@opentelemetry/api';
import { apiInstrumentation } from './api-copies';
import type { Config, HttpTarget, PropagationHostsConfig, TailSamplingConfig } from './config';
import * as exit from './exit';
import { DeferredProcessor } from './export/deferred';
import { displayTarget } from './export/endpoint';
import type { MemorySpans, ProcessorStats } from './export/processor';
import type { Guard } from './hook/guard';
import type { Instrumentation } from './hook/instrumentation';
import { InstrumentationTracing } from './hook/tracing';
import * as route from './http/route';
import { createPropagator } from './propagation/composite';
import { fromEnvironment, propagationVariables } from './propagation/environment';
import type { PropagationHosts } from './propagation/hosts';
import { toTextMapPropagator } from './propagation/text-map';
import * as traceState from './propagation/trace-state';
import { createResource } from './resource';
import type { TailSamplingProcessor } from './sampling/tail';
import { SCHEMA_URL } from './semconv';
import { share } from './shared';
import * as attributeBlock from './trace/attribute-block';
import * as clock from './trace/clock';
import * as context from './trace/context';
import { toGlobalProvider } from './trace/global-provider';
import { useEpochHeads } from './trace/id';
import { createSampler } from './trace/sampler';
import type { Span } from './trace/span';
import * as identity from './trace/span-identity';
import { TracerProvider } from './trace/tracer';
import type { Variables } from './variables';
import { VERSION } from './version';

share({ attributeBlock, exit, clock, context, identity, traceState, route });

/** All that makes, carries and exports spans. */
export interface Core {
  /** What an instrumentation is given. */
  makeTracing(name: string, guard: Guard): InstrumentationTracing;
  /** What the OpenTelemetry API is given. */
  readonly trace: ApiTracerProvider;
  readonly context: ContextManager;
  readonly propagation: TextMapPropagator;
  /** For the copies of the API that the application loads. */
  readonly apiInstrumentation: Instrumentation;
  flush(timeoutMs: number): Promise<boolean>;
  stats(): ProcessorStats;
  memory(): MemorySpans | undefined;
  /** One line about what runs, for the log. */
  startLine(enabled: readonly string[]): string;
}

export interface CoreOptions {
  readonly config: Config;
  /** The environment that the process was started in. */
  readonly env: Variables;
  /** Subscribes a guarded listener to a diagnostics channel. */
  readonly subscribe: (channel: string, listener: (message: unknown) => void) => void;
}

/**
 * Composes it, once per thread. A file of its own, read with the first module that is to be patched or the first use of the
 * API: whatever starts under the preload and does neither pays for the hooks alone.
 */
export function createCore({ config, env, subscribe }: CoreOptions): Core {
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
  if (config.environmentContext) context.setInitialContext(fromEnvironment(propagator, env));
  const environment = config.childProcessContext ? propagationVariables(propagator, env) : undefined;
  const hosts = config.propagationHosts && loadPropagationHosts(config.propagationHosts);

  exit.installExit(processor, config.exitTimeoutMs, () => resource.stopWaiting());

  return {
    makeTracing(name, guard) {
      // Spans are to come: what has to be asked for may be there even before a short process ends.
      if (resource.asyncAttributesPending) void resource.waitForAsyncAttributes();
      return new InstrumentationTracing({
        config,
        guard,
        propagator,
        hosts,
        ...(environment && { environment }),
        tracer: provider.getTracer(`hookline/${name}`, VERSION, { schemaUrl: SCHEMA_URL }),
        subscribe,
      });
    },
    trace: toGlobalProvider(provider, async () => void (await processor.flush(config.batch.exportTimeoutMs))),
    context: context.contextManager,
    propagation: toTextMapPropagator(propagator),
    apiInstrumentation,
    flush: (timeoutMs) => processor.flush(timeoutMs),
    stats: () => processor.stats(),
    memory: () => exporting.memory,
    startLine: (enabled) => startLine(config, enabled, resource.attributes['service.name']),
  };
}

function loadPropagationHosts(config: PropagationHostsConfig): PropagationHosts {
  const { PropagationHosts } = require('./lazy/propagation-hosts.js') as typeof import('./propagation/hosts');
  return new PropagationHosts(config);
}

function startTailSampling(config: TailSamplingConfig, exporting: DeferredProcessor): TailSamplingProcessor {
  const { createTailSampling } = require('./lazy/tail-sampling.js') as typeof import('./sampling/tail');
  return createTailSampling(config, exporting);
}

function takesRatio(name: string): boolean {
  return name.endsWith('ratio') || name.endsWith('consistent_probability');
}

function throughProxy({ url, proxy: config }: HttpTarget): string {
  if (config === undefined) return '';
  const { chooseProxy } = require('./lazy/proxy.js') as typeof import('./export/proxy');
  const { proxy } = chooseProxy(new URL(url), config);
  return proxy === undefined ? '' : ` through proxy ${proxy.displayUrl}`;
}

function startLine(config: Config, enabled: readonly string[], serviceName: unknown): string {
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
    `instrumentations ${enabled.join(', ') || 'none'}`,
  ].join('; ');
}
