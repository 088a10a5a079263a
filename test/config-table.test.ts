import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isSdkDisabled, loadConfig } from '../src/config';
import { writeFolder } from './support/packages';
import { documentedVariables } from './support/readme';
import { runApp } from './support/run-app';

// Every variable: set, unset, with spaces around it, in upper case and wrong. What is special about one is in config.test.ts.

type Env = Readonly<Record<string, string>>;

interface Row {
  readonly variable: string;
  /** Where its value is in the configuration: `batch.maxQueueSize`. */
  readonly path: string;
  /** What is there without the variable. */
  readonly unset: unknown;
  /** A value, and what is there with it. */
  readonly valid: readonly [value: string, holds: unknown];
  /** What is there with that value in upper case. */
  readonly upper: unknown;
  /**
   * A value, its line after the variable's name, and what is there then, by default all as without the variable. Or why there
   * is none.
   */
  readonly wrong:
    | readonly [value: string, line: string, holds?: unknown]
    | 'any text is right'
    | 'read when it is used';
  /** Variables without which it says nothing. */
  readonly needs?: Env | undefined;
  /** The line about those variables where it is missing. */
  readonly missed?: string;
}

/** A number, a word or a URL: in upper case it is the same, and a wrong one is cited. */
function row(
  variable: string,
  path: string,
  unset: unknown,
  valid: Row['valid'],
  [value, fault]: readonly [string, string],
  needs?: Env,
): Row {
  return { variable, path, unset, valid, upper: valid[1], wrong: [value, `="${value}" ${fault}`], needs };
}

const integer = (variable: string, path: string, unset: number, min: 0 | 1, needs?: Env): Row =>
  row(variable, path, unset, ['7', 7], ['1e3', `is not an integer of ${min} or more; using ${unset}`], needs);

const ratio = (variable: string, path: string, unset: number, needs?: Env): Row =>
  row(variable, path, unset, ['2.5e-1', 0.25], ['1.5', `is not a number from 0 to 1; using ${unset}`], needs);

const boolean = (variable: string, path: string, unset: boolean): Row =>
  row(variable, path, unset, [String(!unset), !unset], ['yes', `is not true or false; using ${unset}`]);

/** One of some words, of which the last one is tried. */
const word = (variable: string, path: string, unset: string, ...words: string[]): Row => {
  const [valid] = words.slice(-1) as [string];
  return row(variable, path, unset, [valid, valid], ['x', `is not one of ${words.join(', ')}; using ${unset}`]);
};

/** A name or a path, which stays as it is. */
const text = (variable: string, path: string, unset?: string, needs?: Env): Row => ({
  ...{ variable, path, unset, valid: ['/Some/where', '/Some/where'], upper: '/SOME/WHERE', wrong: 'any text is right' },
  needs,
});

/** Items that stay as they are. */
const list = (variable: string, path: string, unset: readonly string[] = []): Row => ({
  ...{ variable, path, unset, valid: ['/a, b*,', ['/a', 'b*']], upper: ['/A', 'B*'], wrong: 'any text is right' },
});

const headerNames = (variable: string, path: string): Row => ({
  ...{ variable, path, unset: [], valid: ['X-Id, b', ['x-id', 'b']], upper: ['x-id', 'b'] },
  wrong: ['x y', ': "x y" is not a header name; leaving it out'],
});

/** Patterns of hosts. */
const hosts = (variable: string, path: string): Row => ({
  ...{ variable, path, unset: undefined, valid: ['a.test, *.B.test:8*', ['a.test', '*.B.test:8*']] },
  upper: ['A.TEST', '*.B.TEST:8*'],
  wrong: [
    'a.test,http://b.test',
    ': "http://b.test" is not a host with or without a port, such as api.example.com, *.example.com:8443 or [::1]; ' +
      'leaving it out',
    ['a.test'],
  ],
});

/** src/export/proxy.ts has the lines about it. */
const proxy = (variable: string, needs: Env): Row => ({
  ...text(variable, 'otlp.proxy.url', undefined, needs),
  wrong: 'read when it is used',
});

const otlp = (suffix: string, make: (variable: string) => Row): Row[] =>
  ['OTEL_EXPORTER_OTLP_', 'OTEL_EXPORTER_OTLP_TRACES_'].map((prefix) => make(prefix + suffix));

const sampler = (name: string): Env => ({ OTEL_TRACES_SAMPLER: name });

