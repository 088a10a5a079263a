import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';

/** What we use of grpc-js's Metadata. */
export interface Metadata {
  get(key: string): (string | Buffer)[];
  set(key: string, value: string): void;
  clone(): Metadata;
  /** What interceptors hand each other beside the headers, since 1.14; `clone` leaves it out. */
  opaqueData?: unknown;
}

/**
 * The propagation fields added to a copy; the application may use its own object again.
 *
 * A `traceparent` that is there already stays if it is of another trace: the application put it there on purpose. One
 * of the same trace came in with a request whose metadata is handed on, and has the wrong parent by now.
 */
export function withFields(metadata: Metadata, write: (set: (name: string, value: string) => void) => void): Metadata {
  // A transformer of the application's may hand over anything; the library is about to say so.
  if (typeof metadata?.clone !== 'function') return metadata;
  const copy = metadata.clone();
  if (metadata.opaqueData !== undefined) copy.opaqueData = metadata.opaqueData;
  const own = copy.get('traceparent')[0];
  let keep = false;
  write((name, value) => {
    if (name === 'traceparent') keep = typeof own === 'string' && traceIdOf(own) !== traceIdOf(value);
    if (keep && name.startsWith('trace')) return;
    if (name === 'baggage' && copy.get(name).length > 0) return;
    copy.set(name, value);
  });
  return copy;
}

function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35);
}

/** The values of one key as the conventions have them: a list of strings, binary ones in base64. */
export function metadataValues(metadata: Metadata | undefined, key: string): string[] | undefined {
  const values = metadata?.get?.(key);
  if (!Array.isArray(values) || values.length === 0) return undefined;
  return values.map((value) => (Buffer.isBuffer(value) ? value.toString('base64') : String(value)));
}

/** The same of HTTP/2 headers. Binary values are base64 on the wire, several of them in one header by commas. */
export function headerValues(
  headers: IncomingHttpHeaders | OutgoingHttpHeaders | undefined,
  key: string,
): string[] | undefined {
  const value = headers?.[key];
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return value.map(String);
  const text = String(value);
  return key.endsWith('-bin') && text.includes(',') ? text.split(',').map((part) => part.trim()) : [text];
}
