import { expect, test } from 'vitest';
import { headerValues, type Metadata, metadataValues, withFields } from '../../src/rpc/metadata';

/** Behaves as grpc-js's own. */
class FakeMetadata implements Metadata {
  opaqueData?: unknown;
  constructor(readonly values = new Map<string, (string | Buffer)[]>()) {}
  get(key: string) {
    return this.values.get(key) ?? [];
  }
  set(key: string, value: string) {
    this.values.set(key, [value]);
  }
  clone() {
    return new FakeMetadata(new Map(this.values));
  }
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const otherTraceId = '1af7651916cd43dd8448eb211c80319c';
const own = `00-${traceId}-b7ad6b7169203331-01`;

function inject(given: Record<string, string>, fields: Record<string, string>): [FakeMetadata, FakeMetadata] {
  const metadata = new FakeMetadata(new Map(Object.entries(given).map(([key, value]) => [key, [value]])));
  const result = withFields(metadata, (set) => {
    for (const [name, value] of Object.entries(fields)) set(name, value);
  });
  return [metadata, result as FakeMetadata];
}

test('the fields go into a copy', () => {
  const [given, result] = inject({ 'x-a': '1' }, { traceparent: own, tracestate: 'a=1' });
  expect([...given.values]).toEqual([['x-a', ['1']]]);
  expect([...result.values]).toEqual([
    ['x-a', ['1']],
    ['traceparent', [own]],
    ['tracestate', ['a=1']],
  ]);
});

test('what interceptors hand each other goes along', () => {
  const given = new FakeMetadata();
  given.opaqueData = new Map();
  expect(withFields(given, () => {}).opaqueData).toBe(given.opaqueData);
});

test('a traceparent that came in with a request is replaced, one of another trace stays', () => {
  const handedOn = inject({ traceparent: `00-${traceId}-0000000000000001-01` }, { traceparent: own })[1];
  expect(handedOn.get('traceparent')).toEqual([own]);
  const foreign = `00-${otherTraceId}-0000000000000001-01`;
  const chosen = inject({ traceparent: foreign }, { traceparent: own, tracestate: 'a=1', b3: '0' })[1];
  expect([...chosen.values]).toEqual([
    ['traceparent', [foreign]],
    ['b3', ['0']],
  ]);
});

test('baggage of the application stays', () => {
  expect(inject({ baggage: 'a=1' }, { baggage: 'b=2' })[1].get('baggage')).toEqual(['a=1']);
  expect(inject({}, { baggage: 'b=2' })[1].get('baggage')).toEqual(['b=2']);
});

test('what is no metadata is handed on', () => {
  for (const strange of [undefined, null, 7, {}]) expect(withFields(strange as never, () => {})).toBe(strange);
});

test('values are strings, binary ones in base64', () => {
  const metadata = new FakeMetadata(
    new Map([
      ['x-bin', [Buffer.from([1, 2, 255])]],
      ['x-a', ['1', '2']],
    ]),
  );
  expect(metadataValues(metadata, 'x-bin')).toEqual(['AQL/']);
  expect(metadataValues(metadata, 'x-a')).toEqual(['1', '2']);
  expect(metadataValues(metadata, 'none')).toBeUndefined();
  expect(metadataValues(undefined, 'none')).toBeUndefined();
  expect(headerValues({ 'x-bin': 'AQL/, AAA=' }, 'x-bin')).toEqual(['AQL/', 'AAA=']);
  expect(headerValues({ 'x-a': 'a, b' }, 'x-a')).toEqual(['a, b']);
  expect(headerValues({ 'x-a': ['a', 'b'] }, 'x-a')).toEqual(['a', 'b']);
  expect(headerValues({ 'x-n': 5 }, 'x-n')).toEqual(['5']);
  expect(headerValues(undefined, 'x')).toBeUndefined();
});
