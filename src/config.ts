import { DEFAULT_CONFIG as DEFAULTS, deepFreeze, RESOURCE_DETECTOR_NAMES } from './config-defaults';
import { isHeaderValue, isToken } from './http/token';
import { LOG_LEVELS, type LogLevel, oneLine } from './log';
import type { SpanLimits } from './trace/span';
import { PROXY_VARIABLES } from './variables';

/** The whole configuration: read once from the environment, frozen, every number with its unit in its name. */
export interface Config {
  /** OTEL_LOG_LEVEL; default `warn`: silent unless something is wrong. */
  readonly logLevel: LogLevel;
  /** OTEL_SERVICE_NAME; `undefined` leaves the choice to the resource. */
  readonly serviceName: string | undefined;
  /** OTEL_RESOURCE_ATTRIBUTES, percent-decoded. */
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /**
   * OTEL_NODE_RESOURCE_DETECTORS: what is detected besides the name of the service, in this order: names in lower case and
   * module specifiers as they are, each once. Default: those that ask nobody.
   */
  readonly resourceDetectors: readonly string[];
  /** HOOKLINE_RESOURCE_DETECTION_TIMEOUT: the longest that the first export waits for detectors that ask others. */
  readonly resourceDetectionTimeoutMs: number;
  /** OTEL_PROPAGATORS without duplicates: names in lower case, module specifiers as they are; empty for `none`. */
  readonly propagators: readonly string[];
  /** HOOKLINE_PROPAGATION_HOSTS and HOOKLINE_PROPAGATION_EXCLUDED_HOSTS; `undefined` where neither is set. */
  readonly propagationHosts: PropagationHostsConfig | undefined;
  /** HOOKLINE_ENVIRONMENT_CONTEXT: TRACEPARENT and the like are read at start; default true. */
  readonly environmentContext: boolean;
  /** HOOKLINE_CHILD_PROCESS_CONTEXT: child processes are given the active context in their environment; default false. */
  readonly childProcessContext: boolean;
  /** OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. */
  readonly sampler: SamplerConfig;
  /** HOOKLINE_ID_GENERATOR: how trace ids are made; default `random`. */
  readonly idGenerator: IdGeneratorName;
  /** HOOKLINE_TAIL_SAMPLING*; `undefined` where spans are not held. */
  readonly tailSampling: TailSamplingConfig | undefined;
  /** OTEL_TRACES_EXPORTER: a name of EXPORTER_NAMES or a module specifier, each once; empty for `none`. */
  readonly exporters: readonly string[];
  /**
   * HOOKLINE_EXPORTER_OPTIONS: by what OTEL_TRACES_EXPORTER calls a module, the options that its exporter is made with.
   * Values may be secrets: they appear in no message.
   */
  readonly exporterOptions: Readonly<Record<string, unknown>>;
  readonly otlp: OtlpConfig;
  readonly zipkin: HttpTarget;
  readonly file: FileConfig;
  /** HOOKLINE_SPOOL_*; `undefined` where nothing is kept on disk. */
  readonly spool: SpoolConfig | undefined;
  /** HOOKLINE_CONSOLE_FORMAT: a tree for people, or a line of OTLP/JSON per batch. */
  readonly consoleFormat: ConsoleFormat;
  readonly batch: BatchConfig;
  readonly limits: SpanLimits;
  /** HOOKLINE_EXIT_TIMEOUT: the longest that the end of the process is delayed while spans are left to send. */
  readonly exitTimeoutMs: number;
  readonly instrumentations: InstrumentationsConfig;
  readonly http: HttpConfig;
  readonly pg: DatabaseConfig;
  readonly mysql2: DatabaseConfig;
  readonly amqplib: AmqplibConfig;
  readonly grpc: GrpcConfig;
  /** OTEL_INSTRUMENTATION_<NAME>_SPANS of web frameworks; default none. */
  readonly frameworks: FrameworksConfig;
}

/** Who may be sent the headers that carry a trace: patterns as src/propagation/hosts.ts reads them. */
export interface PropagationHostsConfig {
  /** `undefined`: all. */
  readonly allowed: readonly string[] | undefined;
  /** Not these, whatever `allowed` says. */
  readonly excluded: readonly string[];
}

/** Detectors that read files and variables and ask nobody. */
export type ResourceDetectorName = 'container' | 'host' | 'kubernetes' | 'os' | 'process' | 'serviceinstance';

/** Detectors that ask the platform's metadata service; src/resource/load.ts runs them. */
export type CloudDetectorName = 'aws' | 'azure' | 'gcp';

export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio'
  | LazySamplerName
  | `parentbased_${LazySamplerName}`;

/** Samplers whose code is read when they are named; src/sampling/load.ts makes them. */
export type LazySamplerName =
  | 'consistent_probability'
  | 'rate_limiting'
  | 'adaptive'
  | 'rules'
  | 'jaeger_remote'
  | 'xray';

/** `xray`: the first four bytes are the time, as AWS X-Ray has it. */
export type IdGeneratorName = 'random' | 'xray';

export interface SamplerConfig {
  readonly name: SamplerName;
  /** Share of traces, from 0 to 1; for those that take one. */
  readonly ratio: number;
  /** Traces per second: of all for `rate_limiting`, of each route for `adaptive`. */
  readonly perSecond?: number;
  /** As it was given, for `rules`, `jaeger_remote` and `xray`, which read it themselves. */
  readonly argument?: string | undefined;
}

/** HOOKLINE_TAIL_SAMPLING and HOOKLINE_TAIL_SAMPLING_*: which traces are kept once they are complete. */
export interface TailSamplingConfig {
  /** Every trace with a span that failed. */
  readonly errors: boolean;
  /** Every trace whose local root took so long; `undefined`: whatever it took. */
  readonly slowMs: number | undefined;
  /** Share of the rest, from 0 to 1. */
  readonly ratio: number;
  /** The first of each route, and then one in so many; `undefined`: none for the route's sake. */
  readonly everyNth: number | undefined;
  /** Traces held at once; further ones are decided when they start. */
  readonly maxTraces: number;
  /** Spans held of one trace; one with more is decided then. */
  readonly maxSpansPerTrace: number;
  /** From the end of the local root to the decision. */
  readonly graceMs: number;
  /** A local root that takes longer is decided before its end. */
  readonly timeoutMs: number;
}

/** OTEL_EXPORTER_OTLP_TRACES_* before OTEL_EXPORTER_OTLP_*. */
export interface OtlpConfig extends HttpTarget {
  readonly protocol: OtlpProtocol;
  /** HOOKLINE_OTLP_MAX_SPAN_BYTES: a span that takes more in binary OTLP is dropped; default 2 MiB, which is the most. */
  readonly maxSpanBytes?: number;
  /** `undefined` where the headers are all there is. */
  readonly authorization?: AuthorizationConfig | undefined;
}

/** HOOKLINE_OTLP_AUTH*, HOOKLINE_OTLP_HEADERS_FILE: headers that are made for each request. */
export interface AuthorizationConfig {
  /** A name of AUTH_METHODS or a module specifier. */
  readonly method: string | undefined;
  /** For `aws`; by default the endpoint's name or AWS's own variables say it. */
  readonly region: string | undefined;
  /** For `aws`; by default the endpoint's name says it, or `xray`. */
  readonly service: string | undefined;
  /** Path of a file of headers. */
  readonly headersFile: string | undefined;
}

export type OtlpProtocol = 'http/protobuf' | 'http/json' | 'grpc';

export type ConsoleFormat = 'tree' | 'json';

