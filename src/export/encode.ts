import type { Attributes, SpanContext } from '@opentelemetry/api';
import type { Resource } from '../resource';
import type { AttributeBlock } from '../trace/attribute-block';
import { cut } from '../trace/attributes';
import type { InstrumentationScope, Span, SpanEvent, SpanLimits, SpanLink } from '../trace/span';
import type { SpanIdentity } from '../trace/span-identity';

/**
 * Spans to OTLP protobuf (opentelemetry-proto v1: trace, common, resource, collector/trace).
 *
 * A span is written when it ends, straight into the buffer of its batch: nothing of the span stays on
 * the heap, and the queue can be bounded by bytes. Lengths of nested messages are written last: room for
 * the likely width is left, and the content is moved in the rare case that the width differs.
 */

/** A span that needs more is dropped: one runaway attribute must not take the batch with it. */
export const MAX_SPAN_BYTES = 2 * 1024 * 1024;

/** First size of a batch's buffer. */
const INITIAL_BYTES = 64 * 1024;

/** Values nested deeper are written as empty ones, which is OTLP's null. */
const MAX_DEPTH = 16;

/** Encoded attribute keys kept. Keys come from conventions, so few are ever seen; beyond this they are encoded each time. */
const MAX_CACHED_KEYS = 2048;
const MAX_CACHED_KEY_LENGTH = 128;

/** Up to this many characters a loop is faster than `utf8Write`. */
const MAX_SHORT_LENGTH = 24;

/** With text of that length everything about an attribute is below 128 bytes; conventional keys are shorter. */
const MAX_SHORT_KEY = 64;

/** Longer attribute keys are cut. */
const MAX_KEY_LENGTH = 1024;

/** Longest `tracestate` that is exported, in characters: 32 members of the lengths W3C allows do not fit, real ones do. */
const MAX_TRACE_STATE_LENGTH = 8192;

/** Seconds that still fit a signed 64-bit count of nanoseconds, which is what most back ends read the time into. */
const MAX_SECONDS = 9_223_372_035;

// Bits of Span.flags and Link.flags above the eight W3C trace flags (trace.proto, SpanFlags).
const FLAG_HAS_IS_REMOTE = 0x100;
const FLAG_IS_REMOTE = 0x200;

// Tags: field number << 3 | wire type (0 varint, 1 fixed64, 2 length-delimited, 5 fixed32).
const TAG_SCOPE_SPANS_SPAN = 0x12;
const TAG_SPAN_ATTRIBUTE = 0x4a;
const TAG_EVENT_ATTRIBUTE = 0x1a;
const TAG_LINK_ATTRIBUTE = 0x22;
const TAG_FIRST = 0x0a;
const TAG_SECOND = 0x12;
const TAG_THIRD = 0x1a;

/** `utf8Write` is what `buffer.write(text, at, 'utf8')` ends in, without the look at its arguments. */
type Utf8Buffer = Buffer & { utf8Write(text: string, at: number, length: number): number };

class SpanTooLarge extends Error {}

/** `KeyValue.key` of each key with the tag of the value behind it. */
const encodedKeys = new Map<string, Uint8Array>();

/** Bytes that grow at the end. Every `write…` method makes its own room. */
export class ProtoWriter {
  buffer: Utf8Buffer;
  length = 0;
  /** `length` may not pass this; see `encodeSpan`. */
  limit = Number.POSITIVE_INFINITY;

  constructor(initialBytes = INITIAL_BYTES) {
    // Not from the pool of small buffers: it would be kept alive by a buffer that lives for seconds.
    this.buffer = Buffer.allocUnsafeSlow(initialBytes) as Utf8Buffer;
  }

  bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  reserve(byteCount: number): void {
    const needed = this.length + byteCount;
    if (needed > this.buffer.length) this.#grow(needed);
  }

  #grow(needed: number): void {
    // The room asked for is three times a string's length; only what was really written counts against the limit.
    if (this.length > this.limit || needed > this.limit * 4) throw new SpanTooLarge();
    // Doubled while it is small; a batch that is a little larger than expected is not to take twice the memory.
    const { length } = this.buffer;
    const grown = Buffer.allocUnsafeSlow(
      Math.max(needed, length < INITIAL_BYTES * 2 ? length * 2 : Math.ceil(length * 1.25)),
    ) as Utf8Buffer;
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  writeByte(byte: number): void {
    this.reserve(1);
    this.buffer[this.length++] = byte;
  }

