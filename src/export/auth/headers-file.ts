import { readFileSync, statSync } from 'node:fs';
import { RESERVED_HEADERS } from '../../config';
import { isHeaderValue, isToken } from '../../http/token';
import { log } from '../../log';
import type { Authorization, Authorized } from './authorization';

/** No server takes more. */
const MAX_BYTES = 64 * 1024;

/**
 * HOOKLINE_OTLP_HEADERS_FILE: headers of a file that is read again when it changed, because mounted secrets are replaced
 * under running processes. What cannot be read or understood is told in one line, and the last good content stays.
 */
export class HeadersFile implements Authorization {
  readonly hint: string;
  readonly #path: string;
  #headers: Readonly<Record<string, string>> | undefined;
  /** Of the file as it was read last, whether it could be used or not. */
  #key: string | undefined;
  #problem = '';

  constructor(path: string) {
    this.#path = path;
    this.hint = ` (see HOOKLINE_OTLP_HEADERS_FILE, ${path})`;
  }

  async headers(): Promise<Authorized> {
    return this.headersSync();
  }

  headersSync(): Authorized {
    this.#refresh();
    return this.#headers === undefined ? { problem: this.#problem, final: false } : { headers: this.#headers };
  }

  renew(): boolean {
    const before = this.#headers;
    this.#key = undefined;
    this.#refresh();
    return JSON.stringify(this.#headers) !== JSON.stringify(before);
  }

  #refresh(): void {
    let key: string | undefined;
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      key = `${mtimeMs} ${size} ${ino}`;
      if (key === this.#key) return;
      if (size > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
      this.#headers = parseHeaders(readFileSync(this.#path, 'utf8'));
      this.#key = key;
    } catch (error) {
      // Read again once it changes, which a file that is not there does by appearing.
      this.#key = key;
      const { code, message } = error as NodeJS.ErrnoException;
      const fault = code ?? message;
      this.#problem = `cannot read headers from HOOKLINE_OTLP_HEADERS_FILE, ${this.#path}: ${fault}`;
      if (this.#headers !== undefined) {
        log.once('warn', `headers-file-${fault}-${key}`, `${this.#problem}; what it held before is used`);
      }
    }
  }
}

/**
 * `name: value` a line, or lines of `name=value,…` with percent-encoding, as in OTEL_EXPORTER_OTLP_HEADERS. Empty lines and those that begin
 * with `#` do not count. Throws an Error with the number of the line that is neither.
 */
export function parseHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, separator] = /^[^:=]*([:=])/.exec(line) ?? [];
    const pairs = separator === ':' ? [line] : line.split(',');
    for (const pair of pairs) {
      if (pair.trim() === '') continue;
      const at = pair.indexOf(separator ?? ':');
      const name = pair.slice(0, Math.max(at, 0)).trim().toLowerCase();
      const value = toValue(pair.slice(at + 1).trim(), separator);
      const isUsable = isToken(name) && !RESERVED_HEADERS.has(name) && value !== undefined && isHeaderValue(value);
      if (!isUsable) throw new Error(`line ${index + 1} is not "name: value"`);
      headers[name] = value;
    }
  }
  if (Object.keys(headers).length === 0) throw new Error('there are none in it');
  return headers;
}

function toValue(text: string, separator: string | undefined): string | undefined {
  if (separator !== '=') return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