/** HOOKLINE_FILE_*. */
export interface FileConfig {
  /** HOOKLINE_FILE_PATH: `%p` stands for the process id; default `traces.jsonl` in the working directory. */
  readonly path: string;
  /** HOOKLINE_FILE_MAX_BYTES: a file that would grow beyond is renamed to `<path>.1`, and so on. */
  readonly maxBytes: number;
  /** HOOKLINE_FILE_MAX_FILES: with the one being written. */
  readonly maxFiles: number;
}

/** HOOKLINE_SPOOL_*. */
export interface SpoolConfig {
  /** HOOKLINE_SPOOL_PATH; made when it is needed. */
  readonly directory: string;
  /** HOOKLINE_SPOOL_MAX_BYTES: of all files of all processes that use the directory. */
  readonly maxBytes: number;
  /** HOOKLINE_SPOOL_MAX_AGE: what is older is dropped when it is come across. */
  readonly maxAgeMs: number;
}

/** Where batches are posted to. */
export interface HttpTarget {
  /**
   * Absolute http: or https: URL that batches are posted to; without user and password, which become a header. With a
   * socket: `http://localhost` and the path of the request.
   */
  readonly url: string;
  /** Path of a unix socket that takes the place of the URL's host. */
  readonly socketPath?: string | undefined;
  /** Proxy of the environment for URLs of this scheme; whether it is used for this one, `chooseProxy` says. */
  readonly proxy?: ProxyConfig | undefined;
  /** Names in lower case. Values are secrets: they appear in no message. */
  readonly headers: Readonly<Record<string, string>>;
  /** One batch, retries included. */
  readonly timeoutMs: number;
  /** HOOKLINE_OTLP_MAX_REQUEST_BYTES: of the body, before compression; default no limit but that of batches. */
  readonly maxRequestBytes?: number;
  readonly compression: 'gzip' | 'none';
  /** Paths of PEM files. */
  readonly certificateFile: string | undefined;
  readonly clientCertificateFile: string | undefined;
  readonly clientKeyFile: string | undefined;
}

/** HTTP_PROXY or HTTPS_PROXY, else ALL_PROXY; in lower case first. */
export interface ProxyConfig {
  /** Of the environment, for messages. */
  readonly variable: string;
  /** As it was given. A secret: it may hold a password. */
  readonly url: string;
  /** NO_PROXY; empty when it is not set. */
  readonly noProxy: string;
}

/** OTEL_BSP_*. */
export interface BatchConfig {
  readonly scheduleDelayMs: number;
  readonly exportTimeoutMs: number;
  /** In spans. */
  readonly maxQueueSize: number;
  /** In spans; never more than `maxQueueSize`. */
  readonly maxExportBatchSize: number;
}

/** Which instrumentations run; `isEnabled` in src/hook/registry.ts applies the precedence. */
export interface InstrumentationsConfig {
  /** OTEL_NODE_ENABLED_INSTRUMENTATIONS; `undefined` when not set. */
  readonly enabled: readonly string[] | undefined;
  /** OTEL_NODE_DISABLED_INSTRUMENTATIONS. */
  readonly disabled: readonly string[];
  /** OTEL_INSTRUMENTATION_<NAME>_ENABLED by instrumentation name (lower case, `_` for anything but letters and digits). */
  readonly byName: Readonly<Record<string, boolean>>;
  /** OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED; default true. */
  readonly defaultEnabled: boolean;
  /** HOOKLINE_INSTRUMENTATIONS: module specifiers of the operator's own instrumentations. */
  readonly userModules: readonly string[];
}

export interface HttpConfig {
  /** OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: a full override of the known methods, case-sensitive. */
  readonly knownMethods: ReadonlySet<string>;
  /** OTEL_INSTRUMENTATION_HTTP_{SERVER,CLIENT}_CAPTURE_{REQUEST,RESPONSE}_HEADERS, lower case. */
  readonly serverRequestHeaders: readonly string[];
  readonly serverResponseHeaders: readonly string[];
  readonly clientRequestHeaders: readonly string[];
  readonly clientResponseHeaders: readonly string[];
  /** OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS: exact paths, or prefixes ending in `*`; default none. */
  readonly serverIgnorePaths: readonly string[];
  /** HOOKLINE_MUTE_HEALTH_CHECKS: no spans of requests that ask whether the service lives (src/http/health.ts); default false. */
  readonly muteHealthChecks: boolean;
  /** OTEL_INSTRUMENTATION_HTTP_SENSITIVE_QUERY_PARAMETERS: replaces the conventions' seven keys; case-sensitive. */
  readonly sensitiveQueryParameters: ReadonlySet<string>;
}

/** OTEL_INSTRUMENTATION_{PG,MYSQL2}_*. */
export interface DatabaseConfig {
  /**
   * _QUERY_SANITIZATION: where literals in SQL become `?`. `auto`: in text that comes without separate values, as the
   * conventions have it; text with values is recorded as it is.
   */
  readonly querySanitization: QuerySanitization;
  /** _CAPTURE_QUERY_PARAMETERS: record bound values; default false. */
  readonly captureQueryParameters: boolean;
  /** _SQLCOMMENTER: append the trace context to the SQL as a comment, prepared statements excepted; default false. */
  readonly sqlCommenter: boolean;
}

export type QuerySanitization = 'auto' | 'always' | 'never';

/** OTEL_INSTRUMENTATION_AMQPLIB_*. */
export interface AmqplibConfig {
  /**
   * _CONSUME_END: when the span of a consumed message ends. `settle`: with its ack, nack or reject, or with the handler
   * where the broker expects none; `handler`: when the handler returns or its promise settles.
   */
  readonly consumeEnd: ConsumeEnd;
  /** _CONSUME_TIMEOUT: a message that is not settled by then has its span ended; 0: never. */
  readonly consumeTimeoutMs: number;
  /** _USE_LINKS_FOR_CONSUME: a consumed message's span only links to its producer's and starts a trace of its own. */
  readonly useLinksForConsume: boolean;
  /** _SETTLE_SPANS: spans for ack, nack and reject; default true. */
  readonly settleSpans: boolean;
}

export type ConsumeEnd = 'settle' | 'handler';

/** OTEL_INSTRUMENTATION_GRPC_*. */
export interface GrpcConfig {
  /** _IGNORE_METHODS: `package.Service/Method`, or prefixes that end in `*`; clients and servers. */
  readonly ignoreMethods: readonly string[];
  /** _{CLIENT,SERVER}_CAPTURE_{REQUEST,RESPONSE}_METADATA, lower case. */
  readonly clientRequestMetadata: readonly string[];
  readonly clientResponseMetadata: readonly string[];
  readonly serverRequestMetadata: readonly string[];
  readonly serverResponseMetadata: readonly string[];
}

/** What of a framework has spans below the server's: nothing, what answers, or middleware and hooks too. */
export type FrameworkSpans = 'none' | 'handlers' | 'all';

export interface FrameworksConfig {
  readonly express: FrameworkSpans;
  readonly connect: FrameworkSpans;
  readonly fastify: FrameworkSpans;
  readonly koa: FrameworkSpans;
  readonly hapi: FrameworkSpans;
  readonly nestjs: FrameworkSpans;
  readonly restify: FrameworkSpans;
  readonly hono: FrameworkSpans;
  readonly h3: FrameworkSpans;
  readonly next: FrameworkSpans;
}

/** Exporters of our own, as OTEL_TRACES_EXPORTER calls them; `otlp/stdout` is the specification's word for JSON lines. */
const EXPORTER_NAMES: readonly string[] = ['otlp', 'zipkin', 'console', 'otlp/stdout', 'file', 'memory', 'none'];