  /** An unsigned integer below 2^53. */
  writeVarint(value: number): void {
    this.reserve(10);
    this.length = putVarint(this.buffer, this.length, value);
  }

  /** A tag and an integer; protobuf's default 0 is left out. */
  writeCount(tag: number, value: number): void {
    if (value <= 0) return;
    this.writeByte(tag);
    this.writeVarint(value);
  }

  /** A tag, a length and UTF-8; lone surrogates become U+FFFD. The empty string is left out, as protobuf's default. */
  writeString(tag: number, text: string): void {
    if (text.length > 0) this.writeStringAlways(tag, text);
  }

  writeStringAlways(tag: number, text: string): void {
    const guess = text.length;
    this.reserve(guess * 3 + 12);
    const { buffer } = this;
    const start = this.length + 1;
    let width = varintSize(guess);
    let size = putShortAscii(buffer, start + width, text);
    if (size < 0) size = buffer.utf8Write(text, start + width, guess * 3);
    const actualWidth = size === guess ? width : varintSize(size);
    if (actualWidth !== width) {
      buffer.copyWithin(start + actualWidth, start + width, start + width + size);
      width = actualWidth;
    }
    buffer[this.length] = tag;
    putVarint(buffer, start, size);
    this.length = start + width + size;
    if (this.length > this.limit) throw new SpanTooLarge();
  }

  writeBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** `value >>> 0` little-endian. */
  writeFixed32(tag: number, value: number): void {
    this.reserve(5);
    const { buffer } = this;
    buffer[this.length] = tag;
    putUint32(buffer, this.length + 1, value);
    this.length += 5;
  }

  /** Nanoseconds since the epoch as fixed64, in integer arithmetic that stays below 2^53. */
  writeTime(tag: number, seconds: number, nanos: number): void {
    this.reserve(9);
    const whole = Math.min(Math.max(seconds, 0), MAX_SECONDS);
    // seconds * 10^9 + nanos, seconds in two parts of 16 bits and the rest: high * 2^16 + low.
    const upper = Math.floor(whole / 0x10000);
    const rest = (whole - upper * 0x10000) * 1e9 + nanos;
    const carry = Math.floor(rest / 0x10000);
    const high = upper * 1e9 + carry;
    const highHigh = Math.floor(high / 0x10000);
    const { buffer } = this;
    buffer[this.length] = tag;
    putUint32(buffer, this.length + 1, (high - highHigh * 0x10000) * 0x10000 + (rest - carry * 0x10000));
    putUint32(buffer, this.length + 5, highHigh);
    this.length += 9;
  }

  /** Opens a nested message whose length is not known yet. Returns the mark for `close`. */
  open(tag: number): number {
    this.reserve(2);
    this.buffer[this.length] = tag;
    this.length += 2;
    return this.length;
  }

  close(mark: number): void {
    const size = this.length - mark;
    const width = varintSize(size);
    if (width > 1) {
      this.reserve(width - 1);
      this.buffer.copyWithin(mark + width - 1, mark, this.length);
      this.length += width - 1;
    }
    putVarint(this.buffer, mark - 1, size);
  }
}

