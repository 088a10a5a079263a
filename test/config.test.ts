import { describe, expect, it } from 'vitest';
import { type Config, isSdkDisabled, loadConfig } from '../src/config';

type Env = Record<string, string>;

const load = (env: Env): Config => {
  const { config, problems } = loadConfig(env);
  expect(problems).toEqual([]);
  return config;
};

/** The configuration, with exactly one problem line that names the variable and the given texts. */
const loadWithProblem = (env: Env, ...texts: string[]): Config => {
  const { config, problems } = loadConfig(env);
  expect(problems).toHaveLength(1);
  for (const text of [Object.keys(env)[0] as string, ...texts]) expect(problems[0]).toContain(text);
  expect(problems[0]).not.toContain('\n');
  return config;
};

const DEFAULT_URL = 'http://localhost:4318/v1/traces';

describe('defaults', () => {
  it('are those of the specification, and of the README where they are ours', () => {
    const config = load({});
    expect(config).toMatchObject({
      logLevel: 'warn',
      serviceName: undefined,
      propagators: ['tracecontext', 'baggage'],
      propagationHosts: undefined,
      environmentContext: true,
      childProcessContext: false,
      sampler: { name: 'parentbased_always_on', ratio: 1 },
      tailSampling: undefined,
      exporters: ['otlp'],
      otlp: {
        url: DEFAULT_URL,
        timeoutMs: 10_000,
        compression: 'none',
        certificateFile: undefined,
        clientCertificateFile: undefined,
        clientKeyFile: undefined,
      },
      batch: { scheduleDelayMs: 5000, exportTimeoutMs: 30_000, maxQueueSize: 2048, maxExportBatchSize: 512 },
      limits: {
        attributeCountLimit: 128,
        attributeValueLengthLimit: 16_384,
        eventCountLimit: 128,
        linkCountLimit: 128,
        attributePerEventCountLimit: 128,
        attributePerLinkCountLimit: 128,
      },
      exitTimeoutMs: 1000,
      instrumentations: { enabled: undefined, disabled: [], defaultEnabled: true, userModules: [] },
      http: {
        serverRequestHeaders: [],
        serverResponseHeaders: [],
        clientRequestHeaders: [],
        clientResponseHeaders: [],
        serverIgnorePaths: [],
        muteHealthChecks: false,
      },
      pg: { querySanitization: 'auto', captureQueryParameters: false, sqlCommenter: false },
      mysql2: { querySanitization: 'auto', captureQueryParameters: false, sqlCommenter: false },
      amqplib: { consumeEnd: 'settle', consumeTimeoutMs: 60_000, useLinksForConsume: false, settleSpans: true },
      grpc: {
        ignoreMethods: [],
        clientRequestMetadata: [],
        clientResponseMetadata: [],
        serverRequestMetadata: [],
        serverResponseMetadata: [],
      },
    });
    expect({ ...config.resourceAttributes }).toEqual({});
    expect({ ...config.otlp.headers }).toEqual({});
    expect({ ...config.instrumentations.byName }).toEqual({});
    expect([...config.http.knownMethods].join(' ')).toBe('CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE');
    expect([...config.http.sensitiveQueryParameters].sort()).toEqual([
      'AWSAccessKeyId',
      'Signature',
      'X-Amz-Credential',
      'X-Amz-Security-Token',
      'X-Amz-Signature',
      'X-Goog-Signature',
      'sig',
    ]);
  });

  it('apply to empty and blank variables too', () => {
    const names = [
      'OTEL_LOG_LEVEL',
      'OTEL_SERVICE_NAME',
      'OTEL_RESOURCE_ATTRIBUTES',
      'OTEL_PROPAGATORS',
      'OTEL_TRACES_SAMPLER',
      'OTEL_TRACES_SAMPLER_ARG',
      'HOOKLINE_TAIL_SAMPLING',
      'HOOKLINE_TAIL_SAMPLING_RATIO',
      'HOOKLINE_MUTE_HEALTH_CHECKS',
      'OTEL_TRACES_EXPORTER',
      'OTEL_BSP_SCHEDULE_DELAY',
      'OTEL_BSP_MAX_QUEUE_SIZE',
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
      'OTEL_EXPORTER_OTLP_HEADERS',
      'OTEL_EXPORTER_OTLP_PROTOCOL',
      'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
      'OTEL_NODE_ENABLED_INSTRUMENTATIONS',
      'OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED',
      'OTEL_INSTRUMENTATION_PG_ENABLED',
      'HOOKLINE_EXIT_TIMEOUT',
      'OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS',
    ];
    for (const blank of ['', '   ', '\t']) {
      expect(load(Object.fromEntries(names.map((name) => [name, blank])))).toEqual(load({}));
    }
  });

  it('cannot be changed', () => {
    const config = load({ OTEL_EXPORTER_OTLP_HEADERS: 'a=b', OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'pg' });
    const objects = [
      config,
      config.otlp,
      config.otlp.headers,
      config.batch,
      config.limits,
      config.propagators,
      config.exporters,
      config.instrumentations,
      config.instrumentations.disabled,
      config.resourceAttributes,
      config.sampler,
    ];
    for (const object of objects) expect(Object.isFrozen(object)).toBe(true);
    expect(load({}).exporters).toEqual(['otlp']);
  });
});

