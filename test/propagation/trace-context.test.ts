import { createTraceState } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { createPropagator } from '../../src/propagation/composite';
import type { HeaderGetter } from '../../src/propagation/propagator';
import { traceContextPropagator as propagator } from '../../src/propagation/trace-context';
import { ROOT_CONTEXT, type TraceContext } from '../../src/trace/context';
import { SpanIdentity } from '../../src/trace/span-identity';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';
const VALID = `00-${TRACE_ID}-${SPAN_ID}-01`;

type Headers = Record<string, string | readonly string[] | undefined>;

const getter =
  (headers: Headers): HeaderGetter =>
  (name) =>
    headers[name];
const extract = (headers: Headers): TraceContext => propagator.extract(ROOT_CONTEXT, getter(headers));
const inject = (context: TraceContext): Record<string, string> => {
  const headers: Record<string, string> = {};
  propagator.inject(context, (name, value) => {
    headers[name] = value;
  });
  return headers;
};
const identity = (flags: number, traceState?: SpanIdentity['traceState']): SpanIdentity =>
  new SpanIdentity(1, 2, 3, 4, 5, 6, flags, traceState, false);

describe('traceparent', () => {
  it('is read', () => {
    expect(extract({ traceparent: VALID }).identity?.spanContext()).toEqual({
      traceId: TRACE_ID,
      spanId: SPAN_ID,
      traceFlags: 1,
      isRemote: true,
    });
  });

  it.each([
    ['00', 0],
    ['01', 1],
    ['02', 2],
    ['03', 3],
    ['ff', 3],
    ['fc', 0],
    ['09', 1],
  ])('keeps the sampled and the random flag of %s', (flags, kept) => {
    const context = extract({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-${flags}` });
    expect(context.identity?.flags).toBe(kept);
    expect(inject(context).traceparent).toBe(`00-${TRACE_ID}-${SPAN_ID}-0${kept}`);
  });

  it.each([
    ['a later version', `cc-${TRACE_ID}-${SPAN_ID}-01`],
    ['a later version with more', `cc-${TRACE_ID}-${SPAN_ID}-01-what-the-future-will-be-like`],
    ['a later version with a dash', `cc-${TRACE_ID}-${SPAN_ID}-01-`],
    ['ids that are zero in part', `00-00000000000000000000000000000001-0000000000000001-01`],
    ['one header in an array', [VALID]],
  ])('is read: %s', (_name, traceparent) => {
    expect(extract({ traceparent }).identity?.sampled).toBe(true);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['empty', ''],
    ['a number', 7],
    ['an object', {}],
    ['an empty array', []],
    ['an array of something', [7]],
    ['two headers', [VALID, VALID]],
    ['two headers joined', `${VALID}, ${VALID}`],
    ['two headers of a later version joined', `cc${VALID.slice(2)}, ${VALID}`],
    ['version ff', `ff-${TRACE_ID}-${SPAN_ID}-01`],
    ['version in capitals', `CC-${TRACE_ID}-${SPAN_ID}-01`],
    ['version no hexadecimal', `.0-${TRACE_ID}-${SPAN_ID}-01`],
    ['version too short', `0-${TRACE_ID}-${SPAN_ID}-01`],
    ['version too long', `000-${TRACE_ID}-${SPAN_ID}-01`],
    ['version 00 with more', `${VALID}-x`],
    ['version 00 with a dash', `${VALID}-`],
    ['version 00 with a dot', `${VALID}.`],
    ['a later version with more and no dash', `cc-${TRACE_ID}-${SPAN_ID}-01.what`],
    ['trace id zero', `00-${'0'.repeat(32)}-${SPAN_ID}-01`],
    ['trace id in capitals', `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`],
    ['trace id no hexadecimal', `00-.${TRACE_ID.slice(1)}-${SPAN_ID}-01`],
    ['trace id too short', `00-${TRACE_ID.slice(1)}-${SPAN_ID}-01`],
    ['trace id too long', `00-${TRACE_ID}0-${SPAN_ID}-01`],
    ['span id zero', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
    ['span id in capitals', `00-${TRACE_ID}-${SPAN_ID.toUpperCase()}-01`],
    ['span id no hexadecimal', `00-${TRACE_ID}-${SPAN_ID.slice(1)}.-01`],
    ['span id too short', `00-${TRACE_ID}-${SPAN_ID.slice(1)}-01`],
    ['flags too short', `00-${TRACE_ID}-${SPAN_ID}-1`],
    ['flags too long', `00-${TRACE_ID}-${SPAN_ID}-001`],
    ['flags no hexadecimal', `00-${TRACE_ID}-${SPAN_ID}-.0`],
    ['flags in capitals', `00-${TRACE_ID}-${SPAN_ID}-0A`],
    ['other dashes', `00_${TRACE_ID}_${SPAN_ID}_01`],
    ['spaces around', ` ${VALID}`],
    ['digits outside ASCII', `00-${'０'.repeat(32)}-${SPAN_ID}-01`],
  ])('is refused: %s', (_name, traceparent) => {
    expect(extract({ traceparent: traceparent as string, tracestate: 'a=1' })).toBe(ROOT_CONTEXT);
  });

  it('keeps what else the context holds', () => {
    const key = Symbol('key');
    const context = propagator.extract(ROOT_CONTEXT.setValue(key, 'value').suppress(), getter({ traceparent: VALID }));
    expect(context.getValue(key)).toBe('value');
    expect(context.suppressed).toBe(true);
  });

  it('asks for tracestate only when valid', () => {
    const asked: string[] = [];
    propagator.extract(ROOT_CONTEXT, (name) => {
      asked.push(name);
      return undefined;
    });
    expect(asked).toEqual(['traceparent']);
  });
});

describe('injection', () => {
  it('sets nothing without a span, and for ids that are zero', () => {
    expect(inject(ROOT_CONTEXT)).toEqual({});
    expect(inject(ROOT_CONTEXT.withIdentity(new SpanIdentity(0, 0, 0, 0, 5, 6, 1, undefined, false)))).toEqual({});
    expect(inject(ROOT_CONTEXT.withIdentity(new SpanIdentity(1, 0, 0, 0, 0, 0, 1, undefined, false)))).toEqual({});
  });

  it('names the trace of a suppressed context', () => {
    expect(inject(ROOT_CONTEXT.withIdentity(identity(0)).suppress())).toEqual({
      traceparent: '00-00000001000000020000000300000004-0000000500000006-00',
    });
  });

  it('zeroes flags that level 2 does not know', () => {
    expect(inject(ROOT_CONTEXT.withIdentity(identity(0xff))).traceparent).toMatch(/-03$/);
    expect(inject(ROOT_CONTEXT.withIdentity(identity(0xf4))).traceparent).toMatch(/-00$/);
  });

  it('passes a list on as it came', () => {
    const tracestate = 'foo=1  , bar=2,baz= 3';
    expect(inject(extract({ traceparent: VALID, tracestate })).tracestate).toBe(tracestate);
  });

  it('sets no empty list', () => {
    const state = extract({ traceparent: VALID, tracestate: 'a=1' }).identity?.traceState?.unset('a');
    expect(inject(ROOT_CONTEXT.withIdentity(identity(1, state)))).not.toHaveProperty('tracestate');
  });

  it("writes the API's own list", () => {
    const state = createTraceState('a=1,b=2').set('c', '3');
    expect(inject(ROOT_CONTEXT.withIdentity(identity(1, state))).tracestate).toBe('c=3,a=1,b=2');
  });

  it('lets no foreign list write into other headers, or throw', () => {
    const list = (serialize: () => string): NonNullable<SpanIdentity['traceState']> => ({
      get: () => undefined,
      set: () => list(serialize),
      unset: () => list(serialize),
      serialize,
    });
    const lines = list(() => 'a=1\r\nx-admin: 1');
    const throwing = list(() => {
      throw new Error('on purpose');
    });
    for (const state of [lines, throwing]) {
      expect(Object.keys(inject(ROOT_CONTEXT.withIdentity(identity(1, state))))).toEqual(['traceparent']);
    }
  });

  it('survives carriers that throw', () => {
    const fail = (): never => {
      throw new Error('on purpose');
    };
    expect(propagator.extract(ROOT_CONTEXT, fail)).toBe(ROOT_CONTEXT);
    expect(() => propagator.inject(ROOT_CONTEXT.withIdentity(identity(1)), fail)).not.toThrow();
  });
});

/** True for at most 8192 characters that are printable ASCII or tabs. */
function isSendable(value: string): boolean {
  const codes = Array.from({ length: value.length }, (_, at) => value.charCodeAt(at));
  return value.length <= 8192 && codes.every((code) => code === 0x09 || (code >= 0x20 && code <= 0x7e));
}

describe('any headers', () => {
  it('never throw, and never leave more than they hold', () => {
    // mulberry32: the same headers in every run.
    let seed = 20_260_101;
    const random = (bound: number): number => {
      seed = (seed + 0x6d2b79f5) | 0;
      let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
    };
    const alphabet = [
      '0',
      'f',
      'a',
      'G',
      '-',
      '=',
      ',',
      ';',
      '%',
      '%0a',
      '%E9',
      ' ',
      '\t',
      '\r\n',
      '\u0000',
      'é',
      '\ud800',
      '@',
      '__proto__',
      '"',
    ];
    const mutate = (text: string): string => {
      let result = text;
      for (let i = random(4); i >= 0; i--) {
        const at = random(result.length + 1);
        result =
          result.slice(0, at) +
          (alphabet[random(alphabet.length)] as string).repeat(1 + random(3)) +
          result.slice(at + random(3));
      }
      return result;
    };
    const both = createPropagator(['tracecontext', 'baggage']);
    let valid = 0;
    for (let i = 0; i < 20_000; i++) {
      const headers: Headers = {
        traceparent: random(3) === 0 ? mutate(VALID) : VALID,
        tracestate: random(9) === 0 ? [mutate('a=1'), mutate('b=2')] : mutate('foo=1,b@r=2 , t/x=a b'),
        baggage: mutate('a=1,b=%20;p=q, c=d'),
      };
      const context = both.extract(ROOT_CONTEXT, getter(headers));
      if (context.identity !== undefined) valid++;
      // Collected first: what a setter throws is swallowed.
      const sent: [string, string][] = [];
      both.inject(context, (name, value) => void sent.push([name, value]));
      for (const [name, value] of sent) {
        if (!isSendable(value)) expect.unreachable(`${name} would carry ${JSON.stringify(value)}`);
      }
      if (context.identity !== undefined) expect(sent[0]?.[0]).toBe('traceparent');
    }
    expect(valid).toBeGreaterThan(10_000);
    expect(valid).toBeLessThan(20_000);
  });
});

describe('createPropagator', () => {
  it('carries what is named, in that order', () => {
    expect(createPropagator(['tracecontext', 'baggage']).fields).toEqual(['traceparent', 'tracestate', 'baggage']);
    expect(createPropagator(['baggage', 'tracecontext']).fields).toEqual(['baggage', 'traceparent', 'tracestate']);
    expect(createPropagator(['tracecontext'])).toBe(propagator);
  });

  it('carries nothing for none', () => {
    const none = createPropagator([]);
    expect(none.fields).toEqual([]);
    expect(none.extract(ROOT_CONTEXT, getter({ traceparent: VALID, baggage: 'a=1' }))).toBe(ROOT_CONTEXT);
    const sent: string[] = [];
    none.inject(ROOT_CONTEXT.withIdentity(identity(1)), (name) => void sent.push(name));
    expect(sent).toEqual([]);
  });
});
