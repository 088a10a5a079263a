import { EventEmitter } from 'node:events';
import {
  ROOT_CONTEXT as API_ROOT,
  type Attributes,
  type Context,
  createContextKey,
  isSpanContextValid,
  trace,
} from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { encodeSpan } from '../../src/export/encode';
import { ProtoWriter } from '../../src/export/proto-writer';
import { countedInternalErrors, forgetLoggedKeys, setLogSink } from '../../src/log';
import type { Resource } from '../../src/resource';
import { AttributeBlock } from '../../src/trace/attribute-block';
import { captureAttributes, captureValue, cut, truncate } from '../../src/trace/attributes';
import { compareHrTime, currentAnchor, hrTimeBetween, hrTimeOf, nowMs, realign, toHrTime } from '../../src/trace/clock';
import { activeContext, contextManager, ROOT_CONTEXT, runInContext, toTraceContext } from '../../src/trace/context';
import { toGlobalProvider } from '../../src/trace/global-provider';
import { hex32, isHex, randomInt32, readHex8, readHex32, startHex, useEpochHeads } from '../../src/trace/id';
import { NonRecordingSpan } from '../../src/trace/non-recording-span';
import { ALWAYS_OFF, ALWAYS_ON, type Sampler } from '../../src/trace/sampler';
import type { Span, SpanLimits } from '../../src/trace/span';
import { FLAG_RANDOM, FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { type Tracer, TracerProvider } from '../../src/trace/tracer';

/** The clocks that ours takes hold of when it is read; a value here is what they show. */
const clocks = vi.hoisted(() => {
  const shown: { wallMs: number | undefined; monotonicMs: number | undefined } = {
    wallMs: undefined,
    monotonicMs: undefined,
  };
  const { now } = Date;
  const readMonotonic = performance.now;
  Date.now = () => shown.wallMs ?? now();
  performance.now = () => shown.monotonicMs ?? readMonotonic.call(performance);
  return shown;
});

const LIMITS: SpanLimits = {
  attributeCountLimit: 4,
  attributeValueLengthLimit: 10,
  eventCountLimit: 2,
  linkCountLimit: 2,
  attributePerEventCountLimit: 2,
  attributePerLinkCountLimit: 1,
};

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

let ended: Span[] = [];
const makeTracer = (sampler: Sampler = ALWAYS_ON, limits = LIMITS): Tracer =>
  new TracerProvider({
    resource: {} as Resource,
    sampler,
    limits,
    processor: { onEnd: (span) => void ended.push(span) },
  }).getTracer('test');
const start = (attributes?: Attributes): Span =>
  makeTracer().startSpan('name', attributes === undefined ? {} : { attributes }) as Span;
const throwing = (): never => {
  throw new Error('on purpose');
};

beforeEach(() => {
  ended = [];
});

describe('attributes of a span', () => {
  it('are copied in, so that later changes by the caller do not show', () => {
    const list = ['a'];
    const given = { list } as Attributes;
    const span = start(given);
    span.setAttribute('other', list);
    list.push('b');
    given.more = 1;
    expect(span.attributes).toEqual({ list: ['a'], other: ['a'] });
  });

  it('stay in blocks until somebody wants them as one object', () => {
    const span = start();
    const shared = new AttributeBlock({ a: 1, b: undefined, c: 'x' });
    span.addBlock(shared).addBlock(new AttributeBlock({ d: true }));
    expect([span.blockCount, span.getAttribute('c'), span.getAttribute('d'), span.ownAttributes]).toEqual([
      3,
      'x',
      true,
      {},
    ]);
    span.setAttribute('own', 1);
    expect(span.block0).toBe(shared);
    span.setAttribute('c', 'y');
    expect(span.block0).toBeUndefined();
    expect(span.attributes).toEqual({ a: 1, c: 'y', d: true, own: 1 });
    expect(shared.attributes).toEqual({ a: 1, c: 'x' });
  });

  it('may come in more blocks than there is room for', () => {
    const span = start();
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) span.addBlock(new AttributeBlock({ [key]: key }));
    span.adopt({ f: 'F', a: 'A' });
    expect(span.attributes).toEqual({ a: 'A', b: 'b', c: 'c', d: 'd', e: 'e', f: 'F' });
  });

  it('are limited in count, counting what was dropped; known keys can still change', () => {
    const span = start({ a: 1, b: 2, c: 3 });
    span.setAttribute('d', 4).setAttribute('e', 5).setAttributes({ a: 10, f: 6 });
    expect(span.attributes).toEqual({ a: 10, b: 2, c: 3, d: 4 });
    expect(span.droppedAttributesCount).toBe(2);
    expect(start({ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 }).droppedAttributesCount).toBe(2);
  });

  it('include __proto__ as a plain key', () => {
    const span = start(JSON.parse('{"__proto__":"x"}') as Attributes).setAttribute('a', 1);
    expect(Object.getPrototypeOf(span.attributes)).toBe(Object.prototype);
    expect(Object.entries(span.attributes)).toEqual([
      ['__proto__', 'x'],
      ['a', 1],
    ]);
  });

  it('ignore keys and values that are none', () => {
    const span = start();
    span
      .setAttribute('', 1)
      .setAttribute(7 as never, 1)
      .setAttribute('f', (() => {}) as never)
      .setAttribute('u', undefined as never);
    span
      .setAttributes(null as never)
      .setAttributes('text' as never)
      .setAttributes({ '': 1, s: Symbol('s') as never });
    expect(span.attributes).toEqual({});
    expect(span.droppedAttributesCount).toBe(0);
  });

  it('survive objects that throw when read', () => {
    const getter = Object.defineProperty({ good: 1 }, 'bad', { get: throwing, enumerable: true }) as Attributes;
    const proxy = new Proxy({}, { ownKeys: throwing }) as Attributes;
    const span = start(getter);
    expect(span.attributes).toEqual({ good: 1 });
    span
      .setAttributes(getter)
      .setAttributes(proxy)
      .setAttribute('proxy', proxy as never)
      .addEvent('e', proxy);
    expect(span.attributes).toEqual({ good: 1 });
    expect(start(proxy).attributes).toEqual({});
  });

  it('can be adopted without a copy; exporters keep to the limit, and so does what the application adds', () => {
    const span = start({ a: 1 });
    span.adopt({ b: 2, c: undefined as never, d: 4, e: 5, f: 6 });
    expect(span.attributes).toEqual({ a: 1, b: 2, d: 4, e: 5, f: 6 });
    span.setAttribute('g', 7);
    expect(span.attributes).not.toHaveProperty('g');
    expect(span.droppedAttributesCount).toBe(1);
    span.end();
    const writer = new ProtoWriter();
    expect(encodeSpan(writer, span)).toBe('encoded');
    const keys = Buffer.from(writer.bytes()).toString('latin1');
    expect(keys).toContain('\x01e');
    expect(keys).not.toContain('\x01f');
    span.adopt({ a: 9 });
    expect(span.attributes.a).toBe(1);
  });
});