const ARG = 'OTEL_TRACES_SAMPLER_ARG';
const TAIL: Env = { HOOKLINE_TAIL_SAMPLING: 'true' };
const SPOOL: Env = { HOOKLINE_SPOOL_PATH: '/spool' };
const GRPC: Env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' };
const LEVELS = ['none', 'error', 'warn', 'info', 'debug', 'verbose', 'all'];
const LAZY_SAMPLERS = ['consistent_probability', 'rate_limiting', 'adaptive', 'rules', 'jaeger_remote', 'xray'];
const PLAIN_SAMPLERS = ['always_on', 'always_off', 'traceidratio'];
const SAMPLERS = [PLAIN_SAMPLERS, LAZY_SAMPLERS].flatMap((names) => [
  ...names,
  ...names.map((n) => `parentbased_${n}`),
]);
const DETECTORS = ['container', 'host', 'kubernetes', 'os', 'process', 'serviceinstance'];
const PROPAGATORS = 'tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, datadog, gcp';
const METHODS = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'];
const SIGNATURES = ['AWSAccessKeyId', 'Signature', 'sig', 'X-Amz-Credential', 'X-Amz-Security-Token'];
const URL_FAULT = 'is not an http:// or https:// URL or host:port, or unix:///path; using';

const HALF_A_PAIR = (missing: string): string =>
  `is of no use without OTEL_EXPORTER_OTLP_CLIENT_${missing}; showing no client certificate`;

