import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { encodeResource, SpanBatch } from '../../src/export/encode';
import { type JsonSpan, type KeyValue, toOtlpJson, toTraceRequest } from '../../src/export/otlp-json';
import { ProtoReader } from '../../src/export/protobuf';
import type { Span } from '../../src/trace/span';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { type Decoded, decode, makeResource, SCOPE, startSpan } from './support';

function requestOf(...spans: Span[]): Buffer {
  const batch = new SpanBatch();
  for (const span of spans) {
    if (!span.ended) span.end();
    expect(batch.add(span)).toBe('encoded');
  }
  return batch.toRequest(encodeResource(makeResource({ 'service.name': 'json', n: -5 }, 'https://schema.test/2')));
}

const hexOf = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');

/** What protobufjs makes of the same bytes, with ids as OTLP/JSON has them and empty lists where it leaves them out. */
function expected(request: Buffer): Decoded {
  const message = decode('ExportTraceServiceRequest', request);
  for (const resourceSpans of message.resourceSpans) {
    for (const scopeSpans of resourceSpans.scopeSpans) {
      for (const span of scopeSpans.spans) {
        span.attributes ??= [];
        span.status ??= {};
        for (const { value } of span.attributes) if (value.arrayValue !== undefined) value.arrayValue.values ??= [];
        for (const item of [...(span.events ?? []), ...(span.links ?? [])]) item.attributes ??= [];
        for (const item of [span, ...(span.links ?? [])]) {
          for (const key of ['traceId', 'spanId', 'parentSpanId']) {
            if (item[key] !== undefined) item[key] = hexOf(item[key]);
          }
        }
      }
    }
  }
  return message;
}

function richSpan(attributes: Attributes): Span {
  const parent = new SpanIdentity(1, 2, 3, 4, 5, -6, FLAG_SAMPLED, undefined, true);
  const span = startSpan({ parent, name: 'GET /ü', kind: 2, attributes });
  span.addEvent('happened', { n: 1.5 }, [1_700_000_000, 123_456_789]);
  span.addLink({
    context: { traceId: 'abcdef0123456789abcdef0123456789', spanId: '0123456789abcdef', traceFlags: 1 },
    attributes: { l: true },
  });
  span.setStatus({ code: 2, message: 'boom' });
  span.droppedAttributesCount = 300;
  span.droppedEventsCount = 2;
  span.droppedLinksCount = 3;
  return span;
}

describe('OTLP/JSON', () => {
  it('says what the binary form says, field by field', () => {
    const request = requestOf(
      richSpan({ text: 'a"\u2028b', no: false, yes: true, int: 9_007_199_254_740_991, minus: -1, float: 0.1 }),
      startSpan({ name: 'plain' }),
      startSpan({ attributes: { list: ['a', 'b'], mixed: [1, null, true], empty: [] } as unknown as Attributes }),
      startSpan({ attributes: { map: { a: { b: [1] } }, bytes: new Uint8Array([0, 255]) } as unknown as Attributes }),
    );
    const json = toTraceRequest(request);
    expect(json).toEqual(expected(request));
    expect(JSON.parse(toOtlpJson(request).toString())).toEqual(json);
    expect(json.resourceSpans[0]?.scopeSpans[0]?.scope).toEqual({ name: SCOPE.name, version: SCOPE.version });
  });

  it('has the forms that the specification asks for', () => {
    const request = requestOf(richSpan({ int: 5, nan: Number.NaN, inf: Number.NEGATIVE_INFINITY }));
    const span = toTraceRequest(request).resourceSpans[0]?.scopeSpans[0]?.spans[0] as JsonSpan;
    expect(span).toMatchObject({
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
      parentSpanId: '00000005fffffffa',
      kind: 3,
      startTimeUnixNano: expect.stringMatching(/^\d{19}$/),
      status: { code: 2, message: 'boom' },
    });
    const values = Object.fromEntries(span.attributes.map(({ key, value }: KeyValue) => [key, value]));
    expect(values).toEqual({
      int: { intValue: '5' },
      nan: { doubleValue: 'NaN' },
      inf: { doubleValue: '-Infinity' },
    });
  });

  it('keeps keys that are special in JavaScript', () => {
    const attributes = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Attributes;
    const text = toOtlpJson(requestOf(startSpan({ attributes }))).toString();
    for (const key of ['__proto__', 'constructor', 'toString']) expect(text).toContain(`{"key":"${key}"`);
  });

  it('refuses what is no protobuf, at any cut', () => {
    const request = requestOf(richSpan({ a: 'b', n: -1 }));
    for (let end = 1; end < request.length; end++) {
      expect(() => toTraceRequest(request.subarray(0, end))).toThrow(RangeError);
    }
    expect(toTraceRequest(Buffer.alloc(0))).toEqual({ resourceSpans: [] });
  });

  it('passes over fields of later versions, of every wire type', () => {
    const unknown = [
      0xf8, 0x07, 0x05, 0xfa, 0x07, 0x01, 0x00, 0xfd, 0x07, 1, 2, 3, 4, 0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8,
    ];
    const request = requestOf(startSpan({ name: 'a' }));
    expect(toTraceRequest(Buffer.concat([Buffer.from(unknown), request]))).toEqual(toTraceRequest(request));
    expect(() => toTraceRequest(Buffer.from([0xfb, 0x07]))).toThrow('bad wire type');
  });
});

describe('ProtoReader', () => {
  it('reads integers of all sizes', () => {
    const read = (...bytes: number[]): string => {
      const reader = new ProtoReader(Uint8Array.from([0x08, ...bytes]));
      expect(reader.next()).toBe(1);
      return reader.int64();
    };
    expect(read(0)).toBe('0');
    expect(read(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)).toBe('-1');
    expect(read(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)).toBe('9223372036854775807');
    expect(() => read(...new Array(11).fill(0xff))).toThrow('bad varint');
  });

  it('refuses a field of another type', () => {
    const reader = new ProtoReader(Uint8Array.from([0x08, 1]));
    reader.next();
    expect(() => reader.message()).toThrow('unexpected wire type');
  });
});
