import { type AnyValue, type JsonEvent, type JsonSpan, type KeyValue, toTraceRequest } from './otlp-json';

/** Zipkin's JSON v2 (zipkin.io/zipkin-api, `POST /api/v2/spans`), as far as spans of ours fill it. */
interface ZipkinSpan {
  traceId: string;
  id: string;
  parentId?: string;
  name: string;
  kind?: 'CLIENT' | 'SERVER' | 'PRODUCER' | 'CONSUMER';
  /** Microseconds since the epoch. */
  timestamp: number;
  /** Microseconds, at least 1. */
  duration: number;
  localEndpoint: { serviceName: string };
  remoteEndpoint?: Endpoint;
  annotations?: { timestamp: number; value: string }[];
  tags: Record<string, string>;
}

interface Endpoint {
  serviceName?: string;
  ipv4?: string;
  ipv6?: string;
  port?: number;
}

/** OTLP's kinds; INTERNAL has none in Zipkin. */
const KINDS = [undefined, undefined, 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const;

const STATUS_OK = 1;
const STATUS_ERROR = 2;

/**
 * Names of the other side, the best first (specification: Zipkin exporter, "Remote endpoint"; `service.peer.name` is today's
 * `peer.service`).
 */
const REMOTE_NAMES = [
  ...['service.peer.name', 'peer.service', 'server.address', 'net.peer.name', 'network.peer.address'],
  ...['server.socket.domain', 'server.socket.address', 'net.sock.peer.name', 'net.sock.peer.addr'],
  ...['peer.hostname', 'peer.address', 'db.namespace', 'db.name'],
];

/** An ExportTraceServiceRequest in binary as Zipkin's JSON (specification: Transformation to non-OTLP formats, Zipkin). */
export function toZipkinJson(bytes: Uint8Array): Buffer {
  const list: ZipkinSpan[] = [];
  for (const { resource, scopeSpans } of toTraceRequest(bytes).resourceSpans) {
    const serviceName = textOf(resource.attributes.find(({ key }) => key === 'service.name')?.value ?? {});
    const shared: Record<string, string> = {};
    // The resource's attributes have no place of their own; the name of the service has.
    for (const { key, value } of resource.attributes) if (key !== 'service.name') put(shared, key, value);
    for (const { scope, spans } of scopeSpans) {
      for (const span of spans) list.push(toZipkinSpan(span, scope, serviceName || 'unknown_service', shared));
    }
  }
  return Buffer.from(JSON.stringify(list), 'utf8');
}

function toZipkinSpan(
  span: JsonSpan,
  scope: { name?: string; version?: string },
  serviceName: string,
  shared: Readonly<Record<string, string>>,
): ZipkinSpan {
  const tags: Record<string, string> = { ...shared };
  for (const { key, value } of span.attributes) put(tags, key, value);
  if (scope.name !== undefined) {
    tags['otel.scope.name'] = scope.name;
    tags['otel.library.name'] = scope.name;
  }
  if (scope.version !== undefined) {
    tags['otel.scope.version'] = scope.version;
    tags['otel.library.version'] = scope.version;
  }
  // `error` means failure to Zipkin whatever it holds, so an attribute of that name goes with success.
  delete tags['error'];
  if (span.status.code === STATUS_OK) tags['otel.status_code'] = 'OK';
  if (span.status.code === STATUS_ERROR) {
    tags['otel.status_code'] = 'ERROR';
    tags['error'] = span.status.message ?? '';
  }
  for (const [name, count] of [
    ['attributes', span.droppedAttributesCount],
    ['events', span.droppedEventsCount],
    ['links', span.droppedLinksCount],
  ] as const) {
    if (count !== undefined) tags[`otel.dropped_${name}_count`] = String(count);
  }

  const timestamp = microseconds(span.startTimeUnixNano);
  const result: ZipkinSpan = {
    traceId: span.traceId,
    id: span.spanId,
    name: span.name,
    timestamp,
    duration: Math.max(Number((BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1000n), 1),
    localEndpoint: { serviceName },
    tags,
  };
  if (span.parentSpanId !== undefined) result.parentId = span.parentSpanId;
  const kind = KINDS[span.kind];
  if (kind !== undefined) result.kind = kind;
  if (kind === 'CLIENT' || kind === 'PRODUCER') {
    const remote = remoteEndpoint(span.attributes);
    if (remote !== undefined) result.remoteEndpoint = remote;
  }
  if (span.events !== undefined) {
    result.annotations = span.events.map((event) => ({
      timestamp: microseconds(event.timeUnixNano),
      value: annotation(event),
    }));
  }
  return result;
}

/** `name`, or `"name": {attributes as JSON}` where there are any. */
function annotation({ name, attributes }: JsonEvent): string {
  if (attributes.length === 0) return name;
  const values: Record<string, unknown> = {};
  for (const { key, value } of attributes) define(values, key, plain(value));
  return `${JSON.stringify(name)}: ${JSON.stringify(values)}`;
}

function remoteEndpoint(attributes: readonly KeyValue[]): Endpoint | undefined {
  const value = (key: string): string | undefined => {
    const found = attributes.find((attribute) => attribute.key === key);
    return found === undefined ? undefined : textOf(found.value);
  };
  let serviceName: string | undefined;
  for (const key of REMOTE_NAMES) serviceName ??= value(key);
  if (serviceName === undefined) return undefined;
  const remote: Endpoint = { serviceName };
  const address = value('network.peer.address');
  if (address?.includes(':')) remote.ipv6 = address;
  else if (address !== undefined && /^[\d.]+$/.test(address)) remote.ipv4 = address;
  const port = Number(value('network.peer.port') ?? value('server.port'));
  if (Number.isInteger(port) && port > 0) remote.port = port;
  return remote;
}

/** Whole ones, cut (specification: "Unit of Time"). As a number they stay exact until the year 2255. */
function microseconds(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1000n);
}

function put(tags: Record<string, string>, key: string, value: AnyValue): void {
  define(tags, key, textOf(value));
}

/** As an own property whatever the key is, `__proto__` included. */
function define<Value>(target: Record<string, Value>, key: string, value: Value): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Tags are text: lists and maps are JSON (specification: common, "AnyValue representation for non-OTLP protocols"). */
function textOf(value: AnyValue): string {
  const content = plain(value);
  if (content === null) return '';
  return typeof content === 'object' ? JSON.stringify(content) : String(content);
}

function plain(value: AnyValue): unknown {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.intValue !== undefined) {
    const number = Number(value.intValue);
    return Number.isSafeInteger(number) ? number : value.intValue;
  }
  if (value.doubleValue !== undefined) return value.doubleValue;
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(plain);
  if (value.bytesValue !== undefined) return value.bytesValue;
  if (value.kvlistValue === undefined) return null;
  const map: Record<string, unknown> = {};
  for (const { key, value: item } of value.kvlistValue.values) define(map, key, plain(item));
  return map;
}
