import type { TraceState as ApiTraceState } from '@opentelemetry/api';

/** List members of one `tracestate`: W3C Trace Context level 2, section 3.3.1.1. */
const MAX_MEMBERS = 32;
/** Longest list that is read or passed on, in characters; the recommendation asks for 512 at least. */
const MAX_LENGTH = 8192;
const MAX_KEY_LENGTH = 256;
const MAX_VALUE_LENGTH = 256;

const TAB = 0x09;
const SPACE = 0x20;
const COMMA = 0x2c;
const EQUALS = 0x3d;

/**
 * The vendors' list that travels with `traceparent`; immutable.
 *
 * Nearly every list is passed on as it came, so a parsed one keeps the header's text and is taken apart only when asked.
 */
export class TraceState implements ApiTraceState {
  #text: string | undefined;
  #members: ReadonlyMap<string, string> | undefined;

  /** `text` must be a valid list; `members` its parts, first one first. One of the two may be left out. */
  constructor(text: string | undefined, members?: ReadonlyMap<string, string>) {
    this.#text = text;
    this.#members = members;
  }

  get(key: string): string | undefined {
    return this.#parts().get(key);
  }

  /** The list with `key` in front, without its last member if it would be longer than 32; itself if key or value is invalid. */
  set(key: string, value: string): TraceState {
    if (!isKey(key) || !isValue(value)) return this;
    const members = new Map([[key, value]]);
    for (const [otherKey, otherValue] of this.#parts()) {
      if (members.size === MAX_MEMBERS) break;
      if (otherKey !== key) members.set(otherKey, otherValue);
    }
    return new TraceState(undefined, members);
  }

  unset(key: string): TraceState {
    if (!this.#parts().has(key)) return this;
    const members = new Map(this.#parts());
    members.delete(key);
    return new TraceState(undefined, members);
  }

  serialize(): string {
    this.#text ??= Array.from(this.#members ?? [], ([key, value]) => `${key}=${value}`).join(',');
    return this.#text;
  }

  #parts(): ReadonlyMap<string, string> {
    this.#members ??= split(this.#text ?? '');
    return this.#members;
  }
}

/**
 * Reads `tracestate`: one header, or several that form one list in their order.
 * `undefined` for no list, and for one that breaks the grammar anywhere: half a list could name the wrong vendor.
 */
export function parseTraceState(header: string | readonly string[] | undefined): TraceState | undefined {
  if (header === undefined) return undefined;
  const text = typeof header === 'string' ? header : join(header);
  if (text === undefined || text.length > MAX_LENGTH) return undefined;
  // Tabs may stand between members, but metadata of gRPC holds none.
  return isList(text) ? new TraceState(text.includes('\t') ? text.replaceAll('\t', ' ') : text) : undefined;
}

/** Empty headers are legal and add no member, so they add no comma either. `undefined` where an item is no string. */
function join(headers: readonly unknown[]): string | undefined {
  if (!Array.isArray(headers)) return undefined;
  let text = '';
  for (const header of headers) {
    if (typeof header !== 'string') return undefined;
    if (header === '') continue;
    text = text === '' ? header : `${text},${header}`;
    if (text.length > MAX_LENGTH) return undefined;
  }
  return text;
}

/** True for at least one and at most 32 well-formed members with different keys; empty members count as none. */
function isList(text: string): boolean {
  const keys: string[] = [];
  for (let at = 0; at <= text.length; ) {
    const comma = text.indexOf(',', at);
    const next = comma < 0 ? text.length : comma;
    let start = at;
    let end = next;
    while (start < end && isOptionalSpace(text.charCodeAt(start))) start++;
    while (end > start && isOptionalSpace(text.charCodeAt(end - 1))) end--;
    at = next + 1;
    if (start === end) continue;
    const equals = text.indexOf('=', start);
    if (equals < 0 || equals >= end) return false;
    if (!isKeyBetween(text, start, equals) || !isValueBetween(text, equals + 1, end)) return false;
    const key = text.slice(start, equals);
    if (keys.length === MAX_MEMBERS || keys.includes(key)) return false;
    keys.push(key);
  }
  return keys.length > 0;
}

/** The members of a valid list. */
function split(text: string): Map<string, string> {
  const members = new Map<string, string>();
  for (const part of text.split(',')) {
    const member = part.trim();
    const equals = member.indexOf('=');
    if (equals > 0) members.set(member.slice(0, equals), member.slice(equals + 1));
  }
  return members;
}

function isKey(key: unknown): boolean {
  return typeof key === 'string' && isKeyBetween(key, 0, key.length);
}

/** A value set by the application; one that ends in a space would lose it on the way, and is invalid. */
function isValue(value: unknown): boolean {
  return typeof value === 'string' && isValueBetween(value, 0, value.length);
}

/** Level 2: a lower-case letter or digit, then up to 255 of those and of _ - * / @ (section 3.3.1.3.1). */
function isKeyBetween(text: string, start: number, end: number): boolean {
  if (end === start || end - start > MAX_KEY_LENGTH) return false;
  if (!isLowerOrDigit(text.charCodeAt(start))) return false;
  for (let i = start + 1; i < end; i++) {
    const code = text.charCodeAt(i);
    const isOther = code === 0x5f || code === 0x2d || code === 0x2a || code === 0x2f || code === 0x40;
    if (!isOther && !isLowerOrDigit(code)) return false;
  }
  return true;
}

/** One to 256 printable ASCII characters without `,` and `=`, the last of them no space. */
function isValueBetween(text: string, start: number, end: number): boolean {
  if (end === start || end - start > MAX_VALUE_LENGTH) return false;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code < SPACE || code > 0x7e || code === COMMA || code === EQUALS) return false;
  }
  return text.charCodeAt(end - 1) !== SPACE;
}

function isLowerOrDigit(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
}

function isOptionalSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}
