import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as Api from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registerApi } from '../src/api';
import { patchApiGlobals } from '../src/api-copies';
import { countedInternalErrors, forgetLoggedKeys, setLogLevel, setLogSink } from '../src/log';
import { createPropagator } from '../src/propagation/composite';
import { toTextMapPropagator } from '../src/propagation/text-map';
import { createResource } from '../src/resource';
import { contextManager } from '../src/trace/context';
import { toGlobalProvider } from '../src/trace/global-provider';
import { ALWAYS_ON } from '../src/trace/sampler';
import type { Span } from '../src/trace/span';
import { TracerProvider } from '../src/trace/tracer';

const KEY = Symbol.for('opentelemetry.js.api.1');
const globals = globalThis as { [KEY]?: Record<string, unknown> };
const require = createRequire(import.meta.url);
const entry = require.resolve('@opentelemetry/api');
const root = dirname(dirname(entry));
const installedVersion = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;

let lines: string[] = [];
let ended: Span[] = [];

const provider = new TracerProvider({
  resource: createResource(
    { serviceName: 'test', resourceAttributes: {}, resourceDetectors: [], resourceDetectionTimeoutMs: 1 },
    () => expect.fail('no detector asks others'),
  ),
  sampler: ALWAYS_ON,
  limits: {
    attributeCountLimit: 128,
    attributeValueLengthLimit: 100,
    eventCountLimit: 128,
    linkCountLimit: 128,
    attributePerEventCountLimit: 128,
    attributePerLinkCountLimit: 128,
  },
  processor: { onEnd: (span) => void ended.push(span) },
});
const register = (forceFlush?: () => Promise<void>): boolean =>
  registerApi(() => ({
    trace: toGlobalProvider(provider, forceFlush),
    context: contextManager,
    propagation: toTextMapPropagator(createPropagator(['tracecontext', 'baggage'])),
  }));

/** A copy of the API as another package would get it, its module-wide state its own. */
function freshCopy(patch: boolean): { api: typeof Api; globalUtils: object } {
  for (const file of Object.keys(require.cache)) if (file.startsWith(root)) delete require.cache[file];
  const globalUtils = require(join(dirname(entry), 'internal', 'global-utils.cjs')) as object;
  if (patch) expect(patchApiGlobals(globalUtils)).toBe(true);
  return { api: require(entry) as typeof Api, globalUtils };
}

beforeEach(() => {
  delete globals[KEY];
  lines = [];
  ended = [];
  setLogSink((line) => void lines.push(line));
  setLogLevel('warn');
  forgetLoggedKeys();
});
afterEach(() => {
  delete globals[KEY];
});