describe('general variables', () => {
  it('reads enums in any case', () => {
    const config = load({
      OTEL_LOG_LEVEL: ' DEBUG ',
      OTEL_TRACES_SAMPLER: 'ParentBased_TraceIdRatio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_PROPAGATORS: 'Baggage, TRACECONTEXT,baggage',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'GZIP',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'HTTP/Protobuf',
    });
    expect(config.logLevel).toBe('debug');
    expect(config.sampler).toEqual({ name: 'parentbased_traceidratio', ratio: 0.25 });
    expect(config.propagators).toEqual(['baggage', 'tracecontext']);
    expect(config.otlp.compression).toBe('gzip');
  });

  it.each([
    ['OTEL_LOG_LEVEL', 'loud'],
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['HOOKLINE_MUTE_HEALTH_CHECKS', '1'],
    ['HOOKLINE_ENVIRONMENT_CONTEXT', 'no'],
    ['HOOKLINE_CHILD_PROCESS_CONTEXT', 'yes'],
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'br'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'thrift'],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/xml'],
    ['OTEL_EXPORTER_ZIPKIN_ENDPOINT', 'unix://host/socket'],
    ['OTEL_EXPORTER_ZIPKIN_TIMEOUT', '-1'],
    ['HOOKLINE_FILE_MAX_BYTES', '1MB'],
    ['HOOKLINE_FILE_MAX_FILES', '0'],
    ['HOOKLINE_CONSOLE_FORMAT', 'xml'],
    ['OTEL_BSP_SCHEDULE_DELAY', '-1'],
    ['OTEL_BSP_SCHEDULE_DELAY', '1.5'],
    ['OTEL_BSP_EXPORT_TIMEOUT', '0'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '0'],
    ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 'many'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s'],
    ['OTEL_SPAN_EVENT_COUNT_LIMIT', '1e3'],
    ['HOOKLINE_EXIT_TIMEOUT', 'Infinity'],
    ['OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED', '1'],
    ['OTEL_INSTRUMENTATION_PG_ENABLED', 'yes'],
  ])('reports %s=%s and uses the default', (name, value) => {
    expect(loadWithProblem({ [name]: value }, `${name}="${value}"`)).toEqual(load({}));
  });

  it('tells what is accepted and what is used', () => {
    expect(loadConfig({ OTEL_EXPORTER_OTLP_PROTOCOL: 'thrift' }).problems).toEqual([
      'OTEL_EXPORTER_OTLP_PROTOCOL="thrift" is not one of http/protobuf, http/json, grpc; using http/protobuf',
    ]);
    expect(loadConfig({ OTEL_BSP_SCHEDULE_DELAY: 'x' }).problems).toEqual([
      'OTEL_BSP_SCHEDULE_DELAY="x" is not an integer of 0 or more; using 5000',
    ]);
  });

  it('shows a bad value on one line and cut', () => {
    const { problems } = loadConfig({ OTEL_LOG_LEVEL: `a\nb${'x'.repeat(10_000)}` });
    expect(problems[0]).toContain('a\\nb');
    expect(problems[0]!.length).toBeLessThan(300);
  });

  it('keeps delays within what timers can do and the queue within memory', () => {
    expect(loadWithProblem({ OTEL_BSP_SCHEDULE_DELAY: '99999999999' }).batch.scheduleDelayMs).toBe(2 ** 31 - 1);
    expect(loadWithProblem({ OTEL_BSP_MAX_QUEUE_SIZE: '4294967296' }).batch.maxQueueSize).toBe(1_048_576);
  });

  it('caps the batch to the queue, also the default batch', () => {
    const env = { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '200', OTEL_BSP_MAX_QUEUE_SIZE: '100' };
    expect(loadWithProblem(env, 'OTEL_BSP_MAX_QUEUE_SIZE=100').batch).toMatchObject({
      maxQueueSize: 100,
      maxExportBatchSize: 100,
    });
    expect(loadWithProblem({ OTEL_BSP_MAX_QUEUE_SIZE: '511' }).batch.maxExportBatchSize).toBe(511);
    expect(load({ OTEL_BSP_MAX_QUEUE_SIZE: '512' }).batch.maxExportBatchSize).toBe(512);
  });

  it.each([
    ['0', 0],
    ['1', 1],
    ['0.5', 0.5],
    ['.5', 0.5],
    ['1e-3', 0.001],
  ])('reads the ratio %s', (value, ratio) => {
    expect(load({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: value }).sampler.ratio).toBe(ratio);
  });

  it.each(['1.1', '-0.1', 'half', '0x1', 'Infinity', 'NaN', '1-1', '1,5'])(
    'reports the ratio %s and samples all',
    (value) => {
      const config = loadWithProblem({ OTEL_TRACES_SAMPLER_ARG: value, OTEL_TRACES_SAMPLER: 'traceidratio' }, '0 to 1');
      expect(config.sampler).toEqual({ name: 'traceidratio', ratio: 1 });
    },
  );

  it('does not judge the argument of a sampler that takes none', () => {
    expect(load({ OTEL_TRACES_SAMPLER_ARG: 'endpoint=x' }).sampler.ratio).toBe(1);
  });

  it.each(['', 'parentbased_'])('reads the samplers that are read when they are named, %s', (prefix) => {
    const sampler = (name: string, argument?: string) =>
      load({
        OTEL_TRACES_SAMPLER: ` ${prefix.toUpperCase()}${name.toUpperCase()} `,
        ...(argument === undefined ? {} : { OTEL_TRACES_SAMPLER_ARG: ` ${argument} ` }),
      }).sampler;
    expect(sampler('consistent_probability', '0.25')).toEqual({ name: `${prefix}consistent_probability`, ratio: 0.25 });
    expect(sampler('rate_limiting')).toEqual({ name: `${prefix}rate_limiting`, ratio: 1, perSecond: 100 });
    expect(sampler('rate_limiting', '2.5').perSecond).toBe(2.5);
    expect(sampler('adaptive')).toEqual({ name: `${prefix}adaptive`, ratio: 1, perSecond: 1 });
    expect(sampler('adaptive', '1e2').perSecond).toBe(100);
    expect(sampler('rules', './Rules.json')).toEqual({ name: `${prefix}rules`, ratio: 1, argument: './Rules.json' });
    expect(sampler('jaeger_remote', 'endpoint=http://x').argument).toBe('endpoint=http://x');
    expect(sampler('jaeger_remote').argument).toBeUndefined();
    expect(sampler('xray', 'polling_interval=60')).toEqual({
      name: `${prefix}xray`,
      ratio: 1,
      argument: 'polling_interval=60',
    });
  });

  it.each(['0', '-1', '1000001', 'ten', '10/s', 'Infinity', '0x1'])('reports %s traces per second', (value) => {
    for (const [name, used] of [
      ['rate_limiting', 100],
      ['parentbased_adaptive', 1],
    ] as const) {
      const env = { OTEL_TRACES_SAMPLER_ARG: value, OTEL_TRACES_SAMPLER: name };
      expect(loadWithProblem(env, `="${value}"`, 'above 0', `using ${used}`).sampler.perSecond).toBe(used);
    }
  });

  it('reads limits, the specific before the general', () => {
    expect(
      load({
        OTEL_ATTRIBUTE_COUNT_LIMIT: '5',
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '6',
        OTEL_SPAN_EVENT_COUNT_LIMIT: '1',
        OTEL_SPAN_LINK_COUNT_LIMIT: '2',
        OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '3',
        OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: '0',
      }).limits,
    ).toEqual({
      attributeCountLimit: 5,
      attributeValueLengthLimit: 6,
      eventCountLimit: 1,
      linkCountLimit: 2,
      attributePerEventCountLimit: 3,
      attributePerLinkCountLimit: 0,
    });
    const both = { OTEL_ATTRIBUTE_COUNT_LIMIT: '5', OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '7' };
    expect(load(both).limits.attributeCountLimit).toBe(7);
    expect(
      load({ OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: '8', OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '9' }).limits
        .attributeValueLengthLimit,
    ).toBe(8);
  });

  it.each([
    ['OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT', 'attributeCountLimit'],
    ['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'attributeValueLengthLimit'],
    ['OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT', 'OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT', 'attributePerEventCountLimit'],
    ['OTEL_LINK_ATTRIBUTE_COUNT_LIMIT', 'OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT', 'attributePerLinkCountLimit'],
  ] as const)('%s goes before %s, unless it is wrong or blank', (first, second, limit) => {
    expect(load({ [first]: '7', [second]: '5' }).limits[limit]).toBe(7);
    expect(load({ [first]: ' ', [second]: '5' }).limits[limit]).toBe(5);
    expect(loadWithProblem({ [first]: 'x', [second]: '5' }, 'using 5').limits[limit]).toBe(5);
  });

  it('tells whether the SDK is disabled', () => {
    expect(isSdkDisabled({ OTEL_SDK_DISABLED: 'TRUE' })).toEqual({ disabled: true, problems: [] });
    expect(isSdkDisabled({ OTEL_SDK_DISABLED: 'false' }).disabled).toBe(false);
    expect(isSdkDisabled({}).disabled).toBe(false);
    const odd = isSdkDisabled({ OTEL_SDK_DISABLED: '1' });
    expect(odd.disabled).toBe(false);
    expect(odd.problems).toHaveLength(1);
  });
});

