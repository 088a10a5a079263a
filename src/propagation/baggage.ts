import type { Baggage as ApiBaggage, BaggageEntry, BaggageEntryMetadata } from '@opentelemetry/api';
import type { TraceContext } from '../trace/context';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';

/** Every copy of the API makes its context keys with `Symbol.for`, this one in baggage/context-helpers; so we meet them all. */
export const BAGGAGE_KEY = Symbol.for('OpenTelemetry Baggage Key');

const BAGGAGE = 'baggage';

/** Both bounds hold in either direction. Baggage is forwarded to every service behind us, so what comes in is multiplied. */
const MAX_MEMBERS = 64;
/** In characters, which are bytes here: the header is ASCII. */
const MAX_LENGTH = 8192;

// A mark on metadata objects. Each copy of the API has its own symbol under this name and none compares it.
const METADATA_TYPE = Symbol('BaggageEntryMetadata');

/** The API's Baggage; immutable. A Map, so that no name (`__proto__`, `constructor`) is special. */
export class Baggage implements ApiBaggage {
  readonly #entries: ReadonlyMap<string, BaggageEntry>;
  /** The header that these entries came from, if it can be sent as it is. */
  readonly wire: string | undefined;

  constructor(entries: ReadonlyMap<string, BaggageEntry>, wire?: string) {
    this.#entries = entries;
    this.wire = wire;
  }

