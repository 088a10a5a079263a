import { ProtoReader } from './protobuf';

/**
 * OTLP/JSON (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding"): names in lowerCamelCase, trace and span
 * ids in hexadecimal, other bytes in base64, 64-bit integers as decimal strings, enums as numbers.
 */
export interface TraceRequest {
  resourceSpans: ResourceSpans[];
}

export interface ResourceSpans {
  resource: { attributes: KeyValue[] };
  scopeSpans: ScopeSpans[];
  schemaUrl?: string;
}

export interface ScopeSpans {
  scope: { name?: string; version?: string };
  spans: JsonSpan[];
  schemaUrl?: string;
}

export interface JsonSpan {
  traceId: string;
  spanId: string;
  traceState?: string;
  parentSpanId?: string;
  flags?: number;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: KeyValue[];
  droppedAttributesCount?: number;
  events?: JsonEvent[];
  droppedEventsCount?: number;
  links?: JsonLink[];
  droppedLinksCount?: number;
  status: { message?: string; code?: number };
}

export interface JsonEvent {
  timeUnixNano: string;
  name: string;
  attributes: KeyValue[];
  droppedAttributesCount?: number;
}

export interface JsonLink {
  traceId: string;
  spanId: string;
  traceState?: string;
  attributes: KeyValue[];
  droppedAttributesCount?: number;
  flags?: number;
}

export interface KeyValue {
  key: string;
  value: AnyValue;
}

/** An empty object is OTLP's null. */
export interface AnyValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string;
  /** JSON has no NaN and no infinities: those are the strings of their names. */
  doubleValue?: number | 'NaN' | 'Infinity' | '-Infinity';
  arrayValue?: { values: AnyValue[] };
  kvlistValue?: { values: KeyValue[] };
  bytesValue?: string;
}

/** An ExportTraceServiceRequest in binary, as src/export/encode.ts writes it. Throws a RangeError for what is none. */
export function toTraceRequest(bytes: Uint8Array): TraceRequest {
  const request: TraceRequest = { resourceSpans: [] };
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) request.resourceSpans.push(readResourceSpans(reader.message()));
    else reader.skip();
  }
  return request;
}

/** The same request as text. */
export function toOtlpJson(bytes: Uint8Array): Buffer {
  return Buffer.from(JSON.stringify(toTraceRequest(bytes)), 'utf8');
}

function readResourceSpans(bytes: Uint8Array): ResourceSpans {
  const spans: ResourceSpans = { resource: { attributes: [] }, scopeSpans: [] };
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) spans.resource.attributes = readKeyValues(reader.message());
    else if (field === 2) spans.scopeSpans.push(readScopeSpans(reader.message()));
    else if (field === 3) spans.schemaUrl = reader.text();
    else reader.skip();
  }
  return spans;
}

function readScopeSpans(bytes: Uint8Array): ScopeSpans {
  const spans: ScopeSpans = { scope: {}, spans: [] };
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) spans.scope = readScope(reader.message());
    else if (field === 2) spans.spans.push(readSpan(reader.message()));
    else if (field === 3) spans.schemaUrl = reader.text();
    else reader.skip();
  }
  return spans;
}

function readScope(bytes: Uint8Array): ScopeSpans['scope'] {
  const scope: ScopeSpans['scope'] = {};
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) scope.name = reader.text();
    else if (field === 2) scope.version = reader.text();
    else reader.skip();
  }
  return scope;
}