describe('lists', () => {
  it('reads no propagators for none', () => {
    expect(load({ OTEL_PROPAGATORS: 'none' }).propagators).toEqual([]);
    expect(loadWithProblem({ OTEL_PROPAGATORS: 'baggage,none' }, 'none').propagators).toEqual([]);
  });

  it('reads resource detectors', () => {
    const local = ['container', 'host', 'kubernetes', 'os', 'process', 'serviceinstance'];
    const detectors = (value: string) => load({ OTEL_NODE_RESOURCE_DETECTORS: value }).resourceDetectors;
    expect(load({}).resourceDetectors).toEqual(local);
    expect(detectors(' ')).toEqual(local);
    expect(detectors(' ALL ')).toEqual([...local, 'aws', 'azure', 'gcp']);
    expect(detectors('none')).toEqual([]);
    expect(detectors('env')).toEqual([]);
    expect(detectors('env, OS ,host,os')).toEqual(['os', 'host']);
    expect(detectors('GCP,os,Aws')).toEqual(['gcp', 'os', 'aws']);
    expect(loadWithProblem({ OTEL_NODE_RESOURCE_DETECTORS: 'os,alibaba' }, '"alibaba"').resourceDetectors).toEqual([
      'os',
    ]);
    expect(loadWithProblem({ OTEL_NODE_RESOURCE_DETECTORS: 'none,os' }, 'none').resourceDetectors).toEqual([]);
    expect(loadWithProblem({ OTEL_NODE_RESOURCE_DETECTORS: 'none,./x.js' }, 'none').resourceDetectors).toEqual([]);
  });

  it('reads modules of resource detectors as they are', () => {
    const value = './Mine.js, all, @scope/pkg, pkg#Export, /abs/file.cjs, ./Mine.js';
    expect(load({ OTEL_NODE_RESOURCE_DETECTORS: value }).resourceDetectors).toEqual([
      './Mine.js',
      ...load({ OTEL_NODE_RESOURCE_DETECTORS: 'all' }).resourceDetectors,
      '@scope/pkg',
      'pkg#Export',
      '/abs/file.cjs',
    ]);
  });

  it('reads how long resource detection may take', () => {
    const variable = 'HOOKLINE_RESOURCE_DETECTION_TIMEOUT';
    expect(load({}).resourceDetectionTimeoutMs).toBe(2000);
    expect(load({ [variable]: '500' }).resourceDetectionTimeoutMs).toBe(500);
    expect(loadWithProblem({ [variable]: '0' }, variable).resourceDetectionTimeoutMs).toBe(2000);
  });

  it('reads the names of propagators in any case, and modules as they are', () => {
    const names = 'b3, B3Multi, jaeger, xray, ottrace, datadog, gcp, tracecontext, b3';
    expect(load({ OTEL_PROPAGATORS: names }).propagators).toEqual([
      ...['b3', 'b3multi', 'jaeger', 'xray', 'ottrace', 'datadog', 'gcp', 'tracecontext'],
    ]);
    const modules = './My-Propagator.js,@Scope/Propagator,propagator#Name';
    expect(load({ OTEL_PROPAGATORS: modules }).propagators).toEqual(modules.split(','));
  });

  it('reads hosts that may or may not be sent a trace', () => {
    const hosts = 'api.example.com, *.Example.com:8443,[::1],[fe80::*]:80*,10.0.?.1,*';
    expect(load({ HOOKLINE_PROPAGATION_HOSTS: hosts }).propagationHosts).toEqual({
      allowed: ['api.example.com', '*.Example.com:8443', '[::1]', '[fe80::*]:80*', '10.0.?.1', '*'],
      excluded: [],
    });
    expect(load({ HOOKLINE_PROPAGATION_EXCLUDED_HOSTS: 'a:1' }).propagationHosts).toEqual({
      allowed: undefined,
      excluded: ['a:1'],
    });
    expect(load({ HOOKLINE_PROPAGATION_HOSTS: ' ' }).propagationHosts).toBeUndefined();
  });

  it.each([
    'https://a.test',
    'a.test/x',
    'ann:secret@a.test',
    'a.test:http',
    '::1',
    '[::1',
    '[]',
    ':80',
    'a b',
    '[::1]x',
  ])('reports %s, which is no host, and allows nobody for it', (item) => {
    const { propagationHosts } = loadWithProblem({ HOOKLINE_PROPAGATION_HOSTS: item }, item.replace('ann:secret', ''));
    expect(propagationHosts).toEqual({ allowed: [], excluded: [] });
    const { problems } = loadConfig({ HOOKLINE_PROPAGATION_EXCLUDED_HOSTS: `${item},b.test` });
    expect(problems).toHaveLength(1);
    expect(problems[0]).not.toContain('secret');
  });

  it('reports unknown propagators in one line', () => {
    const config = loadWithProblem(
      { OTEL_PROPAGATORS: 'b4,baggage,trace-context' },
      'b4,trace-context',
      'using baggage',
    );
    expect(config.propagators).toEqual(['baggage']);
    expect(loadWithProblem({ OTEL_PROPAGATORS: 'b4' }, 'using tracecontext,baggage').propagators).toHaveLength(2);
  });

  it('keeps module specifiers of exporters as they are', () => {
    const value = 'OTLP, console, @Scope/exporter, ./My-Exporter.js, #internal, my-exporter, console';
    expect(load({ OTEL_TRACES_EXPORTER: value }).exporters).toEqual([
      'otlp',
      'console',
      '@Scope/exporter',
      './My-Exporter.js',
      '#internal',
      'my-exporter',
    ]);
  });

  it('exports nothing for none', () => {
    expect(load({ OTEL_TRACES_EXPORTER: 'None' }).exporters).toEqual([]);
    expect(loadWithProblem({ OTEL_TRACES_EXPORTER: 'none,otlp' }, 'none').exporters).toEqual([]);
  });

  it("reports other SDKs' exporters", () => {
    expect(loadWithProblem({ OTEL_TRACES_EXPORTER: 'logging' }, 'logging', 'using "otlp"').exporters).toEqual(['otlp']);
    expect(loadWithProblem({ OTEL_TRACES_EXPORTER: 'jaeger,console' }).exporters).toEqual(['console']);
  });

  it('reads instrumentations', () => {
    const { instrumentations } = load({
      OTEL_NODE_ENABLED_INSTRUMENTATIONS: ' http, pg ,,http',
      OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'pg',
      OTEL_INSTRUMENTATION_AWS_SDK_ENABLED: 'False',
      OTEL_INSTRUMENTATION_PG_ENABLED: 'true',
      OTEL_INSTRUMENTATION___PROTO___ENABLED: 'true',
      OTEL_INSTRUMENTATION__ENABLED: 'true',
      OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED: 'FALSE',
      HOOKLINE_INSTRUMENTATIONS: './a.js,@scope/b',
    });
    expect(instrumentations).toMatchObject({
      enabled: ['http', 'pg'],
      disabled: ['pg'],
      defaultEnabled: false,
      userModules: ['./a.js', '@scope/b'],
    });
    expect(Object.entries(instrumentations.byName)).toEqual([
      ['aws_sdk', false],
      ['pg', true],
      ['__proto__', true],
    ]);
  });

  it('reads the options of http', () => {
    const { http } = load({
      OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: 'GET,PURGE',
      OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS: 'X-Request-Id, x-request-id,Accept',
      OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS: 'A',
      OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS: 'B',
      OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS: 'C',
      OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS: '/health, /internal/*',
      OTEL_INSTRUMENTATION_HTTP_SENSITIVE_QUERY_PARAMETERS: 'token,Key',
    });
    expect(http).toMatchObject({
      serverRequestHeaders: ['x-request-id', 'accept'],
      serverResponseHeaders: ['a'],
      clientRequestHeaders: ['b'],
      clientResponseHeaders: ['c'],
      serverIgnorePaths: ['/health', '/internal/*'],
    });
    expect([...http.knownMethods]).toEqual(['GET', 'PURGE']);
    expect([...http.sensitiveQueryParameters]).toEqual(['token', 'Key']);
    const name = 'OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS';
    expect(loadWithProblem({ [name]: 'good,b d' }, 'b d').http.serverRequestHeaders).toEqual(['good']);
  });
});

