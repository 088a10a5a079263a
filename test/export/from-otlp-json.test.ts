import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { fromOtlpJson } from '../../src/export/from-otlp-json';
import { toOtlpJson } from '../../src/export/otlp-json';
import { namedRequest, requestOf, richSpan } from './requests';
import { decode, encode, startSpan } from './support';

const odd = (attributes: object): Attributes => attributes as Attributes;

/** A line with one span that has these fields. */
function line(span: object): string {
  return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
}

function value(content: object): string {
  return line({ attributes: [{ key: 'k', value: content }] });
}

describe('what the encoder makes', () => {
  const requests: Record<string, Buffer> = {
    'names of two scopes': namedRequest(['a', 'b', 'c', '']),
    everything: requestOf(richSpan({ text: 'a"\u2028b\u0000😀', no: false, yes: true, empty: '' })),
    numbers: requestOf(
      startSpan({
        attributes: odd({
          ...{ zero: 0, one: 1, minus: -1, max: Number.MAX_SAFE_INTEGER, min: Number.MIN_SAFE_INTEGER },
          ...{ half: 0.5, tiny: 5e-324, huge: 1.7e308, nan: Number.NaN, inf: 1 / 0, less: -1 / 0, big: 2n ** 80n },
          ...{ sums: [127, 128, 16383, 16384, 2 ** 31, 2 ** 32, 2 ** 35, 2 ** 49, -(2 ** 40)] },
        }),
      }),
    ),
    'lists, maps and bytes': requestOf(
      startSpan({ attributes: odd({ list: ['a', 'b'], mixed: [1, null, true, [2, [3]]], none: [] }) }),
      startSpan({
        attributes: odd({ map: { a: { b: [1] }, e: {} }, bytes: new Uint8Array([0, 255, 128]), null: null }),
      }),
    ),
    'a value nested as deeply as it goes': requestOf(
      startSpan({ attributes: odd({ deep: Array.from({ length: 20 }).reduce((inner: unknown) => [inner], 1) }) }),
    ),
    'long text': requestOf(
      startSpan({ name: 'ü'.repeat(5_000), attributes: { text: '€'.repeat(50_000), ['k'.repeat(900)]: 1 } }),
    ),
    'no spans': Buffer.alloc(0),
  };

  it.each(Object.entries(requests))('comes back the same: %s', (_what, request) => {
    const { request: back, spanCount } = fromOtlpJson(toOtlpJson(request).toString());
    const message = decode('ExportTraceServiceRequest', request);
    expect(decode('ExportTraceServiceRequest', back)).toEqual(message);
    expect(toOtlpJson(back)).toEqual(toOtlpJson(request));
    expect(spanCount).toBe(
      (message.resourceSpans ?? []).flatMap((r: any) => r.scopeSpans.flatMap((s: any) => s.spans)).length,
    );
  });
});