const TRACES_PATH = 'v1/traces';
/** Where OTEL_EXPORTER_OTLP_PROTOCOL=grpc sends when nothing else is set. */
const DEFAULT_GRPC_URL = 'http://localhost:4317/';

const MAX_FILES = 1000;

/** HOOKLINE_SPOOL_MAX_BYTES and HOOKLINE_SPOOL_MAX_AGE when nothing is set: 100 MiB, a day. */
const DEFAULT_SPOOL_BYTES = 104_857_600;
const DEFAULT_SPOOL_AGE_MS = 86_400_000;

/** OTLP/HTTP, "OTLP/HTTP Request": servers need not take more. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;
/** Smaller ones would hold no span with its resource. */
const MIN_REQUEST_BYTES = 1024;
const CLOUD_DETECTOR_NAMES: readonly CloudDetectorName[] = ['aws', 'azure', 'gcp'];

const PROPAGATOR_NAMES = [...DEFAULTS.propagators, 'b3', 'b3multi', 'jaeger', 'xray', 'ottrace', 'datadog', 'gcp'];

const QUERY_SANITIZATIONS: readonly QuerySanitization[] = ['auto', 'always', 'never'];

const FRAMEWORK_SPANS: readonly FrameworkSpans[] = ['none', 'handlers', 'all'];

const CONSUME_ENDS: readonly ConsumeEnd[] = ['settle', 'handler'];

const OTLP_PROTOCOLS: readonly OtlpProtocol[] = ['http/protobuf', 'http/json', 'grpc'];

/** HOOKLINE_OTLP_AUTH, besides modules. */
const AUTH_METHODS: readonly string[] = ['aws', 'google', 'azure'];

const ID_GENERATORS: readonly IdGeneratorName[] = ['random', 'xray'];

const COMPRESSIONS = ['gzip', 'none'] as const;

const CONSOLE_FORMATS: readonly ConsoleFormat[] = ['tree', 'json'];

const LAZY_SAMPLERS: readonly LazySamplerName[] = [
  'consistent_probability',
  'rate_limiting',
  'adaptive',
  'rules',
  'jaeger_remote',
  'xray',
];

const SAMPLER_NAMES: readonly SamplerName[] = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  ...LAZY_SAMPLERS,
  ...LAZY_SAMPLERS.map((name) => `parentbased_${name}` as const),
];

/** OTEL_TRACES_SAMPLER_ARG of samplers that count traces per second, when nothing is set. */
const DEFAULT_PER_SECOND = { rate_limiting: 100, adaptive: 1 } as const;
const MAX_PER_SECOND = 1_000_000;

const TAIL_POLICIES = ['errors', 'slow', 'ratio', 'routes'] as const;

/** Words of OTEL_TRACES_EXPORTER that other SDKs know: a module of that name is not what the operator means. */
const UNSUPPORTED_EXPORTERS: ReadonlySet<string> = new Set(['jaeger', 'logging', 'prometheus']);

/** Headers that describe the body or the connection, which the exporter alone knows. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'transfer-encoding',
]);

/** Above this, Node's timers fire at once instead of late. */
const MAX_TIMER_MS = 2_147_483_647;
/** Spans; the queue is allocated in one piece. */
const MAX_QUEUE_SIZE = 1_048_576;
const MAX_COUNT = 2_147_483_647;
const MAX_SHOWN_LENGTH = 100;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment: OpenTelemetry's variables (specification: sdk-environment-variables.md and protocol/exporter.md)
 * and our own. An empty or blank variable counts as unset. A bad value never fails: it becomes one line in `problems`
 * (variable, value, what is accepted, what is used instead), and the default applies. Values of headers and credentials
 * in URLs never appear there.
 */
export function loadConfig(env: Env): { readonly config: Config; readonly problems: readonly string[] } {
  const reader = new Reader(env);
  // On Windows they have any case.
  const names = Object.keys(env).map((name) => name.toUpperCase());
  /** A part of the configuration, from the function that reads its variables where one of them is set: compiling them all takes milliseconds. */
  const part = <Key extends keyof Config>(
    key: Key,
    prefixes: readonly string[],
    read: (reader: Reader) => Config[Key],
  ) => (names.some((name) => prefixes.some((prefix) => name.startsWith(prefix))) ? read(reader) : DEFAULTS[key]);
  const config: Config = {
    batch: part('batch', ['OTEL_BSP_'], readBatch),
    logLevel: reader.oneOf('OTEL_LOG_LEVEL', LOG_LEVELS, DEFAULTS.logLevel),
    serviceName: reader.text('OTEL_SERVICE_NAME'),
    resourceAttributes: part('resourceAttributes', ['OTEL_RESOURCE_ATTRIBUTES'], readResourceAttributes),
    resourceDetectors: part('resourceDetectors', ['OTEL_NODE_RESOURCE_DETECTORS'], readResourceDetectors),
    resourceDetectionTimeoutMs: reader.integer(
      'HOOKLINE_RESOURCE_DETECTION_TIMEOUT',
      DEFAULTS.resourceDetectionTimeoutMs,
      1,
      MAX_TIMER_MS,
    ),
    propagators: part('propagators', ['OTEL_PROPAGATORS'], readPropagators),
    propagationHosts: part('propagationHosts', ['HOOKLINE_PROPAGATION_'], readPropagationHosts),
    environmentContext: reader.boolean('HOOKLINE_ENVIRONMENT_CONTEXT', DEFAULTS.environmentContext),
    childProcessContext: reader.boolean('HOOKLINE_CHILD_PROCESS_CONTEXT', DEFAULTS.childProcessContext),
    sampler: part('sampler', ['OTEL_TRACES_SAMPLER'], readSampler),
    idGenerator: reader.oneOf('HOOKLINE_ID_GENERATOR', ID_GENERATORS, DEFAULTS.idGenerator),
    tailSampling: part('tailSampling', ['HOOKLINE_TAIL_SAMPLING'], readTailSampling),
    exporters: part('exporters', ['OTEL_TRACES_EXPORTER'], readExporters),
    exporterOptions: part('exporterOptions', ['HOOKLINE_EXPORTER_OPTIONS'], readExporterOptions),
    otlp: part('otlp', ['OTEL_EXPORTER_OTLP_', 'HOOKLINE_OTLP_', ...PROXY_VARIABLES], readOtlp),
    zipkin: part('zipkin', ['OTEL_EXPORTER_ZIPKIN_', ...PROXY_VARIABLES], readZipkin),
    file: part('file', ['HOOKLINE_FILE_'], readFile),
    spool: part('spool', ['HOOKLINE_SPOOL_'], readSpool),
    consoleFormat: reader.oneOf('HOOKLINE_CONSOLE_FORMAT', CONSOLE_FORMATS, DEFAULTS.consoleFormat),
    limits: part('limits', ['OTEL_SPAN_', 'OTEL_ATTRIBUTE_', 'OTEL_EVENT_', 'OTEL_LINK_'], readLimits),
    exitTimeoutMs: reader.integer('HOOKLINE_EXIT_TIMEOUT', DEFAULTS.exitTimeoutMs, 0, MAX_TIMER_MS),
    instrumentations: part(
      'instrumentations',
      ['OTEL_INSTRUMENTATION_', 'OTEL_NODE_', 'HOOKLINE_INSTRUMENTATIONS'],
      (from) => readInstrumentations(from, env),
    ),
    http: part('http', ['OTEL_INSTRUMENTATION_HTTP_', 'HOOKLINE_MUTE_HEALTH_CHECKS'], readHttp),
    pg: part('pg', ['OTEL_INSTRUMENTATION_PG_'], readPg),
    mysql2: part('mysql2', ['OTEL_INSTRUMENTATION_MYSQL2_'], readMysql2),
    amqplib: part('amqplib', ['OTEL_INSTRUMENTATION_AMQPLIB_'], readAmqplib),
    grpc: part('grpc', ['OTEL_INSTRUMENTATION_GRPC_'], readGrpc),
    frameworks: part('frameworks', ['OTEL_INSTRUMENTATION_'], readFrameworks),
  };
  return { config: deepFreeze(config), problems: Object.freeze(reader.problems) };
}