describe('exporters of our own', () => {
  it('are known in any case', () => {
    expect(load({ OTEL_TRACES_EXPORTER: 'Zipkin,FILE,otlp/stdout' }).exporters).toEqual([
      ...['zipkin', 'file', 'otlp/stdout'],
    ]);
    expect(load({ OTEL_EXPORTER_OTLP_PROTOCOL: 'HTTP/JSON' }).otlp.protocol).toBe('http/json');
    expect(load({ HOOKLINE_CONSOLE_FORMAT: 'JSON' }).consoleFormat).toBe('json');
  });

  it.each([
    [{}, 'http://localhost:4317/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c:4317/ignored?x=1' }, 'https://c:4317/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c' }, 'http://c/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317' }, 'https://c:4317/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317', OTEL_EXPORTER_OTLP_INSECURE: 'true' }, 'http://c:4317/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c:4317', OTEL_EXPORTER_OTLP_INSECURE: 'true' }, 'https://c:4317/'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'c:1', OTEL_EXPORTER_OTLP_TRACES_INSECURE: 'TRUE' }, 'http://c:1/'],
  ])('grpc: %j is sent to %s', (env, url) => {
    const { otlp } = load({ ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' } as Env);
    expect({ protocol: otlp.protocol, url: otlp.url }).toEqual({ protocol: 'grpc', url });
  });

  it('zipkin: the endpoint is taken as it is, with its own path where it has none', () => {
    const endpoint = (value: string) => load({ OTEL_EXPORTER_ZIPKIN_ENDPOINT: value }).zipkin;
    expect(load({}).zipkin).toMatchObject({ url: 'http://localhost:9411/api/v2/spans', timeoutMs: 10_000 });
    expect(endpoint('http://zipkin:9411').url).toBe('http://zipkin:9411/api/v2/spans');
    expect(endpoint('https://zipkin/custom').url).toBe('https://zipkin/custom');
    const { url, headers } = endpoint('http://me:secret@zipkin:9411/api/v2/spans');
    expect({ url, ...headers }).toEqual({
      url: 'http://zipkin:9411/api/v2/spans',
      authorization: `Basic ${Buffer.from('me:secret').toString('base64')}`,
    });
  });

  it('file', () => {
    expect(load({}).file).toEqual({ path: 'traces.jsonl', maxBytes: 104_857_600, maxFiles: 5 });
    const env = { HOOKLINE_FILE_PATH: '/x/%p.jsonl', HOOKLINE_FILE_MAX_BYTES: '10', HOOKLINE_FILE_MAX_FILES: '2' };
    expect(load(env).file).toEqual({ path: '/x/%p.jsonl', maxBytes: 10, maxFiles: 2 });
  });

  it('limits of what a back end takes', () => {
    expect(load({}).otlp).toMatchObject({ maxRequestBytes: 4_194_304, maxSpanBytes: 2_097_152 });
    const env = { HOOKLINE_OTLP_MAX_REQUEST_BYTES: '5000000', HOOKLINE_OTLP_MAX_SPAN_BYTES: '200000' };
    expect(load(env).otlp).toMatchObject({ maxRequestBytes: 5_000_000, maxSpanBytes: 200_000 });
    const name = 'HOOKLINE_OTLP_MAX_REQUEST_BYTES';
    expect(loadWithProblem({ [name]: '100' }, name, '1024 or more').otlp.maxRequestBytes).toBe(4_194_304);
    expect(loadWithProblem({ [name]: '100000000' }, name, '67108864').otlp.maxRequestBytes).toBe(67_108_864);
    const span = 'HOOKLINE_OTLP_MAX_SPAN_BYTES';
    expect(loadWithProblem({ [span]: '3000000' }, span, 'using 2097152').otlp.maxSpanBytes).toBe(2_097_152);
  });

  it('no spool but with a path', () => {
    expect(load({}).spool).toBeUndefined();
    expect(load({ HOOKLINE_SPOOL_MAX_BYTES: '10', HOOKLINE_SPOOL_PATH: ' ' }).spool).toBeUndefined();
    const directory = '/var/spool/hookline';
    expect(load({ HOOKLINE_SPOOL_PATH: directory }).spool).toEqual({
      ...{ directory, maxBytes: 104_857_600, maxAgeMs: 86_400_000 },
    });
    const env = { HOOKLINE_SPOOL_PATH: directory, HOOKLINE_SPOOL_MAX_BYTES: '10', HOOKLINE_SPOOL_MAX_AGE: '20' };
    expect(load(env).spool).toEqual({ directory, maxBytes: 10, maxAgeMs: 20 });
    expect(loadWithProblem({ HOOKLINE_SPOOL_MAX_AGE: '1d' }, 'HOOKLINE_SPOOL_MAX_AGE', '"1d"').spool).toBeUndefined();
  });

  it('options of modules are JSON, and never shown', () => {
    const options = { './a.js': { key: 'secret' }, __proto__: null };
    expect({ ...load({ HOOKLINE_EXPORTER_OPTIONS: JSON.stringify(options) }).exporterOptions }).toEqual(options);
    for (const value of ['{"key":"secret"', '["secret"]', '"secret"', 'null']) {
      const { config, problems } = loadConfig({ HOOKLINE_EXPORTER_OPTIONS: value });
      expect(problems).toEqual(['HOOKLINE_EXPORTER_OPTIONS is not a JSON object of options by exporter; ignoring it']);
      expect({ ...config.exporterOptions }).toEqual({});
    }
  });
});

