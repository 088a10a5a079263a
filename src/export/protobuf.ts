/**
 * Walks over one protobuf message. Nothing is allocated per field but the views of nested messages; the schema is the
 * caller's.
 */
export class ProtoReader {
  #at = 0;
  #wireType = 0;

  constructor(readonly bytes: Uint8Array) {}

  /** The next field's number; 0 at the end. Throws a RangeError at the first byte that is no protobuf. */
  next(): number {
    if (this.#at >= this.bytes.length) return 0;
    const tag = this.#varint();
    this.#wireType = tag % 8;
    return Math.floor(tag / 8);
  }

  /** Bytes read so far: between two calls of `next`, where a field begins. */
  get position(): number {
    return this.#at;
  }

  /** An unsigned integer; above 2^53 it loses digits. */
  number(): number {
    this.#expect(0);
    return this.#varint();
  }

  /** A signed 64-bit integer as decimal digits. */
  int64(): string {
    this.#expect(0);
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value).toString();
    }
    throw new RangeError('bad varint');
  }

  /** An unsigned 64-bit integer as decimal digits. */
  fixed64(): string {
    this.#expect(1);
    const view = this.#view(8);
    return view.getBigUint64(0, true).toString();
  }

  double(): number {
    this.#expect(1);
    return this.#view(8).getFloat64(0, true);
  }

  fixed32(): number {
    this.#expect(5);
    return this.#view(4).getUint32(0, true);
  }

  /** A view, not a copy. */
  message(): Uint8Array {
    this.#expect(2);
    const size = this.#varint();
    const start = this.#at;
    if (start + size > this.bytes.length) throw new RangeError('truncated');
    this.#at = start + size;
    return this.bytes.subarray(start, start + size);
  }

  text(): string {
    const { buffer, byteOffset, length } = this.message();
    return Buffer.from(buffer, byteOffset, length).toString('utf8');
  }

  skip(): void {
    switch (this.#wireType) {
      case 0:
        this.#varint();
        break;
      case 1:
        this.#view(8);
        break;
      case 2:
        this.message();
        break;
      case 5:
        this.#view(4);
        break;
      default:
        throw new RangeError('bad wire type');
    }
  }

  #expect(wireType: number): void {
    if (this.#wireType !== wireType) throw new RangeError('unexpected wire type');
  }

  #byte(): number {
    const byte = this.bytes[this.#at++];
    if (byte === undefined) throw new RangeError('truncated');
    return byte;
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 10; shift++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if (byte < 0x80) return value;
    }
    throw new RangeError('bad varint');
  }

  #view(size: number): DataView {
    const start = this.#at;
    this.#at += size;
    if (this.#at > this.bytes.length) throw new RangeError('truncated');
    return new DataView(this.bytes.buffer, this.bytes.byteOffset + start, size);
  }
}