describe('registerApi', () => {
  it('makes our spans, contexts and headers those of the API', () => {
    const { api } = freshCopy(false);
    expect(register()).toBe(true);
    const carrier: Record<string, string> = {};
    api.trace.getTracer('scope', '1.0.0').startActiveSpan('outer', (span) => {
      expect(api.trace.getActiveSpan()).toBe(span);
      api.propagation.inject(api.context.active(), carrier);
      api.trace.getTracer('other').startSpan('inner').end();
      span.end();
    });
    expect(ended.map(({ name }) => name)).toEqual(['inner', 'outer']);
    expect(ended[0]?.parentSpanId).toBe(ended[1]?.identity.spanId);
    expect(ended[1]?.instrumentationScope).toEqual({ name: 'scope', version: '1.0.0' });
    expect(carrier.traceparent).toContain(ended[1]?.identity.spanId);
    expect(api.propagation.fields()).toEqual(['traceparent', 'tracestate', 'baggage']);
    const extracted = api.propagation.extract(api.ROOT_CONTEXT, carrier);
    expect(api.trace.getSpanContext(extracted)?.traceId).toBe(ended[1]?.identity.traceId);
    expect(lines).toEqual([]);
  });

  it('offers what applications ask of the global provider', async () => {
    let flushed = 0;
    const forceFlush = async (): Promise<void> => void flushed++;
    register(forceFlush);
    const { api } = freshCopy(false);
    const proxy = api.trace.getTracerProvider() as Api.ProxyTracerProvider & { forceFlush(): Promise<void> };
    await proxy.forceFlush();
    await (proxy.getDelegate() as typeof proxy).forceFlush();
    expect(flushed).toBe(2);
    proxy.setDelegate({} as never);
    proxy.getDelegateTracer('x')?.startSpan('delegated').end();
    expect(ended).toHaveLength(1);
  });

  it('leaves the API as it is without a registration when what was registered cannot be made', () => {
    registerApi(() => {
      throw new Error('no core');
    });
    const { api } = freshCopy(true);
    const span = api.trace.getTracer('x').startSpan('not ours');
    span.end();
    expect(span.isRecording()).toBe(false);
    expect(api.context.with(api.ROOT_CONTEXT, () => 'returned')).toBe('returned');
    api.propagation.inject(api.context.active(), {});
    expect(lines).toEqual([
      'hookline: internal error in the OpenTelemetry API; something may stay untraced: no core\n',
    ]);
    expect(countedInternalErrors()).toEqual({
      count: 3,
      first: 'internal error in the OpenTelemetry API; something may stay untraced: no core',
    });
  });

  it('registers once', () => {
    expect(register()).toBe(true);
    const first = globals[KEY];
    expect(register()).toBe(true);
    expect(globals[KEY]).toBe(first);
  });

  it('leaves an SDK that came first in charge, and names it', () => {
    const { api } = freshCopy(false);
    class OtherProvider {
      getTracer(): Api.Tracer {
        return provider.getTracer('other');
      }
    }
    api.trace.setGlobalTracerProvider(new OtherProvider());
    const before = globals[KEY];
    expect(register()).toBe(false);
    expect(globals[KEY]).toBe(before);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('OtherProvider, API 1.');
    expect(lines[0]).toContain('in charge of trace\n');
  });

  it('keeps metrics and diag that were registered before', () => {
    const { api } = freshCopy(false);
    const meters = { getMeter: () => api.createNoopMeter() };
    const messages: unknown[] = [];
    const note = (text: unknown): void => void messages.push(text);
    api.metrics.setGlobalMeterProvider(meters);
    api.diag.setLogger({ error: note, warn: note, info: note, debug: () => {}, verbose: () => {} });
    expect(register()).toBe(true);
    expect(api.metrics.getMeterProvider()).toBe(meters);
    api.diag.error('still here');
    expect(messages).toEqual(['still here']);
    api.trace.getTracer('x').startSpan('ours').end();
    expect(ended).toHaveLength(1);
  });
});

