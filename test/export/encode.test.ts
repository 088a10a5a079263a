import type { Attributes, SpanContext } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { encodeResource, encodeSpan, SpanBatch } from '../../src/export/encode';
import { MAX_SPAN_BYTES } from '../../src/export/encode-attributes';
import { ProtoWriter } from '../../src/export/proto-writer';
import { AttributeBlock } from '../../src/trace/attribute-block';
import type { Span } from '../../src/trace/span';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { type Decoded, decode, makeResource, SCOPE, startSpan } from './support';

function encodeOne(span: Span): Decoded {
  if (!span.ended) span.end();
  const batch = new SpanBatch();
  expect(batch.add(span)).toBe('encoded');
  const request = decode('ExportTraceServiceRequest', batch.toRequest(encodeResource(span.resource)));
  expect(request.resourceSpans).toHaveLength(1);
  expect(request.resourceSpans[0].scopeSpans).toHaveLength(1);
  expect(request.resourceSpans[0].scopeSpans[0].spans).toHaveLength(1);
  return request.resourceSpans[0].scopeSpans[0].spans[0];
}

function attributesOf(attributes: unknown, limits = {}): Record<string, Decoded> {
  const span = encodeOne(startSpan({ attributes: attributes as Attributes, limits }));
  return Object.fromEntries((span.attributes ?? []).map(({ key, value }: Decoded) => [key, value]));
}

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
const nanosOf = ([seconds, nanos]: [number, number]): string =>
  String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));

describe('a span', () => {
  it('carries every field', () => {
    const parent = new SpanIdentity(1, 2, 3, 4, 0x7fffffff, -1, FLAG_SAMPLED, undefined, true);
    const traceState = { serialize: () => 'a=1,b=2' } as NonNullable<SpanContext['traceState']>;
    const identity = SpanIdentity.child(parent, true, traceState);
    const span = startSpan({ parent, identity, name: 'GET /x', kind: 1, attributes: { a: 'b' } });
    span.addEvent('happened', { n: 1 }, [1_700_000_000, 123_456_789]);
    span.addLink({
      context: {
        traceId: 'ABCDEF0123456789abcdef0123456789',
        spanId: '0123456789abcdef',
        traceFlags: 3,
        isRemote: true,
        traceState,
      },
      attributes: { l: true },
    });
    span.setStatus({ code: 2, message: 'boom' });
    span.droppedAttributesCount = 300;
    span.droppedEventsCount = 2;
    span.droppedLinksCount = 3;
    const encoded = encodeOne(span);
    expect(encoded).toEqual({
      traceId: base64('00000001000000020000000300000004'),
      spanId: base64(identity.spanId),
      traceState: 'a=1,b=2',
      parentSpanId: base64('7fffffffffffffff'),
      flags: 0x100 | 0x200 | identity.flags,
      name: 'GET /x',
      kind: 2,
      startTimeUnixNano: nanosOf(span.startTime),
      endTimeUnixNano: nanosOf(span.endTime),
      attributes: [{ key: 'a', value: { stringValue: 'b' } }],
      droppedAttributesCount: 300,
      events: [
        { timeUnixNano: '1700000000123456789', name: 'happened', attributes: [{ key: 'n', value: { intValue: '1' } }] },
      ],
      droppedEventsCount: 2,
      links: [
        {
          traceId: base64('abcdef0123456789abcdef0123456789'),
          spanId: base64('0123456789abcdef'),
          traceState: 'a=1,b=2',
          attributes: [{ key: 'l', value: { boolValue: true } }],
          flags: 0x303,
        },
      ],
      droppedLinksCount: 3,
      status: { message: 'boom', code: 2 },
    });
  });

  it('links to a span by its ids as by its context', () => {
    const traceState = { serialize: () => 'a=1' } as NonNullable<SpanContext['traceState']>;
    for (const to of [
      new SpanIdentity(-1, 0, 0x7fffffff, 4, 5, -6, FLAG_SAMPLED, traceState, true),
      new SpanIdentity(1, 2, 3, 4, 5, 6, 0, undefined, false),
    ]) {
      const links = encodeOne(startSpan().linkTo(to).addLink({ context: to.spanContext() })).links;
      expect(links).toHaveLength(2);
      expect(links[0]).toEqual(links[1]);
    }
  });

  it.each(['0123456789abcdeg', '0123456789abcde\u0100', '0123456789abcde'])('leaves out the id %j', (spanId) => {
    const span = startSpan().addLink({ context: { traceId: '1'.repeat(32), spanId, traceFlags: 1 } });
    expect(Object.keys(encodeOne(span).links[0]).sort()).toEqual(['flags', 'traceId']);
  });

  it('without parent, status, events and links has none of these fields', () => {
    const encoded = encodeOne(startSpan({ attributes: {} }));
    expect(Object.keys(encoded).sort()).toEqual(
      ['endTimeUnixNano', 'flags', 'kind', 'name', 'spanId', 'startTimeUnixNano', 'traceId'].sort(),
    );
    expect(encoded.flags & 0x300).toBe(0x100);
  });

  it.each([0, 1, 2, 3, 4])('maps the API kind %i to the next one', (kind) => {
    expect(encodeOne(startSpan({ kind })).kind).toBe(kind + 1);
  });

  it('writes Ok without a message', () => {
    const span = startSpan();
    span.setStatus({ code: 1 });
    expect(encodeOne(span).status).toEqual({ code: 1 });
  });
});

