import type { SpanContext } from '@opentelemetry/api';
import type { Resource } from '../resource';
import type { AttributeBlock } from '../trace/attribute-block';
import type { InstrumentationScope, Span, SpanEvent, SpanLimits, SpanLink } from '../trace/span';
import type { SpanIdentity } from '../trace/span-identity';
import { limited, MAX_SPAN_BYTES, TAG_SPAN_ATTRIBUTE, writeAttributes, writeSpanAttributes } from './encode-attributes';
import { INITIAL_BYTES, ProtoWriter, putVarint, SpanTooLarge, varintSize } from './proto-writer';
import { SpareMemory } from './spare-memory';

/**
 * Spans to OTLP protobuf (opentelemetry-proto v1: trace, common, resource, collector/trace).
 *
 * A span is written when it ends, straight into the buffer of its batch: nothing of the span stays on
 * the heap, and the queue can be bounded by bytes.
 */

/** Longest `tracestate` that is exported, in characters: 32 members of the lengths W3C allows do not fit, real ones do. */
const MAX_TRACE_STATE_LENGTH = 8192;

// Bits of Span.flags and Link.flags above the eight W3C trace flags (trace.proto, SpanFlags).
const FLAG_HAS_IS_REMOTE = 0x100;
const FLAG_IS_REMOTE = 0x200;

// Tags: field number << 3 | wire type (0 varint, 1 fixed64, 2 length-delimited, 5 fixed32).
const TAG_SCOPE_SPANS_SPAN = 0x12;
const TAG_EVENT_ATTRIBUTE = 0x1a;
const TAG_LINK_ATTRIBUTE = 0x22;
const TAG_FIRST = 0x0a;
const TAG_SECOND = 0x12;
const TAG_THIRD = 0x1a;

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
  const dropped = writeSpanAttributes(writer, span.ownAttributes, limits, room);
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

/** What batches are written into: to touch as much fresh memory takes 40 µs, of the 400 that a batch takes in all. */
const batchMemory = new SpareMemory();
const requestMemory = new SpareMemory();

/** Takes the memory of a request of `SpanBatch.toRequest` back; whoever sent it has no further use of it. */
export function reuseRequest(request: Buffer): void {
  requestMemory.give(request);
}

/**
 * Encoded spans on their way: one buffer, and where in it the scope changes. Most batches are of few scopes, and two
 * lists of as many items as there are spans would be a twentieth of what a buffered span takes.
 */
export class SpanBatch {
  readonly #writer = new ProtoWriter(expectedBytes, batchMemory.take(expectedBytes));
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

  /**
   * An ExportTraceServiceRequest with one ResourceSpans and one ScopeSpans per scope, in the order scopes were first seen. To be called
   * once: the next batch may write where this one has written.
   */
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
    const size = 1 + varintSize(resourceSpansSize) + resourceSpansSize;
    const request = requestMemory.take(size).subarray(0, size);
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
    batchMemory.give(this.#writer.buffer);
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