describe('options of instrumentations', () => {
  it.each(['pg', 'mysql2'] as const)('%s: each database has its own', (name) => {
    const prefix = `OTEL_INSTRUMENTATION_${name.toUpperCase()}`;
    const config = load({
      [`${prefix}_QUERY_SANITIZATION`]: 'Always',
      [`${prefix}_CAPTURE_QUERY_PARAMETERS`]: 'true',
      [`${prefix}_SQLCOMMENTER`]: 'TRUE',
    });
    expect(config[name]).toEqual({ querySanitization: 'always', captureQueryParameters: true, sqlCommenter: true });
    const { [name === 'pg' ? 'mysql2' : 'pg']: other } = config;
    expect(other).toEqual({ querySanitization: 'auto', captureQueryParameters: false, sqlCommenter: false });
    const bad = loadWithProblem({ [`${prefix}_QUERY_SANITIZATION`]: 'off' }, '"off"', 'auto, always, never');
    expect(bad[name].querySanitization).toBe('auto');
  });

  it('amqplib', () => {
    const { amqplib } = load({
      OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_END: 'handler',
      OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_TIMEOUT: '0',
      OTEL_INSTRUMENTATION_AMQPLIB_USE_LINKS_FOR_CONSUME: 'true',
      OTEL_INSTRUMENTATION_AMQPLIB_SETTLE_SPANS: 'false',
    });
    expect(amqplib).toEqual({
      consumeEnd: 'handler',
      consumeTimeoutMs: 0,
      useLinksForConsume: true,
      settleSpans: false,
    });
    const bad = loadWithProblem({ OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_TIMEOUT: '1s' }, '"1s"', '60000');
    expect(bad.amqplib.consumeTimeoutMs).toBe(60_000);
  });

  it('grpc', () => {
    const { grpc } = load({
      OTEL_INSTRUMENTATION_GRPC_IGNORE_METHODS: 'grpc.health.v1.Health/*, shop.Stock/Ping',
      OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_REQUEST_METADATA: 'X-A',
      OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_RESPONSE_METADATA: 'x-b',
      OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_REQUEST_METADATA: 'x-c,x-C',
      OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_RESPONSE_METADATA: 'x-d',
    });
    expect(grpc).toEqual({
      ignoreMethods: ['grpc.health.v1.Health/*', 'shop.Stock/Ping'],
      clientRequestMetadata: ['x-a'],
      clientResponseMetadata: ['x-b'],
      serverRequestMetadata: ['x-c'],
      serverResponseMetadata: ['x-d'],
    });
  });
});

describe('OTEL_RESOURCE_ATTRIBUTES', () => {
  const read = (value: string): Record<string, string> => ({
    ...load({ OTEL_RESOURCE_ATTRIBUTES: value }).resourceAttributes,
  });

  it('is decoded', () => {
    expect(read('service.name=shop, a%20b=c%2Cd%3D%C3%A9 ,x=1=2,,empty=')).toEqual({
      'service.name': 'shop',
      'a b': 'c,d=é',
      x: '1=2',
      empty: '',
    });
  });

  it.each(['a=b,novalue', 'a=b,=c', 'a=%ZZ', 'a=%E9', '%=b'])('is discarded whole when malformed: %s', (value) => {
    const config = loadWithProblem({ OTEL_RESOURCE_ATTRIBUTES: value }, 'ignoring the whole variable');
    expect({ ...config.resourceAttributes }).toEqual({});
  });

  it('takes __proto__ as a name like any other', () => {
    const config = load({ OTEL_RESOURCE_ATTRIBUTES: '__proto__=x' });
    expect(Object.keys(config.resourceAttributes)).toEqual(['__proto__']);
  });
});

