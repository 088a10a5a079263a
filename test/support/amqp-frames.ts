const TRACE_FIELDS = new Set(['traceparent', 'tracestate', 'baggage']);
const HEARTBEAT = 8;
const CONTENT_HEADER = 2;
/** Flag of the property `headers`, which stands behind contentType and contentEncoding. */
const [CONTENT_TYPE, CONTENT_ENCODING, HEADERS] = [0x8000, 0x4000, 0x2000];

/** What an AMQP 0-9-1 client sent, a line for each frame, without the fields of a trace in the headers of messages. */
export function amqpFrames(bytes: Buffer): string[] {
  const lines = [bytes.toString('latin1', 0, 8)];
  let at = 8;
  while (at + 8 <= bytes.length) {
    const type = bytes[at]!;
    const length = bytes.readUInt32BE(at + 3);
    const payload = bytes.subarray(at + 7, at + 7 + length);
    if (type !== HEARTBEAT) {
      const text = type === CONTENT_HEADER ? contentHeader(payload) : payload.toString('latin1');
      lines.push(`${bytes.readUInt16BE(at + 1)} ${type} ${text}`);
    }
    at += 8 + length;
  }
  return lines;
}

function contentHeader(payload: Buffer): string {
  const flags = payload.readUInt16BE(12);
  let at = 14;
  for (const text of [CONTENT_TYPE, CONTENT_ENCODING]) if ((flags & text) !== 0) at += 1 + payload[at]!;
  if ((flags & HEADERS) === 0) return payload.toString('latin1');
  const end = at + 4 + payload.readUInt32BE(at);
  const entries = tableEntries(payload, at + 4, end).filter(({ name }) => !TRACE_FIELDS.has(name));
  const before = payload.toString('latin1', 0, 12);
  // Without an entry it is as good as no table.
  const left = entries.length > 0 ? flags : flags & ~HEADERS;
  const rest = payload.toString('latin1', 14, at) + payload.toString('latin1', end);
  return `${before} ${left.toString(16)} ${entries.map(({ raw }) => raw).join(' | ')} ${rest}`;
}

function tableEntries(bytes: Buffer, start: number, end: number): { name: string; raw: string }[] {
  const entries: { name: string; raw: string }[] = [];
  for (let at = start; at < end; ) {
    const from = at;
    const name = bytes.toString('utf8', at + 1, at + 1 + bytes[at]!);
    at = skipValue(bytes, at + 1 + bytes[at]!);
    entries.push({ name, raw: bytes.toString('latin1', from, at) });
  }
  return entries;
}

/** Where the value that begins here, with the letter of its type, is over. */
function skipValue(bytes: Buffer, at: number): number {
  const type = String.fromCharCode(bytes[at]!);
  const sizes: Record<string, number> = {
    t: 1,
    b: 1,
    B: 1,
    s: 2,
    u: 2,
    I: 4,
    i: 4,
    f: 4,
    D: 5,
    l: 8,
    d: 8,
    T: 8,
    V: 0,
  };
  const size = sizes[type];
  if (size !== undefined) return at + 1 + size;
  if ('SFAx'.includes(type)) return at + 5 + bytes.readUInt32BE(at + 1);
  throw new Error(`AMQP value of an unknown type ${type}`);
}