/** Bytes of `value` as a varint. */
function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let size = 4;
  for (let rest = Math.floor(value / 0x10000000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Writes an unsigned integer below 2^53; returns the place behind it. */
function putVarint(buffer: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80000000) {
    buffer[next++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    buffer[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[next++] = rest;
  return next;
}

/** A negative integer as ten bytes: the varint of its 64-bit two's complement (protobuf, int64). */
function putNegative(buffer: Uint8Array, at: number, value: number): number {
  // ~(-value - 1) is the two's complement; the seven-bit groups are inverted one by one, the tenth holds only bit 63.
  let inverse = -value - 1;
  for (let group = 0; group < 9; group++) {
    buffer[at + group] = (0x7f - (inverse % 0x80)) | 0x80;
    inverse = Math.floor(inverse / 0x80);
  }
  buffer[at + 9] = 1;
  return at + 10;
}

function putUint32(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
}

function putInt32BigEndian(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
}

/** `trace_id` and `span_id`, which spans and links both begin with; returns the place behind them. */
function putIds(buffer: Uint8Array, at: number, identity: SpanIdentity): number {
  buffer[at] = TAG_FIRST;
  buffer[at + 1] = 16;
  putInt32BigEndian(buffer, at + 2, identity.trace0);
  putInt32BigEndian(buffer, at + 6, identity.trace1);
  putInt32BigEndian(buffer, at + 10, identity.trace2);
  putInt32BigEndian(buffer, at + 14, identity.trace3);
  buffer[at + 18] = TAG_SECOND;
  buffer[at + 19] = 8;
  putInt32BigEndian(buffer, at + 20, identity.span0);
  putInt32BigEndian(buffer, at + 24, identity.span1);
  return at + 28;
}

/**
 * Appends one `ScopeSpans.spans` entry. With the writer as it was when the span needs more than `maxBytes` or cannot be
 * encoded at all. Never throws.
 */
export function encodeSpan(
  writer: ProtoWriter,
  span: Span,
  maxBytes: number = MAX_SPAN_BYTES,
): 'encoded' | 'too_large' | 'invalid' {
  const start = writer.length;
  try {
    writer.limit = start + maxBytes;
    writeSpan(writer, span);
    if (writer.length <= writer.limit) return 'encoded';
    writer.length = start;
    return 'too_large';
  } catch (error) {
    writer.length = start;
    return error instanceof SpanTooLarge ? 'too_large' : 'invalid';
  } finally {
    writer.limit = Number.POSITIVE_INFINITY;
  }
}

function writeSpan(writer: ProtoWriter, span: Span): void {
  const { identity, parent, shared } = span;
  const { limits } = shared;
  // Most spans are between 128 and 16,383 bytes long, so two bytes are left for the length.
  writer.reserve(128);
  const mark = writer.length + 3;
  writer.buffer[mark - 3] = TAG_SCOPE_SPANS_SPAN;
  writer.length = mark;
  {
    const { buffer } = writer;
    let at = putIds(buffer, mark, identity);
    if (parent !== undefined) {
      buffer[at] = 0x22; // parent_span_id
      buffer[at + 1] = 8;
      putInt32BigEndian(buffer, at + 2, parent.span0);
      putInt32BigEndian(buffer, at + 6, parent.span1);
      at += 10;
    }
    buffer[at] = 0x30; // kind: the API counts from 0, OTLP keeps 0 for "unspecified"
    buffer[at + 1] = isKind(span.kind) ? span.kind + 1 : 0;
    writer.length = at + 2;
  }
  if (identity.traceState !== undefined) writer.writeString(TAG_THIRD, traceStateOf(identity.traceState));
  writer.writeString(0x2a, span.name);
  writeTimes(writer, span);
  const room = limits.attributeCountLimit - writeBlocks(writer, span);
  const dropped = writeAttributes(writer, TAG_SPAN_ATTRIBUTE, span.ownAttributes, limits, room);
  writer.writeCount(0x50, span.droppedAttributesCount + dropped);
  for (const event of span.events) writeEvent(writer, event, limits);
  writer.writeCount(0x60, span.droppedEventsCount);
  for (const link of span.links) writeLink(writer, link, limits);
  writer.writeCount(0x70, span.droppedLinksCount);
  const { status } = span;
  if (status.code !== 0) {
    const statusMark = writer.open(0x7a);
    if (typeof status.message === 'string') writer.writeString(TAG_SECOND, limited(status.message, limits));
    writer.writeCount(0x18, status.code);
    writer.close(statusMark);
  }
  // Field 16 is the first whose tag takes two bytes.
  writer.writeByte(0x85);
  writer.writeFixed32(0x01, (identity.flags & 0xff) | FLAG_HAS_IS_REMOTE | (parent?.isRemote ? FLAG_IS_REMOTE : 0));

  const size = writer.length - mark;
  const width = varintSize(size);
  if (width !== 2) {
    writer.reserve(width);
    writer.buffer.copyWithin(mark + width - 2, mark, writer.length);
    writer.length += width - 2;
  }
  putVarint(writer.buffer, mark - 2, size);
}

/** Returns how many attributes were written. */
function writeBlocks(writer: ProtoWriter, span: Span): number {
  const { block0, block1, block2, block3 } = span;
  if (block0 === undefined) return 0;
  const { limits } = span.shared;
  const count = span.blockCount;
  if (count > limits.attributeCountLimit) {
    // More in the blocks alone than there may be: as one object, which is then written without the rest.
    void span.attributes;
    return 0;
  }
  writeBlock(writer, block0, limits);
  if (block1 !== undefined) writeBlock(writer, block1, limits);
  if (block2 !== undefined) writeBlock(writer, block2, limits);
  if (block3 !== undefined) writeBlock(writer, block3, limits);
  return count;
}

function writeBlock(writer: ProtoWriter, block: AttributeBlock, limits: SpanLimits): void {
  let { encoded } = block;
  if (encoded === undefined || encoded.limits !== limits) {
    const bytes = new ProtoWriter(256);
    writeAttributes(bytes, TAG_SPAN_ATTRIBUTE, block.attributes, limits, Number.POSITIVE_INFINITY);
    encoded = { bytes: Uint8Array.prototype.slice.call(bytes.bytes()), limits };
    block.encoded = encoded;
  }
  writer.writeBytes(encoded.bytes);
}

function isKind(kind: unknown): kind is number {
  return typeof kind === 'number' && kind >= 0 && kind <= 4;
}

function writeTimes(writer: ProtoWriter, span: Span): void {
  if (!span.isMonotonic) {
    const start = span.startTime;
    const end = span.endTime;
    writer.writeTime(0x39, start[0], start[1]);
    writer.writeTime(0x41, end[0], end[1]);
    return;
  }
  const { anchor, startMs, endMs } = span;
  // Same arithmetic as toHrTime, without its arrays.
  const start = anchor.nanos + Math.round((startMs - anchor.monotonicMs) * 1e6);
  const end = endMs > startMs ? anchor.nanos + Math.round((endMs - anchor.monotonicMs) * 1e6) : start;
  const startCarry = Math.floor(start / 1e9);
  const endCarry = Math.floor(end / 1e9);
  writer.writeTime(0x39, anchor.seconds + startCarry, start - startCarry * 1e9);
  writer.writeTime(0x41, anchor.seconds + endCarry, end - endCarry * 1e9);
}

/** Empty when the application's own TraceState fails. */
function traceStateOf(traceState: NonNullable<SpanContext['traceState']>): string {
  try {
    const text = traceState.serialize();
    return typeof text === 'string' && text.length <= MAX_TRACE_STATE_LENGTH ? text : '';
  } catch {
    return '';
  }
}

function writeEvent(writer: ProtoWriter, event: SpanEvent, limits: SpanLimits): void {
  const mark = writer.open(0x5a);
  writer.writeTime(0x09, event.time[0], event.time[1]);
  writer.writeString(TAG_SECOND, limited(event.name, limits));
  const dropped = writeAttributes(
    writer,
    TAG_EVENT_ATTRIBUTE,
    event.attributes,
    limits,
    limits.attributePerEventCountLimit,
  );
  writer.writeCount(0x20, event.droppedAttributesCount + dropped);
  writer.close(mark);
}

function writeLink(writer: ProtoWriter, link: SpanLink, limits: SpanLimits): void {
  const mark = writer.open(0x6a);
  const { identity } = link;
  let flags: unknown;
  let traceState: SpanContext['traceState'];
  let isRemote: boolean | undefined;
  if (identity !== undefined) {
    ({ flags, traceState, isRemote } = identity);
    writer.reserve(28);
    writer.length = putIds(writer.buffer, mark, identity);
  } else {
    const { context } = link;
    ({ traceFlags: flags, traceState, isRemote } = context);
    writeHex(writer, TAG_FIRST, context.traceId, 32);
    writeHex(writer, TAG_SECOND, context.spanId, 16);
  }
  if (traceState !== undefined && traceState !== null) writer.writeString(TAG_THIRD, traceStateOf(traceState));
  const dropped = writeAttributes(
    writer,
    TAG_LINK_ATTRIBUTE,
    link.attributes,
    limits,
    limits.attributePerLinkCountLimit,
  );
  writer.writeCount(0x28, link.droppedAttributesCount + dropped);
  writer.writeFixed32(0x35, (Number(flags) & 0xff) | FLAG_HAS_IS_REMOTE | (isRemote === true ? FLAG_IS_REMOTE : 0));
  writer.close(mark);
}

/** Values of hexadecimal digits by character code; `INVALID` for what is none. */
const INVALID = 0x80;
const HEX_VALUE = new Uint8Array(128).fill(INVALID);
for (const digits of ['0123456789abcdef', '0123456789ABCDEF']) {
  for (let value = 0; value < 16; value++) HEX_VALUE[digits.charCodeAt(value)] = value;
}

/** An id of the application's own making: left out unless it is hexadecimal of the right length. */
function writeHex(writer: ProtoWriter, tag: number, id: unknown, length: 16 | 32): void {
  if (typeof id !== 'string' || id.length !== length) return;
  writer.reserve(2 + length / 2);
  const { buffer } = writer;
  const start = writer.length + 2;
  for (let i = 0; i < length; i += 2) {
    const high = HEX_VALUE[id.charCodeAt(i)] ?? INVALID;
    const low = HEX_VALUE[id.charCodeAt(i + 1)] ?? INVALID;
    if ((high | low) >= INVALID) return;
    buffer[start + i / 2] = (high << 4) | low;
  }
  buffer[start - 2] = tag;
  buffer[start - 1] = length / 2;
  writer.length = start + length / 2;
}

/**
 * Writes at most `maxCount` attributes and returns how many were left out. The limit matters for
 * literals that a span adopted without counting; those put in one by one are already within it.
 */
function writeAttributes(
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
      if (typeof value === 'string') writeStringAttribute(writer, tag, key, limited(value, limits));
      else if (typeof value === 'number') writeNumberAttribute(writer, tag, key, value);
      else writeKeyValue(writer, tag, key, value, limits, 0);
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

function limited(text: string, limits: SpanLimits): string {
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

/** Writes short ASCII without the cost of a call into C++; -1 for all other text. */
function putShortAscii(buffer: Uint8Array, at: number, text: string): number {
  const { length } = text;
  if (length > MAX_SHORT_LENGTH) return -1;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return -1;
    buffer[at + i] = code;
  }
  return length;
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

const NO_LIMITS: SpanLimits = {
  attributeCountLimit: Number.POSITIVE_INFINITY,
  attributeValueLengthLimit: Number.POSITIVE_INFINITY,
  eventCountLimit: Number.POSITIVE_INFINITY,
  linkCountLimit: Number.POSITIVE_INFINITY,
  attributePerEventCountLimit: Number.POSITIVE_INFINITY,
  attributePerLinkCountLimit: Number.POSITIVE_INFINITY,
};

/** `ResourceSpans.resource` and, behind the scopes, `ResourceSpans.schema_url`. Limits do not apply to resources. */
export interface ResourceBytes {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

export function encodeResource(resource: Resource): ResourceBytes {
  const writer = new ProtoWriter(1024);
  const mark = writer.open(TAG_FIRST);
  writeAttributes(writer, TAG_FIRST, resource.attributes, NO_LIMITS, Number.POSITIVE_INFINITY);
  writer.close(mark);
  return { head: writer.bytes(), tail: encodeSchemaUrl(resource.schemaUrl) };
}

/** `ScopeSpans.scope` and `ScopeSpans.schema_url`; scopes live as long as their tracers, so their bytes do as well. */
const encodedScopes = new WeakMap<InstrumentationScope, ResourceBytes>();

function encodeScope(scope: InstrumentationScope): ResourceBytes {
  let encoded = encodedScopes.get(scope);
  if (encoded === undefined) {
    const writer = new ProtoWriter(128);
    const mark = writer.open(TAG_FIRST);
    if (typeof scope.name === 'string') writer.writeString(TAG_FIRST, scope.name);
    if (typeof scope.version === 'string') writer.writeString(TAG_SECOND, scope.version);
    writer.close(mark);
    encoded = { head: writer.bytes(), tail: encodeSchemaUrl(scope.schemaUrl) };
    encodedScopes.set(scope, encoded);
  }
  return encoded;
}

function encodeSchemaUrl(schemaUrl: unknown): Uint8Array {
  const writer = new ProtoWriter(128);
  if (typeof schemaUrl === 'string') writer.writeString(TAG_THIRD, schemaUrl);
  return writer.bytes();
}

/**
 * What the last batch took and a little more, or nearly what was expected of it: most batches then never have to grow, and
 * idle processes hold little.
 */
let expectedBytes = INITIAL_BYTES;
const SLACK = 1.02;
const DECAY = 0.8;
const MAX_EXPECTED_BYTES = 512 * 1024;

/**
 * Encoded spans on their way: one buffer, and where in it the scope changes. Most batches are of few scopes, and two
 * lists of as many items as there are spans would be a twentieth of what a buffered span takes.
 */
export class SpanBatch {
  readonly #writer = new ProtoWriter(expectedBytes);
  /** Of each run of spans of one scope: where it ends. */
  readonly #ends: number[] = [];
  readonly #scopes: InstrumentationScope[] = [];
  #spanCount = 0;
  readonly #maxSpanBytes: number;

  /** `maxSpanBytes`: a span that needs more is not taken. */
  constructor(maxSpanBytes: number = MAX_SPAN_BYTES) {
    this.#maxSpanBytes = maxSpanBytes;
  }

  get spanCount(): number {
    return this.#spanCount;
  }

  get byteCount(): number {
    return this.#writer.length;
  }

  add(span: Span): 'encoded' | 'too_large' | 'invalid' {
    const result = encodeSpan(this.#writer, span, this.#maxSpanBytes);
    if (result === 'encoded') {
      const { scope } = span.shared;
      const last = this.#scopes.length - 1;
      if (this.#scopes[last] === scope) {
        this.#ends[last] = this.#writer.length;
      } else {
        this.#ends.push(this.#writer.length);
        this.#scopes.push(scope);
      }
      this.#spanCount++;
    }
    return result;
  }

  /** An ExportTraceServiceRequest with one ResourceSpans and one ScopeSpans per scope, in the order scopes were first seen. */
  toRequest(resource: ResourceBytes): Buffer {
    const nextBytes = Math.ceil(Math.max(this.byteCount * SLACK, expectedBytes * DECAY));
    expectedBytes = Math.min(Math.max(nextBytes, INITIAL_BYTES), MAX_EXPECTED_BYTES);
    const sizes = new Map<InstrumentationScope, number>();
    let start = 0;
    for (let i = 0; i < this.#ends.length; i++) {
      const scope = this.#scopes[i] as InstrumentationScope;
      const end = this.#ends[i] as number;
      sizes.set(scope, (sizes.get(scope) ?? 0) + end - start);
      start = end;
    }
    let resourceSpansSize = resource.head.length + resource.tail.length;
    for (const [scope, size] of sizes) {
      const { head, tail } = encodeScope(scope);
      const scopeSpansSize = head.length + size + tail.length;
      sizes.set(scope, scopeSpansSize);
      resourceSpansSize += 1 + varintSize(scopeSpansSize) + scopeSpansSize;
    }
    const request = Buffer.allocUnsafeSlow(1 + varintSize(resourceSpansSize) + resourceSpansSize);
    request[0] = TAG_FIRST;
    let at = putVarint(request, 1, resourceSpansSize);
    at = put(request, at, resource.head);
    for (const [scope, scopeSpansSize] of sizes) {
      const { head, tail } = encodeScope(scope);
      request[at] = TAG_SECOND;
      at = putVarint(request, at + 1, scopeSpansSize);
      at = put(request, at, head);
      at = this.#copySpansOf(scope, request, at);
      at = put(request, at, tail);
    }
    put(request, at, resource.tail);
    return request;
  }

  #copySpansOf(scope: InstrumentationScope, target: Buffer, targetAt: number): number {
    const { buffer } = this.#writer;
    let at = targetAt;
    let start = 0;
    for (let i = 0; i < this.#ends.length; i++) {
      const end = this.#ends[i] as number;
      if (this.#scopes[i] === scope) at += buffer.copy(target, at, start, end);
      start = end;
    }
    return at;
  }
}

function put(target: Buffer, at: number, bytes: Uint8Array): number {
  target.set(bytes, at);
  return at + bytes.length;
}
