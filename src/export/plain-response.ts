import { EventEmitter } from 'node:events';

/** As node:http has it by default (`--max-http-header-size`); of the trailer as well. */
const MAX_HEAD_BYTES = 16 * 1024;
/** `1a2b;extension`; nobody sends extensions. */
const MAX_CHUNK_LINE_BYTES = 1024;

const CR = 0x0d;
const LF = 0x0a;

/** A message that is no HTTP, with a code such as node:http's parser has. */
class ParseError extends Error {
  constructor(
    readonly code: string,
    reason: string,
  ) {
    super(`Parse Error: ${reason}`);
  }
}

/** What a body ends with. */
type Framing = 'none' | 'length' | 'chunked' | 'close';

/**
 * One response of HTTP/1.1 to a POST (RFC 9112), read as its bytes come. Emits what an IncomingMessage does: `data`, `end`,
 * `error` and `close`.
 */
export class PlainResponse extends EventEmitter {
  statusCode = 0;
  readonly headers: Record<string, string> = Object.create(null);
  /** Whether another request may follow on the connection. */
  keepAlive = false;
  #framing: Framing = 'none';
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #inChunk = false;
  #inTrailer = false;
  #trailerBytes = 0;
  #pending: Buffer | undefined;
  #hasHead = false;
  complete = false;

  /**
   * Takes bytes of the connection. Returns those behind the end of the message. Throws an Error with a `code` that begins with
   * `HPE_` for what is no HTTP. `onHead` is called once, before the first `data`.
   */
  read(chunk: Buffer, onHead: () => void): Buffer | undefined {
    let bytes = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = undefined;
    while (!this.#hasHead) {
      const rest = this.#readHead(bytes);
      if (rest === undefined) {
        this.#pending = bytes;
        return undefined;
      }
      bytes = rest;
      if (this.#hasHead) onHead();
    }
    return this.#readBody(bytes);
  }

  /** The connection has ended. Returns whether that is where the message ends. */
  endOfInput(): boolean {
    return this.#hasHead && this.#framing === 'close';
  }

  /** The bytes behind the head; `undefined` as long as it is not complete. */
  #readHead(bytes: Buffer): Buffer | undefined {
    // What speaks another protocol is told by its first bytes: it may be waiting for more of ours.
    const start = bytes.toString('latin1', 0, 7);
    if (!'HTTP/1.'.startsWith(start)) throw new ParseError('HPE_INVALID_CONSTANT', 'Expected HTTP/');
    const end = bytes.indexOf('\r\n\r\n');
    if ((end < 0 ? bytes.length : end) > MAX_HEAD_BYTES) throw new ParseError('HPE_HEADER_OVERFLOW', 'Header overflow');
    if (end < 0) return undefined;
    const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
    const [, minor, status] = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(statusLine) ?? [];
    if (status === undefined) throw new ParseError('HPE_INVALID_STATUS', 'Invalid status code');
    const rest = bytes.subarray(end + 4);
    this.statusCode = Number(status);
    // Informational: the answer is still to come. Nothing that we ask for switches protocols.
    if (this.statusCode < 200 && this.statusCode !== 101) return rest;
    for (const line of lines) this.#readHeader(line);
    this.#hasHead = true;
    this.#frame(minor === '1');
    return rest;
  }

  #readHeader(line: string): void {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (colon <= 0 || /[\s\0]/.test(name)) throw new ParseError('HPE_INVALID_HEADER_TOKEN', 'Invalid header token');
    const value = line.slice(colon + 1).trim();
    const known = this.headers[name];
    this.headers[name] = known === undefined ? value : `${known}, ${value}`;
  }

  /** RFC 9112, section 6.3. */
  #frame(isHttp11: boolean): void {
    const { 'content-length': length, 'transfer-encoding': coding, connection = '' } = this.headers;
    const options = itemsOf(connection.toLowerCase());
    this.keepAlive = isHttp11 ? !options.includes('close') : options.includes('keep-alive');
    const { statusCode } = this;
    if (statusCode === 101) this.keepAlive = false;
    if (statusCode === 101 || statusCode === 204 || statusCode === 304) return;
    if (coding !== undefined) {
      this.#framing = /(^|,)\s*chunked$/i.test(coding) ? 'chunked' : 'close';
      // Both is what smuggled requests look like: what comes next is nobody's.
      if (length !== undefined) this.keepAlive = false;
    } else if (length !== undefined) {
      const [first = '', ...others] = itemsOf(length);
      if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first))
        throw new ParseError('HPE_INVALID_CONTENT_LENGTH', 'Invalid character in Content-Length');
      this.#framing = 'length';
      this.#left = Number(first);
    } else {
      this.#framing = 'close';
    }
    if (this.#framing === 'close') this.keepAlive = false;
  }

  #readBody(bytes: Buffer): Buffer | undefined {
    switch (this.#framing) {
      case 'none':
        return this.#finish(bytes);
      case 'close':
        if (bytes.length > 0) this.emit('data', bytes);
        return undefined;
      case 'length': {
        const rest = this.#readCounted(bytes);
        return this.#left === 0 ? this.#finish(rest) : undefined;
      }
      case 'chunked':
        return this.#readChunks(bytes);
    }
  }

  /** Hands on what belongs to the counted part, and returns what is behind it. */
  #readCounted(bytes: Buffer): Buffer {
    const own = bytes.subarray(0, this.#left);
    this.#left -= own.length;
    if (own.length > 0) this.emit('data', own);
    return bytes.subarray(own.length);
  }

  #readChunks(bytes: Buffer): Buffer | undefined {
    let rest = bytes;
    for (;;) {
      if (this.#inChunk) {
        rest = this.#readCounted(rest);
        if (this.#left > 0) return undefined;
        if (rest.length < 2) return this.#keep(rest);
        if (rest[0] !== CR || rest[1] !== LF) throw new ParseError('HPE_STRICT', 'Expected LF after chunk data');
        rest = rest.subarray(2);
        this.#inChunk = false;
      }
      const end = rest.indexOf('\r\n');
      const lineBytes = end < 0 ? rest.length : end;
      if (this.#inTrailer) {
        this.#trailerBytes += end < 0 ? 0 : lineBytes + 2;
        if (this.#trailerBytes + (end < 0 ? lineBytes : 0) > MAX_HEAD_BYTES)
          throw new ParseError('HPE_HEADER_OVERFLOW', 'Header overflow');
        if (end < 0) return this.#keep(rest);
        rest = rest.subarray(end + 2);
        if (lineBytes === 0) return this.#finish(rest);
        continue;
      }
      if (lineBytes > MAX_CHUNK_LINE_BYTES)
        throw new ParseError('HPE_CHUNK_EXTENSIONS_OVERFLOW', 'Chunk extensions overflow');
      if (end < 0) return this.#keep(rest);
      const [, digits] = /^([0-9a-f]{1,8})[ \t]*(?:;|$)/i.exec(rest.toString('latin1', 0, end)) ?? [];
      if (digits === undefined) throw new ParseError('HPE_INVALID_CHUNK_SIZE', 'Invalid character in chunk size');
      this.#left = Number.parseInt(digits, 16);
      if (this.#left === 0) this.#inTrailer = true;
      else this.#inChunk = true;
      rest = rest.subarray(end + 2);
    }
  }

  /** For when more has come. */
  #keep(bytes: Buffer): undefined {
    if (bytes.length > 0) this.#pending = bytes;
    return undefined;
  }

  #finish(rest: Buffer): Buffer {
    this.complete = true;
    return rest;
  }
}

function itemsOf(list: string): string[] {
  return list.split(',').map((item) => item.trim());
}