describe('OTLP endpoint', () => {
  it.each([
    ['http://collector:4318', 'http://collector:4318/v1/traces'],
    ['http://collector:4318/', 'http://collector:4318/v1/traces'],
    ['http://collector:4318/base', 'http://collector:4318/base/v1/traces'],
    ['https://collector/base/', 'https://collector/base/v1/traces'],
    ['HTTPS://Collector/Base', 'https://collector/Base/v1/traces'],
    ['https://collector/base?tenant=1#x', 'https://collector/base/v1/traces?tenant=1'],
    ['http://[::1]:4318', 'http://[::1]:4318/v1/traces'],
    ['[::1]:4318', 'http://[::1]:4318/v1/traces'],
    ['[::1]:4318/x', 'http://[::1]:4318/x/v1/traces'],
    ['localhost:4318', 'http://localhost:4318/v1/traces'],
    ['10.0.0.1:4318/base', 'http://10.0.0.1:4318/base/v1/traces'],
  ])('appends the path to the general one: %s', (value, url) => {
    expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: value }).otlp.url).toBe(url);
  });

  it.each([
    ['http://collector:4318', 'http://collector:4318/'],
    ['http://collector:4318/custom/', 'http://collector:4318/custom/'],
    ['http://collector:4318/v1/traces?x=1', 'http://collector:4318/v1/traces?x=1'],
    ['collector:4318', 'http://collector:4318/'],
  ])("uses the signal's own as it is: %s", (value, url) => {
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: value, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://other/base' };
    expect(load(env).otlp.url).toBe(url);
  });

  it('assumes http for a lone host, and says so', () => {
    const config = loadWithProblem({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, 'http://collector');
    expect(config.otlp.url).toBe('http://collector/v1/traces');
  });

  it.each([
    'ftp://collector',
    'grpc://collector:4317',
    'http://',
    'http://:4318',
    'http:/collector',
    'http:collector',
    'unix:',
    'unix://',
    'unix:///',
    'unix://host/otel.sock',
    'unix::/v1/traces',
    'unix:///run/:/v1/traces',
    '/v1/traces',
    'http://collector:99999',
    'not a url',
    '::1:4318',
    '[::1',
    '[]:1',
    'http://[zz]',
    'host:',
    'host:port',
    '://x',
  ])('falls back to the default for %s', (value) => {
    expect(loadWithProblem({ OTEL_EXPORTER_OTLP_ENDPOINT: value }, DEFAULT_URL).otlp.url).toBe(DEFAULT_URL);
  });

  it('says what is wrong with an IPv6 zone', () => {
    for (const value of ['http://[fe80::1%25eth0]:4318', 'http://[fe80::1%eth0]:4318', '[fe80::1%eth0]:4318']) {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: value };
      expect(loadWithProblem(env, 'without an IPv6 zone', DEFAULT_URL).otlp.url).toBe(DEFAULT_URL);
    }
  });

  it.each([
    ['unix:/run/otel.sock', '/run/otel.sock', '/v1/traces'],
    ['unix:///run/otel.sock', '/run/otel.sock', '/v1/traces'],
    ['UNIX:///run/Otel.sock', '/run/Otel.sock', '/v1/traces'],
    ['unix:run/otel.sock', 'run/otel.sock', '/v1/traces'],
    ['unix:///run/%41 b?#.sock', '/run/%41 b?#.sock', '/v1/traces'],
    ['unix:///run/otel.sock:/v1/traces', '/run/otel.sock', '/v1/traces'],
    ['unix:///run/otel.sock:/base?key=1', '/run/otel.sock', '/base?key=1'],
    ['unix:///run/otel.sock:/', '/run/otel.sock', '/'],
    ['unix:///run/a:b.sock', '/run/a:b.sock', '/v1/traces'],
  ])('a unix socket: %s', (value, socketPath, path) => {
    for (const variable of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
      const { otlp } = load({ [variable]: value, HTTP_PROXY: 'http://proxy' });
      expect(otlp).toMatchObject({ socketPath, url: `http://localhost${path}`, proxy: undefined });
      const grpc = load({ [variable]: value, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }).otlp;
      expect(grpc).toMatchObject({ socketPath, url: 'http://localhost/' });
    }
    const { zipkin } = load({ OTEL_EXPORTER_ZIPKIN_ENDPOINT: value });
    expect(zipkin).toMatchObject({
      socketPath,
      url: `http://localhost${value.includes(':/', 7) ? path : '/api/v2/spans'}`,
    });
  });

  it('a host called unix', () => {
    expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: 'unix:4318' }).otlp).toMatchObject({
      url: 'http://unix:4318/v1/traces',
      socketPath: undefined,
    });
  });

  it('turns credentials into a header', () => {
    const { otlp } = load({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://us%40er:p%3Aw@collector/base' });
    expect(otlp.url).toBe('https://collector/base/v1/traces');
    expect({ ...otlp.headers }).toEqual({ authorization: `Basic ${Buffer.from('us@er:p:w').toString('base64')}` });
    const own = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://u:p@collector',
      OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Bearer%20x',
    };
    expect({ ...load(own).otlp.headers }).toEqual({ authorization: 'Bearer x' });
  });

  it.each([
    'ftp://user:s3cret@host/x',
    'user:s3cret@host:4318',
    'http://user:s3cret@host:99999',
    'ftp://host/?key=s3cret',
    's3cret@host',
    'ftp://user:s3/cret-s3cret@host',
  ])('never shows a secret of %s', (value) => {
    for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
      const { problems } = loadConfig({ [name]: value });
      expect(problems).toHaveLength(1);
      expect(problems[0]).not.toContain('s3cret');
      expect(problems[0]).not.toContain('user');
    }
  });
});