describe('patchApiGlobals', () => {
  it('is not needed for a copy of the version that the application has installed, wherever that copy is', () => {
    register();
    const { api } = freshCopy(false);
    const meters = { getMeter: () => api.createNoopMeter() };
    expect(api.metrics.setGlobalMeterProvider(meters)).toBe(true);
    expect(api.metrics.getMeterProvider()).toBe(meters);
    expect(api.trace.setGlobalTracerProvider(new api.ProxyTracerProvider())).toBe(false);
  });

  it('what registers right then sees the installed version, all else sees the latest there can be', async () => {
    register();
    const registry = globals as Record<symbol, { version: string } | undefined>;
    const found = registry[KEY];
    expect(found?.version).toBe('1.999.0');
    registry[KEY] = found;
    expect(found?.version).toBe(installedVersion);
    await Promise.resolve();
    expect(found?.version).toBe('1.999.0');
  });

  it('lets metrics and diag of the application through, and out again', () => {
    register();
    const { api } = freshCopy(true);
    const meters = { getMeter: () => api.createNoopMeter() };
    const messages: unknown[] = [];
    const note = (text: unknown): void => void messages.push(text);
    const logger = { error: note, warn: note, info: note, debug: () => {}, verbose: () => {} };
    expect(api.diag.setLogger(logger)).toBe(true);
    api.diag.warn('heard');
    expect(messages).toEqual(['heard']);
    expect(api.metrics.setGlobalMeterProvider(meters)).toBe(true);
    expect(api.metrics.getMeterProvider()).toBe(meters);
    // A second registration is refused and reported as ever.
    expect(api.metrics.setGlobalMeterProvider(meters)).toBe(false);
    expect(String(messages[1])).toContain('duplicate registration');
    expect(api.diag.setLogger(logger, { suppressOverrideMessage: true })).toBe(true);
    api.metrics.disable();
    expect(api.metrics.getMeterProvider()).not.toBe(meters);
    expect(api.metrics.setGlobalMeterProvider(meters)).toBe(true);
    expect(lines).toEqual([]);
  });

  it("declines an application's SDK with one line", () => {
    register();
    const { api } = freshCopy(true);
    const shared = globals[KEY];
    const before = { ...shared };
    expect(api.trace.setGlobalTracerProvider({ getTracer: () => expect.unreachable() })).toBe(false);
    expect(api.context.setGlobalContextManager(before.context as Api.ContextManager)).toBe(false);
    expect(api.propagation.setGlobalPropagator(before.propagation as Api.TextMapPropagator)).toBe(false);
    expect({ ...globals[KEY] }).toEqual(before);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('SDK of its own');
    api.trace.getTracer('x').startSpan('ours').end();
    expect(ended).toHaveLength(1);
  });

  it('keeps the agent registered when the application disables the API', () => {
    register();
    const { api } = freshCopy(true);
    api.trace.disable();
    api.context.disable();
    api.propagation.disable();
    api.trace.getTracer('x').startActiveSpan('ours', (span) => {
      expect(api.trace.getActiveSpan()).toBe(span);
      span.end();
    });
    expect(ended).toHaveLength(1);
  });

  it('hides from a copy what an older copy registered', () => {
    register();
    const copy = (
      version: string,
    ): Parameters<typeof patchApiGlobals>[0] & Record<string, (...args: unknown[]) => unknown> => {
      // The three functions of API 1.4 to 1.9, as they are in build/src/internal/global-utils.js.
      const utils = {
        registerGlobal(type: string, instance: unknown, _diag: unknown, allowOverride = false): boolean {
          globals[KEY] ??= { version };
          const api = globals[KEY];
          if ((!allowOverride && api[type]) || api.version !== version) return false;
          api[type] = instance;
          return true;
        },
        getGlobal: (type: string): unknown => globals[KEY]?.[type],
        unregisterGlobal: (type: string): unknown => delete globals[KEY]?.[type],
      };
      expect(patchApiGlobals(utils)).toBe(true);
      return utils as never;
    };
    const old = copy('1.4.1');
    const middle = copy('1.6.0');
    const recent = copy('1.9.0');
    const meters = {};
    expect(middle.registerGlobal?.('metrics', meters, {})).toBe(true);
    expect(old.getGlobal?.('metrics')).toBe(meters);
    expect(middle.getGlobal?.('metrics')).toBe(meters);
    expect(recent.getGlobal?.('metrics')).toBeUndefined();
    expect(recent.getGlobal?.('trace')).toBe(globals[KEY]?.trace);
    expect(globals[KEY]).not.toHaveProperty('hookline');
    recent.unregisterGlobal?.('metrics');
    expect(old.getGlobal?.('metrics')).toBeUndefined();
  });

  it('understands API 1.0, which passes no diag', () => {
    register();
    const utils = { registerGlobal: () => false, getGlobal: () => undefined, unregisterGlobal: () => {} };
    patchApiGlobals(utils);
    const call = utils.registerGlobal as (...args: unknown[]) => boolean;
    expect(call('diag', { first: true }, true)).toBe(true);
    expect(call('diag', { second: true }, true)).toBe(true);
    expect(globals[KEY]?.diag).toEqual({ second: true });
  });

  it('changes nothing while we are not registered', () => {
    const { api } = freshCopy(true);
    const tracers = { getTracer: () => provider.getTracer('app') };
    expect(api.trace.setGlobalTracerProvider(tracers)).toBe(true);
    expect(api.metrics.setGlobalMeterProvider({ getMeter: () => api.createNoopMeter() })).toBe(true);
    expect(globals[KEY]?.version).toMatch(/^1\.\d+\.\d+$/);
    expect(register()).toBe(false);
    api.trace.disable();
    expect(globals[KEY]?.trace).toBeUndefined();
  });

  it('leaves exports of another shape, read-only ones, and patched ones as they are', () => {
    for (const odd of [undefined, null, 7, {}, { registerGlobal() {} }]) expect(patchApiGlobals(odd)).toBe(false);
    const frozen = Object.freeze({ registerGlobal: () => true, getGlobal() {}, unregisterGlobal() {} });
    expect(patchApiGlobals(frozen)).toBe(false);
    const { registerGlobal } = frozen;
    const half = { registerGlobal, getGlobal() {} };
    Object.defineProperty(half, 'unregisterGlobal', { value: () => {}, writable: false });
    expect(patchApiGlobals(half)).toBe(false);
    expect(half.registerGlobal).toBe(registerGlobal);
    const { globalUtils } = freshCopy(true);
    const once = { ...globalUtils };
    expect(patchApiGlobals(globalUtils)).toBe(true);
    expect({ ...globalUtils }).toEqual(once);
  });
});