describe('times', () => {
  it.each([
    [0, 0],
    [1, 999_999_999],
    [65_535, 1],
    [65_536, 0],
    [1_763_681_733, 999_999_999],
    [4_294_967_295, 5],
    [4_294_967_296, 999_999_999],
    [9_223_372_035, 123_456_789],
  ])('are exact: %i s %i ns', (seconds, nanos) => {
    const writer = new ProtoWriter();
    writer.writeTime(0x09, seconds, nanos);
    expect(decode('Span.Event', writer.bytes()).timeUnixNano ?? '0').toBe(nanosOf([seconds, nanos]));
  });

  it('of spans that took theirs from the clock equal the readable view, for thousands of starts', () => {
    for (let i = 0; i < 2_000; i++) {
      const span = startSpan({ startMs: performance.now() - Math.random() * 1e4 });
      const encoded = encodeOne(span);
      expect(encoded.startTimeUnixNano).toBe(nanosOf(span.startTime));
      expect(encoded.endTimeUnixNano).toBe(nanosOf(span.endTime));
    }
  });

  it('given by the caller are kept, and an end before the start is the start', () => {
    const span = startSpan();
    span.startAt([1_700_000_000, 5]);
    span.end([1_600_000_000, 0]);
    const encoded = encodeOne(span);
    expect(encoded.startTimeUnixNano).toBe('1700000000000000005');
    expect(encoded.endTimeUnixNano).toBe('1700000000000000005');
  });

  it('never end before a start that lies in the future of the monotonic clock', () => {
    const encoded = encodeOne(startSpan({ startMs: performance.now() + 1e6 }));
    expect(encoded.endTimeUnixNano).toBe(encoded.startTimeUnixNano);
  });
});

