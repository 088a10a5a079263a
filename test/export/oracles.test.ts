import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Attributes, SpanContext } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { encodeResource, SpanBatch } from '../../src/export/encode';
import { type SpanSnapshot, snapshotOf } from '../../src/export/exporter-processor';
import { toOtlpJson } from '../../src/export/otlp-json';
import { toZipkinJson } from '../../src/export/zipkin';
import type { Resource } from '../../src/resource';
import type { Span } from '../../src/trace/span';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { decodeTraceRequest, type ReceivedSpan } from '../support/otlp-decode';
import { decodeTraceJson } from '../support/otlp-json';
import { isAtLeast, testPackage } from '../support/packages';
import { type Decoded, makeResource, startSpan } from './support';

/** The OpenTelemetry SDKs' serializers; the runner itself has to be able to load them. */
const LINES = [
  { line: '1.x', otlp: '0.57.2', zipkin: '1.30.1', api: '1.9.1', needs: '18.19' },
  { line: '2.x', otlp: '0.223.0', zipkin: '2.12.0', api: '1.9.1', needs: '18.19' },
  { line: '3.x', otlp: '0.301.0', zipkin: '', api: '1.10.0', needs: '22.15' },
].filter(({ line, needs }) => {
  const supported = isAtLeast(process.versions.node, needs);
  if (!supported) console.log(`SDK ${line} not run: it needs Node.js ${needs}, this is ${process.versions.node}`);
  return supported;
});

const traceState = { serialize: () => 'vendor=a:b,other=1' } as NonNullable<SpanContext['traceState']>;
const linked = (changes: Partial<SpanContext> = {}): SpanContext => ({
  traceId: 'abcdef0123456789abcdef0123456789',
  spanId: '0123456789abcdef',
  traceFlags: 1,
  ...changes,
});

/** One span each: what is odd about it, and the span. */
const SPANS: Readonly<Record<string, () => Span>> = {
  'text of every kind': () =>
    withAttributes({
      empty: '',
      ascii: 'plain',
      latin: 'äöü ß',
      wide: '日本語',
      astral: '😀 𝒳',
      separators: '\u2028\u2029',
      control: '\0\u0007\n\t"\\',
      'key with ü and "quotes"': 'x',
      long: 'x'.repeat(16_384),
      ['k'.repeat(1_000)]: 'long key',
    }),
  'numbers of every kind': () =>
    withAttributes({
      zero: 0,
      negative: -1,
      max: Number.MAX_SAFE_INTEGER,
      min: Number.MIN_SAFE_INTEGER,
      int32: 2 ** 31,
      int32min: -(2 ** 31) - 1,
      fraction: 0.1,
      tiny: Number.MIN_VALUE,
      nan: Number.NaN,
      infinite: Number.POSITIVE_INFINITY,
      minusInfinite: Number.NEGATIVE_INFINITY,
    }),
  'bigints, as text': () => withAttributes({ big: 2n ** 80n, minus: -5n, list: [1n, 2n ** 64n] }),
  'booleans and lists': () =>
    withAttributes({
      yes: true,
      no: false,
      strings: ['a', '', 'ü'],
      ints: [1, -2, 3],
      mixed: [1, 'a', true, 0.5],
      none: [],
      bytes: new Uint8Array([0, 127, 255]),
    }),
  'nested values': () =>
    withAttributes({
      nothing: null,
      holes: ['a', null, 1],
      map: { a: 'b', inner: { n: 1, list: [{ deep: [true] }] } },
      lists: [
        [1, 2],
        ['a', []],
      ],
    }),
  events: () => {
    const span = startSpan();
    span.addEvent('plain', undefined, [1_700_000_000, 1_000]);
    span.addEvent('', {}, [1_700_000_000, 2_000]);
    span.addEvent('with attributes', { n: 1, text: 'ü', list: ['a'] }, [1_700_000_000, 999_999_000]);
    return span;
  },
  links: () => {
    const span = startSpan();
    span.addLink({ context: linked() });
    span.addLink({ context: linked({ traceFlags: 0, isRemote: false }), attributes: {} });
    span.addLink({ context: linked({ traceState, isRemote: true, traceFlags: 3 }), attributes: { l: 'x', n: 5 } });
    return span;
  },
  'a remote parent': () => startSpan({ parent: new SpanIdentity(1, 2, 3, 4, 5, -6, FLAG_SAMPLED, undefined, true) }),
  'a local parent': () => startSpan({ parent: new SpanIdentity(1, 2, 3, 4, 0, 1, FLAG_SAMPLED, undefined, false) }),
  'a tracestate': () => {
    const parent = new SpanIdentity(1, 2, 3, 4, 5, 6, FLAG_SAMPLED, traceState, true);
    return startSpan({ parent, identity: SpanIdentity.child(parent, true, traceState) });
  },
  'status unset': () => withStatus({ code: 0 }),
  'status ok': () => withStatus({ code: 1 }),
  'status error': () => withStatus({ code: 2 }),
  'status error with a message': () => withStatus({ code: 2, message: 'böse "Sache"' }),
  'dropped counts': () => {
    const span = startSpan();
    span.droppedAttributesCount = 300;
    span.droppedEventsCount = 1;
    span.droppedLinksCount = 70_000;
    return span;
  },
  'an empty name and no scope version': () => startSpan({ name: '', scope: { name: 'bare' } }),
  ...Object.fromEntries([0, 1, 2, 3, 4].map((kind) => [`kind ${kind}`, () => startSpan({ kind })])),
};

