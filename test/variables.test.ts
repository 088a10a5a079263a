import { expect, it } from 'vitest';
import { loadConfig } from '../src/config';
import { DEFAULT_CONFIG } from '../src/config-defaults';
import { isOwn, ownVariables } from '../src/variables';

/** Names of the variables that the configuration asks `values` for. */
function readOf(values: Record<string, string>): string[] {
  const read = new Set<string>();
  loadConfig(
    new Proxy(values, {
      get(target, name) {
        read.add(String(name));
        return target[String(name)];
      },
    }),
  );
  return [...read];
}

/** One of each part, with values that lead to all of the others. */
const EVERYTHING = {
  HTTP_PROXY: 'http://proxy.test',
  OTEL_BSP_SCHEDULE_DELAY: '1',
  OTEL_RESOURCE_ATTRIBUTES: 'a=b',
  OTEL_NODE_RESOURCE_DETECTORS: 'all',
  OTEL_PROPAGATORS: 'b3',
  HOOKLINE_PROPAGATION_HOSTS: 'a.test',
  OTEL_TRACES_SAMPLER: 'traceidratio',
  HOOKLINE_TAIL_SAMPLING: 'true',
  OTEL_TRACES_EXPORTER: 'file',
  HOOKLINE_EXPORTER_OPTIONS: '{}',
  OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  HOOKLINE_OTLP_AUTH: 'google',
  OTEL_EXPORTER_ZIPKIN_TIMEOUT: '1',
  HOOKLINE_FILE_PATH: 'x',
  HOOKLINE_SPOOL_PATH: 'x',
  OTEL_SPAN_LINK_COUNT_LIMIT: '1',
  OTEL_INSTRUMENTATION_HTTP_ENABLED: 'true',
  OTEL_INSTRUMENTATION_PG_ENABLED: 'true',
  OTEL_INSTRUMENTATION_MYSQL2_ENABLED: 'true',
  OTEL_INSTRUMENTATION_AMQPLIB_ENABLED: 'true',
  OTEL_INSTRUMENTATION_GRPC_ENABLED: 'true',
};

it('picks every variable that the configuration reads', () => {
  const read = readOf(EVERYTHING);
  expect(read.length).toBeGreaterThan(110);
  expect(read.filter((name) => !isOwn(name))).toEqual([]);
});

it('reads each of them also where it is the only one', () => {
  const all = readOf(EVERYTHING);
  const unread = all.filter((name) => !readOf({ [name]: 'a=b' }).includes(name));
  // Of no use without the one that they belong to.
  expect(unread.sort()).toEqual([
    'HOOKLINE_OTLP_AUTH_REGION',
    'HOOKLINE_OTLP_AUTH_SERVICE',
    'HOOKLINE_TAIL_SAMPLING_GRACE',
    'HOOKLINE_TAIL_SAMPLING_MAX_SPANS',
    'HOOKLINE_TAIL_SAMPLING_MAX_TRACES',
    'HOOKLINE_TAIL_SAMPLING_RATIO',
    'HOOKLINE_TAIL_SAMPLING_ROUTE_EVERY',
    'HOOKLINE_TAIL_SAMPLING_SLOW',
    'HOOKLINE_TAIL_SAMPLING_TIMEOUT',
    'NO_PROXY',
    'OTEL_EXPORTER_OTLP_INSECURE',
    'OTEL_EXPORTER_OTLP_TRACES_INSECURE',
    'OTEL_TRACES_SAMPLER_ARG',
    'no_proxy',
  ]);
});

it('picks nothing where nothing is set', () => {
  expect(ownVariables({ PATH: '/bin', OTELLO: 'x', HOOKLINER: 'x' })).toBeUndefined();
});

it('has defaults that are what no variable makes', () => {
  const { config, problems } = loadConfig({});
  expect(config).toEqual(DEFAULT_CONFIG);
  expect(problems).toEqual([]);
  expect(Object.isFrozen(DEFAULT_CONFIG.http)).toBe(true);
});