/** OTEL_SDK_DISABLED, apart from the rest so that a disabled agent reads nothing else. */
export function isSdkDisabled(env: Env): { readonly disabled: boolean; readonly problems: readonly string[] } {
  const reader = new Reader(env);
  return { disabled: reader.boolean('OTEL_SDK_DISABLED', false), problems: reader.problems };
}

/** Reads single variables and collects what is wrong with them. */
class Reader {
  readonly problems: string[] = [];
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  problem(line: string): void {
    this.problems.push(line);
  }

  /** The trimmed value; `undefined` for an empty or blank one. */
  text(name: string): string | undefined {
    const value = this.#env[name]?.trim();
    return value === '' ? undefined : value;
  }

  /** Comma-separated items, trimmed, each once, without empty ones; `undefined` when there is none. */
  list(name: string): string[] | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const items = new Set<string>();
    for (const part of value.split(',')) {
      const item = part.trim();
      if (item !== '') items.add(item);
    }
    return items.size === 0 ? undefined : [...items];
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.text(name);
    switch (value?.toLowerCase()) {
      case undefined:
        return fallback;
      case 'true':
        return true;
      case 'false':
        return false;
      default:
        this.problem(`${name}=${shown(value)} is not true or false; using ${fallback}`);
        return fallback;
    }
  }

  oneOf<Name extends string>(name: string, accepted: readonly Name[], fallback: Name): Name {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const found = value.toLowerCase();
    if (includes(accepted, found)) return found;
    this.problem(`${name}=${shown(value)} is not one of ${accepted.join(', ')}; using ${fallback}`);
    return fallback;
  }

  /** A decimal integer. Below `min` or no integer at all: `fallback`. Above `max`, which may have a name: `max`. */
  integer(name: string, fallback: number, min: number, max: number, maximum: string | number = max): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = isDigits(value) ? Number(value) : Number.NaN;
    if (!(number >= min)) {
      this.problem(`${name}=${shown(value)} is not an integer of ${min} or more; using ${fallback}`);
      return fallback;
    }
    if (number <= max) return number;
    this.problem(`${name}=${shown(value)} is above the maximum of ${maximum}; using ${max}`);
    return max;
  }
}

/** A count of the first variable, else of the second; one that is wrong counts as not set (specification: Numeric value). */
function firstInteger(reader: Reader, [first, second]: readonly [string, string], fallback: number): number {
  return reader.integer(first, reader.integer(second, fallback, 0, MAX_COUNT), 0, MAX_COUNT);
}

/**
 * One malformed pair discards the whole variable, as the specification asks: a resource that is half right would be
 * grouped with the wrong service. Names and values may be percent-encoded.
 */
function readResourceAttributes(reader: Reader): Record<string, string> {
  const name = 'OTEL_RESOURCE_ATTRIBUTES';
  const attributes: Record<string, string> = Object.create(null);
  for (const pair of reader.text(name)?.split(',') ?? []) {
    if (pair.trim() === '') continue;
    const equals = pair.indexOf('=');
    const key = equals < 0 ? undefined : decode(pair.slice(0, equals).trim());
    const value = equals < 0 ? undefined : decode(pair.slice(equals + 1).trim());
    if (key === undefined || key === '' || value === undefined) {
      reader.problem(
        `${name}: ${shown(pair.trim())} is not a percent-encoded key=value pair; ignoring the whole variable`,
      );
      return Object.create(null);
    }
    attributes[key] = value;
  }
  return attributes;
}

/**
 * `env` is OTEL_RESOURCE_ATTRIBUTES, which are always read: who sets them wants them. Cloud platforms are asked only by those
 * who name them, or `all`.
 */
