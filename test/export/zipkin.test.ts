import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { encodeResource, SpanBatch } from '../../src/export/encode';
import { toZipkinJson } from '../../src/export/zipkin';
import type { Span } from '../../src/trace/span';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { type Decoded, makeResource, startSpan } from './support';

const INTERNAL = 0;
const SERVER = 1;
const CLIENT = 2;

function zipkinOf(span: Span, resource: Attributes = { 'service.name': 'shop' }): Decoded {
  if (!span.ended) span.end();
  const batch = new SpanBatch();
  batch.add(span);
  const list = JSON.parse(
    toZipkinJson(batch.toRequest(encodeResource(makeResource(resource)))).toString(),
  ) as Decoded[];
  expect(list).toHaveLength(1);
  return list[0];
}

const SCOPE_TAGS = {
  'otel.scope.name': 'test-scope',
  'otel.scope.version': '1.2.3',
  'otel.library.name': 'test-scope',
  'otel.library.version': '1.2.3',
};

describe('a span as Zipkin has it', () => {
  it('has ids, times in whole microseconds, and tags', () => {
    const parent = new SpanIdentity(1, 2, 3, 4, 5, 6, FLAG_SAMPLED, undefined, true);
    const span = startSpan({ parent, name: 'GET /cart', kind: SERVER, attributes: { a: 'b', n: 5, on: true, x: 1.5 } });
    span.startAt([1_700_000_000, 1_999]);
    span.end([1_700_000_000, 4_998]);
    expect(zipkinOf(span, { 'service.name': 'shop', 'service.namespace': 'eu', list: ['a', 'b'] })).toEqual({
      traceId: span.identity.traceId,
      id: span.identity.spanId,
      parentId: '0000000500000006',
      name: 'GET /cart',
      kind: 'SERVER',
      timestamp: 1_700_000_000_000_001,
      duration: 2,
      localEndpoint: { serviceName: 'shop' },
      tags: { a: 'b', n: '5', on: 'true', x: '1.5', 'service.namespace': 'eu', list: '["a","b"]', ...SCOPE_TAGS },
    });
  });

  it('leaves out what is not there, and lasts a microsecond at least', () => {
    const span = startSpan({ kind: INTERNAL });
    span.startAt([1_700_000_000, 0]);
    span.end([1_700_000_000, 10]);
    const zipkin = zipkinOf(span, {});
    expect(Object.keys(zipkin).sort()).toEqual([
      ...['duration', 'id', 'localEndpoint', 'name', 'tags', 'timestamp', 'traceId'],
    ]);
    expect(zipkin.duration).toBe(1);
    expect(zipkin.localEndpoint).toEqual({ serviceName: 'unknown_service' });
  });

  it.each([
    [{ code: 0 }, {}],
    [{ code: 1 }, { 'otel.status_code': 'OK' }],
    [{ code: 2 }, { 'otel.status_code': 'ERROR', error: '' }],
    [
      { code: 2, message: 'boom' },
      { 'otel.status_code': 'ERROR', error: 'boom' },
    ],
  ] as const)('has the status %j as tags; an attribute called error never says it', (status, tags) => {
    const span = startSpan({ attributes: { error: false } });
    span.setStatus(status);
    expect(zipkinOf(span).tags).toEqual({ ...tags, ...SCOPE_TAGS });
  });

  it('has events as annotations, their attributes in the text', () => {
    const span = startSpan();
    span.addEvent('plain', undefined, [1_700_000_000, 1_000]);
    span.addEvent('with "more"', { a: 'x', n: [1, 2] }, [1_700_000_000, 2_000]);
    expect(zipkinOf(span).annotations).toEqual([
      { timestamp: 1_700_000_000_000_001, value: 'plain' },
      { timestamp: 1_700_000_000_000_002, value: '"with \\"more\\"": {"a":"x","n":[1,2]}' },
    ]);
  });

  it('counts what was dropped', () => {
    const span = startSpan();
    span.droppedAttributesCount = 1;
    span.droppedEventsCount = 2;
    span.droppedLinksCount = 3;
    expect(zipkinOf(span).tags).toEqual({
      'otel.dropped_attributes_count': '1',
      'otel.dropped_events_count': '2',
      'otel.dropped_links_count': '3',
      ...SCOPE_TAGS,
    });
  });

  it.each([
    [CLIENT, { 'peer.service': 'bank', 'server.address': 'b.example' }, { serviceName: 'bank' }],
    [
      CLIENT,
      { 'server.address': 'b.example', 'server.port': 443, 'network.peer.address': '10.0.0.1' },
      { serviceName: 'b.example', ipv4: '10.0.0.1', port: 443 },
    ],
    [
      CLIENT,
      { 'network.peer.address': '::1', 'network.peer.port': 5432 },
      { serviceName: '::1', ipv6: '::1', port: 5432 },
    ],
    [CLIENT, { 'server.address': '/var/run/socket' }, { serviceName: '/var/run/socket' }],
    [CLIENT, { 'db.namespace': 'shop' }, { serviceName: 'shop' }],
    [CLIENT, { 'url.full': 'http://x/' }, undefined],
    [SERVER, { 'server.address': 'b.example' }, undefined],
  ])('kind %i with %j names its other side', (kind, attributes, remote) => {
    expect(zipkinOf(startSpan({ kind, attributes: attributes as Attributes })).remoteEndpoint).toEqual(remote);
  });

  it('keeps keys that are special in JavaScript', () => {
    const attributes = JSON.parse('{"__proto__":"a","constructor":"b"}') as Attributes;
    const { tags } = zipkinOf(startSpan({ attributes }));
    expect(Object.entries(tags)).toEqual(
      expect.arrayContaining([
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ]),
    );
  });
});