describe('what others write', () => {
  it('the example of the protocol', () => {
    const example = {
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'my.service' } }] },
          scopeSpans: [
            {
              scope: {
                name: 'my.library',
                version: '1.0.0',
                attributes: [{ key: 'my.scope.attribute', value: { stringValue: 'some scope attribute' } }],
              },
              spans: [
                {
                  traceId: '5B8EFFF798038103D269B633813FC60C',
                  spanId: 'EEE19B7EC3C1B174',
                  parentSpanId: 'EEE19B7EC3C1B173',
                  name: "I'm a server span",
                  startTimeUnixNano: '1544712660000000000',
                  endTimeUnixNano: '1544712661000000000',
                  kind: 2,
                  attributes: [{ key: 'my.span.attr', value: { stringValue: 'some value' } }],
                },
              ],
            },
          ],
        },
      ],
    };
    const bytes = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
    const { request, spanCount } = fromOtlpJson(JSON.stringify(example));
    expect(spanCount).toBe(1);
    const [{ resource, scopeSpans }] = decode('ExportTraceServiceRequest', request).resourceSpans;
    const [{ scope, spans }] = scopeSpans;
    expect(resource).toEqual(example.resourceSpans[0]?.resource);
    expect(scope).toEqual(example.resourceSpans[0]?.scopeSpans[0]?.scope);
    expect(spans).toEqual([
      {
        ...example.resourceSpans[0]?.scopeSpans[0]?.spans[0],
        traceId: bytes('5B8EFFF798038103D269B633813FC60C'),
        spanId: bytes('EEE19B7EC3C1B174'),
        parentSpanId: bytes('EEE19B7EC3C1B173'),
      },
    ]);
  });

  it('numbers as text and text as numbers, null for what is not set, fields that are not known', () => {
    const { request } = fromOtlpJson(
      line({
        name: 'a',
        kind: '3',
        startTimeUnixNano: 5,
        endTimeUnixNano: null,
        status: null,
        flags: 257,
        events: null,
        future: { x: [1] },
        attributes: [
          { key: 'a', value: { intValue: 5 } },
          { key: 'b', value: { intValue: '-9223372036854775808' } },
          { key: 'c', value: { doubleValue: '0.25' } },
          { key: 'd', value: {} },
          { key: 'e', value: null },
          { key: 'f' },
        ],
      }),
    );
    const span = {
      name: 'a',
      kind: 3,
      startTimeUnixNano: '5',
      flags: 257,
      attributes: [
        { key: 'a', value: { intValue: '5' } },
        { key: 'b', value: { intValue: '-9223372036854775808' } },
        { key: 'c', value: { doubleValue: 0.25 } },
        { key: 'd', value: {} },
        { key: 'e' },
        { key: 'f' },
      ],
    };
    const expected = encode('ExportTraceServiceRequest', { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
    expect(decode('ExportTraceServiceRequest', request)).toEqual(decode('ExportTraceServiceRequest', expected));
  });
});

describe('what is refused, without showing it', () => {
  it.each([
    ['', 'not JSON'],
    ['{"resourceSpans":[{"resource":{"attr', 'not JSON'],
    ['null', 'the line is no object'],
    ['[]', 'the line is no object'],
    ['5', 'the line is no object'],
    ['{}', 'resourceSpans is not a list'],
    ['{"resourceSpans":{}}', 'resourceSpans is not a list'],
    ['{"resourceSpans":["secret"]}', 'resourceSpans is no object'],
    ['{"resourceMetrics":[]}', 'resourceSpans is not a list'],
    [line({ traceId: 'secret' }), 'traceId is not 32 hex digits'],
    [line({ spanId: '0123456789abcdeg' }), 'spanId is not 16 hex digits'],
    [line({ spanId: 5 }), 'spanId is not text'],
    [line({ name: {} }), 'name is not text'],
    [line({ kind: 'SPAN_KIND_SERVER' }), 'kind is not an integer'],
    [line({ kind: -1 }), 'kind is out of range'],
    [line({ startTimeUnixNano: '18446744073709551616' }), 'startTimeUnixNano is out of range'],
    [line({ startTimeUnixNano: '1e9' }), 'startTimeUnixNano is not an integer'],
    [line({ droppedAttributesCount: 4294967296 }), 'droppedAttributesCount is out of range'],
    [line({ attributes: {} }), 'attributes is not a list'],
    [line({ events: [5] }), 'events is no object'],
    [line({ status: 'ok' }), 'status is no object'],
    [value({ intValue: 1.5 }), 'intValue is not an integer'],
    [value({ intValue: '9223372036854775808' }), 'intValue is out of range'],
    [value({ boolValue: 'true' }), 'boolValue is not true or false'],
    [value({ doubleValue: 'much' }), 'doubleValue is not a number'],
    [value({ bytesValue: '*' }), 'bytesValue is not base64'],
    [value({ arrayValue: [] }), 'arrayValue is no object'],
    [`${'{"resourceSpans":'.repeat(5)}`, 'not JSON'],
  ])('%s', (text, message) => {
    expect(() => fromOtlpJson(text)).toThrow(message);
  });

  it('a value that is nested without end', () => {
    const deep = `${'{"arrayValue":{"values":['.repeat(10_000)}{}${']}}'.repeat(10_000)}`;
    const text = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"k","value":${deep}}]}]}]}]}`;
    expect(() => fromOtlpJson(text)).toThrow(/nested too deeply|not JSON/);
  });
});
