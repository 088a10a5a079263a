/** Propagation fields in the header table of an AMQP 0-9-1 message. */

/** Size of a table's length, and of a long string's or array's, each with the type in front of it. */
const TABLE_BYTES = 4;
const LONG_BYTES = 5;
/** The widest of the types of fixed size: a type and 64 bits. */
const SCALAR_BYTES = 9;
/** A content header's frame without its properties, with room to spare. */
const FRAME_BYTES = 32;
/** Nobody nests tables deeper on purpose; an object that contains itself has no size. */
const MAX_DEPTH = 16;

/** Properties of a message that are short strings. */
const SHORT_STRINGS = [
  'contentType',
  'contentEncoding',
  'correlationId',
  'replyTo',
  'expiration',
  'messageId',
  'type',
  'userId',
  'appId',
] as const;

/** Largest size of all of them, and of those of fixed size. */
const MAX_PROPERTIES_BYTES = SHORT_STRINGS.length * 256 + 16;

/** A message's properties as amqplib makes them from the options of `publish`, before they are encoded. */
export type MessageProperties = { headers?: unknown } & { readonly [key in (typeof SHORT_STRINGS)[number]]?: unknown };

/**
 * Reads one propagation field of a received or prepared header table. Other clients may send long strings that arrive
 * as bytes; values of any other type are not ours.
 */
export function readField(headers: unknown, name: string): string | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined;
  const value = (headers as Record<string, unknown>)[name];
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('latin1') : undefined;
}

/**
 * Adds fields to the headers of a message about to be sent, which have to be the library's own object, if need be with
 * the application's as prototype. What the application has set stays. A header table cannot span frames, and amqplib
 * encodes it in a buffer of fixed size: a field that would not fit is left out, since the publish would fail or the
 * broker would close the connection.
 * @param maxFrameBytes as negotiated for the connection
 * @param maxTableBytes of the library's buffer
 */
export function addFields(
  properties: MessageProperties,
  fields: readonly (readonly [name: string, value: string])[],
  maxFrameBytes: number,
  maxTableBytes: number,
): void {
  if (fields.length === 0) return;
  const { headers } = properties;
  if (headers !== undefined && (typeof headers !== 'object' || headers === null)) return;
  const table = (headers ?? {}) as Record<string, unknown>;
  // Assignment would run setters and proxies of the application's object.
  const isPlain = Object.getPrototypeOf(table) === null || headers === undefined;
  let tableBytes = tableSize(table, 0);
  let frameBytes = FRAME_BYTES + MAX_PROPERTIES_BYTES;
  let isExact = false;
  for (const [name, value] of fields) {
    if (table[name] !== undefined) continue;
    const bytes = 1 + name.length + LONG_BYTES + Buffer.byteLength(value);
    if (tableBytes + bytes > maxTableBytes) continue;
    if (!isExact && frameBytes + tableBytes + bytes > maxFrameBytes) {
      frameBytes = FRAME_BYTES + propertiesSize(properties);
      isExact = true;
    }
    if (frameBytes + tableBytes + bytes > maxFrameBytes) continue;
    tableBytes += bytes;
    if (isPlain) table[name] = value;
    else Object.defineProperty(table, name, { value, writable: true, enumerable: true, configurable: true });
  }
  if (headers === undefined && Object.keys(table).length > 0) properties.headers = table;
}

/** Bytes of an encoded table, or a little more; `Infinity` for what cannot be encoded. */
function tableSize(table: object, depth: number): number {
  if (depth > MAX_DEPTH) return Number.POSITIVE_INFINITY;
  let bytes = TABLE_BYTES;
  // Inherited keys too, as amqplib has it.
  for (const key in table) {
    const value = (table as Record<string, unknown>)[key];
    if (value !== undefined) bytes += 1 + Buffer.byteLength(key) + valueSize(value, depth);
  }
  return bytes;
}

function valueSize(value: unknown, depth: number): number {
  if (typeof value === 'string') return LONG_BYTES + Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return SCALAR_BYTES;
  if (Buffer.isBuffer(value)) return LONG_BYTES + value.length;
  if (!Array.isArray(value)) return 1 + tableSize(value, depth + 1);
  let bytes = LONG_BYTES;
  for (const item of value) bytes += depth > MAX_DEPTH ? Number.POSITIVE_INFINITY : valueSize(item, depth + 1);
  return bytes;
}

function propertiesSize(properties: MessageProperties): number {
  // Delivery mode, priority and timestamp.
  let bytes = 16;
  for (const name of SHORT_STRINGS) {
    const value = properties[name];
    if (typeof value === 'string') bytes += 1 + Buffer.byteLength(value);
  }
  return bytes;
}
