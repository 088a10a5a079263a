/**
 * Protobuf, written into a buffer that grows (protobuf.dev, "Encoding"). Lengths of nested messages are written last: room
 * for the likely width is left, and the content is moved in the rare case that the width differs.
 */

/** First size of a batch's buffer. */
export const INITIAL_BYTES = 64 * 1024;

/** Up to this many characters a loop is faster than `utf8Write`. */
export const MAX_SHORT_LENGTH = 24;

/** Seconds that still fit a signed 64-bit count of nanoseconds, which is what most back ends read the time into. */
const MAX_SECONDS = 9_223_372_035;

/** `utf8Write` is what `buffer.write(text, at, 'utf8')` ends in, without the look at its arguments. */
type Utf8Buffer = Buffer & { utf8Write(text: string, at: number, length: number): number };

export class SpanTooLarge extends Error {}

/** Bytes that grow at the end. Every `write…` method makes its own room. */
export class ProtoWriter {
  buffer: Utf8Buffer;
  length = 0;
  /** `length` may not pass this; see `encodeSpan`. */
  limit = Number.POSITIVE_INFINITY;

  /** `buffer`: memory of another writer's, which has no further use of it. */
  constructor(initialBytes = INITIAL_BYTES, buffer?: Buffer) {
    // Not from the pool of small buffers: it would be kept alive by a buffer that lives for seconds.
    this.buffer = (buffer ?? Buffer.allocUnsafeSlow(initialBytes)) as Utf8Buffer;
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
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let size = 4;
  for (let rest = Math.floor(value / 0x10000000); rest > 0; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Writes an unsigned integer below 2^53; returns the place behind it. */
export function putVarint(buffer: Uint8Array, at: number, value: number): number {
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
export function putNegative(buffer: Uint8Array, at: number, value: number): number {
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

/** Writes short ASCII without the cost of a call into C++; -1 for all other text. */
export function putShortAscii(buffer: Uint8Array, at: number, text: string): number {
  const { length } = text;
  if (length > MAX_SHORT_LENGTH) return -1;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) return -1;
    buffer[at + i] = code;
  }
  return length;
}
