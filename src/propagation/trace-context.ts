import type { TraceContext } from '../trace/context';
import { isHex, readHex8, startHex, writeHex32 } from '../trace/id';
import { FLAG_RANDOM, FLAG_SAMPLED, SpanIdentity } from '../trace/span-identity';
import type { HeaderGetter, HeaderSetter, Propagator } from './propagator';
import { parseTraceState, TraceState } from './trace-state';

const TRACEPARENT = 'traceparent';
const TRACESTATE = 'tracestate';

/** `00-<32 trace id>-<16 span id>-<2 flags>`. */
const LENGTH = 55;
const DASH = 0x2d;

/** The flags that level 2 defines; a sender must set all others to zero. */
const KNOWN_FLAGS = FLAG_SAMPLED | FLAG_RANDOM;

/** `latin1Slice` is what `toString('latin1')` ends in. */
type Latin1Buffer = Buffer & { latin1Slice(start: number, end: number): string };

/** Each header is written here: a text made of parts would be put together only when the carrier writes it, at twice the cost. */
const header = Buffer.from(`00-${'0'.repeat(32)}-${'0'.repeat(16)}-00`, 'latin1') as Latin1Buffer;
const ZERO = 0x30;

/** W3C Trace Context level 2: `traceparent` and `tracestate`. */
export const traceContextPropagator: Propagator = {
  fields: [TRACEPARENT, TRACESTATE],

  extract(context: TraceContext, get: HeaderGetter): TraceContext {
    try {
      const identity = readTraceparent(get);
      return identity === undefined ? context : context.withIdentity(identity);
    } catch {
      return context;
    }
  },

  // A suppressed context still names the trace it belongs to: suppression is about recording, not about the wire.
  inject(context: TraceContext, set: HeaderSetter): void {
    const identity = context.identity;
    if (identity === undefined || !isValid(identity)) return;
    try {
      set(TRACEPARENT, traceparentOf(identity));
      if (identity.traceState === undefined) return;
      const list = textOf(identity.traceState);
      if (list !== undefined) set(TRACESTATE, list);
    } catch {
      // The carrier refused, or a list of another make threw; both concern this header only.
    }
  },
};

function traceparentOf(identity: SpanIdentity): string {
  writeHex32(header, 3, identity.trace0);
  writeHex32(header, 11, identity.trace1);
  writeHex32(header, 19, identity.trace2);
  writeHex32(header, 27, identity.trace3);
  writeHex32(header, 36, identity.span0);
  writeHex32(header, 44, identity.span1);
  header[LENGTH - 1] = ZERO + (identity.flags & KNOWN_FLAGS);
  return header.latin1Slice(0, LENGTH);
}

function readTraceparent(get: HeaderGetter): SpanIdentity | undefined {
  const header = get(TRACEPARENT);
  if (header === undefined || header === null) return undefined;
  // Several of them contradict each other, whatever their values (section 3.2.1 allows one).
  const text = typeof header === 'string' ? header : header.length === 1 ? header[0] : undefined;
  if (typeof text !== 'string' || !isWellFormed(text)) return undefined;

  startHex();
  const flags = readHex8(text, 53);
  if (!isHex()) return undefined;
  const identity = SpanIdentity.parse(text, 3, text, 36, flags & KNOWN_FLAGS, true);
  // Read only now: a list without a valid parent belongs to no trace.
  if (identity !== undefined) identity.traceState = parseTraceState(get(TRACESTATE));
  return identity;
}

/** Version, length and dashes. A version after 00 may be longer, with a dash after the part we know (section 4.3). */
function isWellFormed(text: string): boolean {
  if (text.length < LENGTH) return false;
  startHex();
  const version = readHex8(text, 0);
  if (!isHex() || version === 0xff) return false;
  if (text.length > LENGTH && (version === 0 || text.charCodeAt(LENGTH) !== DASH)) return false;
  return text.charCodeAt(2) === DASH && text.charCodeAt(35) === DASH && text.charCodeAt(52) === DASH;
}

function isValid(identity: SpanIdentity): boolean {
  return (
    (identity.trace0 | identity.trace1 | identity.trace2 | identity.trace3) !== 0 &&
    (identity.span0 | identity.span1) !== 0
  );
}

/** The list for the wire; a list of another make passes our grammar first, so that no foreign line end reaches a header. */
function textOf(traceState: NonNullable<SpanIdentity['traceState']>): string | undefined {
  const list = traceState instanceof TraceState ? traceState : parseTraceState(traceState.serialize());
  const text = list?.serialize();
  return text === '' ? undefined : text;
}