describe('captureValue', () => {
  it('keeps what OTLP can hold', () => {
    const bytes = new Uint8Array([1, 2]);
    expect(captureValue(12n)).toBe('12');
    expect(captureValue(Number.NaN)).toBeNaN();
    expect(captureValue([1, undefined, () => {}, 'a', [true]])).toEqual([1, null, null, 'a', [true]]);
    expect(captureValue({ a: { b: undefined, c: 1 } })).toEqual({ a: { c: 1 } });
    expect(captureValue(bytes)).toEqual(bytes);
    expect(captureValue(bytes)).not.toBe(bytes);
    expect(captureValue(Object.assign(Object.create(null), { a: 1 }))).toEqual({ a: 1 });
    for (const nothing of [undefined, Symbol('s'), () => {}]) expect(captureValue(nothing)).toBeUndefined();
  });

  it('ends for circular and for deep values', () => {
    const circular: unknown[] = [];
    circular.push(circular);
    expect(JSON.stringify(captureValue(circular))).toBe(`${'['.repeat(16)}null${']'.repeat(16)}`);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(captureValue(proxy)).toBeUndefined();
  });
});

describe('truncate and captureAttributes', () => {
  it('cut strings everywhere, never through a surrogate pair', () => {
    expect(truncate('abcdef', 3)).toBe('abc');
    expect(truncate('abc', 3)).toBe('abc');
    expect(truncate(['abcd', { deep: 'abcd', n: 1 }], 2)).toEqual(['ab', { deep: 'ab', n: 1 }]);
    expect(truncate(new Uint8Array([1, 2, 3]), 2)).toEqual(new Uint8Array([1, 2]));
    expect(truncate('a😀b', 2)).toBe('a');
    expect(truncate('a😀b', 3)).toBe('a😀');
    expect(cut('😀', 1)).toBe('');
    expect(cut('abc', 0)).toBe('');
    expect(truncate(null, 1)).toBeNull();
  });

  it('count what is over the limit, not what is no value', () => {
    expect(captureAttributes({ a: 1, b: undefined as never, c: 2, d: 3 }, 2)).toEqual([{ a: 1, c: 2 }, 1]);
    expect(captureAttributes(undefined, 2)).toEqual([{}, 0]);
    expect(captureAttributes(null as never, 2)).toEqual([{}, 0]);
    expect(captureAttributes({ a: 1 }, 0)).toEqual([{}, 1]);
  });
});

