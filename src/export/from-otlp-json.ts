import { ProtoWriter } from './proto-writer';

/**
 * OTLP/JSON to binary, the inverse of otlp-json.ts. Takes what the specification allows (docs/specification.md, "JSON
 * Protobuf Encoding": unknown fields are skipped, 64-bit integers may be numbers or strings, fields with their default may
 * be left out), and nothing else: ids are hexadecimal and of the right length, enums are numbers.
 */
export interface BinaryRequest {
  /** An ExportTraceServiceRequest. */
  readonly request: Buffer;
  readonly spanCount: number;
}

/** Values nested deeper are refused; the encoder of this agent stops at 16. */
const MAX_DEPTH = 32;

const MAX_UINT32 = 0xffff_ffff;
const MAX_INT32 = 0x7fff_ffff;

type Json = Readonly<Record<string, unknown>>;

/** Throws an Error that says what is wrong when `text` is not JSON, or not a request; without the value, which may be a secret. */
export function fromOtlpJson(text: string): BinaryRequest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new TypeError('not JSON');
  }
  const writer = new ProtoWriter(Math.min(Math.max(text.length, 1024), 1024 * 1024));
  const root = object(parsed, 'the line');
  if (!Array.isArray(root['resourceSpans'])) throw new TypeError('resourceSpans is not a list');
  let spanCount = 0;
  for (const item of list(root, 'resourceSpans')) {
    message(writer, 0x0a, () => {
      spanCount += writeResourceSpans(writer, object(item, 'resourceSpans'));
    });
  }
  return { request: Buffer.from(writer.bytes()), spanCount };
}

function writeResourceSpans(writer: ProtoWriter, resourceSpans: Json): number {
  const { resource } = resourceSpans;
  if (isSet(resource)) {
    message(writer, 0x0a, () => {
      const fields = object(resource, 'resource');
      writeAttributes(writer, 0x0a, fields);
      writer.writeCount(0x10, uint32(fields, 'droppedAttributesCount'));
    });
  }
  let spanCount = 0;
  for (const item of list(resourceSpans, 'scopeSpans')) {
    message(writer, 0x12, () => {
      spanCount += writeScopeSpans(writer, object(item, 'scopeSpans'));
    });
  }
  writer.writeString(0x1a, text(resourceSpans, 'schemaUrl'));
  return spanCount;
}

function writeScopeSpans(writer: ProtoWriter, scopeSpans: Json): number {
  const { scope } = scopeSpans;
  if (isSet(scope)) {
    message(writer, 0x0a, () => {
      const fields = object(scope, 'scope');
      writer.writeString(0x0a, text(fields, 'name'));
      writer.writeString(0x12, text(fields, 'version'));
      writeAttributes(writer, 0x1a, fields);
      writer.writeCount(0x20, uint32(fields, 'droppedAttributesCount'));
    });
  }
  const spans = list(scopeSpans, 'spans');
  for (const item of spans) message(writer, 0x12, () => writeSpan(writer, object(item, 'spans')));
  writer.writeString(0x1a, text(scopeSpans, 'schemaUrl'));
  return spans.length;
}

function writeSpan(writer: ProtoWriter, span: Json): void {
  writeId(writer, 0x0a, span, 'traceId', 32);
  writeId(writer, 0x12, span, 'spanId', 16);
  writer.writeString(0x1a, text(span, 'traceState'));
  writeId(writer, 0x22, span, 'parentSpanId', 16);
  writer.writeString(0x2a, text(span, 'name'));
  writer.writeCount(0x30, integer(span, 'kind', MAX_INT32));
  writeTime(writer, 0x39, span, 'startTimeUnixNano');
  writeTime(writer, 0x41, span, 'endTimeUnixNano');
  writeAttributes(writer, 0x4a, span);
  writer.writeCount(0x50, uint32(span, 'droppedAttributesCount'));
  for (const item of list(span, 'events')) message(writer, 0x5a, () => writeEvent(writer, object(item, 'events')));
  writer.writeCount(0x60, uint32(span, 'droppedEventsCount'));
  for (const item of list(span, 'links')) message(writer, 0x6a, () => writeLink(writer, object(item, 'links')));
  writer.writeCount(0x70, uint32(span, 'droppedLinksCount'));
  const { status } = span;
  if (isSet(status)) {
    const fields = object(status, 'status');
    const description = text(fields, 'message');
    const code = integer(fields, 'code', MAX_INT32);
    if (description !== '' || code !== 0) {
      message(writer, 0x7a, () => {
        writer.writeString(0x12, description);
        writer.writeCount(0x18, code);
      });
    }
  }
  const flags = uint32(span, 'flags');
  if (flags === 0) return;
  // Field 16 is the first whose tag takes two bytes.
  writer.writeByte(0x85);
  writer.writeFixed32(0x01, flags);
}

function writeEvent(writer: ProtoWriter, event: Json): void {
  writeTime(writer, 0x09, event, 'timeUnixNano');
  writer.writeString(0x12, text(event, 'name'));
  writeAttributes(writer, 0x1a, event);
  writer.writeCount(0x20, uint32(event, 'droppedAttributesCount'));
}

function writeLink(writer: ProtoWriter, link: Json): void {
  writeId(writer, 0x0a, link, 'traceId', 32);
  writeId(writer, 0x12, link, 'spanId', 16);
  writer.writeString(0x1a, text(link, 'traceState'));
  writeAttributes(writer, 0x22, link);
  writer.writeCount(0x28, uint32(link, 'droppedAttributesCount'));
  const flags = uint32(link, 'flags');
  if (flags !== 0) writer.writeFixed32(0x35, flags);
}