describe('OTLP options', () => {
  const headers = (env: Env): Record<string, string> => ({ ...load(env).otlp.headers });

  it('reads headers', () => {
    expect(headers({ OTEL_EXPORTER_OTLP_HEADERS: ' Api-Key = a%20b%2C , x=1=2, ,y=' })).toEqual({
      'api-key': 'a b,',
      x: '1=2',
      y: '',
    });
  });

  it("adds the signal's headers to the general ones", () => {
    expect(headers({ OTEL_EXPORTER_OTLP_HEADERS: 'a=1,b=2', OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'B=3' })).toEqual({
      a: '1',
      b: '3',
    });
  });

  it.each([
    ['a=s3cret%0d%0aInjected:1', '"a"'],
    ['a=s3cret%00', '"a"'],
    ['a=s3cret%ZZ', '"a"'],
    ['a=s3cret%E2%82%AC', '"a"'],
    ['b d=s3cret', 'number 1'],
    ['s3cret', 'number 1'],
    ['=s3cret', 'number 1'],
    ['content-length=s3cret', '"content-length"'],
    ['Transfer-Encoding=s3cret', '"transfer-encoding"'],
  ])('leaves out %s and does not show its value', (pair, label) => {
    const env = { OTEL_EXPORTER_OTLP_HEADERS: `${pair},good=1` };
    expect({ ...loadWithProblem(env, label).otlp.headers }).toEqual({ good: '1' });
    expect(loadConfig(env).problems.join()).not.toContain('s3cret');
  });

  it('cannot be used to reach a prototype', () => {
    expect(Object.keys(headers({ OTEL_EXPORTER_OTLP_HEADERS: '__proto__=x' }))).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: '/cert' }, 'OTEL_EXPORTER_OTLP_CLIENT_KEY'],
    [{ OTEL_EXPORTER_OTLP_CLIENT_KEY: '/key' }, 'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE'],
    [{ OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: '/key' }, 'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE'],
  ])('tells of half a pair: %j', (env, missing) => {
    loadWithProblem(env as Env, 'is of no use without', missing);
  });

  it('prefers the variables of the signal', () => {
    const config = load({
      OTEL_EXPORTER_OTLP_TIMEOUT: '1',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_CERTIFICATE: '/ca',
      OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: '/traces-ca',
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: '/cert',
      OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: '/key',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
    });
    expect(config.otlp).toMatchObject({
      timeoutMs: 2,
      compression: 'gzip',
      certificateFile: '/traces-ca',
      clientCertificateFile: '/cert',
      clientKeyFile: '/key',
    });
  });
});