function withAttributes(attributes: unknown): Span {
  return startSpan({ attributes: attributes as Attributes });
}

function withStatus(status: { code: 0 | 1 | 2; message?: string }): Span {
  const span = startSpan();
  span.setStatus(status);
  return span;
}

const DESCRIPTION = { 'service.name': 'shop', 'process.pid': 1, 'process.command_args': ['a', 'b'], unicode: 'ü' };
const RESOURCE = makeResource(DESCRIPTION, 'https://schema.test/2');
/** For JSON: the SDKs put the URL into the resource, where the protocol has no such field. */
const NO_SCHEMA = makeResource(DESCRIPTION);

function requestOf(spans: readonly Span[], resource: Resource = RESOURCE): Buffer {
  const batch = new SpanBatch();
  for (const span of spans) expect(batch.add(span)).toBe('encoded');
  return batch.toRequest(encodeResource(resource));
}

/** In whole microseconds: Zipkin has no more, and the official transformation does not cut the rest off. */
function ended(make: () => Span): Span {
  const span = make();
  span.startAt([1_700_000_000, 5_000]);
  span.end([1_700_000_000, 123_456_000]);
  return span;
}

const snapshots = (spans: readonly Span[], resource: Resource = RESOURCE): SpanSnapshot[] =>
  spans.map((span) => ({ ...snapshotOf(span), resource }));

/** Bytes as hexadecimal, whichever class they came as. */
function mapBytes(attributes: Readonly<Record<string, unknown>>, keep: boolean): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [
      key,
      key === 'bytes' ? keep && Buffer.from(value as Uint8Array).toString('hex') : value,
    ]),
  );
}

