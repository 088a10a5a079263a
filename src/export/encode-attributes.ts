import type { Attributes } from '@opentelemetry/api';
import { cut } from '../trace/attributes';
import type { SpanLimits } from '../trace/span';
import { shapeOf } from './attribute-shape';
import {
  MAX_SHORT_LENGTH,
  type ProtoWriter,
  putNegative,
  putShortAscii,
  putVarint,
  SpanTooLarge,
  varintSize,
} from './proto-writer';

/** A span that needs more is dropped: one runaway attribute must not take the batch with it. */
export const MAX_SPAN_BYTES = 2 * 1024 * 1024;

/** Values nested deeper are written as empty ones, which is OTLP's null. */
const MAX_DEPTH = 16;

/** Encoded attribute keys kept. Keys come from conventions, so few are ever seen; beyond this they are encoded each time. */
const MAX_CACHED_KEYS = 2048;
const MAX_CACHED_KEY_LENGTH = 128;

/** With text of that length everything about an attribute is below 128 bytes; conventional keys are shorter. */
const MAX_SHORT_KEY = 64;

/** Longer attribute keys are cut. */
const MAX_KEY_LENGTH = 1024;

// Tags of KeyValue.key, KeyValue.value and AnyValue.string_value.
const TAG_FIRST = 0x0a;
const TAG_SECOND = 0x12;

/** Span.attributes. */
export const TAG_SPAN_ATTRIBUTE = 0x4a;

/** `KeyValue.key` of each key with the tag of the value behind it. */
const encodedKeys = new Map<string, Uint8Array>();

/**
 * Writes at most `maxCount` attributes and returns how many were left out. The limit matters for
 * literals that a span adopted without counting; those put in one by one are already within it.
 */
export function writeAttributes(
  writer: ProtoWriter,
  tag: number,
  attributes: Attributes,
  limits: SpanLimits,
  maxCount: number,
): number {
  let count = 0;
  let dropped = 0;
  // Own keys only: for-in would also find what the application added to Object.prototype.
  for (const key of Object.keys(attributes)) {
    const start = writer.length;
    try {
      const value: unknown = attributes[key];
      if (value === undefined || key === '') continue;
      if (count >= maxCount) {
        dropped++;
        continue;
      }
      writeAttribute(writer, tag, key, value, limits);
      count++;
    } catch (error) {
      if (error instanceof SpanTooLarge) throw error;
      // A hostile getter or proxy costs this attribute only.
      writer.length = start;
      dropped++;
    }
  }
  return dropped;
}

/** `writeAttributes` for those of a span, of which many are made by the same piece of code. */
export function writeSpanAttributes(
  writer: ProtoWriter,
  attributes: Attributes,
  limits: SpanLimits,
  maxCount: number,
): number {
  const keys = Object.keys(attributes);
  if (keys.length === 0) return 0;
  if (keys.length <= maxCount) {
    const start = writer.length;
    try {
      if (shapeOf(keys, attributes, limits, writeSpanAttribute)?.write(writer, attributes)) return 0;
    } catch (error) {
      if (error instanceof SpanTooLarge) throw error;
      // One by one, then, and without what cannot be read.
      writer.length = start;
    }
  }
  return writeAttributes(writer, TAG_SPAN_ATTRIBUTE, attributes, limits, maxCount);
}

function writeSpanAttribute(writer: ProtoWriter, key: string, value: unknown, limits: SpanLimits): void {
  if (value !== undefined && key !== '') writeAttribute(writer, TAG_SPAN_ATTRIBUTE, key, value, limits);
}

function writeAttribute(writer: ProtoWriter, tag: number, key: string, value: unknown, limits: SpanLimits): void {
  if (typeof value === 'string') writeStringAttribute(writer, tag, key, limited(value, limits));
  else if (typeof value === 'number') writeNumberAttribute(writer, tag, key, value);
  else writeKeyValue(writer, tag, key, value, limits, 0);
}

export function limited(text: string, limits: SpanLimits): string {
  const maxLength = limits.attributeValueLengthLimit;
  return text.length > maxLength ? cut(text, maxLength) : text;
}

/** The commonest attribute in one pass: three nested lengths, right at the first try for ASCII. */
function writeStringAttribute(writer: ProtoWriter, tag: number, key: string, text: string): void {
  const keyBytes = encodeKey(key);
  const guess = text.length;
  if (guess <= MAX_SHORT_LENGTH && keyBytes.length <= MAX_SHORT_KEY && writeShort(writer, tag, keyBytes, text)) return;
  writer.reserve(guess * 3 + keyBytes.length + 24);
  const { buffer } = writer;
  const start = writer.length;
  const head = stringHead(keyBytes.length, guess);
  let size = putShortAscii(buffer, start + head, text);
  if (size < 0) {
    size = buffer.utf8Write(text, start + head, guess * 3);
    if (size !== guess) {
      const actual = stringHead(keyBytes.length, size);
      if (actual !== head) buffer.copyWithin(start + actual, start + head, start + head + size);
    }
  }
  const valueSize = 1 + varintSize(size) + size;
  buffer[start] = tag;
  let at = putVarint(buffer, start + 1, keyBytes.length + varintSize(valueSize) + valueSize);
  buffer.set(keyBytes, at);
  at = putVarint(buffer, at + keyBytes.length, valueSize);
  buffer[at] = TAG_FIRST; // string_value
  at = putVarint(buffer, at + 1, size);
  writer.length = at + size;
  if (writer.length > writer.limit) throw new SpanTooLarge();
}

