import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

export type SpanKind = 'UNSPECIFIED' | 'INTERNAL' | 'SERVER' | 'CLIENT' | 'PRODUCER' | 'CONSUMER';
export type StatusCode = 'UNSET' | 'OK' | 'ERROR';
export type AttributeValue =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | undefined
  | AttributeValue[]
  | Attributes;
export interface Attributes {
  [key: string]: AttributeValue;
}

/** A span as the wire carried it, free of the encoding's shapes. */
export interface ReceivedSpan {
  /** Lower-case hex. */
  traceId: string;
  spanId: string;
  /** `undefined` for a root. */
  parentSpanId: string | undefined;
  name: string;
  kind: SpanKind;
  attributes: Attributes;
  status: { code: StatusCode; message?: string };
  events: { name: string; timeUnixNano: bigint; attributes: Attributes; droppedAttributesCount: number }[];
  links: {
    traceId: string;
    spanId: string;
    traceState: string;
    flags: number;
    attributes: Attributes;
    droppedAttributesCount: number;
  }[];
  startTimeUnixNano: bigint;
  endTimeUnixNano: bigint;
  scope: { name: string; version: string; attributes: Attributes; schemaUrl: string };
  /** The resource's attributes. */
  resource: Attributes;
  resourceSchemaUrl: string;
  flags: number;
  traceState: string;
  droppedAttributesCount: number;
  droppedEventsCount: number;
  droppedLinksCount: number;
}

const schema = protobuf.loadSync(fileURLToPath(new URL('./proto/opentelemetry.proto', import.meta.url)));
export const requestType = schema.lookupType('ExportTraceServiceRequest');
const responseType = schema.lookupType('ExportTraceServiceResponse');

/**
 * Decodes an ExportTraceServiceRequest and refuses what a lenient collector would let pass: fields or wire types the
 * protocol does not have, ids of the wrong length, values without a type, duplicate attribute keys.
 */
export function decodeTraceRequest(bytes: Uint8Array): ReceivedSpan[] {
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  const message = requestType.decode(reader);
  refuseUnknown(message, 'ExportTraceServiceRequest');
  const request = requestType.toObject(message, {
    longs: BigInt,
    enums: String,
    defaults: true,
    arrays: true,
    oneofs: true,
  });
  return request.resourceSpans.flatMap((resourceSpans: any) =>
    resourceSpans.scopeSpans.flatMap((scopeSpans: any) =>
      scopeSpans.spans.map((span: any) => toReceivedSpan(span, scopeSpans, resourceSpans)),
    ),
  );
}

/** A response body; `rejectedSpans` above 0 or a message makes it a partial success. */
export function encodeTraceResponse(partial?: { rejectedSpans: number; errorMessage: string }): Uint8Array {
  return responseType.encode(responseType.create(partial ? { partialSuccess: partial } : {})).finish();
}

/** A request from a plain object in the protocol's (camel case) field names, for tests of this decoder and of encoders. */
export function encodeTraceRequest(request: Record<string, unknown>): Uint8Array {
  return requestType.encode(requestType.fromObject(request)).finish();
}

function refuseUnknown(value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  const { $unknowns: unknowns } = value as { $unknowns?: Uint8Array[] };
  if (unknowns?.length) {
    const [tag] = unknowns.map((raw) => protobuf.Reader.create(raw).uint32());
    throw new Error(`${path}: unknown field ${tag! >>> 3} with wire type ${tag! & 7}`);
  }
  for (const [key, child] of Object.entries(value)) refuseUnknown(child, `${path}.${key}`);
}

function toReceivedSpan(span: any, scopeSpans: any, resourceSpans: any): ReceivedSpan {
  const where = `span ${JSON.stringify(span.name)}`;
  const code = (span.status?.code ?? 'STATUS_CODE_UNSET').replace('STATUS_CODE_', '') as StatusCode;
  return {
    traceId: id(span.traceId, 16, `${where} trace_id`),
    spanId: id(span.spanId, 8, `${where} span_id`),
    parentSpanId: span.parentSpanId.length === 0 ? undefined : id(span.parentSpanId, 8, `${where} parent_span_id`),
    name: span.name,
    kind: enumName(span.kind, `${where} kind`).replace('SPAN_KIND_', '') as SpanKind,
    attributes: toAttributes(span.attributes, where),
    status: { code, ...(span.status?.message && { message: span.status.message }) },
    events: span.events.map((event: any) => ({
      name: event.name,
      timeUnixNano: event.timeUnixNano,
      attributes: toAttributes(event.attributes, `${where} event`),
      droppedAttributesCount: event.droppedAttributesCount,
    })),
    links: span.links.map((link: any) => ({
      traceId: id(link.traceId, 16, `${where} link trace_id`),
      spanId: id(link.spanId, 8, `${where} link span_id`),
      traceState: link.traceState,
      flags: link.flags,
      attributes: toAttributes(link.attributes, `${where} link`),
      droppedAttributesCount: link.droppedAttributesCount,
    })),
    startTimeUnixNano: span.startTimeUnixNano,
    endTimeUnixNano: span.endTimeUnixNano,
    scope: {
      name: scopeSpans.scope?.name ?? '',
      version: scopeSpans.scope?.version ?? '',
      attributes: toAttributes(scopeSpans.scope?.attributes ?? [], 'scope'),
      schemaUrl: scopeSpans.schemaUrl,
    },
    resource: toAttributes(resourceSpans.resource?.attributes ?? [], 'resource'),
    resourceSchemaUrl: resourceSpans.schemaUrl,
    flags: span.flags,
    traceState: span.traceState,
    droppedAttributesCount: span.droppedAttributesCount,
    droppedEventsCount: span.droppedEventsCount,
    droppedLinksCount: span.droppedLinksCount,
  };
}

function id(bytes: Uint8Array, length: number, where: string): string {
  if (bytes.length !== length || bytes.every((byte) => byte === 0)) {
    throw new Error(
      `${where}: expected ${length} bytes that are not all zero, got ${Buffer.from(bytes).toString('hex')}`,
    );
  }
  return Buffer.from(bytes).toString('hex');
}

function enumName(value: string | number, where: string): string {
  if (typeof value === 'number') throw new Error(`${where}: unknown enum value ${value}`);
  return value;
}

function toAttributes(keyValues: any[], where: string): Attributes {
  const attributes: Attributes = {};
  for (const { key, value } of keyValues) {
    if (key === '' || Object.hasOwn(attributes, key))
      throw new Error(`${where}: empty or duplicate key ${JSON.stringify(key)}`);
    attributes[key] = toValue(value, `${where} attribute ${key}`);
  }
  return attributes;
}

/** An AnyValue with nothing set is the protocol's null, here `undefined`. */
function toValue(any: any, where: string): AttributeValue {
  switch (any?.value) {
    case 'arrayValue':
      return any.arrayValue.values.map((value: any) => toValue(value, where));
    case 'kvlistValue':
      return toAttributes(any.kvlistValue.values, where);
    case 'intValue': {
      const number = Number(any.intValue);
      return Number.isSafeInteger(number) ? number : any.intValue;
    }
    case undefined:
      return undefined;
    default:
      return any[any.value];
  }
}