describe.each(LINES)('the OTLP serializers of SDK $line', ({ line, otlp, api }) => {
  const load = async (): Promise<Record<string, { serializeRequest(spans: SpanSnapshot[]): Uint8Array }>> => {
    const folder = await testPackage(`@opentelemetry/exporter-trace-otlp-proto@${otlp}`, `@opentelemetry/api@${api}`);
    const exporter = createRequire(join(folder, 'noop.js')).resolve('@opentelemetry/exporter-trace-otlp-proto');
    return createRequire(exporter)('@opentelemetry/otlp-transformer');
  };

  /** Those of 1.x have neither flags nor the schema's URL, and bytes in one of their two forms only. */
  const said = (spans: readonly ReceivedSpan[]): unknown[] =>
    spans.map(({ flags, resourceSchemaUrl, ...span }) => ({
      ...span,
      attributes: mapBytes(span.attributes, line !== '1.x'),
      links: span.links.map((link) => ({ ...link, flags: line !== '1.x' && link.flags })),
      ...(line !== '1.x' && { flags, resourceSchemaUrl }),
    }));

  it.each(Object.keys(SPANS))('make the same binary of %s', async (name) => {
    const { ProtobufTraceSerializer } = await load();
    const spans = [ended(SPANS[name]!)];
    const theirs = decodeTraceRequest(ProtobufTraceSerializer!.serializeRequest(snapshots(spans)));
    expect(said(decodeTraceRequest(requestOf(spans)))).toEqual(said(theirs));
  });

  it.each(Object.keys(SPANS))('make the same JSON of %s', async (name) => {
    const { JsonTraceSerializer } = await load();
    const spans = [ended(SPANS[name]!)];
    const theirs = decodeTraceJson(JsonTraceSerializer!.serializeRequest(snapshots(spans, NO_SCHEMA)));
    const ours = decodeTraceJson(toOtlpJson(requestOf(spans, NO_SCHEMA)));
    // JSON has no word for these: theirs are null, and ours the strings of protobuf's JSON mapping.
    for (const span of [...ours, ...theirs]) {
      for (const key of ['nan', 'infinite', 'minusInfinite']) delete span.attributes[key];
    }
    expect(said(ours)).toEqual(said(theirs));
  });

  it('make the same of all of them in one request', async () => {
    const { ProtobufTraceSerializer } = await load();
    const spans = Object.values(SPANS).map(ended);
    const byId = (list: readonly ReceivedSpan[]) => [...list].sort((a, b) => a.spanId.localeCompare(b.spanId));
    const theirs = byId(decodeTraceRequest(ProtobufTraceSerializer!.serializeRequest(snapshots(spans))));
    expect(said(byId(decodeTraceRequest(requestOf(spans))))).toEqual(said(theirs));
  });

  it('differ for integers beyond those that a number holds exactly: theirs are int64, ours are doubles', async () => {
    const { ProtobufTraceSerializer } = await load();
    const spans = [ended(() => withAttributes({ a: 2 ** 60, b: -(2 ** 53) }))];
    const [theirs] = decodeTraceRequest(ProtobufTraceSerializer!.serializeRequest(snapshots(spans)));
    const [ours] = decodeTraceRequest(requestOf(spans));
    expect(ours!.attributes).toEqual({ a: 2 ** 60, b: -(2 ** 53) });
    expect(Object.values(theirs!.attributes).map(Number)).toEqual([2 ** 60, -(2 ** 53)]);
  });
});

/** In 3.x it is not a file of its own; test/e2e/exporters.test.ts has that exporter. */
const WITH_TRANSFORMATION = LINES.filter(({ line }) => line !== '3.x');

describe.each(WITH_TRANSFORMATION)('the Zipkin transformation of SDK $line', ({ zipkin, api }) => {
  const load = async (): Promise<(...args: unknown[]) => Decoded> => {
    const folder = await testPackage(`@opentelemetry/exporter-zipkin@${zipkin}`, `@opentelemetry/api@${api}`);
    const path = join(folder, 'node_modules/@opentelemetry/exporter-zipkin/build/src/transform.js');
    return createRequire(path)(path).toZipkinSpan;
  };

  /**
   * Left out: what the official one has not (scope, events' attributes, an empty `error`), what it writes in another form than
   * the specification's (lists and maps as JavaScript does, not as JSON) or once more (the service's name).
   */
  const said = ({ tags, annotations = [], parentId, kind, ...span }: Decoded) => ({
    ...span,
    ...(parentId && { parentId }),
    ...(kind && { kind }),
    annotations: annotations.map(({ timestamp, value }: Decoded) => ({
      timestamp,
      value: value.replace(/^"([^"]*)": \{.*\}$/s, '$1'),
    })),
    tags: Object.fromEntries(
      Object.entries(tags).filter(
        ([key, value]) =>
          !/^otel\.(scope|library)\.|^service\.name$|^process\.command_args$/.test(key) &&
          !/^(strings|ints|mixed|none|bytes|holes|nothing|map|lists|list)$/.test(key) &&
          !(key === 'error' && value === ''),
      ),
    ),
  });

  it.each(Object.keys(SPANS))('makes the same of %s', async (name) => {
    const toZipkinSpan = await load();
    const spans = [ended(SPANS[name]!)];
    const [snapshot] = snapshots(spans);
    const theirs = JSON.parse(JSON.stringify(toZipkinSpan(snapshot, 'shop', 'otel.status_code', 'error')));
    const [ours] = JSON.parse(toZipkinJson(requestOf(spans)).toString()) as Decoded[];
    expect(said(ours)).toEqual(said(theirs));
  });
});