function readResourceDetectors(reader: Reader): readonly string[] {
  const name = 'OTEL_NODE_RESOURCE_DETECTORS';
  const all = [...RESOURCE_DETECTOR_NAMES, ...CLOUD_DETECTOR_NAMES];
  const items = reader.list(name);
  if (items === undefined || items.length === 0) return [...DEFAULTS.resourceDetectors];
  const detectors = new Set<string>();
  const unknown: string[] = [];
  for (const item of items) {
    const word = item.toLowerCase();
    if (word === 'all') for (const detector of all) detectors.add(detector);
    else if (word === 'none' || includes(all, word)) detectors.add(word);
    // No detector's name has these; every path, scope or export does.
    else if (/[-./@#]/.test(item)) detectors.add(item);
    else if (word !== 'env') unknown.push(item);
  }
  if (detectors.has('none')) {
    if (items.length > 1) reader.problem(`${name} names none and others; using none`);
    return [];
  }
  if (unknown.length > 0) {
    const accepted = `all, none, env, ${all.join(', ')} or a path or package#export of a resource detector`;
    reader.problem(`${name}: ${shown(unknown.join(','))} is not one of ${accepted}; leaving it out`);
  }
  return [...detectors];
}

function readPropagators(reader: Reader): readonly string[] {
  const name = 'OTEL_PROPAGATORS';
  const items = reader.list(name);
  if (items === undefined || items.length === 0) return [...DEFAULTS.propagators];
  const known = new Set<string>();
  const unknown: string[] = [];
  for (const item of items) {
    const word = item.toLowerCase();
    if (word === 'none' || PROPAGATOR_NAMES.includes(word)) known.add(word);
    // No propagator's name has these; every path, scope or export does.
    else if (/[./@#]/.test(item)) known.add(item);
    else unknown.push(item);
  }
  if (known.has('none')) {
    if (items.length > 1) reader.problem(`${name} names none and others; using none`);
    return [];
  }
  const used = known.size === 0 ? DEFAULTS.propagators : [...known];
  if (unknown.length > 0) {
    const accepted = `${PROPAGATOR_NAMES.join(', ')}, none or a path or package#export of a propagator`;
    reader.problem(`${name}: ${shown(unknown.join(','))} is not one of ${accepted}; using ${used.join(',')}`);
  }
  return [...used];
}

/** A list of which no item can be used still is one: nobody is allowed then. */
function readPropagationHosts(reader: Reader): PropagationHostsConfig | undefined {
  const allowed = readHosts(reader, 'HOOKLINE_PROPAGATION_HOSTS');
  const excluded = readHosts(reader, 'HOOKLINE_PROPAGATION_EXCLUDED_HOSTS');
  return allowed === undefined && excluded === undefined ? undefined : { allowed, excluded: excluded ?? [] };
}

function readHosts(reader: Reader, variable: string): string[] | undefined {
  return reader.list(variable)?.filter((item) => {
    if (isHostPattern(item)) return true;
    const accepted = 'a host with or without a port, such as api.example.com, *.example.com:8443 or [::1]';
    reader.problem(`${variable}: ${shown(withoutSecrets(item))} is not ${accepted}; leaving it out`);
    return false;
  });
}

/** `host`, `host:port`, `[v6]` or `[v6]:port`, in all of which `*` and `?` may stand; no URL, path or user. */
function isHostPattern(text: string): boolean {
  return /^(?:\[[^\s/\\@#[\]]+\]|[^\s/\\@#:[\]]+)(?::[0-9*?]{1,5})?$/.test(text);
}

function readSampler(reader: Reader): SamplerConfig {
  const name = reader.oneOf('OTEL_TRACES_SAMPLER', SAMPLER_NAMES, DEFAULTS.sampler.name);
  const variable = 'OTEL_TRACES_SAMPLER_ARG';
  switch (name.startsWith('parentbased_') ? name.slice('parentbased_'.length) : name) {
    case 'traceidratio':
    case 'consistent_probability':
      return { name, ratio: readRatio(reader, variable, 1) };
    case 'rate_limiting':
      return { name, ratio: 1, perSecond: readPerSecond(reader, variable, DEFAULT_PER_SECOND.rate_limiting) };
    case 'adaptive':
      return { name, ratio: 1, perSecond: readPerSecond(reader, variable, DEFAULT_PER_SECOND.adaptive) };
    case 'rules':
    case 'jaeger_remote':
    case 'xray':
      return { name, ratio: 1, argument: reader.text(variable) };
    default:
      // The others take no argument, so that whatever it holds is not for us to judge.
      return { name, ratio: 1 };
  }
}

function readRatio(reader: Reader, variable: string, fallback: number): number {
  const value = reader.text(variable);
  if (value === undefined) return fallback;
  const ratio = isDecimal(value) ? Number(value) : Number.NaN;
  if (ratio >= 0 && ratio <= 1) return ratio;
  reader.problem(`${variable}=${shown(value)} is not a number from 0 to 1; using ${fallback}`);
  return fallback;
}

function readPerSecond(reader: Reader, variable: string, fallback: number): number {
  const value = reader.text(variable);
  if (value === undefined) return fallback;
  const number = isDecimal(value) ? Number(value) : Number.NaN;
  if (number > 0 && number <= MAX_PER_SECOND) return number;
  const accepted = `a number of traces per second above 0 and up to ${MAX_PER_SECOND}`;
  reader.problem(`${variable}=${shown(value)} is not ${accepted}; using ${fallback}`);
  return fallback;
}

/** A list of what to keep; what is not in the list but has a variable of its own that is set, is meant as well. */
function readTailSampling(reader: Reader): TailSamplingConfig | undefined {
  const name = 'HOOKLINE_TAIL_SAMPLING';
  const items = reader.list(name)?.map((item) => item.toLowerCase()) ?? [];
  const isSwitch = items.length === 1 && (items[0] === 'true' || items[0] === 'false' || items[0] === 'none');
  const unknown = isSwitch ? [] : items.filter((item) => !includes(TAIL_POLICIES, item));
  const policies = new Set<string>(items[0] === 'true' && isSwitch ? TAIL_POLICIES : items);
  const used = TAIL_POLICIES.filter((policy) => policies.has(policy));
  if (unknown.length > 0) {
    const accepted = `${TAIL_POLICIES.join(', ')}, true or false`;
    reader.problem(
      `${name}: ${shown(unknown.join(','))} is not one of ${accepted}; using ${used.join(',') || 'false'}`,
    );
  }
  if (used.length === 0) return undefined;
  const isMeant = (policy: string, variable: string): boolean =>
    policies.has(policy) || reader.text(variable) !== undefined;
  const slowMs = reader.integer('HOOKLINE_TAIL_SAMPLING_SLOW', 1000, 0, MAX_TIMER_MS);
  const ratio = readRatio(reader, 'HOOKLINE_TAIL_SAMPLING_RATIO', 0.1);
  const everyNth = reader.integer('HOOKLINE_TAIL_SAMPLING_ROUTE_EVERY', 100, 1, MAX_COUNT);
  return {
    errors: policies.has('errors'),
    slowMs: isMeant('slow', 'HOOKLINE_TAIL_SAMPLING_SLOW') ? slowMs : undefined,
    ratio: isMeant('ratio', 'HOOKLINE_TAIL_SAMPLING_RATIO') ? ratio : 0,
    everyNth: isMeant('routes', 'HOOKLINE_TAIL_SAMPLING_ROUTE_EVERY') ? everyNth : undefined,
    maxTraces: reader.integer('HOOKLINE_TAIL_SAMPLING_MAX_TRACES', 2000, 1, MAX_QUEUE_SIZE),
    maxSpansPerTrace: reader.integer('HOOKLINE_TAIL_SAMPLING_MAX_SPANS', 1000, 1, MAX_QUEUE_SIZE),
    graceMs: reader.integer('HOOKLINE_TAIL_SAMPLING_GRACE', 100, 0, MAX_TIMER_MS),
    timeoutMs: reader.integer('HOOKLINE_TAIL_SAMPLING_TIMEOUT', 30_000, 1, MAX_TIMER_MS),
  };
}

/** Our own names in any case; every other word is a module specifier, which keeps its case. */
function readExporters(reader: Reader): readonly string[] {
  const name = 'OTEL_TRACES_EXPORTER';
  const items = reader.list(name);
  if (items === undefined || items.length === 0) return [...DEFAULTS.exporters];
  const exporters = new Set<string>();
  const unsupported: string[] = [];
  for (const item of items) {
    const word = item.toLowerCase();
    if (EXPORTER_NAMES.includes(word)) exporters.add(word);
    else if (UNSUPPORTED_EXPORTERS.has(word)) unsupported.push(item);
    else exporters.add(item);
  }
  if (exporters.has('none')) {
    if (items.length > 1) reader.problem(`${name} names none and others; using none`);
    return [];
  }
  const used = exporters.size === 0 ? DEFAULTS.exporters : [...exporters];
  if (unsupported.length > 0) {
    const accepted = `${EXPORTER_NAMES.join(', ')} or a module that exports a span exporter`;
    reader.problem(`${name}: ${shown(unsupported.join(','))} is not ${accepted}; using ${shown(used.join(','))}`);
  }
  return [...used];
}

function readBatch(reader: Reader): BatchConfig {
  const maxQueueSize = reader.integer('OTEL_BSP_MAX_QUEUE_SIZE', DEFAULTS.batch.maxQueueSize, 1, MAX_QUEUE_SIZE);
  const name = 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE';
  const limit = `OTEL_BSP_MAX_QUEUE_SIZE=${maxQueueSize}`;
  const standard = DEFAULTS.batch.maxExportBatchSize;
  const fallback = Math.min(standard, maxQueueSize);
  if (fallback < standard && reader.text(name) === undefined)
    reader.problem(`${name} is ${standard}, more than ${limit}; using ${fallback}`);
  return {
    scheduleDelayMs: reader.integer('OTEL_BSP_SCHEDULE_DELAY', DEFAULTS.batch.scheduleDelayMs, 0, MAX_TIMER_MS),
    exportTimeoutMs: reader.integer('OTEL_BSP_EXPORT_TIMEOUT', DEFAULTS.batch.exportTimeoutMs, 1, MAX_TIMER_MS),
    maxQueueSize,
    maxExportBatchSize: reader.integer(name, fallback, 1, maxQueueSize, limit),
  };
}

function readLimits(reader: Reader): SpanLimits {
  const { limits } = DEFAULTS;
  return {
    attributeCountLimit: firstInteger(
      reader,
      ['OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT'],
      limits.attributeCountLimit,
    ),
    attributeValueLengthLimit: firstInteger(
      reader,
      ['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'],
      limits.attributeValueLengthLimit,
    ),
    eventCountLimit: reader.integer('OTEL_SPAN_EVENT_COUNT_LIMIT', limits.eventCountLimit, 0, MAX_COUNT),
    linkCountLimit: reader.integer('OTEL_SPAN_LINK_COUNT_LIMIT', limits.linkCountLimit, 0, MAX_COUNT),
    // The second name of each is what OpenTelemetry's JavaScript SDK reads.
    attributePerEventCountLimit: firstInteger(
      reader,
      ['OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT', 'OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT'],
      limits.attributePerEventCountLimit,
    ),
    attributePerLinkCountLimit: firstInteger(
      reader,
      ['OTEL_LINK_ATTRIBUTE_COUNT_LIMIT', 'OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT'],
      limits.attributePerLinkCountLimit,
    ),
  };
}

/** The name of the signal's own variable when that one is set, else of the general one. */
function otlpVariable(reader: Reader, suffix: string): string {
  const own = `OTEL_EXPORTER_OTLP_TRACES_${suffix}`;
  return reader.text(own) === undefined ? `OTEL_EXPORTER_OTLP_${suffix}` : own;
}

/** The signal's own variable before the general one, and where it is wrong, as if it were not set. */
function otlpValue<Value>(suffix: string, read: (name: string, fallback: Value) => Value, fallback: Value): Value {
  return read(`OTEL_EXPORTER_OTLP_TRACES_${suffix}`, read(`OTEL_EXPORTER_OTLP_${suffix}`, fallback));
}

function readOtlp(reader: Reader): OtlpConfig {
  // The two header variables add up, the signal's winning name by name: OpenTelemetry's JavaScript SDK does so.
  const headers = readHeaders(reader, 'OTEL_EXPORTER_OTLP_HEADERS', Object.create(null));
  readHeaders(reader, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS', headers);
  const authorization = readAuthorization(reader);
  // What is set may lower it only.
  const maxSpanBytes = DEFAULTS.otlp.maxSpanBytes as number;
  const oneOf =
    <Name extends string>(accepted: readonly Name[]) =>
    (name: string, fallback: Name): Name =>
      reader.oneOf(name, accepted, fallback);
  let protocol = otlpValue('PROTOCOL', oneOf(OTLP_PROTOCOLS), DEFAULTS.otlp.protocol);
  if (protocol === 'grpc' && authorization?.method === 'aws') {
    const name = otlpVariable(reader, 'PROTOCOL');
    reader.problem(`${name}=grpc cannot be signed for HOOKLINE_OTLP_AUTH=aws; using http/protobuf`);
    protocol = 'http/protobuf';
  }
  const { url, socketPath } = readOtlpEndpoint(reader, protocol, headers);
  const clientCertificateFile = reader.text(otlpVariable(reader, 'CLIENT_CERTIFICATE'));
  const clientKeyFile = reader.text(otlpVariable(reader, 'CLIENT_KEY'));
  if ((clientCertificateFile === undefined) !== (clientKeyFile === undefined)) {
    const [set, missing] = clientKeyFile === undefined ? ['CERTIFICATE', 'KEY'] : ['KEY', 'CERTIFICATE'];
    const name = otlpVariable(reader, `CLIENT_${set}`);
    reader.problem(`${name} is of no use without OTEL_EXPORTER_OTLP_CLIENT_${missing}; showing no client certificate`);
  }
  return {
    protocol,
    url,
    socketPath,
    proxy: socketPath === undefined ? readProxy(reader, url) : undefined,
    headers,
    timeoutMs: otlpValue(
      'TIMEOUT',
      (name, fallback) => reader.integer(name, fallback, 1, MAX_TIMER_MS),
      DEFAULTS.otlp.timeoutMs,
    ),
    maxRequestBytes: reader.integer(
      'HOOKLINE_OTLP_MAX_REQUEST_BYTES',
      DEFAULTS.otlp.maxRequestBytes as number,
      MIN_REQUEST_BYTES,
      MAX_REQUEST_BYTES,
    ),
    maxSpanBytes: reader.integer('HOOKLINE_OTLP_MAX_SPAN_BYTES', maxSpanBytes, 1, maxSpanBytes),
    compression: otlpValue('COMPRESSION', oneOf(COMPRESSIONS), DEFAULTS.otlp.compression),
    certificateFile: reader.text(otlpVariable(reader, 'CERTIFICATE')),
    clientCertificateFile,
    clientKeyFile,
    ...(authorization && { authorization }),
  };
}

function readAuthorization(reader: Reader): AuthorizationConfig | undefined {
  const name = 'HOOKLINE_OTLP_AUTH';
  const value = reader.text(name);
  let method: string | undefined;
  if (value !== undefined) {
    const word = value.toLowerCase();
    if (AUTH_METHODS.includes(word)) method = word;
    // No method's name has these; every path, scope or export does.
    else if (/[./@#]/.test(value)) method = value;
    else {
      const accepted = `${AUTH_METHODS.join(', ')} or a path or package#export of a function`;
      reader.problem(`${name}=${shown(value)} is not one of ${accepted}; ignoring it`);
    }
  }
  const headersFile = reader.text('HOOKLINE_OTLP_HEADERS_FILE');
  if (method === undefined && headersFile === undefined) return undefined;
  return {
    method,
    region: reader.text('HOOKLINE_OTLP_AUTH_REGION'),
    service: reader.text('HOOKLINE_OTLP_AUTH_SERVICE'),
    headersFile,
  };
}

/**
 * `unix:/path`, `unix:///path` and `unix:relative/path`, as gRPC names sockets (grpc/grpc: doc/naming.md). For HTTP the path of
 * the request may follow behind `:`, as in `unix:///run/otel.sock:/v1/traces`, and is taken as it is.
 * @param fallback holds the path for HTTP where none is named; `undefined` for gRPC, which has no use for one
 */
function readSocket(
  reader: Reader,
  name: string,
  fallback: string | undefined,
): { readonly url: string; readonly socketPath: string } | undefined {
  const value = reader.text(name);
  // Two slashes are followed by a host, and no socket is on another one.
  if (value === undefined || !/^unix:(?!\/\/(?!\/))./i.test(value) || isHostAndPort(value)) return undefined;
  const text = value.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
  const end = text.indexOf(':/');
  const socketPath = end < 0 ? text : text.slice(0, end);
  if (socketPath === '' || socketPath.endsWith('/')) return undefined;
  const url = new URL('http://localhost/');
  if (fallback !== undefined) {
    const [path, query] = (end < 0 ? new URL(fallback).pathname : text.slice(end + 1)).split(/\?(.*)/s);
    url.pathname = path ?? '';
    url.search = query ?? '';
  }
  return { url: url.href, socketPath };
}

/** In lower case first, as curl does. What stands in the environment of a CGI program as HTTP_PROXY is a header of the request. */
function readProxy(reader: Reader, url: string): ProxyConfig | undefined {
  const isCgi = reader.text('REQUEST_METHOD') !== undefined;
  const own = url.startsWith('https:')
    ? ['https_proxy', 'HTTPS_PROXY']
    : ['http_proxy', ...(isCgi ? [] : ['HTTP_PROXY'])];
  for (const variable of [...own, 'all_proxy', 'ALL_PROXY']) {
    const proxy = reader.text(variable);
    if (proxy !== undefined)
      return { variable, url: proxy, noProxy: reader.text('no_proxy') ?? reader.text('NO_PROXY') ?? '' };
  }
  return undefined;
}

/**
 * Over HTTP the signal's endpoint is used as it is; the general one is a base that `v1/traces` is appended to, after its own
 * path and before its query. `host:port` without a scheme means http, silently, since that is how gRPC endpoints are written;
 * a lone host does too, with a line about it. For gRPC, scheme, host and port are all that counts, and `host:port` means TLS
 * unless OTEL_EXPORTER_OTLP_INSECURE says otherwise.
 */
function readOtlpEndpoint(
  reader: Reader,
  protocol: OtlpProtocol,
  headers: Record<string, string>,
): { readonly url: string; readonly socketPath?: string } {
  const isGrpc = protocol === 'grpc';
  const [own, general] = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'] as const;
  const standard = isGrpc ? DEFAULT_GRPC_URL : DEFAULTS.otlp.url;
  const insecure = isGrpc && otlpValue('INSECURE', (name, fallback) => reader.boolean(name, fallback), false);
  for (const name of [own, general]) {
    const socket = readSocket(reader, name, isGrpc ? undefined : DEFAULTS.otlp.url);
    if (socket !== undefined) return socket;
    const fallback = name === own && reader.text(general) !== undefined ? general : standard;
    const url = readEndpoint(reader, name, headers, fallback, isGrpc && !insecure ? 'https' : 'http');
    if (url === undefined) continue;
    if (isGrpc) {
      url.pathname = '/';
      url.search = '';
    } else if (name === general) {
      url.pathname += url.pathname.endsWith('/') ? TRACES_PATH : `/${TRACES_PATH}`;
    }
    return { url: url.href };
  }
  return { url: standard };
}

/** Taken as it is; where it has no path, Zipkin's. */
function readZipkin(reader: Reader): HttpTarget {
  const headers: Record<string, string> = Object.create(null);
  const name = 'OTEL_EXPORTER_ZIPKIN_ENDPOINT';
  const socket = readSocket(reader, name, DEFAULTS.zipkin.url);
  const given = socket === undefined ? readEndpoint(reader, name, headers, DEFAULTS.zipkin.url) : undefined;
  if (given?.pathname === '/') given.pathname = new URL(DEFAULTS.zipkin.url).pathname;
  const url = socket?.url ?? given?.href ?? DEFAULTS.zipkin.url;
  return {
    url,
    socketPath: socket?.socketPath,
    proxy: socket === undefined ? readProxy(reader, url) : undefined,
    headers,
    timeoutMs: reader.integer('OTEL_EXPORTER_ZIPKIN_TIMEOUT', DEFAULTS.zipkin.timeoutMs, 1, MAX_TIMER_MS),
    compression: 'none',
    certificateFile: undefined,
    clientCertificateFile: undefined,
    clientKeyFile: undefined,
  };
}

/** A URL of a variable, its user and password turned into a header; `undefined` when it is not set or none. */
function readEndpoint(
  reader: Reader,
  name: string,
  headers: Record<string, string>,
  fallback: string,
  scheme: 'http' | 'https' = 'http',
): URL | undefined {
  const value = reader.text(name);
  if (value === undefined) return undefined;
  const url = parseEndpoint(value, scheme);
  if (url === undefined) {
    const zone = /\[[^[\]]*%/.test(value) ? ' without an IPv6 zone' : '';
    const accepted = `an http:// or https:// URL or host:port${zone}, or unix:///path`;
    reader.problem(`${name}=${shown(withoutSecrets(value))} is not ${accepted}; using ${fallback}`);
    return undefined;
  }
  if (!value.includes('://') && url.port === '') {
    reader.problem(`${name}=${shown(withoutSecrets(value))} has no scheme; using ${url.protocol}//${url.host}`);
  }
  if (url.username !== '' || url.password !== '') {
    const user = decode(url.username) ?? url.username;
    const password = decode(url.password) ?? url.password;
    headers['authorization'] ??= `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  url.hash = '';
  return url;
}

function readFile(reader: Reader): FileConfig {
  const { path, maxBytes, maxFiles } = DEFAULTS.file;
  return {
    path: reader.text('HOOKLINE_FILE_PATH') ?? path,
    maxBytes: reader.integer('HOOKLINE_FILE_MAX_BYTES', maxBytes, 1, Number.MAX_SAFE_INTEGER),
    maxFiles: reader.integer('HOOKLINE_FILE_MAX_FILES', maxFiles, 1, MAX_FILES),
  };
}

function readSpool(reader: Reader): SpoolConfig | undefined {
  const directory = reader.text('HOOKLINE_SPOOL_PATH');
  const maxBytes = reader.integer('HOOKLINE_SPOOL_MAX_BYTES', DEFAULT_SPOOL_BYTES, 1, Number.MAX_SAFE_INTEGER);
  const maxAgeMs = reader.integer('HOOKLINE_SPOOL_MAX_AGE', DEFAULT_SPOOL_AGE_MS, 1, Number.MAX_SAFE_INTEGER);
  return directory === undefined ? undefined : { directory, maxBytes, maxAgeMs };
}

/** `{"<module as OTEL_TRACES_EXPORTER calls it>": options}`. */
function readExporterOptions(reader: Reader): Readonly<Record<string, unknown>> {
  const name = 'HOOKLINE_EXPORTER_OPTIONS';
  const value = reader.text(name);
  if (value === undefined) return Object.create(null);
  try {
    const options: unknown = JSON.parse(value);
    if (typeof options === 'object' && options !== null && !Array.isArray(options))
      return Object.assign(Object.create(null), options);
  } catch {
    // The message would show a part of the value.
  }
  reader.problem(`${name} is not a JSON object of options by exporter; ignoring it`);
  return Object.create(null);
}

function parseEndpoint(value: string, scheme: 'http' | 'https'): URL | undefined {
  let text = value;
  if (!value.includes('://')) {
    if (!isHostAndPort(value)) return undefined;
    text = `${scheme}://${value}`;
  }
  try {
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
  } catch {
    return undefined;
  }
}

/** `host`, `host:4318`, `[::1]:4318`, each perhaps with a path; not `http:/host`, `unix:/socket` or `user:password@host`. */
function isHostAndPort(value: string): boolean {
  const slash = value.indexOf('/');
  const authority = slash < 0 ? value : value.slice(0, slash);
  const port = authority.indexOf(':', authority.startsWith('[') ? authority.indexOf(']') : 0);
  return authority !== '' && !authority.includes('@') && (port < 0 || isDigits(authority.slice(port + 1)));
}

/** An endpoint as it may be shown: without user, password and query. */
function withoutSecrets(value: string): string {
  const query = value.indexOf('?');
  const text = query < 0 ? value : `${value.slice(0, query)}?REDACTED`;
  const at = text.lastIndexOf('@');
  if (at < 0) return text;
  const scheme = text.indexOf('://');
  return `${scheme < 0 || scheme > at ? '' : text.slice(0, scheme + 3)}REDACTED${text.slice(at)}`;
}

/** Adds the `name=value` pairs of a variable to `headers`. Values are percent-decoded; pairs that no request could carry are left out. */
function readHeaders(reader: Reader, variable: string, headers: Record<string, string>): Record<string, string> {
  let position = 0;
  for (const pair of reader.text(variable)?.split(',') ?? []) {
    if (pair.trim() === '') continue;
    position++;
    const equals = pair.indexOf('=');
    const name = equals < 0 ? '' : pair.slice(0, equals).trim().toLowerCase();
    // A pair that is none may be a secret with a comma in it, so that only its position is told.
    const label = isToken(name) ? shown(name) : `number ${position}`;
    const fault = isToken(name)
      ? headerFault(name, decode(pair.slice(equals + 1).trim()), headers)
      : 'is not name=value';
    if (fault !== undefined) reader.problem(`${variable}: header ${label} ${fault}; leaving it out`);
  }
  return headers;
}

/** Adds one header, or tells what is wrong with it. */
function headerFault(name: string, value: string | undefined, headers: Record<string, string>): string | undefined {
  if (RESERVED_HEADERS.has(name)) return 'is set by the exporter';
  if (value === undefined) return 'has a value that is not percent-encoded';
  if (!isHeaderValue(value)) return 'has a value with characters that no header can hold';
  headers[name] = value;
  return undefined;
}

const TOGGLE_PREFIX = 'OTEL_INSTRUMENTATION_';
const TOGGLE_SUFFIX = '_ENABLED';
const DEFAULT_TOGGLE = 'OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED';

function readInstrumentations(reader: Reader, env: Env): InstrumentationsConfig {
  const byName: Record<string, boolean> = Object.create(null);
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith(TOGGLE_PREFIX) || !variable.endsWith(TOGGLE_SUFFIX) || variable === DEFAULT_TOGGLE)
      continue;
    const name = variable.slice(TOGGLE_PREFIX.length, -TOGGLE_SUFFIX.length);
    const value = reader.text(variable);
    if (name === '' || value === undefined) continue;
    const word = value.toLowerCase();
    if (word === 'true' || word === 'false') byName[name.toLowerCase()] = word === 'true';
    else reader.problem(`${variable}=${shown(value)} is not true or false; ignoring it`);
  }
  return {
    enabled: reader.list('OTEL_NODE_ENABLED_INSTRUMENTATIONS'),
    disabled: reader.list('OTEL_NODE_DISABLED_INSTRUMENTATIONS') ?? [],
    byName,
    defaultEnabled: reader.boolean(DEFAULT_TOGGLE, DEFAULTS.instrumentations.defaultEnabled),
    userModules: reader.list('HOOKLINE_INSTRUMENTATIONS') ?? [],
  };
}

function readHttp(reader: Reader): HttpConfig {
  return {
    knownMethods: new Set(reader.list('OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS') ?? DEFAULTS.http.knownMethods),
    serverRequestHeaders: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS'),
    serverResponseHeaders: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS'),
    clientRequestHeaders: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS'),
    clientResponseHeaders: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS'),
    serverIgnorePaths: reader.list('OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS') ?? [],
    muteHealthChecks: reader.boolean('HOOKLINE_MUTE_HEALTH_CHECKS', DEFAULTS.http.muteHealthChecks),
    sensitiveQueryParameters: new Set(
      reader.list('OTEL_INSTRUMENTATION_HTTP_SENSITIVE_QUERY_PARAMETERS') ?? DEFAULTS.http.sensitiveQueryParameters,
    ),
  };
}

function readPg(reader: Reader): DatabaseConfig {
  return readDatabase(reader, DEFAULTS.pg, {
    querySanitization: 'OTEL_INSTRUMENTATION_PG_QUERY_SANITIZATION',
    captureQueryParameters: 'OTEL_INSTRUMENTATION_PG_CAPTURE_QUERY_PARAMETERS',
    sqlCommenter: 'OTEL_INSTRUMENTATION_PG_SQLCOMMENTER',
  });
}

function readMysql2(reader: Reader): DatabaseConfig {
  return readDatabase(reader, DEFAULTS.mysql2, {
    querySanitization: 'OTEL_INSTRUMENTATION_MYSQL2_QUERY_SANITIZATION',
    captureQueryParameters: 'OTEL_INSTRUMENTATION_MYSQL2_CAPTURE_QUERY_PARAMETERS',
    sqlCommenter: 'OTEL_INSTRUMENTATION_MYSQL2_SQLCOMMENTER',
  });
}

function readDatabase(
  reader: Reader,
  standard: DatabaseConfig,
  variables: Readonly<Record<keyof DatabaseConfig, string>>,
): DatabaseConfig {
  return {
    querySanitization: reader.oneOf(variables.querySanitization, QUERY_SANITIZATIONS, standard.querySanitization),
    captureQueryParameters: reader.boolean(variables.captureQueryParameters, standard.captureQueryParameters),
    sqlCommenter: reader.boolean(variables.sqlCommenter, standard.sqlCommenter),
  };
}

function readAmqplib(reader: Reader): AmqplibConfig {
  const { amqplib } = DEFAULTS;
  return {
    consumeEnd: reader.oneOf('OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_END', CONSUME_ENDS, amqplib.consumeEnd),
    consumeTimeoutMs: reader.integer(
      'OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_TIMEOUT',
      amqplib.consumeTimeoutMs,
      0,
      MAX_TIMER_MS,
    ),
    useLinksForConsume: reader.boolean(
      'OTEL_INSTRUMENTATION_AMQPLIB_USE_LINKS_FOR_CONSUME',
      amqplib.useLinksForConsume,
    ),
    settleSpans: reader.boolean('OTEL_INSTRUMENTATION_AMQPLIB_SETTLE_SPANS', amqplib.settleSpans),
  };
}

function readGrpc(reader: Reader): GrpcConfig {
  return {
    ignoreMethods: reader.list('OTEL_INSTRUMENTATION_GRPC_IGNORE_METHODS') ?? [],
    clientRequestMetadata: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_REQUEST_METADATA'),
    clientResponseMetadata: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_RESPONSE_METADATA'),
    serverRequestMetadata: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_REQUEST_METADATA'),
    serverResponseMetadata: readHeaderNames(reader, 'OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_RESPONSE_METADATA'),
  };
}

function readFrameworks(reader: Reader): FrameworksConfig {
  const { frameworks: standard } = DEFAULTS;
  return {
    express: reader.oneOf('OTEL_INSTRUMENTATION_EXPRESS_SPANS', FRAMEWORK_SPANS, standard.express),
    connect: reader.oneOf('OTEL_INSTRUMENTATION_CONNECT_SPANS', FRAMEWORK_SPANS, standard.connect),
    fastify: reader.oneOf('OTEL_INSTRUMENTATION_FASTIFY_SPANS', FRAMEWORK_SPANS, standard.fastify),
    koa: reader.oneOf('OTEL_INSTRUMENTATION_KOA_SPANS', FRAMEWORK_SPANS, standard.koa),
    hapi: reader.oneOf('OTEL_INSTRUMENTATION_HAPI_SPANS', FRAMEWORK_SPANS, standard.hapi),
    nestjs: reader.oneOf('OTEL_INSTRUMENTATION_NESTJS_SPANS', FRAMEWORK_SPANS, standard.nestjs),
    restify: reader.oneOf('OTEL_INSTRUMENTATION_RESTIFY_SPANS', FRAMEWORK_SPANS, standard.restify),
    hono: reader.oneOf('OTEL_INSTRUMENTATION_HONO_SPANS', FRAMEWORK_SPANS, standard.hono),
    h3: reader.oneOf('OTEL_INSTRUMENTATION_H3_SPANS', FRAMEWORK_SPANS, standard.h3),
    next: reader.oneOf('OTEL_INSTRUMENTATION_NEXT_SPANS', FRAMEWORK_SPANS, standard.next),
  };
}

function readHeaderNames(reader: Reader, variable: string): string[] {
  const names = new Set<string>();
  for (const item of reader.list(variable) ?? []) {
    if (isToken(item)) names.add(item.toLowerCase());
    else reader.problem(`${variable}: ${shown(item)} is not a header name; leaving it out`);
  }
  return [...names];
}

function includes<Item extends string>(items: readonly Item[], value: string): value is Item {
  return (items as readonly string[]).includes(value);
}

/** A value for a problem line: quoted, on one line, cut. */
function shown(value: string | undefined): string {
  return `"${oneLine(value ?? '', MAX_SHOWN_LENGTH)}"`;
}

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function isDigits(text: string): boolean {
  return text !== '' && [...text].every((char) => char >= '0' && char <= '9');
}

/** Characters of a decimal number, exponent included; `Number` does the rest. Keeps out `0x1`, `Infinity` and the like. */
function isDecimal(text: string): boolean {
  return [...text].every((char) => (char >= '0' && char <= '9') || '.eE+-'.includes(char));
}