describe('events and links', () => {
  it('keep the latest events and the first links, and count the rest', () => {
    const span = start();
    for (const name of ['a', 'b', 'c']) span.addEvent(name, { x: 1, y: 2, z: 3 });
    expect(span.events.map(({ name }) => name)).toEqual(['b', 'c']);
    expect(span.droppedEventsCount).toBe(1);
    expect(span.events[0]).toMatchObject({ attributes: { x: 1, y: 2 }, droppedAttributesCount: 1 });
    const context = { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 };
    span.addLinks([{ context, attributes: { a: 1, b: 2 } }, { context }, { context }]);
    expect(span.links).toHaveLength(2);
    expect(span.links[0]).toMatchObject({ context, attributes: { a: 1 }, droppedAttributesCount: 1 });
    expect(span.droppedLinksCount).toBe(1);
  });

  it('by ids are as good as by context', () => {
    const span = start();
    const to = SpanIdentity.root(true, undefined);
    for (let i = 0; i < 3; i++) span.linkTo(to);
    expect(span.links).toHaveLength(2);
    expect(span.links[0]).toMatchObject({ attributes: {}, droppedAttributesCount: 0 });
    expect(span.links[0]?.context).toEqual(to.spanContext());
    expect(span.droppedLinksCount).toBe(1);
    span.end();
    expect(span.linkTo(to).links).toHaveLength(2);
  });

  it('keep nothing at a limit of 0', () => {
    const span = makeTracer(ALWAYS_ON, { ...LIMITS, eventCountLimit: 0, linkCountLimit: 0 }).startSpan('n') as Span;
    span.addEvent('a').addLink({ context: { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 } });
    expect([span.events.length, span.droppedEventsCount, span.links.length, span.droppedLinksCount]).toEqual([
      0, 1, 0, 1,
    ]);
  });

  it('take a time in either place', () => {
    const span = start();
    span.addEvent('a', [5, 6]).addEvent('b', { x: 1 }, new Date(7500));
    expect(span.events.map(({ time }) => time)).toEqual([
      [5, 6],
      [7, 500_000_000],
    ]);
  });

  it('ignore links that are none', () => {
    const span = start();
    span
      .addLink(undefined as never)
      .addLink({} as never)
      .addLinks(7 as never);
    expect(span.links).toEqual([]);
  });

  it('record exceptions of any kind', () => {
    const span = makeTracer(ALWAYS_ON, { ...LIMITS, eventCountLimit: 9, attributePerEventCountLimit: 9 }).startSpan(
      'n',
    ) as Span;
    span.recordException(new TypeError('why'));
    span.recordException(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
    span.recordException('text');
    span.recordException(undefined as never);
    span.recordException({ code: Object.create(null) } as never);
    span.recordException({
      name: 'N',
      get message(): string {
        return throwing();
      },
    } as never);
    const [first, second, ...rest] = span.events.map(({ attributes }) => attributes);
    expect(first).toMatchObject({ 'exception.type': 'TypeError', 'exception.message': 'why' });
    expect(first?.['exception.stacktrace']).toContain('TypeError: why\n');
    expect(second).toMatchObject({ 'exception.type': 'ECONNREFUSED', 'exception.message': 'refused' });
    expect(rest).toEqual([{ 'exception.message': 'text' }, {}, {}, {}]);
  });
});

describe('status, name and end', () => {
  it('lets Ok be final and Unset change nothing', () => {
    const span = start();
    span.setStatus({ code: 2, message: 'bad' }).setStatus({ code: 0 });
    expect(span.status).toEqual({ code: 2, message: 'bad' });
    span.setStatus({ code: 2, message: 'worse' });
    expect(span.status.message).toBe('worse');
    span.setStatus({ code: 1, message: 'left out' }).setStatus({ code: 2, message: 'late' });
    expect(span.status).toEqual({ code: 1 });
    span.setStatus(null as never).setStatus({ code: 7 } as never);
    expect(span.status).toEqual({ code: 1 });
  });

  it('bounds names', () => {
    const span = makeTracer().startSpan('x'.repeat(5000)) as Span;
    expect(span.name).toHaveLength(1024);
    expect(span.updateName('y'.repeat(5000)).name).toHaveLength(1024);
    expect(span.updateName(Object.create(null)).name).toBe('');
    expect((makeTracer().startSpan(undefined as never) as Span).name).toBe('undefined');
  });

  it('ends once and then stays as it is', () => {
    const span = start({ a: 1 });
    expect(span.isRecording()).toBe(true);
    span.end();
    const { endTime } = span;
    span
      .setAttribute('b', 1)
      .setAttributes({ c: 1 })
      .addEvent('e')
      .setStatus({ code: 2 })
      .updateName('other')
      .recordException('x');
    span.addLink({ context: { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 } });
    span.end(1);
    expect(ended).toEqual([span]);
    expect(span).toMatchObject({ name: 'name', attributes: { a: 1 }, status: { code: 0 }, events: [], links: [] });
    expect(span.endTime).toEqual(endTime);
    expect(span.isRecording()).toBe(false);
  });
});

describe('times', () => {
  afterEach(() => {
    vi.restoreAllMocks();
    clocks.wallMs = clocks.monotonicMs = undefined;
    realign();
  });

  it('are the wall clock to within milliseconds, as integers', () => {
    const before = Date.now();
    const span = start();
    span.end();
    const [seconds, nanos] = span.startTime;
    const ms = seconds * 1000 + nanos / 1e6;
    expect(Math.abs(ms - before)).toBeLessThan(50);
    for (const part of [...span.startTime, ...span.endTime, ...span.duration])
      expect(Number.isInteger(part)).toBe(true);
    expect(nanos).toBeLessThan(1e9);
    expect(span.isMonotonic).toBe(true);
  });

  it('never end before they start, however the clock is set meanwhile', () => {
    const span = start();
    const real = Date.now();
    clocks.wallMs = real - 3_600_000;
    realign();
    const later = start();
    span.end();
    later.end();
    expect(compareHrTime(span.endTime, span.startTime)).toBeGreaterThanOrEqual(0);
    expect(span.duration[0]).toBe(0);
    // New spans follow the clock, and those under way do not.
    expect(span.startTime[0] - later.startTime[0]).toBeGreaterThan(3590);
  });

  it('do not move for a drift below a millisecond', () => {
    const anchor = currentAnchor();
    clocks.wallMs = anchor.seconds * 1000 + anchor.nanos / 1e6 + 0.5;
    clocks.monotonicMs = anchor.monotonicMs;
    realign();
    expect(currentAnchor()).toBe(anchor);
  });

  it('are real ones, whatever clocks the application shows its own code', () => {
    const span = start();
    vi.spyOn(Date, 'now').mockReturnValue(0);
    vi.spyOn(performance, 'now').mockReturnValue(-1e9);
    realign();
    const later = start();
    for (const one of [span, later]) one.end();
    expect(later.startTime[0]).toBeGreaterThan(1e9);
    expect(later.startTime[0] - span.startTime[0]).toBeLessThanOrEqual(5);
    expect(span.duration[0]).toBeLessThan(5);
  });

  it('given by the caller are kept, also those from before the process began', () => {
    const hourAgo = Math.floor(performance.timeOrigin) - 3_600_000;
    const span = makeTracer().startSpan('n', { startTime: hourAgo }) as Span;
    span.end(hourAgo + 1500);
    expect(span.startTime).toEqual([Math.floor(hourAgo / 1000), (hourAgo % 1000) * 1e6]);
    expect(span.duration).toEqual([1, 500_000_000]);
    expect(span.isMonotonic).toBe(false);
  });

  it('move an end before the start to the start', () => {
    const span = makeTracer().startSpan('n', { startTime: [100, 5] }) as Span;
    span.end([99, 0]);
    expect(span.endTime).toEqual([100, 5]);
    expect(span.duration).toEqual([0, 0]);
    expect(start().endTime).toEqual([0, 0]);
  });

  it('are read in every form of the API', () => {
    const anchor = { monotonicMs: 1000, seconds: 1_700_000_000, nanos: 999_000_000 };
    expect(hrTimeOf(anchor, [1, 2])).toEqual([1, 2]);
    expect(hrTimeOf(anchor, [1, 2_500_000_000])).toEqual([3, 500_000_000]);
    expect(hrTimeOf(anchor, new Date(1_600_000_000_123))).toEqual([1_600_000_000, 123_000_000]);
    expect(hrTimeOf(anchor, new Date(5))).toEqual([0, 5_000_000]);
    expect(hrTimeOf(anchor, 1_600_000_000_123)).toEqual([1_600_000_000, 123_000_000]);
    const now = nowMs();
    expect(hrTimeOf(anchor, now)).toEqual(toHrTime(anchor, now));
    expect(hrTimeOf(anchor, 1001.5)).toEqual([1_700_000_001, 500_000]);
    expect(hrTimeOf(anchor, 0.5)).toEqual([1_699_999_999, 999_500_000]);
    for (const bad of [Number.NaN, -1, Infinity, new Date('x'), [1], [-1, 0], 'now', {}]) {
      expect(hrTimeOf(anchor, bad as never)).toBeUndefined();
    }
  });

  it('compute carry and borrow', () => {
    expect(toHrTime({ monotonicMs: 0, seconds: 5, nanos: 999_999_999 }, 0.000001)).toEqual([6, 0]);
    expect(hrTimeBetween([1, 900_000_000], [3, 100_000_000])).toEqual([1, 200_000_000]);
    expect(hrTimeBetween([3, 0], [1, 0])).toEqual([0, 0]);
    expect(compareHrTime([1, 2], [1, 3])).toBeLessThan(0);
  });
});

describe('ids', () => {
  it('begin with the time where X-Ray wants them so, and stay random where the random flag says so', () => {
    vi.useFakeTimers({ now: 0x6789abcd * 1000 + 999 });
    useEpochHeads(true);
    try {
      const roots = Array.from({ length: 100 }, () => SpanIdentity.root(true, undefined));
      for (const { traceId, flags } of roots) {
        expect(traceId).toMatch(/^6789abcd[0-9a-f]{24}$/);
        expect(flags).toBe(FLAG_SAMPLED | FLAG_RANDOM);
      }
      expect(new Set(roots.map(({ traceId }) => traceId.slice(-14))).size).toBe(100);
      vi.setSystemTime(0xe789abcd * 1000);
      expect(SpanIdentity.root(true, undefined).traceId).toMatch(/^e789abcd/);
    } finally {
      useEpochHeads(false);
      vi.useRealTimers();
    }
    expect(new Set(Array.from({ length: 100 }, () => SpanIdentity.root(true, undefined).trace0)).size).toBe(100);
  });

  it('are 32-bit integers that read and write as hexadecimal', () => {
    for (const value of [0, 1, -1, 0x7fffffff, -0x80000000, 0x0abcdef0]) {
      expect(hex32(value)).toBe((value >>> 0).toString(16).padStart(8, '0'));
      startHex();
      expect(readHex32(hex32(value), 0)).toBe(value);
      expect(isHex()).toBe(true);
    }
    startHex();
    expect([readHex32('xx0000000f', 2), readHex8('xfe', 1)]).toEqual([15, 254]);
    expect(isHex()).toBe(true);
    const bad = ['0000000F', '0000000g', '0000000', '      01', '00000-00', '0000000\u0130', '\u013000000000', ''];
    for (const text of bad) {
      startHex();
      readHex32(text, 0);
      // What is read afterwards makes nothing good again.
      readHex32('00000001', 0);
      expect(isHex()).toBe(false);
    }
  });

  it('differ, and use every bit evenly', () => {
    const seen = new Set<number>();
    const ones = new Array<number>(32).fill(0);
    for (let i = 0; i < 20_000; i++) {
      const value = randomInt32();
      seen.add(value);
      for (let bit = 0; bit < 32; bit++) ones[bit] = (ones[bit] as number) + ((value >>> bit) & 1);
    }
    // About 0.05 repeats are expected among 20,000 of 2^32; eight standard deviations for each bit.
    expect(seen.size).toBeGreaterThan(19_990);
    for (const count of ones) expect(Math.abs(count - 10_000)).toBeLessThan(566);
  });

  it('make identities that are valid, with the random flag', () => {
    const root = SpanIdentity.root(true, undefined);
    expect(root.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(root.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(root.flags).toBe(3);
    const child = SpanIdentity.child(root, false, undefined);
    expect([child.traceId, child.flags]).toEqual([root.traceId, 2]);
    expect(child.spanId).not.toBe(root.spanId);
    const old = SpanIdentity.from({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true })!;
    expect(SpanIdentity.child(old, true, undefined).flags).toBe(1);
    expect(old.spanContext()).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true });
    expect(old.spanContext()).toBe(old.spanContext());
  });

  it.each([
    ['0'.repeat(32), SPAN_ID],
    [TRACE_ID, '0'.repeat(16)],
    [TRACE_ID.slice(1), SPAN_ID],
    [TRACE_ID, `${SPAN_ID}0`],
    [`x${TRACE_ID.slice(1)}`, SPAN_ID],
    [7, SPAN_ID],
    [TRACE_ID, undefined],
  ])('refuse %s-%s', (traceId, spanId) => {
    expect(SpanIdentity.from({ traceId, spanId, traceFlags: 1 } as never)).toBeUndefined();
  });
});

describe('Tracer', () => {
  it('makes children of the active span, and roots on request', () => {
    const tracer = makeTracer();
    tracer.startActiveSpan('outer', { kind: 2 }, (outer) => {
      const inner = tracer.startSpan('inner') as Span;
      expect(inner.parentSpanId).toBe(outer.spanContext().spanId);
      expect(inner.parentSpanContext).toBe(outer.spanContext());
      expect((tracer.startSpan('root', { root: true }) as Span).parent).toBeUndefined();
    });
    expect(activeContext()).toBe(ROOT_CONTEXT);
  });

  it('passes the result and the error of startActiveSpan through', () => {
    const tracer = makeTracer();
    expect(tracer.startActiveSpan('a', () => 7)).toBe(7);
    expect(tracer.startActiveSpan('a', {}, API_ROOT, () => 8)).toBe(8);
    expect(() => tracer.startActiveSpan('a', throwing)).toThrow('on purpose');
    expect(activeContext()).toBe(ROOT_CONTEXT);
  });

  it('carries the trace of unsampled and of suppressed spans', () => {
    const parent = SpanIdentity.from({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 })!;
    const context = ROOT_CONTEXT.withIdentity(parent);
    const unsampled = makeTracer(ALWAYS_OFF).startSpan('n', {}, context);
    expect(unsampled).toBeInstanceOf(NonRecordingSpan);
    expect(unsampled.spanContext()).toMatchObject({ traceId: TRACE_ID, traceFlags: 0 });
    const suppressed = makeTracer().startSpan('n', {}, context.suppress());
    expect(suppressed.isRecording()).toBe(false);
    expect(suppressed.spanContext()).toMatchObject({ traceId: TRACE_ID, spanId: SPAN_ID });
    unsampled.end();
    expect(ended).toEqual([]);
  });

  it('survives options that are none', () => {
    const tracer = makeTracer();
    expect(() => tracer.startSpan('n', null as never, null as never).end()).not.toThrow();
    expect(() =>
      tracer.startSpan(Object.create(null), { attributes: 7, links: 7, startTime: 'x' } as never).end(),
    ).not.toThrow();
    expect(ended).toHaveLength(2);
  });

  it('is shared by scope, and bounded', () => {
    const provider = new TracerProvider({
      resource: {} as Resource,
      sampler: ALWAYS_ON,
      limits: LIMITS,
      processor: { onEnd() {} },
    });
    expect(provider.getTracer('a', '1')).toBe(provider.getTracer('a', '1'));
    expect(provider.getTracer('a', '1')).not.toBe(provider.getTracer('a', '2'));
    expect((provider.getTracer(undefined, null as never).startSpan('n') as Span).instrumentationScope).toEqual({
      name: 'unknown',
    });
    for (let i = 0; i < 2000; i++) provider.getTracer(`made up ${i}`);
    expect(provider.getTracer('made up 1999')).not.toBe(provider.getTracer('made up 1999'));
    expect(provider.getTracer('made up 1')).toBe(provider.getTracer('made up 1'));
  });
});

describe('behind the API, an error of ours', () => {
  let lines: string[] = [];
  beforeEach(() => {
    lines = [];
    forgetLoggedKeys();
    setLogSink((line) => lines.push(line));
  });
  afterEach(() => {
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('internal error behind the OpenTelemetry API; something of a span may be missing');
    setLogSink(undefined);
  });

  const failingSampler: Sampler = { describes: false, shouldSample: throwing } as never;
  const providerOf = (sampler: Sampler, onEnd: (span: Span) => void) =>
    new TracerProvider({ resource: {} as Resource, sampler, limits: LIMITS, processor: { onEnd } });

  it('at the end of a span is not thrown, and is where an instrumentation counts it', () => {
    const tracer = providerOf(ALWAYS_ON, throwing).getTracer('test');
    const span = tracer.startSpan('n') as Span;
    span.end();
    expect([span.ended, countedInternalErrors()]).toEqual([
      true,
      { count: 1, first: expect.stringContaining('on purpose') },
    ]);
    expect(() => (tracer.startSpan('n') as Span).finish()).toThrow('on purpose');
  });

  it('in what a span records leaves it usable', () => {
    const span = start();
    Object.defineProperty(span, 'shared', { value: undefined });
    expect(
      span.setAttribute('a', 1).setAttributes({ b: 1 }).addEvent('e').addLink({ context: span.spanContext() }),
    ).toBe(span);
    expect(span.addLinks([{ context: span.spanContext() }])).toBe(span);
    span.recordException(new Error('of the application'));
    span.end();
    expect(span.ended).toBe(true);
  });

  it('when one is started gives a span that records nothing, and calls what was to be called once', () => {
    const tracer = providerOf(failingSampler, () => {}).getTracer('test');
    const span = tracer.startSpan('n');
    expect([span.isRecording(), isSpanContextValid(span.spanContext())]).toEqual([false, false]);
    const calls: unknown[][] = [];
    const active = trace.setSpan(ROOT_CONTEXT, span);
    expect(trace.getSpan(active)).toBe(span);
    for (const rest of [[], [{}], [{}, API_ROOT]] as never[]) {
      const called = tracer.startActiveSpan('n', ...(rest as [never, never]), ((...args: unknown[]) =>
        calls.push(args)) as never);
      expect(called).toBe(calls.length);
    }
    expect(calls).toEqual([[span], [span], [span]]);
  });

  it('when a tracer is made gives one that records nothing', () => {
    const provider = toGlobalProvider({ getTracer: throwing } as never);
    const tracer = provider.getTracer('x');
    expect(tracer.startSpan('n').isRecording()).toBe(false);
    expect(tracer.startActiveSpan('n', {}, (span) => [span.isRecording()])).toEqual([false]);
  });

  it('in a context leaves the application its functions and values', () => {
    const hostile = { getValue: throwing, setValue: throwing, deleteValue: throwing };
    const self = {};
    const own = function (this: unknown, ...args: unknown[]): unknown[] {
      return [this, ...args];
    };
    expect(contextManager.with(hostile, own, self, 1, 2)).toEqual([self, 1, 2]);
    expect(contextManager.bind(hostile, own)).toBe(own);
    const emitter = new EventEmitter();
    expect(contextManager.bind(hostile, emitter)).toBe(emitter);
    const key = createContextKey('own');
    // Whose values cannot be listed.
    const broken = toTraceContext({ ...hostile, getValue: () => undefined, _currentContext: 1 } as never);
    Object.defineProperty(broken.source, '_currentContext', { get: throwing });
    const span = start();
    expect(broken.setValue(key, 'kept').getValue(key)).toBe('kept');
    expect(broken.setValue(key, 'kept').deleteValue(key).getValue(key)).toBeUndefined();
    expect(trace.getSpan(trace.setSpan(broken, span))).toBe(span);
  });
});

describe('Context', () => {
  const key = createContextKey('span test key');
  const identity = SpanIdentity.from({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 })!;

  it('answers to the keys of the API', () => {
    const span = start();
    const context = trace.setSpan(ROOT_CONTEXT, span);
    expect(trace.getSpan(context)).toBe(span);
    span.end();
    expect(trace.getSpanContext(context)).toEqual(span.spanContext());
    expect(trace.getSpan(context)?.isRecording()).toBe(false);
    expect(trace.getSpan(trace.deleteSpan(context))).toBeUndefined();
    const foreign = trace.wrapSpanContext({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 });
    const wrapped = trace.setSpan(ROOT_CONTEXT, foreign);
    expect(trace.getSpan(wrapped)).toBe(foreign);
    expect(toTraceContext(wrapped).identity?.traceId).toBe(TRACE_ID);
  });

  it('gives back the object that was put in, also of a span that records nothing', () => {
    const span = makeTracer(ALWAYS_OFF).startSpan('n');
    expect(span.isRecording()).toBe(false);
    const context = trace.setSpan(ROOT_CONTEXT, span);
    expect(trace.getSpan(context)).toBe(span);
    expect(trace.getSpan(context.setValue(key, 1).deleteValue(key))).toBe(span);
    expect(contextManager.with(context, () => trace.getSpan(contextManager.active()))).toBe(span);
  });

  it('keeps no ended span alive', () => {
    const span = start();
    const context = ROOT_CONTEXT.withIdentity(span.identity);
    expect(context.identity?.live).toBe(span);
    span.end();
    expect(context.identity?.live).toBeUndefined();
  });

  it('is immutable', () => {
    const first = ROOT_CONTEXT.setValue(key, 1);
    const second = first.setValue(key, 2);
    expect([ROOT_CONTEXT.getValue(key), first.getValue(key), second.getValue(key)]).toEqual([undefined, 1, 2]);
    expect(second.deleteValue(key).getValue(key)).toBeUndefined();
    expect(second.getValue(key)).toBe(2);
  });

  it("keeps the values of the API's own contexts through every change", () => {
    const foreign = trace.setSpanContext(API_ROOT.setValue(key, 'kept'), identity.spanContext());
    const ours = toTraceContext(foreign);
    const changed: Context[] = [
      ours,
      ours.withIdentity(SpanIdentity.root(true, undefined)),
      ours.suppress(),
      ours.setValue(Symbol('other'), 1),
      ours.deleteValue(Symbol('other')),
      trace.deleteSpan(ours),
    ];
    expect(changed.map((context) => context.getValue(key))).toEqual(changed.map(() => 'kept'));
    expect(ours.identity?.spanId).toBe(SPAN_ID);
    expect(trace.getSpan(changed[5] as Context)).toBeUndefined();
    expect(ours.deleteValue(key).getValue(key)).toBeUndefined();
    expect(contextManager.with(foreign, () => contextManager.active())).toBe(foreign);
  });

  it('is suppressed by the key that SDKs use', () => {
    const suppressKey = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
    expect(toTraceContext(API_ROOT.setValue(suppressKey, true)).suppressed).toBe(true);
    expect(ROOT_CONTEXT.setValue(suppressKey, true).suppressed).toBe(true);
    expect(ROOT_CONTEXT.suppress().getValue(suppressKey)).toBe(true);
    expect(ROOT_CONTEXT.suppress().deleteValue(suppressKey).suppressed).toBe(false);
  });

  it('follows functions, promises and emitters', async () => {
    const context = ROOT_CONTEXT.withIdentity(identity);
    await runInContext(context, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      expect(activeContext()).toBe(context);
    });
    const named = function original(this: unknown, a: number, b: number): unknown[] {
      return [this, a + b, activeContext()];
    };
    const bound = contextManager.bind(context, named);
    const self = {};
    expect(bound.call(self, 1, 2)).toEqual([self, 3, context]);
    expect([bound.name, bound.length]).toEqual(['original', 2]);
    for (let length = 0; length < 7; length++) {
      for (const name of ['named', '', '__proto__', '0', '[Symbol(x)]']) {
        const fn = Object.defineProperties((...args: unknown[]) => args, {
          name: { value: name },
          length: { value: length },
        });
        const other = contextManager.bind(context, fn);
        expect([other.name, other.length, other(1, 2, 3)]).toEqual([name, length, [1, 2, 3]]);
      }
    }
    const odd = Object.defineProperty(() => 1, 'name', { value: Symbol('odd') });
    expect((contextManager.bind(context, odd) as { name: unknown }).name).toBe(odd.name);
    const emitter = contextManager.bind(context, new EventEmitter());
    let seen: unknown;
    emitter.on('event', () => {
      seen = activeContext();
    });
    emitter.emit('event');
    expect(seen).toBe(context);
    expect(Object.keys(emitter)).not.toContain('emit');
    expect(activeContext()).toBe(ROOT_CONTEXT);
  });
});

describe('a tracer that is watched', () => {
  it('tells of each recording span when it starts, and of no other', () => {
    const started: string[] = [];
    const tracer = (sampler: Sampler): Tracer =>
      new TracerProvider({
        resource: {} as Resource,
        sampler,
        limits: LIMITS,
        processor: { onEnd: () => {} },
        onStart: ({ name, ended }) => void started.push(`${name} ${ended}`),
      }).getTracer('test');
    tracer(ALWAYS_ON).startSpan('kept').end();
    tracer(ALWAYS_OFF).startSpan('dropped').end();
    expect(started).toEqual(['kept false']);
  });
});