/** With short ASCII every length is one byte. False, with nothing written, for other text. */
function writeShort(writer: ProtoWriter, tag: number, keyBytes: Uint8Array, text: string): boolean {
  const keySize = keyBytes.length;
  const textSize = text.length;
  writer.reserve(keySize + textSize + 5);
  const { buffer } = writer;
  const start = writer.length;
  const textAt = start + keySize + 5;
  for (let i = 0; i < textSize; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return false;
    buffer[textAt + i] = code;
  }
  for (let i = 0; i < keySize; i++) buffer[start + 2 + i] = keyBytes[i] as number;
  buffer[start] = tag;
  buffer[start + 1] = keySize + textSize + 3;
  buffer[textAt - 3] = textSize + 2;
  buffer[textAt - 2] = TAG_FIRST; // string_value
  buffer[textAt - 1] = textSize;
  writer.length = textAt + textSize;
  return true;
}

/** A number takes 11 bytes at most, so both lengths are one byte unless the key is long. */
function writeNumberAttribute(writer: ProtoWriter, tag: number, key: string, value: number): void {
  const keyBytes = encodeKey(key);
  writer.reserve(keyBytes.length + 16);
  const { buffer } = writer;
  const start = writer.length;
  const keyAt = start + (keyBytes.length + 12 < 0x80 ? 2 : 3);
  const valueAt = keyAt + keyBytes.length + 1;
  buffer.set(keyBytes, keyAt);
  writer.length = valueAt;
  writeNumber(writer, value);
  buffer[valueAt - 1] = writer.length - valueAt;
  buffer[start] = tag;
  const size = writer.length - keyAt;
  // Close to the edge the length takes one byte although two were left: written as two, which protobuf allows.
  if (keyAt - start === 2) {
    buffer[start + 1] = size;
  } else {
    buffer[start + 1] = (size & 0x7f) | 0x80;
    buffer[start + 2] = size >>> 7;
  }
}

/** Bytes of a string attribute before the text itself. */
function stringHead(keySize: number, textSize: number): number {
  const textWidth = varintSize(textSize);
  const valueSize = 1 + textWidth + textSize;
  const valueWidth = varintSize(valueSize);
  return 1 + varintSize(keySize + valueWidth + valueSize) + keySize + valueWidth + 1 + textWidth;
}

/** `KeyValue.key` and the tag of `KeyValue.value`. */
function encodeKey(key: string): Uint8Array {
  const known = encodedKeys.get(key);
  if (known !== undefined) return known;
  const text = Buffer.from(key.length > MAX_KEY_LENGTH ? cut(key, MAX_KEY_LENGTH) : key, 'utf8');
  const width = varintSize(text.length);
  const encoded = new Uint8Array(text.length + width + 2);
  encoded[0] = TAG_FIRST;
  putVarint(encoded, 1, text.length);
  encoded.set(text, 1 + width);
  encoded[encoded.length - 1] = TAG_SECOND;
  if (encodedKeys.size < MAX_CACHED_KEYS && key.length <= MAX_CACHED_KEY_LENGTH) encodedKeys.set(key, encoded);
  return encoded;
}

function writeKeyValue(
  writer: ProtoWriter,
  tag: number,
  key: string,
  value: unknown,
  limits: SpanLimits,
  depth: number,
): void {
  const mark = writer.open(tag);
  const keyBytes = encodeKey(key);
  writer.writeBytes(keyBytes);
  // The key's bytes end with the value's tag, for which `open` leaves the room of a length.
  writer.length--;
  const valueMark = writer.open(TAG_SECOND);
  writeAnyValue(writer, value, limits, depth);
  writer.close(valueMark);
  writer.close(mark);
}

/** The content of an AnyValue. What has no form in OTLP is left empty, which reads as null. */
function writeAnyValue(writer: ProtoWriter, value: unknown, limits: SpanLimits, depth: number): void {
  if (writer.length > writer.limit) throw new SpanTooLarge();
  switch (typeof value) {
    case 'string':
      writer.writeStringAlways(TAG_FIRST, limited(value, limits));
      return;
    case 'boolean':
      writer.writeByte(0x10);
      writer.writeByte(value ? 1 : 0);
      return;
    case 'number':
      writeNumber(writer, value);
      return;
    case 'bigint':
      writer.writeStringAlways(TAG_FIRST, limited(value.toString(), limits));
      return;
    case 'object':
      if (value !== null && depth < MAX_DEPTH) writeObject(writer, value, limits, depth);
      return;
  }
}

function writeNumber(writer: ProtoWriter, value: number): void {
  writer.reserve(11);
  const { buffer } = writer;
  const at = writer.length;
  if (Number.isSafeInteger(value)) {
    buffer[at] = 0x18;
    writer.length = value < 0 ? putNegative(buffer, at + 1, value) : putVarint(buffer, at + 1, value);
  } else {
    buffer[at] = 0x21;
    writer.length = buffer.writeDoubleLE(value, at + 1);
  }
}

function writeObject(writer: ProtoWriter, value: object, limits: SpanLimits, depth: number): void {
  if (value instanceof Uint8Array) {
    const size = Math.min(value.length, limits.attributeValueLengthLimit);
    if (size > MAX_SPAN_BYTES) throw new SpanTooLarge();
    const mark = writer.open(0x3a);
    writer.writeBytes(value.subarray(0, size));
    writer.close(mark);
    return;
  }
  if (Array.isArray(value)) {
    const mark = writer.open(0x2a);
    for (let i = 0; i < value.length; i++) {
      const item = writer.open(TAG_FIRST);
      writeAnyValue(writer, value[i], limits, depth + 1);
      writer.close(item);
    }
    writer.close(mark);
    return;
  }
  const mark = writer.open(0x32);
  for (const key of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[key];
    if (item === undefined || typeof item === 'function' || typeof item === 'symbol') continue;
    writeKeyValue(writer, TAG_FIRST, key, item, limits, depth + 1);
  }
  writer.close(mark);
}