describe('attribute values', () => {
  it('tell integers from doubles', () => {
    expect(
      attributesOf({
        zero: 0,
        negativeZero: -0,
        one: 1,
        minusOne: -1,
        big: Number.MAX_SAFE_INTEGER,
        small: Number.MIN_SAFE_INTEGER,
        int31: 2 ** 31,
        minus: -(2 ** 31) - 1,
        beyond: 2 ** 53,
        half: 0.5,
        infinite: Number.NEGATIVE_INFINITY,
      }),
    ).toEqual({
      zero: { intValue: '0' },
      negativeZero: { intValue: '0' },
      one: { intValue: '1' },
      minusOne: { intValue: '-1' },
      big: { intValue: '9007199254740991' },
      small: { intValue: '-9007199254740991' },
      int31: { intValue: '2147483648' },
      minus: { intValue: '-2147483649' },
      beyond: { doubleValue: 2 ** 53 },
      half: { doubleValue: 0.5 },
      infinite: { doubleValue: Number.NEGATIVE_INFINITY },
    });
    expect(attributesOf({ nan: Number.NaN })['nan'].doubleValue).toBeNaN();
  });

  it('of every kind go with keys of any length', () => {
    for (const length of [
      1, 100, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 120, 122, 123, 124, 125, 126, 127, 128, 129,
      300, 1_024,
    ]) {
      const key = 'k'.repeat(length);
      expect(attributesOf({ [key]: -7 })[key]).toEqual({ intValue: '-7' });
      expect(attributesOf({ [key]: 7 })[key]).toEqual({ intValue: '7' });
      expect(attributesOf({ [key]: 0.5 })[key]).toEqual({ doubleValue: 0.5 });
      expect(attributesOf({ [key]: 's' })[key]).toEqual({ stringValue: 's' });
      expect(attributesOf({ [key]: true })[key]).toEqual({ boolValue: true });
      expect(attributesOf({ [key]: [1] })[key]).toEqual({ arrayValue: { values: [{ intValue: '1' }] } });
    }
    expect(Object.keys(attributesOf({ ['k'.repeat(5_000)]: 1 }))).toEqual(['k'.repeat(1_024)]);
  });

  it('may be nested, null, bytes and big integers', () => {
    expect(
      attributesOf({
        list: ['a', 1, null, [true], { deep: -5 }],
        map: { a: { b: { c: 'd' } }, none: null, gone: undefined },
        bytes: new Uint8Array([0, 255, 128]),
        nothing: null,
        huge: 2n ** 70n,
        empty: '',
        emptyList: [],
        emptyMap: {},
      }),
    ).toEqual({
      list: {
        arrayValue: {
          values: [
            { stringValue: 'a' },
            { intValue: '1' },
            {},
            { arrayValue: { values: [{ boolValue: true }] } },
            { kvlistValue: { values: [{ key: 'deep', value: { intValue: '-5' } }] } },
          ],
        },
      },
      map: {
        kvlistValue: {
          values: [
            {
              key: 'a',
              value: {
                kvlistValue: {
                  values: [
                    { key: 'b', value: { kvlistValue: { values: [{ key: 'c', value: { stringValue: 'd' } }] } } },
                  ],
                },
              },
            },
            { key: 'none', value: {} },
          ],
        },
      },
      bytes: { bytesValue: Buffer.from([0, 255, 128]).toString('base64') },
      nothing: {},
      huge: { stringValue: String(2n ** 70n) },
      empty: { stringValue: '' },
      emptyList: { arrayValue: {} },
      emptyMap: { kvlistValue: {} },
    });
  });

  // Around every width of a length, in ASCII and in characters of two, three and four bytes.
  it.each(['a', 'é', '€', '😀'])('keep strings of any length made of %s', (character) => {
    for (const length of [
      0, 1, 41, 42, 43, 60, 61, 62, 63, 64, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 4_000, 5_461, 8_000,
      16_000,
    ]) {
      const text = character.repeat(Math.floor(length / character.length));
      expect(attributesOf({ key: text })['key']).toEqual({ stringValue: text });
      expect(attributesOf({ key: [text] })['key'].arrayValue.values).toEqual([{ stringValue: text }]);
    }
  });

  it('turn lone surrogates into U+FFFD, also in keys and names', () => {
    const lone = 'a\ud800b\udc00c';
    const encoded = encodeOne(startSpan({ name: lone, attributes: { [lone]: lone } }));
    expect(encoded.name).toBe('a\ufffdb\ufffdc');
    expect(encoded.attributes).toEqual([{ key: 'a\ufffdb\ufffdc', value: { stringValue: 'a\ufffdb\ufffdc' } }]);
  });

  it('are cut to the limit, also nested and without splitting a pair', () => {
    const values = attributesOf(
      { text: 'abcdef', pair: 'abc😀', list: ['abcdef'], map: { k: 'abcdef' }, bytes: new Uint8Array(9) },
      { attributeValueLengthLimit: 4 },
    );
    expect(values['text']).toEqual({ stringValue: 'abcd' });
    expect(values['pair']).toEqual({ stringValue: 'abc' });
    expect(values['list'].arrayValue.values).toEqual([{ stringValue: 'abcd' }]);
    expect(values['map'].kvlistValue.values).toEqual([{ key: 'k', value: { stringValue: 'abcd' } }]);
    expect(Buffer.from(values['bytes'].bytesValue, 'base64')).toHaveLength(4);
  });

  it('beyond the count limit are dropped and counted, undefined ones are neither', () => {
    const encoded = encodeOne(
      startSpan({
        attributes: { a: 1, gone: undefined, b: 2, c: 3, d: 4 } as Attributes,
        limits: { attributeCountLimit: 2 },
      }),
    );
    expect(encoded.attributes.map(({ key }: Decoded) => key)).toEqual(['a', 'b']);
    expect(encoded.droppedAttributesCount).toBe(2);
  });

  it('in blocks are written like the others, each time', () => {
    const plain = encodeOne(startSpan({ attributes: { a: 'x', b: 2, c: [true], own: 'é' } }));
    const block = new AttributeBlock({ a: 'x', b: 2 });
    const spanOf = () =>
      startSpan({ attributes: { own: 'é' } })
        .addBlock(block)
        .addBlock(new AttributeBlock({ c: [true] }));
    expect(encodeOne(spanOf()).attributes).toEqual(plain.attributes);
    expect(encodeOne(spanOf()).attributes).toEqual(plain.attributes);
    // Other limits cut other values.
    const short = startSpan({ limits: { attributeValueLengthLimit: 1 } }).addBlock(new AttributeBlock({ a: 'xyz' }));
    expect(encodeOne(short).attributes[0].value).toEqual({ stringValue: 'x' });
  });

  it.each([
    [3, ['a', 'b', 'own'], 1],
    [2, ['a', 'b'], 2],
    [1, ['a'], 3],
    [0, [], 4],
  ])('of blocks count against a limit of %i', (attributeCountLimit, keys, dropped) => {
    const span = startSpan({ attributes: { own: 1, other: 2 }, limits: { attributeCountLimit } });
    const encoded = encodeOne(span.addBlock(new AttributeBlock({ a: 1 })).addBlock(new AttributeBlock({ b: 2 })));
    expect((encoded.attributes ?? []).map(({ key }: Decoded) => key)).toEqual(keys);
    expect(encoded.droppedAttributesCount).toBe(dropped);
  });

  it('that are hostile cost only themselves', () => {
    const circular: Record<string, unknown> = { name: 'circle' };
    circular['self'] = circular;
    const attributes = {
      before: 1,
      circular,
      get thrower() {
        throw new Error('no');
      },
      proxy: new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('no');
          },
        },
      ),
      symbol: Symbol('s'),
      fn: () => {},
      bare: Object.assign(Object.create(null), { x: 1 }),
      after: 2,
    };
    const encoded = encodeOne(startSpan({ attributes: attributes as unknown as Attributes }));
    const keys = encoded.attributes.map(({ key }: Decoded) => key);
    expect(keys).toContain('before');
    expect(keys).toContain('circular');
    expect(keys).toContain('after');
    expect(keys).not.toContain('thrower');
    expect(keys).not.toContain('proxy');
    expect(encoded.droppedAttributesCount).toBe(2);
  });

  it('do not come from Object.prototype', () => {
    Object.defineProperty(Object.prototype, 'polluted', { value: 'x', enumerable: true, configurable: true });
    const writer = new ProtoWriter();
    try {
      encodeSpan(writer, startSpan({ attributes: { a: 1, map: { b: 2 } as never } }));
    } finally {
      Reflect.deleteProperty(Object.prototype, 'polluted');
    }
    expect(writer.length).toBeGreaterThan(0);
    expect(writer.bytes().includes('polluted')).toBe(false);
  });

  it('under the key __proto__ are attributes like others', () => {
    expect(encodeOne(startSpan({ attributes: JSON.parse('{"__proto__":"x"}') })).attributes).toEqual([
      { key: '__proto__', value: { stringValue: 'x' } },
    ]);
  });
});