const ROWS: readonly Row[] = [
  boolean('OTEL_SDK_DISABLED', 'disabled', false),
  word('OTEL_LOG_LEVEL', 'logLevel', 'warn', ...LEVELS),
  text('OTEL_SERVICE_NAME', 'serviceName'),
  {
    ...{ variable: 'OTEL_RESOURCE_ATTRIBUTES', path: 'resourceAttributes', unset: {} },
    ...{ valid: ['a=x%20y,b = 2', { a: 'x y', b: '2' }], upper: { A: 'X Y', B: '2' } },
    wrong: ['a=1,b', ': "b" is not a percent-encoded key=value pair; ignoring the whole variable'],
  },
  {
    ...{ variable: 'OTEL_NODE_RESOURCE_DETECTORS', path: 'resourceDetectors', unset: DETECTORS },
    ...{ valid: ['os, host', ['os', 'host']], upper: ['os', 'host'] },
    wrong: [
      `${DETECTORS.join(',')},moon`,
      `: "moon" is not one of all, none, env, ${DETECTORS.join(', ')}, aws, azure, gcp or a path or package#export of a ` +
        'resource detector; leaving it out',
    ],
  },
  integer('HOOKLINE_RESOURCE_DETECTION_TIMEOUT', 'resourceDetectionTimeoutMs', 2000, 1),
  {
    ...{ variable: 'OTEL_PROPAGATORS', path: 'propagators', unset: ['tracecontext', 'baggage'] },
    ...{ valid: ['b3 ,xray', ['b3', 'xray']], upper: ['b3', 'xray'] },
    wrong: [
      'b4',
      `: "b4" is not one of ${PROPAGATORS}, none or a path or package#export of a propagator; using tracecontext,baggage`,
    ],
  },
  hosts('HOOKLINE_PROPAGATION_HOSTS', 'propagationHosts.allowed'),
  hosts('HOOKLINE_PROPAGATION_EXCLUDED_HOSTS', 'propagationHosts.excluded'),
  boolean('HOOKLINE_ENVIRONMENT_CONTEXT', 'environmentContext', true),
  boolean('HOOKLINE_CHILD_PROCESS_CONTEXT', 'childProcessContext', false),
  word('OTEL_TRACES_SAMPLER', 'sampler.name', 'parentbased_always_on', ...SAMPLERS),
  ratio(ARG, 'sampler.ratio', 1, sampler('traceidratio')),
  ratio(ARG, 'sampler.ratio', 1, sampler('parentbased_consistent_probability')),
  ...([['rate_limiting', 100] as const, ['adaptive', 1] as const] as const).map(([name, unset]) => {
    const fault = `is not a number of traces per second above 0 and up to 1000000; using ${unset}`;
    return row(ARG, 'sampler.perSecond', unset, ['5e1', 50], ['0', fault], sampler(name));
  }),
  ...['rules', 'jaeger_remote', 'xray'].map((name): Row => {
    const path = text(ARG, 'sampler.argument');
    // src/sampling/ has the lines about it.
    return { ...path, wrong: 'read when it is used', needs: sampler(name) };
  }),
  {
    ...{ variable: 'HOOKLINE_TAIL_SAMPLING', path: 'tailSampling.errors', unset: undefined },
    ...{ valid: ['slow, errors', true], upper: true },
    wrong: ['x', ': "x" is not one of errors, slow, ratio, routes, true or false; using false'],
  },
  integer('HOOKLINE_TAIL_SAMPLING_SLOW', 'tailSampling.slowMs', 1000, 0, TAIL),
  ratio('HOOKLINE_TAIL_SAMPLING_RATIO', 'tailSampling.ratio', 0.1, TAIL),
  integer('HOOKLINE_TAIL_SAMPLING_ROUTE_EVERY', 'tailSampling.everyNth', 100, 1, TAIL),
  integer('HOOKLINE_TAIL_SAMPLING_MAX_TRACES', 'tailSampling.maxTraces', 2000, 1, TAIL),
  integer('HOOKLINE_TAIL_SAMPLING_MAX_SPANS', 'tailSampling.maxSpansPerTrace', 1000, 1, TAIL),
  integer('HOOKLINE_TAIL_SAMPLING_GRACE', 'tailSampling.graceMs', 100, 0, TAIL),
  integer('HOOKLINE_TAIL_SAMPLING_TIMEOUT', 'tailSampling.timeoutMs', 30_000, 1, TAIL),
  {
    ...{ variable: 'OTEL_TRACES_EXPORTER', path: 'exporters', unset: ['otlp'] },
    ...{ valid: ['console ,./My.js', ['console', './My.js']], upper: ['console', './MY.JS'] },
    wrong: [
      'prometheus',
      ': "prometheus" is not otlp, zipkin, console, otlp/stdout, file, memory, none or a module that exports a span ' +
        'exporter; using "otlp"',
    ],
  },
  {
    ...{ variable: 'HOOKLINE_EXPORTER_OPTIONS', path: 'exporterOptions', unset: {} },
    ...{ valid: ['{"a#b": {"url": "x"}}', { 'a#b': { url: 'x' } }], upper: { 'A#B': { URL: 'X' } } },
    wrong: ['[secret', ' is not a JSON object of options by exporter; ignoring it'],
  },
  ...otlp('ENDPOINT', (variable) => {
    const path = variable.includes('TRACES') ? '' : '/v1/traces';
    const fault = `${URL_FAULT} http://localhost:4318/v1/traces`;
    return {
      ...row(variable, 'otlp.url', 'http://localhost:4318/v1/traces', ['', ''], ['ftp://x', fault]),
      ...{ valid: ['https://Host/Base', `https://host/Base${path}`], upper: `https://host/BASE${path}` },
    };
  }),
  ...otlp('HEADERS', (variable) => ({
    ...{ variable, path: 'otlp.headers', unset: {}, valid: ['A=x%20y , b=1', { a: 'x y', b: '1' }] },
    ...{ upper: { a: 'X Y', b: '1' }, wrong: ['secret', ': header number 1 is not name=value; leaving it out'] },
  })),
  ...otlp('PROTOCOL', (variable) =>
    word(variable, 'otlp.protocol', 'http/protobuf', 'http/protobuf', 'http/json', 'grpc'),
  ),
  ...otlp('INSECURE', (variable) => {
    const fault = 'is not true or false; using false';
    return row(variable, 'otlp.url', 'https://collector:4317/', ['true', 'http://collector:4317/'], ['1', fault], GRPC);
  }),
  {
    ...{ variable: 'HOOKLINE_OTLP_AUTH', path: 'otlp.authorization.method', unset: undefined },
    ...{ valid: ['aws', 'aws'], upper: 'aws' },
    wrong: [
      'basic',
      '="basic" is not one of aws, google, azure or a path or package#export of a function; ignoring it',
    ],
  },
  {
    ...text('HOOKLINE_OTLP_AUTH', 'otlp.authorization.method'),
    wrong: [
      'basic',
      '="basic" is not one of aws, google, azure or a path or package#export of a function; ignoring it',
    ],
  },
  text('HOOKLINE_OTLP_AUTH_REGION', 'otlp.authorization.region', undefined, { HOOKLINE_OTLP_AUTH: 'aws' }),
  text('HOOKLINE_OTLP_AUTH_SERVICE', 'otlp.authorization.service', undefined, { HOOKLINE_OTLP_AUTH: 'aws' }),
  text('HOOKLINE_OTLP_HEADERS_FILE', 'otlp.authorization.headersFile'),
  {
    ...integer('HOOKLINE_OTLP_MAX_REQUEST_BYTES', 'otlp.maxRequestBytes', 4_194_304, 1),
    ...{ valid: ['2048', 2048], upper: 2048, wrong: ['7', '="7" is not an integer of 1024 or more; using 4194304'] },
  },
  integer('HOOKLINE_OTLP_MAX_SPAN_BYTES', 'otlp.maxSpanBytes', 2_097_152, 1),
  text('HOOKLINE_SPOOL_PATH', 'spool.directory'),
  integer('HOOKLINE_SPOOL_MAX_BYTES', 'spool.maxBytes', 104_857_600, 1, SPOOL),
  integer('HOOKLINE_SPOOL_MAX_AGE', 'spool.maxAgeMs', 86_400_000, 1, SPOOL),
  ...['HTTP_PROXY', 'ALL_PROXY'].map((variable) => proxy(variable, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a.test' })),
  proxy('HTTPS_PROXY', { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a.test' }),
  { ...text('NO_PROXY', 'otlp.proxy.noProxy', undefined, { ALL_PROXY: 'http://proxy.test' }), unset: '' },
  word('HOOKLINE_ID_GENERATOR', 'idGenerator', 'random', 'random', 'xray'),
  ...otlp('TIMEOUT', (variable) => integer(variable, 'otlp.timeoutMs', 10_000, 1)),
  ...otlp('COMPRESSION', (variable) => ({
    ...word(variable, 'otlp.compression', 'none', 'gzip', 'none'),
    ...{ valid: ['gzip', 'gzip'], upper: 'gzip' },
  })),
  ...otlp('CERTIFICATE', (variable) => text(variable, 'otlp.certificateFile')),
  ...otlp('CLIENT_CERTIFICATE', (variable) => ({
    ...text(variable, 'otlp.clientCertificateFile', undefined, { OTEL_EXPORTER_OTLP_CLIENT_KEY: '/key' }),
    missed: `OTEL_EXPORTER_OTLP_CLIENT_KEY ${HALF_A_PAIR('CERTIFICATE')}`,
  })),
  ...otlp('CLIENT_KEY', (variable) => ({
    ...text(variable, 'otlp.clientKeyFile', undefined, { OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: '/certificate' }),
    missed: `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE ${HALF_A_PAIR('KEY')}`,
  })),
  {
    ...row(
      'OTEL_EXPORTER_ZIPKIN_ENDPOINT',
      'zipkin.url',
      'http://localhost:9411/api/v2/spans',
      ['', ''],
      [...(['ftp://x', `${URL_FAULT} http://localhost:9411/api/v2/spans`] as const)],
    ),
    ...{ valid: ['https://Host/Api', 'https://host/Api'], upper: 'https://host/API' },
  },
  integer('OTEL_EXPORTER_ZIPKIN_TIMEOUT', 'zipkin.timeoutMs', 10_000, 1),
  text('HOOKLINE_FILE_PATH', 'file.path', 'traces.jsonl'),
  integer('HOOKLINE_FILE_MAX_BYTES', 'file.maxBytes', 104_857_600, 1),
  integer('HOOKLINE_FILE_MAX_FILES', 'file.maxFiles', 5, 1),
  word('HOOKLINE_CONSOLE_FORMAT', 'consoleFormat', 'tree', 'tree', 'json'),
  integer('OTEL_BSP_SCHEDULE_DELAY', 'batch.scheduleDelayMs', 5000, 0),
  integer('OTEL_BSP_EXPORT_TIMEOUT', 'batch.exportTimeoutMs', 30_000, 1),
  integer('OTEL_BSP_MAX_QUEUE_SIZE', 'batch.maxQueueSize', 2048, 1, { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1' }),
  integer('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 'batch.maxExportBatchSize', 512, 1),
  integer('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'limits.attributeCountLimit', 128, 0),
  integer('OTEL_ATTRIBUTE_COUNT_LIMIT', 'limits.attributeCountLimit', 128, 0),
  integer('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'limits.attributeValueLengthLimit', 16_384, 0),
  integer('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'limits.attributeValueLengthLimit', 16_384, 0),
  integer('OTEL_SPAN_EVENT_COUNT_LIMIT', 'limits.eventCountLimit', 128, 0),
  integer('OTEL_SPAN_LINK_COUNT_LIMIT', 'limits.linkCountLimit', 128, 0),
  integer('OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT', 'limits.attributePerEventCountLimit', 128, 0),
  integer('OTEL_LINK_ATTRIBUTE_COUNT_LIMIT', 'limits.attributePerLinkCountLimit', 128, 0),
  integer('OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT', 'limits.attributePerEventCountLimit', 128, 0),
  integer('OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT', 'limits.attributePerLinkCountLimit', 128, 0),
  { ...list('OTEL_NODE_ENABLED_INSTRUMENTATIONS', 'instrumentations.enabled'), unset: undefined },
  list('OTEL_NODE_DISABLED_INSTRUMENTATIONS', 'instrumentations.disabled'),
  {
    ...boolean('OTEL_INSTRUMENTATION_HTTP2_ENABLED', 'instrumentations.byName.http2', false),
    ...{ unset: undefined, wrong: ['1', '="1" is not true or false; ignoring it'] },
  },
  boolean('OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED', 'instrumentations.defaultEnabled', true),
  list('OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS', 'http.serverIgnorePaths'),
  boolean('HOOKLINE_MUTE_HEALTH_CHECKS', 'http.muteHealthChecks', false),
  headerNames('OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS', 'http.serverRequestHeaders'),
  headerNames('OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS', 'http.serverResponseHeaders'),
  headerNames('OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS', 'http.clientRequestHeaders'),
  headerNames('OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS', 'http.clientResponseHeaders'),
  list('OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS', 'http.knownMethods', METHODS),
  list('OTEL_INSTRUMENTATION_HTTP_SENSITIVE_QUERY_PARAMETERS', 'http.sensitiveQueryParameters', [
    ...[...SIGNATURES, 'X-Amz-Signature', 'X-Goog-Signature'],
  ]),
  ...['PG', 'MYSQL2'].flatMap((name) => {
    const [prefix, path] = [`OTEL_INSTRUMENTATION_${name}`, name.toLowerCase()];
    return [
      word(`${prefix}_QUERY_SANITIZATION`, `${path}.querySanitization`, 'auto', 'auto', 'always', 'never'),
      boolean(`${prefix}_CAPTURE_QUERY_PARAMETERS`, `${path}.captureQueryParameters`, false),
      boolean(`${prefix}_SQLCOMMENTER`, `${path}.sqlCommenter`, false),
    ];
  }),
  word('OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_END', 'amqplib.consumeEnd', 'settle', 'settle', 'handler'),
  integer('OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_TIMEOUT', 'amqplib.consumeTimeoutMs', 60_000, 0),
  boolean('OTEL_INSTRUMENTATION_AMQPLIB_USE_LINKS_FOR_CONSUME', 'amqplib.useLinksForConsume', false),
  boolean('OTEL_INSTRUMENTATION_AMQPLIB_SETTLE_SPANS', 'amqplib.settleSpans', true),
  list('OTEL_INSTRUMENTATION_GRPC_IGNORE_METHODS', 'grpc.ignoreMethods'),
  headerNames('OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_REQUEST_METADATA', 'grpc.clientRequestMetadata'),
  headerNames('OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_RESPONSE_METADATA', 'grpc.clientResponseMetadata'),
  headerNames('OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_REQUEST_METADATA', 'grpc.serverRequestMetadata'),
  headerNames('OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_RESPONSE_METADATA', 'grpc.serverResponseMetadata'),
  ...['express', 'connect', 'fastify', 'koa', 'hapi', 'nestjs', 'restify', 'hono', 'h3', 'next'].map((name) =>
    word(
      `OTEL_INSTRUMENTATION_${name.toUpperCase()}_SPANS`,
      `frameworks.${name}`,
      'none',
      ...['none', 'handlers', 'all'],
    ),
  ),
  list('HOOKLINE_INSTRUMENTATIONS', 'instrumentations.userModules'),
  integer('HOOKLINE_EXIT_TIMEOUT', 'exitTimeoutMs', 1000, 0),
];

function load(env: Env): { config: Record<string, unknown>; problems: readonly string[] } {
  const { config, problems } = loadConfig(env);
  const sdk = isSdkDisabled(env);
  return { config: { ...config, disabled: sdk.disabled }, problems: [...problems, ...sdk.problems] };
}

/** The value at a path; sets as lists, and objects without a prototype as others. */
function at(config: unknown, path: string): unknown {
  let value = config;
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key];
  if (value instanceof Set) return [...value];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : value;
}

describe.each(ROWS.map((each) => [each.variable, each.needs?.['OTEL_TRACES_SAMPLER'] ?? '', each] as const))(
  '%s %s',
  (variable, _, { path, unset, valid, upper, wrong, needs = {}, missed }) => {
    const holds = (value: string, ...lines: string[]): unknown => {
      const { config, problems } = load({ ...needs, [variable]: value });
      expect(problems).toEqual(lines);
      return at(config, path);
    };

    it('is read', () => expect(holds(valid[0])).toEqual(valid[1]));
    it('has a default, and is not set when it is blank', () => {
      expect(at(load(needs).config, path)).toEqual(unset);
      const isList = valid[0].includes(',');
      for (const blank of ['', ' ', '\t ', ...(isList ? [',', ' , ,'] : [])])
        expect(holds(blank, ...(missed ? [missed] : []))).toEqual(unset);
    });
    it('may have spaces around it', () => expect(holds(`  ${valid[0]}\t`)).toEqual(valid[1]));
    it('in upper case', () => expect(holds(valid[0].toUpperCase())).toEqual(upper));
    it(typeof wrong === 'string' ? `cannot be wrong: ${wrong}` : 'is one line when it is wrong', () => {
      const [value, line, left] = typeof wrong === 'string' ? ['=%\u0001,;"', undefined] : wrong;
      const { config, problems } = load({ ...needs, [variable]: value });
      expect(problems).toEqual(line === undefined ? [] : [variable + line]);
      if (left !== undefined) expect(at(config, path)).toEqual(left);
      else if (line !== undefined) expect(config).toEqual(load(needs).config);
    });
    it('says something else than its default', () => expect(valid[1]).not.toEqual(unset));
  },
);

it.each(ROWS.filter(({ valid }) => valid[1] === 7))('$variable is cut to a maximum, with a line', (each) => {
  const { variable, path, needs = {} } = each;
  const value = '9'.repeat(30);
  const { config, problems } = load({ ...needs, [variable]: value });
  const used = at(config, path);
  expect(used).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
  // A batch is not larger than the queue.
  const maximum = path === 'batch.maxExportBatchSize' ? `OTEL_BSP_MAX_QUEUE_SIZE=${used}` : used;
  expect(problems).toEqual([`${variable}="${value}" is above the maximum of ${maximum}; using ${used}`]);
});

it('has a row for every variable that README documents, and for no other', () => {
  expect([...new Set(ROWS.map(({ variable }) => variable))].sort()).toEqual([...documentedVariables()].sort());
});

it('in a process: one line each on stderr, the application runs, and its spans arrive', async () => {
  const folder = writeFolder({});
  writeFileSync(
    join(folder, 'app.cjs'),
    `const http = require('node:http');
const server = http.createServer((request, response) => response.end()).listen(0, () =>
  http.get({ port: server.address().port }, (response) => response.resume().on('end', () => server.close(() => console.log('ran')))));`,
  );
  const bad = [
    ...['OTEL_BSP_EXPORT_TIMEOUT', 'OTEL_TRACES_SAMPLER', 'OTEL_PROPAGATORS', 'HOOKLINE_TAIL_SAMPLING'],
    ...['OTEL_EXPORTER_OTLP_COMPRESSION', 'OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_SPAN_EVENT_COUNT_LIMIT'],
    ...['OTEL_INSTRUMENTATION_HTTP2_ENABLED', 'HOOKLINE_MUTE_HEALTH_CHECKS', 'OTEL_RESOURCE_ATTRIBUTES'],
  ].map((variable) => {
    const wrong = ROWS.find((each) => each.variable === variable)?.wrong;
    if (typeof wrong !== 'object') throw new Error(`${variable} cannot be wrong`);
    return { variable, value: wrong[0], line: `hookline: ${variable}${wrong[1]}` };
  });
  const { stdout, stderr, code, spans } = await runApp(join(folder, 'app.cjs'), {
    cwd: folder,
    env: Object.fromEntries(bad.map(({ variable, value }) => [variable, value])),
  });
  expect({ stdout, code }).toEqual({ stdout: 'ran\n', code: 0 });
  expect(stderr.trimEnd().split('\n').sort()).toEqual(bad.map(({ line }) => line).sort());
  expect(spans.map(({ kind }) => kind).sort()).toEqual(['CLIENT', 'SERVER']);
});