  getEntry(key: string): BaggageEntry | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : { ...entry };
  }

  /** Copies, since the header's text is reused as long as nobody sets an entry. */
  getAllEntries(): [string, BaggageEntry][] {
    return Array.from(this.#entries, ([key, entry]) => [key, { ...entry }]);
  }

  setEntry(key: string, entry: BaggageEntry): Baggage {
    return new Baggage(new Map(this.#entries).set(key, { ...entry }));
  }

  removeEntry(key: string): Baggage {
    return this.removeEntries(key);
  }

  removeEntries(...keys: string[]): Baggage {
    const entries = new Map(this.#entries);
    for (const key of keys) entries.delete(key);
    return new Baggage(entries);
  }

  clear(): Baggage {
    return new Baggage(new Map());
  }
}

/** W3C Baggage: `name=value;metadata` members, names and values percent-encoded as OpenTelemetry's JavaScript API does. */
export const baggagePropagator: Propagator = {
  fields: [BAGGAGE],

  extract(context: TraceContext, get: HeaderGetter): TraceContext {
    try {
      const baggage = parseBaggage(get(BAGGAGE));
      return baggage === undefined ? context : context.setValue(BAGGAGE_KEY, baggage);
    } catch {
      return context;
    }
  },

  inject(context: TraceContext, set: HeaderSetter): void {
    try {
      const baggage = context.getValue(BAGGAGE_KEY) as ApiBaggage | undefined;
      if (baggage === undefined || baggage === null) return;
      const text = serializeBaggage(baggage);
      if (text !== '') set(BAGGAGE, text);
    } catch {
      // The carrier refused, or a Baggage of another make threw.
    }
  },
};

/**
 * Reads the first 64 members in the first 8192 characters; the member that crosses the bound and those after it are left
 * out, and so is every malformed one. The last of several members with one name wins. `undefined` when none is left.
 */
export function parseBaggage(header: string | readonly string[] | undefined): Baggage | undefined {
  if (header === undefined || header === null) return undefined;
  const received = typeof header === 'string' ? header : joinStrings(header);
  // Tabs may stand where spaces may, but metadata of gRPC holds none.
  const text = received.includes('\t') ? received.replaceAll('\t', ' ') : received;
  const entries = new Map<string, BaggageEntry>();
  // The text may only be sent on as it is when it holds exactly what was understood.
  let isFaithful = text.length <= MAX_LENGTH;
  let members = 0;
  for (let at = 0; at < text.length; ) {
    const comma = text.indexOf(',', at);
    const end = comma < 0 ? text.length : comma;
    if (end > MAX_LENGTH || members === MAX_MEMBERS) {
      isFaithful = false;
      break;
    }
    const member = text.slice(at, end);
    at = end + 1;
    const parsed = parseMember(member);
    if (parsed === undefined || entries.has(parsed[0])) isFaithful = false;
    if (parsed === undefined) continue;
    members++;
    entries.set(parsed[0], parsed[1]);
  }
  if (entries.size === 0) return undefined;
  return new Baggage(entries, isFaithful ? text : undefined);
}

/** The header for a Baggage of any make, cut to the same bounds; empty when there is nothing to send. */
export function serializeBaggage(baggage: ApiBaggage): string {
  if (baggage instanceof Baggage && baggage.wire !== undefined) return baggage.wire;
  let text = '';
  let members = 0;
  for (const [key, entry] of baggage.getAllEntries()) {
    if (members === MAX_MEMBERS) break;
    const member = serializeMember(key, entry);
    if (member === undefined) continue;
    const longer = text === '' ? member : `${text},${member}`;
    // A shorter one that follows may still fit.
    if (longer.length > MAX_LENGTH) continue;
    text = longer;
    members++;
  }
  return text;
}

function joinStrings(headers: readonly unknown[]): string {
  let text = '';
  for (const header of headers) {
    if (typeof header !== 'string' || header === '') continue;
    text = text === '' ? header : `${text},${header}`;
    if (text.length > MAX_LENGTH) break;
  }
  return text;
}

function parseMember(member: string): [string, BaggageEntry] | undefined {
  if (!isPrintable(member)) return undefined;
  const semicolon = member.indexOf(';');
  const pair = semicolon < 0 ? member : member.slice(0, semicolon);
  const equals = pair.indexOf('=');
  if (equals < 0) return undefined;
  const name = pair.slice(0, equals).trim();
  if (!isToken(name)) return undefined;
  const key = decode(name);
  const value = decode(pair.slice(equals + 1).trim());
  if (key === undefined || value === undefined) return undefined;
  const metadata = semicolon < 0 ? '' : member.slice(semicolon + 1).trim();
  return [key, metadata === '' ? { value } : { value, metadata: metadataOf(metadata) }];
}

function serializeMember(key: unknown, entry: BaggageEntry | undefined): string | undefined {
  const value = entry?.value;
  if (typeof key !== 'string' || key === '' || typeof value !== 'string') return undefined;
  const name = encode(key);
  const text = encode(value);
  if (name === undefined || text === undefined) return undefined;
  const metadata = entry?.metadata === undefined ? '' : String(entry.metadata);
  // Metadata is not encoded by anyone: what could end the member or the line is left out.
  if (metadata === '' || metadata.includes(',') || !isPrintable(metadata)) return `${name}=${text}`;
  return `${name}=${text};${metadata}`;
}

function metadataOf(text: string): BaggageEntryMetadata {
  return { __TYPE__: METADATA_TYPE as never, toString: () => text };
}

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** `encodeURIComponent`, and the parentheses, which it leaves and a name must not hold; `undefined` for half a surrogate pair. */
function encode(text: string): string | undefined {
  try {
    return encodeURIComponent(text).replaceAll('(', '%28').replaceAll(')', '%29');
  } catch {
    return undefined;
  }
}

/** ASCII without control characters: nothing else may get from one header into another. */
function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}

/** `token` of RFC 9110, section 5.6.2: a name. */
function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isTokenChar(text.charCodeAt(i))) return false;
  return text !== '';
}

function isTokenChar(code: number): boolean {
  if ((code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a)) return true;
  // 0x5e to 0x7a: ^ _ ` and lower-case letters.
  if (code >= 0x5e && code <= 0x7a) return true;
  switch (code) {
    case 0x21: // !
    case 0x23: // #
    case 0x24: // $
    case 0x25: // %
    case 0x26: // &
    case 0x27: // '
    case 0x2a: // *
    case 0x2b: // +
    case 0x2d: // -
    case 0x2e: // .
    case 0x7c: // |
    case 0x7e: // ~
      return true;
    default:
      return false;
  }
}
