import { createRequire } from 'node:module';
import { join } from 'node:path';
import { installPackages } from '../../scripts/packages.mjs';

const TYPES = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
  'CONTINUATION',
];
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const TRACE_FIELDS = new Set(['traceparent', 'tracestate', 'baggage']);

interface Decompressor {
  write(bytes: Buffer): void;
  execute(): void;
  read(): { name: string; value: string; neverIndex: boolean } | null;
}

/** Whether a client began the connection with HTTP/2. */
export function isHttp2(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, PREFACE.length) === PREFACE;
}

export type ReadFrames = (bytes: Buffer) => string[];

/**
 * Makes a reader of what one side of an HTTP/2 connection sent: a line for each frame, without the fields of a trace. Left out is
 * what the network decides: how data is cut, window updates, acknowledgements.
 */
export async function http2FrameReader(): Promise<ReadFrames> {
  const folder = await installPackages('hpack.js@2.1.6');
  const { decompressor } = createRequire(join(folder, 'noop.js'))('hpack.js') as {
    decompressor: { create(options: object): Decompressor };
  };
  return (bytes) => readFrames(bytes, decompressor.create({ table: { maxSize: 4096 } }));
}

function readFrames(bytes: Buffer, decompressor: Decompressor): string[] {
  const lines: string[] = [];
  const data = new Map<number, Buffer[]>();
  const hasPreface = isHttp2(bytes);
  let at = hasPreface ? PREFACE.length : 0;
  if (hasPreface) lines.push('preface');
  while (at + 9 <= bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    const type = TYPES[bytes[at + 3]!] ?? String(bytes[at + 3]);
    const flags = bytes[at + 4]!;
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    const payload = bytes.subarray(at + 9, at + 9 + length);
    at += 9 + length;
    if (type === 'WINDOW_UPDATE' || type === 'PING' || (type === 'SETTINGS' && (flags & 1) !== 0)) continue;
    // Whether a farewell gets out before the connection is closed is chance.
    if (type === 'GOAWAY' && payload.readUInt32BE(4) === 0) continue;
    const mark = `${stream} ${type}`;
    if (type === 'DATA') {
      const chunks = data.get(stream) ?? [];
      data.set(stream, [...chunks, payload]);
      if ((flags & 1) !== 0) lines.push(`${mark} end`);
    } else if (type === 'HEADERS') {
      const block = payload.subarray((flags & 0x20) !== 0 ? 5 : 0);
      lines.push(`${mark} ${flags.toString(16)}: ${readHeaders(block, decompressor).join(', ')}`);
    } else {
      lines.push(`${mark} ${flags.toString(16)}: ${payload.toString('hex')}`);
    }
  }
  for (const [stream, chunks] of data) lines.push(`${stream} sent ${Buffer.concat(chunks).toString('latin1')}`);
  return lines;
}

/** `name=value`, with `!` behind the name where it is never to be indexed. */
function readHeaders(block: Buffer, decompressor: Decompressor): string[] {
  decompressor.write(block);
  decompressor.execute();
  const headers: string[] = [];
  for (let field = decompressor.read(); field !== null; field = decompressor.read()) {
    if (TRACE_FIELDS.has(field.name)) continue;
    // What was left of it when the request went out.
    const value = field.name === 'grpc-timeout' ? 'TIME' : field.value;
    headers.push(`${field.name}${field.neverIndex ? '!' : ''}=${value}`);
  }
  return headers;
}
