import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { DEFAULT_CONFIG } from '../../src/config-defaults';
import { TAG_SPAN_ATTRIBUTE, writeAttributes, writeSpanAttributes } from '../../src/export/encode-attributes';
import { ProtoWriter, SpanTooLarge } from '../../src/export/proto-writer';
import type { SpanLimits } from '../../src/trace/span';
import { random } from '../support/random';

const LIMITS: SpanLimits = { ...DEFAULT_CONFIG.limits, attributeValueLengthLimit: 100 };
const ROOM = 128;

type Write = (writer: ProtoWriter) => number;
function bytesOf(write: Write): { hex: string; dropped: number } {
  const writer = new ProtoWriter(64);
  writer.writeByte(0x7f);
  const dropped = write(writer);
  return { hex: writer.bytes().toString('hex'), dropped };
}

/** As the shapes have it, and one by one. */
function both(attributes: Attributes, limits = LIMITS, room = ROOM) {
  return {
    shaped: bytesOf((writer) => writeSpanAttributes(writer, attributes, limits, room)),
    plain: bytesOf((writer) => writeAttributes(writer, TAG_SPAN_ATTRIBUTE, attributes, limits, room)),
  };
}

function expectSame(attributes: Attributes, limits = LIMITS, room = ROOM): void {
  const { shaped, plain } = both(attributes, limits, room);
  expect(shaped).toEqual(plain);
}

/** Attributes that are `base` but for one, which is another for each call. */
const varied = (base: Attributes, key: string, i: number): Attributes => ({ ...base, [key]: `/products/${i}` });

describe('attributes of one shape', () => {
  const base = { 'http.request.method': 'GET', 'url.path': '/', 'server.port': 8080, ok: true };

  it('are what they are one by one, whichever of them vary and however often', () => {
    for (let i = 0; i < 200; i++) expectSame(varied(base, 'url.path', i));
    for (let i = 0; i < 200; i++) expectSame({ ...base, 'server.port': i % 3 });
    for (let i = 0; i < 200; i++) expectSame({ ...base, ok: i % 50 === 0 });
    for (let i = 0; i < 200; i++) expectSame(base);
  });

  it('takes a value that stays another for the one that is copied', () => {
    const text = (value: string): string => Buffer.from(value).toString('hex');
    for (const method of ['GET', 'PUT', 'GET', 'POST']) {
      for (let i = 0; i < 20; i++) {
        const { shaped } = both({ 'relearned.method': method, 'relearned.path': `/${i}` });
        expect(shaped.hex).toContain(text(method));
      }
    }
  });

  it('may change from one to the next in every way', () => {
    const values: unknown[] = [
      ...['', 'text', 'ä€😀\ud800', 'x'.repeat(99), 'x'.repeat(101), 'y'.repeat(300)],
      ...[0, -0, 1, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, true, false, null, undefined],
      ...[[], ['a', 1], { nested: { deep: 1 } }, 12n, new Uint8Array([1, 2]), Symbol('no'), () => {}],
    ];
    const { integer, pick } = random(7);
    for (let i = 0; i < 5_000; i++) {
      const attributes: Record<string, unknown> = {};
      const count = integer(6);
      // Few names, so that shapes come again, and others that are their neighbours.
      for (let at = 0; at < count; at++) attributes[`key${at}${integer(8) === 0 ? 'b' : ''}`] = pick(values);
      expectSame(attributes as Attributes);
    }
  });

  it('keeps to limits, also when another tracer has others', () => {
    const short = { ...LIMITS, attributeValueLengthLimit: 3 };
    for (let i = 0; i < 50; i++) {
      expectSame({ limited: 'abcdefgh' }, LIMITS);
      expectSame({ limited: 'abcdefgh' }, short);
      expectSame(varied(base, 'url.path', i), LIMITS, 2);
      expect(both(base, LIMITS, 3).shaped.dropped).toBe(1);
    }
  });

  it('survive getters that throw, and leave out what cannot be read', () => {
    for (let i = 0; i < 40; i++) expectSame({ before: 1, trap: 'x', after: 2 });
    const trap = () =>
      Object.defineProperty({ before: 1, trap: '', after: 2 }, 'trap', { get: () => fail(), enumerable: true });
    for (let i = 0; i < 100; i++) {
      const { shaped, plain } = both(trap() as Attributes);
      expect(shaped).toEqual(plain);
      expect(shaped.dropped).toBe(1);
    }
    for (let i = 0; i < 40; i++) expectSame({ before: 1, trap: 'x', after: 2 });
  });

  it('never shows what was added to Object.prototype', () => {
    const own = { a: 1, b: 'c' };
    const before = both(own);
    const after: unknown[] = [];
    Object.defineProperty(Object.prototype, 'inherited', { value: 'x', enumerable: true, configurable: true });
    try {
      for (let i = 0; i < 20; i++) after.push(both({ ...own }));
    } finally {
      Reflect.deleteProperty(Object.prototype, 'inherited');
    }
    for (const result of after) expect(result).toEqual(before);
  });

  it('stays within the size of a span', () => {
    const write = (): void => {
      const writer = new ProtoWriter(64);
      writer.limit = 400;
      writeSpanAttributes(
        writer,
        { a: 'x'.repeat(90), b: 'y'.repeat(90), c: 'z'.repeat(90), d: 'w'.repeat(250) },
        wide,
        ROOM,
      );
    };
    const wide = { ...LIMITS, attributeValueLengthLimit: 1_000 };
    for (let i = 0; i < 20; i++) expect(write).toThrow(SpanTooLarge);
  });

  it('gives its place to those that come instead', () => {
    // All of these have one place: as many keys, of the same lengths.
    for (let round = 0; round < 3; round++) {
      for (let shape = 0; shape < 5; shape++) {
        for (let i = 0; i < 80; i++) expectSame({ [`same${shape}`]: 'constant', [`last${shape}`]: i });
      }
    }
  });
});

function fail(): never {
  throw new Error('hostile getter');
}