describe('limits of a span', () => {
  const batchWith = (span: Span): [SpanBatch, string] => {
    span.end();
    const batch = new SpanBatch();
    return [batch, batch.add(span)];
  };

  it('a span over the byte limit is refused and leaves the batch as it was', () => {
    const limits = { attributeValueLengthLimit: Number.POSITIVE_INFINITY };
    const [batch, result] = batchWith(startSpan({ attributes: { a: 'x'.repeat(MAX_SPAN_BYTES + 1) }, limits }));
    expect(result).toBe('too_large');
    expect(batch.spanCount).toBe(0);
    expect(batch.byteCount).toBe(0);
    const small = startSpan({ name: 'small' });
    small.end();
    expect(batch.add(small)).toBe('encoded');
    const request = decode('ExportTraceServiceRequest', batch.toRequest(encodeResource(small.resource)));
    expect(request.resourceSpans[0].scopeSpans[0].spans.map(({ name }: Decoded) => name)).toEqual(['small']);
  });

  it('a structure that expands without end is cut off', () => {
    let value: unknown = 'leaf';
    for (let i = 0; i < 15; i++) value = Array.from({ length: 20 }, () => value);
    const [, result] = batchWith(startSpan({ attributes: { value: value as never } }));
    expect(result).toBe('too_large');
  });

  it('a span that cannot be read is refused, not thrown', () => {
    const span = startSpan();
    span.end();
    Object.defineProperty(span, 'ownAttributes', {
      get: () => {
        throw new Error('no');
      },
    });
    const writer = new ProtoWriter();
    expect(encodeSpan(writer, span)).toBe('invalid');
    expect(writer.length).toBe(0);
  });

  it('a trace state that throws is left out', () => {
    const traceState = {
      serialize: () => {
        throw new Error('no');
      },
    } as unknown as NonNullable<SpanContext['traceState']>;
    const identity = SpanIdentity.root(true, traceState);
    expect(encodeOne(startSpan({ identity })).traceState).toBeUndefined();
  });
});