function readSpan(bytes: Uint8Array): JsonSpan {
  const span: JsonSpan = {
    traceId: '',
    spanId: '',
    name: '',
    kind: 0,
    startTimeUnixNano: '0',
    endTimeUnixNano: '0',
    attributes: [],
    status: {},
  };
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case 1:
        span.traceId = hex(reader.message());
        break;
      case 2:
        span.spanId = hex(reader.message());
        break;
      case 3:
        span.traceState = reader.text();
        break;
      case 4:
        span.parentSpanId = hex(reader.message());
        break;
      case 5:
        span.name = reader.text();
        break;
      case 6:
        span.kind = reader.number();
        break;
      case 7:
        span.startTimeUnixNano = reader.fixed64();
        break;
      case 8:
        span.endTimeUnixNano = reader.fixed64();
        break;
      case 9:
        span.attributes.push(readKeyValue(reader.message()));
        break;
      case 10:
        span.droppedAttributesCount = reader.number();
        break;
      case 11:
        span.events ??= [];
        span.events.push(readEvent(reader.message()));
        break;
      case 12:
        span.droppedEventsCount = reader.number();
        break;
      case 13:
        span.links ??= [];
        span.links.push(readLink(reader.message()));
        break;
      case 14:
        span.droppedLinksCount = reader.number();
        break;
      case 15:
        span.status = readStatus(reader.message());
        break;
      case 16:
        span.flags = reader.fixed32();
        break;
      default:
        reader.skip();
    }
  }
  return span;
}

function readStatus(bytes: Uint8Array): JsonSpan['status'] {
  const status: JsonSpan['status'] = {};
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 2) status.message = reader.text();
    else if (field === 3) status.code = reader.number();
    else reader.skip();
  }
  return status;
}

function readEvent(bytes: Uint8Array): JsonEvent {
  const event: JsonEvent = { timeUnixNano: '0', name: '', attributes: [] };
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) event.timeUnixNano = reader.fixed64();
    else if (field === 2) event.name = reader.text();
    else if (field === 3) event.attributes.push(readKeyValue(reader.message()));
    else if (field === 4) event.droppedAttributesCount = reader.number();
    else reader.skip();
  }
  return event;
}

function readLink(bytes: Uint8Array): JsonLink {
  const link: JsonLink = { traceId: '', spanId: '', attributes: [] };
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) link.traceId = hex(reader.message());
    else if (field === 2) link.spanId = hex(reader.message());
    else if (field === 3) link.traceState = reader.text();
    else if (field === 4) link.attributes.push(readKeyValue(reader.message()));
    else if (field === 5) link.droppedAttributesCount = reader.number();
    else if (field === 6) link.flags = reader.fixed32();
    else reader.skip();
  }
  return link;
}

/** `Resource.attributes`, `KeyValueList.values`: field 1, repeated. */
function readKeyValues(bytes: Uint8Array): KeyValue[] {
  const list: KeyValue[] = [];
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) list.push(readKeyValue(reader.message()));
    else reader.skip();
  }
  return list;
}

function readKeyValue(bytes: Uint8Array): KeyValue {
  const pair: KeyValue = { key: '', value: {} };
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) pair.key = reader.text();
    else if (field === 2) pair.value = readAnyValue(reader.message());
    else reader.skip();
  }
  return pair;
}

function readAnyValue(bytes: Uint8Array): AnyValue {
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    switch (field) {
      case 1:
        return { stringValue: reader.text() };
      case 2:
        return { boolValue: reader.number() !== 0 };
      case 3:
        return { intValue: reader.int64() };
      case 4:
        return { doubleValue: jsonNumber(reader.double()) };
      case 5:
        return { arrayValue: { values: readValues(reader.message()) } };
      case 6:
        return { kvlistValue: { values: readKeyValues(reader.message()) } };
      case 7: {
        const { buffer, byteOffset, length } = reader.message();
        return { bytesValue: Buffer.from(buffer, byteOffset, length).toString('base64') };
      }
      default:
        reader.skip();
    }
  }
  return {};
}

function readValues(bytes: Uint8Array): AnyValue[] {
  const values: AnyValue[] = [];
  const reader = new ProtoReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) values.push(readAnyValue(reader.message()));
    else reader.skip();
  }
  return values;
}

function jsonNumber(value: number): number | 'NaN' | 'Infinity' | '-Infinity' {
  return Number.isFinite(value) ? value : (String(value) as 'NaN' | 'Infinity' | '-Infinity');
}

function hex({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('hex');
}
