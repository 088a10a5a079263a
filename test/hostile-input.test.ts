import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Attributes } from '@opentelemetry/api';
import protobuf from 'protobufjs';
import { afterEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../src/config';
import { createQueryDescriber, type SqlDialect } from '../src/db/query';
import { encodeResource, SpanBatch } from '../src/export/encode';
import { clientAttributes } from '../src/http/client-attributes';
import { serverHeaders } from '../src/http/headers';
import { ServerConnection, serverAttributes } from '../src/http/server-attributes';
import { addFields, readField } from '../src/messaging/amqp-headers';
import { brokerOf } from '../src/messaging/broker';
import { createPropagator } from '../src/propagation/composite';
import { loadPropagator } from '../src/propagation/load';
import { headerValues } from '../src/rpc/metadata';
import { decodeMessage, parseTimeout } from '../src/rpc/status';
import { parsePeer, parseTarget } from '../src/rpc/target';
import { BlockList } from '../src/trace/attribute-block';
import { ROOT_CONTEXT } from '../src/trace/context';
import { startSpan } from './export/parts';
import { type Random, random } from './support/random';

/** Of each kind of input; with the seed, a failure can be repeated: HOOKLINE_TEST_SEED=<seed>. */
const INPUTS = 12_000;
const SEED = Number(process.env.HOOKLINE_TEST_SEED ?? 20_261_121);

/** What parsers stumble over: separators, escapes, line ends, halves of characters, names that objects already have. */
const PIECES = [
  ...' \t\r\n\0\x7f,;:=%-_./\\@#?&[]{}()"\'`*+$|<>~',
  ...['%0d%0a', '%', '%zz', '%E0%A4%A', '\r\nset-cookie: a=b', '\ud800', '\udfff', '💥', 'é', '\u2028', '﻿'],
  ...['__proto__', 'constructor', 'toString', 'NaN', '-0', '1e999', '99999999999999999999', 'ff', '00', 'true'],
  ...['--', '/*', '*/', '$$', "E'", '::', '[::1]', '%25', 'http://', '://', '..', '//'],
];

function mutate(source: Random, text: string): string {
  let result = text;
  for (let edits = source.integer(5); edits >= 0; edits--) {
    const at = source.integer(result.length + 1);
    const cut = source.integer(4) === 0 ? source.integer(20) : source.integer(3);
    const piece = source.integer(50) === 0 ? source.pick(PIECES).repeat(5_000) : source.pick(PIECES);
    result = result.slice(0, at) + piece.repeat(1 + source.integer(2)) + result.slice(at + cut);
  }
  return result;
}

/** Every string of a request on the wire, as bytes: the definitions with `bytes` in the place of `string`. */
const definitions = readFileSync(fileURLToPath(new URL('support/proto/opentelemetry.proto', import.meta.url)), 'utf8');
const Request = protobuf
  .parse(definitions.replace(/^(\s*(?:repeated |optional )?)string /gm, '$1bytes '))
  .root.lookupType('opentelemetry.ExportTraceServiceRequest');
const utf8 = new TextDecoder('utf-8', { fatal: true });

function expectUtf8(value: unknown, path: string): void {
  if (value instanceof Uint8Array) {
    if (/(traceId|spanId|parentSpanId|bytesValue)$/.test(path)) return;
    utf8.decode(value);
  } else if (Array.isArray(value)) {
    for (const item of value) expectUtf8(item, path);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) expectUtf8(item, `${path}.${key}`);
  }
}

/** The texts as a span carries them, encoded and read again. */
function expectEncodable(name: string, attributes: Attributes): void {
  const span = startSpan({ name, attributes });
  span.setStatus({ code: 2, message: name });
  span.end();
  const batch = new SpanBatch();
  expect(batch.add(span)).toBe('encoded');
  const request = Request.decode(batch.toRequest(encodeResource(span.resource)));
  expectUtf8(Request.toObject(request, { bytes: Uint8Array }), '');
}