describe('a request', () => {
  it('has one resource and one entry per scope, with schema URLs, spans in order', () => {
    const resource = makeResource({ 'service.name': 'shop', 'process.pid': 7, list: ['a'] }, 'https://schema.test/r');
    const other = { name: 'other' };
    const batch = new SpanBatch();
    for (const [name, scope] of [
      ['1', SCOPE],
      ['2', SCOPE],
      ['3', other],
      ['4', SCOPE],
      ['5', other],
      ['6', other],
    ] as const) {
      const span = startSpan({ name, scope, resource });
      span.end();
      batch.add(span);
    }
    const [resourceSpans, ...rest] = decode(
      'ExportTraceServiceRequest',
      batch.toRequest(encodeResource(resource)),
    ).resourceSpans;
    expect(rest).toEqual([]);
    expect(resourceSpans.schemaUrl).toBe('https://schema.test/r');
    expect(resourceSpans.resource.attributes).toEqual([
      { key: 'service.name', value: { stringValue: 'shop' } },
      { key: 'process.pid', value: { intValue: '7' } },
      { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }] } } },
    ]);
    const names = resourceSpans.scopeSpans.map((scopeSpans: Decoded) => [
      scopeSpans.scope,
      scopeSpans.schemaUrl,
      scopeSpans.spans.map(({ name }: Decoded) => name),
    ]);
    expect(names).toEqual([
      [{ name: 'test-scope', version: '1.2.3' }, 'https://schema.test/1', ['1', '2', '4']],
      [{ name: 'other' }, undefined, ['3', '5', '6']],
    ]);
  });

  it('stays as it is while later batches are written where its own was', () => {
    const resource = encodeResource(makeResource({ 'service.name': 'shop' }));
    const write = (batch: SpanBatch, name: string): void => {
      const span = startSpan({ name, attributes: { text: name.repeat(100) } });
      span.end();
      expect(batch.add(span)).toBe('encoded');
    };
    const first = new SpanBatch();
    // Begun before the first is done with its memory.
    const second = new SpanBatch();
    for (let i = 0; i < 50; i++) {
      write(first, `first ${i}`);
      write(second, `second ${i}`);
    }
    const requests = [first.toRequest(resource)];
    const third = new SpanBatch();
    for (let i = 0; i < 50; i++) write(third, `third ${i}`);
    requests.push(second.toRequest(resource), third.toRequest(resource));
    for (const [at, word] of ['first', 'second', 'third'].entries()) {
      const { spans } = decode('ExportTraceServiceRequest', requests[at]!).resourceSpans[0].scopeSpans[0];
      expect(spans.map(({ name }: Decoded) => name)).toEqual(Array.from({ length: 50 }, (_, i) => `${word} ${i}`));
      expect(spans[7].attributes).toEqual([{ key: 'text', value: { stringValue: `${word} 7`.repeat(100) } }]);
    }
  });
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('random spans', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('with seed %i survive the way to another decoder', (seed) => {
    const random = randomSource(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const characters = ['a', 'Z', '0', 'ß', '€', '😀', '\u0000', '"'];
    const text = (max: number): string =>
      Array.from({ length: below(max) }, () => characters[below(characters.length)]).join('');
    const value = (depth: number): [unknown, Decoded] => {
      switch (below(depth > 3 ? 5 : 8)) {
        case 0: {
          const string = text(300);
          return [string, { stringValue: string }];
        }
        case 1: {
          const bool = below(2) === 1;
          return [bool, { boolValue: bool }];
        }
        case 2: {
          const int = Math.trunc((random() - 0.5) * 2 ** below(54));
          return [int, { intValue: String(int === 0 ? 0 : int) }];
        }
        case 3: {
          const double = below(1000) + 0.25;
          return [double, { doubleValue: double }];
        }
        case 4:
          return [null, {}];
        case 5: {
          const bytes = Buffer.from(text(50));
          return [new Uint8Array(bytes), { bytesValue: bytes.toString('base64') }];
        }
        case 6: {
          const items = Array.from({ length: below(6) }, () => value(depth + 1));
          return [
            items.map(([item]) => item),
            { arrayValue: items.length === 0 ? {} : { values: items.map(([, item]) => item) } },
          ];
        }
        default: {
          const entries = Array.from({ length: below(6) }, (_, i) => [`k${i}${text(140)}`, value(depth + 1)] as const);
          const values = entries.map(([key, [, item]]) => ({ key, value: item }));
          return [
            Object.fromEntries(entries.map(([key, [item]]) => [key, item])),
            { kvlistValue: values.length === 0 ? {} : { values } },
          ];
        }
      }
    };
    for (let run = 0; run < 60; run++) {
      const entries = Array.from(
        { length: below(20) },
        (_, i) => [`key.${i}.${text(below(10) === 0 ? 200 : 10)}`, value(0)] as const,
      );
      const name = text(200);
      const encoded = encodeOne(
        startSpan({ name, attributes: Object.fromEntries(entries.map(([key, [item]]) => [key, item])) as Attributes }),
      );
      expect(encoded.name ?? '').toBe(name);
      expect(encoded.attributes ?? []).toEqual(entries.map(([key, [, item]]) => ({ key, value: item })));
    }
  });
});