describe('proxies', () => {
  const proxyOf = (env: Env, endpoint = 'http://collector.test') =>
    load({ ...env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).otlp.proxy;
  const secure = 'https://collector.test';

  it('are those of the scheme, in lower case first, and then those for all', () => {
    const env = {
      http_proxy: 'http://a',
      HTTP_PROXY: 'http://b',
      https_proxy: 'http://c',
      HTTPS_PROXY: 'http://d',
      all_proxy: 'http://e',
      ALL_PROXY: 'http://f',
      no_proxy: 'g',
      NO_PROXY: 'h',
    };
    const without = (...names: string[]): Env =>
      Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
    expect(proxyOf(env)).toEqual({ variable: 'http_proxy', url: 'http://a', noProxy: 'g' });
    expect(proxyOf(env, secure)).toEqual({ variable: 'https_proxy', url: 'http://c', noProxy: 'g' });
    expect(proxyOf(without('http_proxy', 'no_proxy'))).toEqual({
      ...{ variable: 'HTTP_PROXY', url: 'http://b', noProxy: 'h' },
    });
    expect(proxyOf(without('https_proxy'), secure)?.variable).toBe('HTTPS_PROXY');
    expect(proxyOf(without('http_proxy', 'HTTP_PROXY'))?.variable).toBe('all_proxy');
    expect(proxyOf(without('https_proxy', 'HTTPS_PROXY', 'all_proxy'), secure)?.variable).toBe('ALL_PROXY');
    expect(proxyOf({ https_proxy: 'http://c' })).toBeUndefined();
    expect(proxyOf({ http_proxy: 'http://a' }, secure)).toBeUndefined();
    expect(proxyOf({ http_proxy: ' ', HTTP_PROXY: ' http://b ' })).toEqual({
      ...{ variable: 'HTTP_PROXY', url: 'http://b', noProxy: '' },
    });
  });

  it('of a CGI program are not what a request says', () => {
    expect(proxyOf({ HTTP_PROXY: 'http://evil', REQUEST_METHOD: 'GET' })).toBeUndefined();
    expect(proxyOf({ http_proxy: 'http://a', REQUEST_METHOD: 'GET' })?.variable).toBe('http_proxy');
    expect(proxyOf({ HTTPS_PROXY: 'http://a', REQUEST_METHOD: 'GET' }, secure)?.variable).toBe('HTTPS_PROXY');
  });

  it('are for Zipkin and gRPC too', () => {
    const env = { http_proxy: 'http://a', https_proxy: 'http://c' };
    expect(load({ ...env, OTEL_EXPORTER_ZIPKIN_ENDPOINT: 'https://zipkin' }).zipkin.proxy?.url).toBe('http://c');
    const grpc = { ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    expect(proxyOf(grpc, 'collector.test:4317')?.url).toBe('http://c');
    expect(proxyOf({ ...grpc, OTEL_EXPORTER_OTLP_INSECURE: 'true' }, 'collector.test:4317')?.url).toBe('http://a');
  });
});

describe('any environment', () => {
  it('loads, with every value of a hostile set in every variable', () => {
    const names = Object.keys(load({})).length && [
      'OTEL_LOG_LEVEL',
      'OTEL_RESOURCE_ATTRIBUTES',
      'OTEL_PROPAGATORS',
      'OTEL_TRACES_SAMPLER',
      'OTEL_TRACES_EXPORTER',
      'OTEL_BSP_MAX_QUEUE_SIZE',
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
      'OTEL_EXPORTER_OTLP_HEADERS',
      'OTEL_INSTRUMENTATION_X_ENABLED',
      'OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS',
    ];
    const values = [
      ',',
      '=',
      '%',
      ',,=,%',
      '\ud800',
      '\u0000',
      'a\nb',
      '='.repeat(50_000),
      ','.repeat(50_000),
      '[',
      '@',
      '://@',
      '-0',
      '٣',
    ];
    for (const name of names as string[]) {
      for (const value of values) {
        const { config } = loadConfig({ [name]: value });
        expect(() => new URL(config.otlp.url)).not.toThrow();
        expect(config.batch.maxQueueSize).toBeGreaterThan(0);
      }
    }
  });
});

describe('tail sampling', () => {
  const defaults = {
    errors: true,
    slowMs: 1000,
    ratio: 0.1,
    everyNth: 100,
    maxTraces: 2000,
    maxSpansPerTrace: 1000,
    graceMs: 100,
    timeoutMs: 30_000,
  };
  const nothing = { ...defaults, errors: false, slowMs: undefined, ratio: 0, everyNth: undefined };

  it.each([
    ['true', defaults],
    [' TRUE ', defaults],
    ['errors, SLOW ,ratio,routes', defaults],
    ['errors', { ...nothing, errors: true }],
    ['slow', { ...nothing, slowMs: 1000 }],
    ['ratio', { ...nothing, ratio: 0.1 }],
    ['routes', { ...nothing, everyNth: 100 }],
    ['false', undefined],
    ['none', undefined],
  ])('%s', (value, expected) => {
    expect(load({ HOOKLINE_TAIL_SAMPLING: value }).tailSampling).toEqual(expected);
  });

  it('is off unless it is named, whatever its options say', () => {
    expect(load({ HOOKLINE_TAIL_SAMPLING_RATIO: '0.5' }).tailSampling).toBeUndefined();
  });

  it('an option that is set means its policy', () => {
    const tail = (name: string, value: string) =>
      load({ HOOKLINE_TAIL_SAMPLING: 'errors', [`HOOKLINE_TAIL_SAMPLING_${name}`]: value }).tailSampling;
    expect(tail('SLOW', '250')).toEqual({ ...nothing, errors: true, slowMs: 250 });
    expect(tail('RATIO', '0.01')).toEqual({ ...nothing, errors: true, ratio: 0.01 });
    expect(tail('ROUTE_EVERY', '7')).toEqual({ ...nothing, errors: true, everyNth: 7 });
    expect(tail('MAX_TRACES', '5')).toMatchObject({ maxTraces: 5 });
    expect(tail('MAX_SPANS', '6')).toMatchObject({ maxSpansPerTrace: 6 });
    expect(tail('GRACE', '0')).toMatchObject({ graceMs: 0 });
    expect(tail('TIMEOUT', '1')).toMatchObject({ timeoutMs: 1 });
  });

  it('reports what is wrong and uses the rest', () => {
    expect(loadWithProblem({ HOOKLINE_TAIL_SAMPLING: 'everything' }, 'using false').tailSampling).toBeUndefined();
    expect(loadWithProblem({ HOOKLINE_TAIL_SAMPLING: 'errors,slwo' }, '"slwo"', 'using errors').tailSampling).toEqual({
      ...nothing,
      errors: true,
    });
    expect(loadWithProblem({ HOOKLINE_TAIL_SAMPLING: 'true,slow' }, '"true"', 'using slow').tailSampling?.errors).toBe(
      false,
    );
    const bad = (name: string, value: string) =>
      loadWithProblem({ [`HOOKLINE_TAIL_SAMPLING_${name}`]: value, HOOKLINE_TAIL_SAMPLING: 'true' }).tailSampling;
    expect(bad('SLOW', '1s')).toEqual(defaults);
    expect(bad('RATIO', '2')).toEqual(defaults);
    expect(bad('ROUTE_EVERY', '0')).toEqual(defaults);
    expect(bad('MAX_TRACES', '0')).toEqual(defaults);
  });
});

it('mutes health checks on demand', () => {
  expect(load({ HOOKLINE_MUTE_HEALTH_CHECKS: 'True' }).http.muteHealthChecks).toBe(true);
});

describe('authorization of exports', () => {
  const authorizationOf = (env: Env) => load(env).otlp.authorization;
  const NONE = { method: undefined, region: undefined, service: undefined, headersFile: undefined };

  it('is none by default, and with its details alone', () => {
    expect(authorizationOf({})).toBeUndefined();
    expect(authorizationOf({ HOOKLINE_OTLP_AUTH: ' ', HOOKLINE_OTLP_AUTH_REGION: 'eu-west-1' })).toBeUndefined();
  });

  it.each([
    ['AWS', 'aws'],
    ['google', 'google'],
    ['azure', 'azure'],
    ['./Auth.js#sign', './Auth.js#sign'],
    ['@shop/auth', '@shop/auth'],
  ])('HOOKLINE_OTLP_AUTH=%s is %s', (value, method) => {
    expect(authorizationOf({ HOOKLINE_OTLP_AUTH: value })).toEqual({ ...NONE, method });
  });

  it('takes region, service and a file of headers', () => {
    expect(
      authorizationOf({
        HOOKLINE_OTLP_AUTH: 'aws',
        HOOKLINE_OTLP_AUTH_REGION: 'eu-west-1',
        HOOKLINE_OTLP_AUTH_SERVICE: 'osis',
        HOOKLINE_OTLP_HEADERS_FILE: '/run/secrets/headers',
      }),
    ).toEqual({ method: 'aws', region: 'eu-west-1', service: 'osis', headersFile: '/run/secrets/headers' });
    expect(authorizationOf({ HOOKLINE_OTLP_HEADERS_FILE: 'h' })).toEqual({ ...NONE, headersFile: 'h' });
  });

  it('is none for a word that it does not know', () => {
    const config = loadWithProblem({ HOOKLINE_OTLP_AUTH: 'gcp' }, '"gcp"', 'aws, google, azure', 'ignoring it');
    expect(config.otlp.authorization).toBeUndefined();
  });

  it('signs HTTP alone', () => {
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', HOOKLINE_OTLP_AUTH: 'aws' };
    const { otlp } = loadWithProblem(env, 'HOOKLINE_OTLP_AUTH=aws', 'using http/protobuf');
    expect(otlp).toMatchObject({ protocol: 'http/protobuf', url: DEFAULT_URL });
    expect(load({ ...env, HOOKLINE_OTLP_AUTH: 'google' }).otlp.protocol).toBe('grpc');
  });
});

it('takes the id generator', () => {
  expect(load({}).idGenerator).toBe('random');
  expect(load({ HOOKLINE_ID_GENERATOR: 'XRay' }).idGenerator).toBe('xray');
  const config = loadWithProblem({ HOOKLINE_ID_GENERATOR: 'uuid' }, '"uuid"', 'random, xray', 'using random');
  expect(config.idGenerator).toBe('random');
});

describe('a wrong variable of the signal counts as not set', () => {
  it.each([
    ['PROTOCOL', 'soap', 'http/json', 'protocol', 'http/json'],
    ['TIMEOUT', 'soon', '70', 'timeoutMs', 70],
    ['COMPRESSION', 'zip', 'gzip', 'compression', 'gzip'],
    ['ENDPOINT', 'ftp://x', 'http://a.test', 'url', 'http://a.test/v1/traces'],
    ['ENDPOINT', 'ftp://x', 'unix:///run/x', 'socketPath', '/run/x'],
  ] as const)('%s', (suffix, wrong, general, field, expected) => {
    const env = { [`OTEL_EXPORTER_OTLP_TRACES_${suffix}`]: wrong, [`OTEL_EXPORTER_OTLP_${suffix}`]: general };
    const { otlp } = loadWithProblem(
      env,
      `"${wrong}"`,
      suffix === 'ENDPOINT' ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : general,
    );
    expect(otlp[field]).toBe(expected);
  });
});