const prototypeKeys = Object.getOwnPropertyNames(Object.prototype).sort();
afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(prototypeKeys);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const HEADERS: Readonly<Record<string, Record<string, string>>> = {
  tracecontext: { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'foo=1,b@r=2 , ot=th:8;rv:0123456789abcd' },
  baggage: { baggage: 'a=1,b=%20;p=q, c=d,__proto__=polluted' },
  b3: { b3: `${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90` },
  b3multi: { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1', 'x-b3-flags': '0' },
  jaeger: { 'uber-trace-id': `${TRACE}:${SPAN}:0:1`, 'uberctx-a': 'b' },
  xray: { 'x-amzn-trace-id': `Root=1-${TRACE.slice(0, 8)}-${TRACE.slice(8)};Parent=${SPAN};Sampled=1;Lineage=a:0` },
  ottrace: { 'ot-tracer-traceid': SPAN, 'ot-tracer-spanid': SPAN, 'ot-tracer-sampled': 'true' },
  datadog: {
    'x-datadog-trace-id': '9532127138774266268',
    'x-datadog-parent-id': '13235353014750950193',
    'x-datadog-sampling-priority': '1',
    'x-datadog-tags': '_dd.p.tid=0af7651916cd43dd',
  },
  gcp: { 'x-cloud-trace-context': `${TRACE}/13235353014750950193;o=1` },
};

describe('headers', () => {
  test.each(Object.entries(HEADERS))('%s', (name, headers) => {
    const source = random(SEED);
    // Not the guarded ones only: nothing may depend on a guard.
    const propagator = createPropagator([name], loadPropagator);
    let found = 0;
    for (let i = 0; i < INPUTS; i++) {
      const received: Record<string, string | string[]> = {};
      for (const [field, value] of Object.entries(headers)) {
        if (source.integer(9) === 0) continue;
        const text = source.integer(3) === 0 ? value : mutate(source, value);
        received[field] = source.integer(20) === 0 ? [text, mutate(source, value)] : text;
      }
      const context = propagator.extract(ROOT_CONTEXT, (field) => received[field]);
      if (context !== ROOT_CONTEXT) found++;
      const { identity } = context;
      if (identity !== undefined) {
        expect(identity.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
        expect(identity.spanId).toMatch(/^(?!0{16})[0-9a-f]{16}$/);
      }
      // Collected first: what a setter throws is swallowed.
      const sent: [string, string][] = [];
      propagator.inject(context, (field, value) => void sent.push([field, value]));
      for (const [field, value] of sent) {
        // Visible ASCII, spaces and tabs: what every implementation of HTTP accepts in a value.
        if (!/^[\t\x20-\x7e]*$/.test(value) || value.length > 8192) {
          expect.unreachable(`${JSON.stringify(received)} became ${field}: ${JSON.stringify(value)}`);
        }
      }
    }
    // Neither refused as a whole nor taken as a whole.
    expect(found).toBeGreaterThan(INPUTS / 20);
    expect(found).toBeLessThan(INPUTS);
  });
});

test('URLs and what proxies say of them', () => {
  const { http } = loadConfig({}).config;
  const source = random(SEED);
  for (let i = 0; i < INPUTS; i++) {
    const target = mutate(source, '/users/12345;v=1/%7Bx%7D?q=a%20b&sig=abc&X-Amz-Signature=d#part');
    const authority = mutate(source, source.pick(['user:secret@example.com:8080', '[2001:db8::1]:443', 'a.test']));
    const method = source.integer(5) === 0 ? mutate(source, 'GET') : source.pick(['GET', 'CONNECT', 'OPTIONS']);
    const headers: Record<string, string> = {
      host: authority,
      forwarded: mutate(source, 'for="[2001:db8::1]:4711";proto=https;host="a.test:1", for=1.2.3.4'),
      'x-forwarded-for': mutate(source, '1.2.3.4, 5.6.7.8:99'),
      'x-forwarded-proto': mutate(source, 'https'),
      'x-forwarded-host': mutate(source, 'a.test:81'),
      'user-agent': mutate(source, 'curl/8.0'),
    };
    const port = source.pick([undefined, 0, 443, 65_536]);
    const blocks = new BlockList();
    const own = clientAttributes({ method, scheme: 'http', authority, path: target, port }, http, blocks);
    const client = blocks.mergedWith(own);
    blocks.clear();
    const received = serverAttributes(
      {
        method,
        target,
        scheme: 'http',
        version: '1.1',
        headers: serverHeaders((name) => headers[name]),
      },
      http,
      new ServerConnection(mutate(source, '::ffff:1.2.3.4'), 4711),
      blocks,
    );
    const server = blocks.mergedWith(received);
    for (const attributes of [client, server]) {
      const ports = [attributes['server.port'], attributes['network.peer.port']].filter((it) => it !== undefined);
      for (const each of ports) expect(Number.isInteger(each) && (each as number) <= 65_536).toBe(true);
      if (i % 10 === 0) expectEncodable(method, attributes);
    }
  }
});

describe('SQL', () => {
  test.each<SqlDialect>(['postgresql', 'mysql'])('%s', (dialect) => {
    const source = random(SEED);
    const describeQuery = createQueryDescriber({ dialect, maxLength: 8192 });
    const statements = [
      "SELECT a, 'b' FROM t JOIN u ON t.x = u.y WHERE z IN (1, 2.5e-3, 0x1f) -- comment",
      "INSERT INTO t (a, b) VALUES ($1, E'it\\'s'), ($2, $q$x$q$) ON CONFLICT DO NOTHING",
      'WITH c AS (SELECT 1) UPDATE "t" SET `a` = "b" /* note */ WHERE d = DATE \'2026-01-01\'; DELETE FROM x',
    ];
    for (let i = 0; i < INPUTS; i++) {
      const { summary, sanitized } = describeQuery(mutate(source, source.pick(statements)));
      expect(summary.length).toBeLessThanOrEqual(255);
      if (i % 10 === 0) expectEncodable(summary, { 'db.query.text': sanitized });
    }
  });

  test('a megabyte that never closes what it opens takes no longer than one that does', () => {
    for (const dialect of ['postgresql', 'mysql'] as const) {
      const describeQuery = createQueryDescriber({ dialect, maxLength: 2 ** 21 });
      for (const piece of ["'", '"', '`', '$$', '$a$', '/*', '--', '(', '[', '\\', "E'\\", '$', '.', '1e', '0x', '@']) {
        // Quadratic time would be hours.
        const { sanitized } = describeQuery(`SELECT ${piece.repeat(2 ** 20 / piece.length)}`);
        expect(sanitized.length).toBeLessThanOrEqual(2 ** 21);
      }
    }
  });
});

test('message headers', () => {
  const source = random(SEED);
  for (let i = 0; i < INPUTS; i++) {
    const values = [undefined, null, 7, {}, [], Buffer.from(mutate(source, 'a=b'), 'latin1'), mutate(source, 'text')];
    const headers = JSON.parse('{"__proto__":{"polluted":true}}') as Record<string, unknown>;
    for (const name of ['traceparent', 'baggage', mutate(source, 'x')]) headers[name] = source.pick(values);
    const properties = { headers: Object.create(source.integer(2) === 0 ? headers : null) as object };
    const before = JSON.stringify(headers);
    for (const name of ['traceparent', '__proto__', 'constructor']) {
      const value = readField(headers, name);
      if (value !== undefined) expect(typeof value).toBe('string');
    }
    addFields(properties, [['traceparent', `00-${TRACE}-${SPAN}-01`]], 4096, 65_536);
    expect(JSON.stringify(headers)).toBe(before);
    brokerOf(mutate(source, 'amqp://user:secret@host:5672/%2fvhost?heartbeat=1'));
  }
});

test('metadata, targets and statuses of gRPC', () => {
  const source = random(SEED);
  for (let i = 0; i < INPUTS; i++) {
    const text = mutate(source, source.pick(['dns:///host:50051', 'unix:/run/x.sock', 'ipv6:[::1]:1,[::2]:2']));
    for (const address of [parseTarget(text), parsePeer(text)]) {
      if (i % 10 === 0) expectEncodable('x', { ...address } as Attributes);
    }
    expect(typeof decodeMessage(mutate(source, 'not%20found%E2%82%AC%'))).toBe('string');
    const timeout = parseTimeout(mutate(source, source.pick(['100m', '5S', '99999999H', '1u'])));
    if (timeout !== undefined) expect(timeout).toBeGreaterThanOrEqual(0);
    const values = headerValues({ 'x-a-bin': mutate(source, 'AAEC,AwQ='), 'x-b': [text] }, 'x-a-bin');
    expectEncodable('x', { values: values ?? [] });
  }
});