function writeAttributes(writer: ProtoWriter, tag: number, owner: Json): void {
  for (const item of list(owner, 'attributes')) writeKeyValue(writer, tag, item, 0);
}

function writeKeyValue(writer: ProtoWriter, tag: number, item: unknown, depth: number): void {
  const pair = object(item, 'attributes');
  message(writer, tag, () => {
    writer.writeString(0x0a, text(pair, 'key'));
    const { value } = pair;
    if (isSet(value)) message(writer, 0x12, () => writeAnyValue(writer, object(value, 'value'), depth));
  });
}

/** One of the seven kinds; none of them is OTLP's null. */
function writeAnyValue(writer: ProtoWriter, value: Json, depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError('value is nested too deeply');
  if (isSet(value['stringValue'])) {
    writer.writeStringAlways(0x0a, text(value, 'stringValue'));
  } else if (isSet(value['boolValue'])) {
    if (typeof value['boolValue'] !== 'boolean') throw new TypeError('boolValue is not true or false');
    writer.writeByte(0x10);
    writer.writeByte(value['boolValue'] ? 1 : 0);
  } else if (isSet(value['intValue'])) {
    writeInt64(writer, toInteger(value['intValue'], 'intValue', -(2n ** 63n), 2n ** 63n - 1n));
  } else if (isSet(value['doubleValue'])) {
    writer.reserve(9);
    writer.buffer[writer.length] = 0x21;
    writer.length = writer.buffer.writeDoubleLE(toDouble(value['doubleValue']), writer.length + 1);
  } else if (isSet(value['arrayValue'])) {
    const { arrayValue } = value;
    message(writer, 0x2a, () => {
      for (const item of list(object(arrayValue, 'arrayValue'), 'values'))
        message(writer, 0x0a, () => writeAnyValue(writer, object(item, 'values'), depth + 1));
    });
  } else if (isSet(value['kvlistValue'])) {
    const { kvlistValue } = value;
    message(writer, 0x32, () => {
      for (const item of list(object(kvlistValue, 'kvlistValue'), 'values'))
        writeKeyValue(writer, 0x0a, item, depth + 1);
    });
  } else if (isSet(value['bytesValue'])) {
    const base64 = text(value, 'bytesValue');
    if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(base64)) throw new TypeError('bytesValue is not base64');
    message(writer, 0x3a, () => writer.writeBytes(Buffer.from(base64, 'base64')));
  }
}

function message(writer: ProtoWriter, tag: number, write: () => void): void {
  const mark = writer.open(tag);
  write();
  writer.close(mark);
}

/** JSON's null is a field that is not set (proto3, JSON mapping). */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function object(value: unknown, name: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${name} is no object`);
  return value as Json;
}

function list(owner: Json, name: string): readonly unknown[] {
  const value = owner[name];
  if (!isSet(value)) return [];
  if (!Array.isArray(value)) throw new TypeError(`${name} is not a list`);
  return value;
}

function text(owner: Json, name: string): string {
  const value = owner[name];
  if (!isSet(value)) return '';
  if (typeof value !== 'string') throw new TypeError(`${name} is not text`);
  return value;
}

function uint32(owner: Json, name: string): number {
  return integer(owner, name, MAX_UINT32);
}

function integer(owner: Json, name: string, max: number): number {
  const value = owner[name];
  return isSet(value) ? Number(toInteger(value, name, 0n, BigInt(max))) : 0;
}

function toInteger(value: unknown, name: string, min: bigint, max: bigint): bigint {
  const isDigits = typeof value === 'string' && /^-?\d{1,20}$/.test(value);
  if (!isDigits && !Number.isSafeInteger(value)) throw new TypeError(`${name} is not an integer`);
  const number = BigInt(value as string | number);
  if (number < min || number > max) throw new RangeError(`${name} is out of range`);
  return number;
}

function toDouble(value: unknown): number {
  if (typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  if (typeof value === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value)) return Number(value);
  throw new TypeError('doubleValue is not a number');
}

/** Hexadecimal text of exactly `length` digits; left out when empty. */
function writeId(writer: ProtoWriter, tag: number, owner: Json, name: string, length: number): void {
  const id = text(owner, name);
  if (id === '') return;
  if (id.length !== length || !/^[0-9a-f]+$/i.test(id)) throw new TypeError(`${name} is not ${length} hex digits`);
  writer.writeByte(tag);
  writer.writeByte(length / 2);
  writer.writeBytes(Buffer.from(id, 'hex'));
}

/** fixed64; the default 0 is left out. */
function writeTime(writer: ProtoWriter, tag: number, owner: Json, name: string): void {
  const value = owner[name];
  if (!isSet(value)) return;
  const nanos = toInteger(value, name, 0n, 2n ** 64n - 1n);
  if (nanos === 0n) return;
  writer.reserve(9);
  writer.buffer[writer.length] = tag;
  writer.length = writer.buffer.writeBigUInt64LE(nanos, writer.length + 1);
}

/** `AnyValue.int_value`, whose 0 is a value as any other. */
function writeInt64(writer: ProtoWriter, value: bigint): void {
  writer.writeByte(0x18);
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) writer.writeByte(Number(rest & 0x7fn) | 0x80);
  writer.writeByte(Number(rest));
}
