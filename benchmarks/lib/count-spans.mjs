// Counts the spans of a request without making anything of them.

/**
 * Fields of an ExportTraceServiceRequest: resource_spans = 1, in it scope_spans = 2, in it spans = 2.
 * @param {Uint8Array} bytes
 */
export function countOtlpSpans(bytes) {
  let count = 0;
  forEachField(bytes, 0, bytes.length, 1, (resourceStart, resourceEnd) =>
    forEachField(bytes, resourceStart, resourceEnd, 2, (scopeStart, scopeEnd) =>
      forEachField(bytes, scopeStart, scopeEnd, 2, () => {
        count++;
      }),
    ),
  );
  return count;
}

/** Calls `visit` with start and end of each field of this number; all fields at these levels have a length. */
function forEachField(bytes, start, end, number, visit) {
  for (let at = start; at < end; ) {
    const field = bytes[at++] >>> 3;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (field === number) visit(at, at + length);
    at += length;
  }
}

/**
 * Version 0.4 of the protocol of Datadog's agent: a MessagePack array of traces, each an array of spans.
 * @param {Buffer} bytes
 */
export function countDatadogSpans(bytes) {
  let at = 0;
  let count = 0;
  const traces = arrayLength();
  for (let trace = 0; trace < traces; trace++) {
    const spans = arrayLength();
    for (let span = 0; span < spans; span++) skip();
    count += spans;
  }
  return count;

  function arrayLength() {
    const type = bytes[at++];
    if (type >= 0x90 && type <= 0x9f) return type & 0x0f;
    if (type === 0xdc) return unsigned(2);
    if (type === 0xdd) return unsigned(4);
    throw new Error(`no array at ${at - 1}, but a value of type ${type}`);
  }

  function unsigned(size) {
    at += size;
    return bytes.readUIntBE(at - size, size);
  }

  function skip() {
    const type = bytes[at++];
    if (type <= 0x7f || type >= 0xe0) return;
    if (type <= 0x8f) return skipAll(2 * (type & 0x0f));
    if (type <= 0x9f) return skipAll(type & 0x0f);
    if (type <= 0xbf) return skipBytes(type & 0x1f);
    switch (type) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return;
      case 0xc4: // bin 8
      case 0xd9: // str 8
        return skipBytes(unsigned(1));
      case 0xc5: // bin 16
      case 0xda: // str 16
        return skipBytes(unsigned(2));
      case 0xc6: // bin 32
      case 0xdb: // str 32
        return skipBytes(unsigned(4));
      case 0xcc: // uint 8
      case 0xd0: // int 8
        return skipBytes(1);
      case 0xcd: // uint 16
      case 0xd1: // int 16
        return skipBytes(2);
      case 0xca: // float 32
      case 0xce: // uint 32
      case 0xd2: // int 32
        return skipBytes(4);
      case 0xcb: // float 64
      case 0xcf: // uint 64
      case 0xd3: // int 64
        return skipBytes(8);
      case 0xdc: // array 16
        return skipAll(unsigned(2));
      case 0xdd: // array 32
        return skipAll(unsigned(4));
      case 0xde: // map 16
        return skipAll(2 * unsigned(2));
      case 0xdf: // map 32
        return skipAll(2 * unsigned(4));
    }
    throw new Error(`unexpected type ${type} at ${at - 1}`);
  }

  function skipBytes(size) {
    at += size;
  }

  function skipAll(values) {
    for (let i = 0; i < values; i++) skip();
  }
}
