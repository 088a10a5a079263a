import type { Config, ResourceDetectorName } from './config';

/** Semantic conventions, `http.request.method`. */
const KNOWN_METHODS = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'QUERY', 'TRACE'];

/** Semantic conventions, `url.full` and `url.query`: keys of signatures and credentials. */
const SENSITIVE_QUERY_PARAMETERS = [
  'AWSAccessKeyId',
  'Signature',
  'sig',
  'X-Amz-Credential',
  'X-Amz-Security-Token',
  'X-Amz-Signature',
  'X-Goog-Signature',
];

export const RESOURCE_DETECTOR_NAMES: readonly ResourceDetectorName[] = [
  ...(['container', 'host', 'kubernetes', 'os', 'process', 'serviceinstance'] as const),
];

/** What both kinds of back end that batches are posted to have in common. */
const TARGET = {
  socketPath: undefined,
  proxy: undefined,
  timeoutMs: 10_000,
  compression: 'none',
  certificateFile: undefined,
  clientCertificateFile: undefined,
  clientKeyFile: undefined,
} as const;

const DATABASE = { querySanitization: 'auto', captureQueryParameters: false, sqlCommenter: false } as const;

/**
 * The configuration where no variable is set. A file of its own and not the results of reading nothing: most processes
 * that start under a preload by NODE_OPTIONS are given no variable at all, and need not read what reads them.
 */
export const DEFAULT_CONFIG: Config = {
  logLevel: 'warn',
  serviceName: undefined,
  resourceAttributes: Object.create(null),
  resourceDetectors: RESOURCE_DETECTOR_NAMES,
  resourceDetectionTimeoutMs: 2000,
  propagators: ['tracecontext', 'baggage'],
  propagationHosts: undefined,
  environmentContext: true,
  childProcessContext: false,
  sampler: { name: 'parentbased_always_on', ratio: 1 },
  idGenerator: 'random',
  tailSampling: undefined,
  exporters: ['otlp'],
  exporterOptions: Object.create(null),
  otlp: {
    ...TARGET,
    protocol: 'http/protobuf',
    url: 'http://localhost:4318/v1/traces',
    headers: Object.create(null),
    // What gRPC servers take unless they are told otherwise, and below the 5 MB of the smallest hosted back ends over HTTP.
    maxRequestBytes: 4 * 1024 * 1024,
    // MAX_SPAN_BYTES in src/export/encode-attributes.ts.
    maxSpanBytes: 2 * 1024 * 1024,
  },
  // Specification: sdk-environment-variables.md, Zipkin.
  zipkin: { ...TARGET, url: 'http://localhost:9411/api/v2/spans', headers: Object.create(null) },
  // 100 MiB: five of them hold some hours of a busy service.
  file: { path: 'traces.jsonl', maxBytes: 104_857_600, maxFiles: 5 },
  spool: undefined,
  consoleFormat: 'tree',
  batch: { scheduleDelayMs: 5000, exportTimeoutMs: 30_000, maxQueueSize: 2048, maxExportBatchSize: 512 },
  limits: {
    attributeCountLimit: 128,
    // The specification's default is no limit; one forgotten body in an attribute must not fill the queue.
    attributeValueLengthLimit: 16_384,
    eventCountLimit: 128,
    linkCountLimit: 128,
    attributePerEventCountLimit: 128,
    attributePerLinkCountLimit: 128,
  },
  exitTimeoutMs: 1000,
  instrumentations: {
    enabled: undefined,
    disabled: [],
    byName: Object.create(null),
    defaultEnabled: true,
    userModules: [],
  },
  http: {
    knownMethods: new Set(KNOWN_METHODS),
    serverRequestHeaders: [],
    serverResponseHeaders: [],
    clientRequestHeaders: [],
    clientResponseHeaders: [],
    serverIgnorePaths: [],
    muteHealthChecks: false,
    sensitiveQueryParameters: new Set(SENSITIVE_QUERY_PARAMETERS),
  },
  pg: DATABASE,
  mysql2: DATABASE,
  amqplib: { consumeEnd: 'settle', consumeTimeoutMs: 60_000, useLinksForConsume: false, settleSpans: true },
  grpc: {
    ignoreMethods: [],
    clientRequestMetadata: [],
    clientResponseMetadata: [],
    serverRequestMetadata: [],
    serverResponseMetadata: [],
  },
  frameworks: {
    express: 'none',
    connect: 'none',
    fastify: 'none',
    koa: 'none',
    hapi: 'none',
    nestjs: 'none',
    restify: 'none',
    hono: 'none',
    h3: 'none',
    next: 'none',
  },
};
deepFreeze(DEFAULT_CONFIG);

/** Freezes objects and arrays all the way down. Sets stay as they are: freezing one does not lock its items. */
export function deepFreeze<Value extends object>(value: Value): Value {
  for (const item of Object.values(value)) {
    if (typeof item === 'object' && item !== null && !(item instanceof Set)) deepFreeze(item as object);
  }
  return Object.freeze(value);
}
