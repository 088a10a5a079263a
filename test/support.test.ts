import { readFileSync } from 'node:fs';
import { get as httpsGet, request as httpsRequest } from 'node:https';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { startBackEnd } from './support/back-end';
import { runBlock, withHost } from './support/back-ends-page';
import { expectSameAsBare } from './support/compare';
import { decodeTraceRequest, encodeTraceRequest } from './support/otlp-decode';
import { decodeTraceJson } from './support/otlp-json';
import { type OtlpReceiver, type ReceiverOptions, startReceiver } from './support/otlp-receiver';
import { runApp, startApp } from './support/run-app';
import { anyPid, anyPort, expectTree, formatTree, withAnyPort } from './support/tree';

/** A length-delimited field: tag, length, content. */
const field = (tag: number, ...content: number[]) => [tag, content.length, ...content];

const HAND_ENCODED = Buffer.from(
  // resource_spans { scope_spans { scope { name } spans { ... } } }
  field(
    0x0a,
    ...field(
      0x12,
      ...field(0x0a, ...field(0x0a, 0x74)),
      ...field(
        0x12,
        ...field(0x0a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), // trace_id
        ...field(0x12, 1, 2, 3, 4, 5, 6, 7, 8), // span_id
        ...field(0x2a, 0x61), // name
        ...[0x30, 2], // kind
        ...[0x39, 1, 0, 0, 0, 0, 0, 0, 0], // start_time_unix_nano
        ...field(0x4a, ...field(0x0a, 0x6b), ...field(0x12, 0x18, 5)), // attributes: k = int_value 5
        ...[0x85, 0x01, 1, 1, 0, 0], // flags
      ),
    ),
  ),
);

const trace = '0af7651916cd43dd8448eb211c80319c';
const idBytes = (hex: string) => Buffer.from(hex, 'hex');

interface Given {
  id: number;
  parent?: number;
  name: string;
  start: number;
  [key: string]: unknown;
}

function requestOf(...given: Given[]): Uint8Array {
  const spanId = (id: number) => idBytes(id.toString(16).padStart(16, '0'));
  return encodeTraceRequest({
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] },
        scopeSpans: [
          {
            scope: { name: 'http', version: '1' },
            schemaUrl: 'schema',
            spans: given.map(({ id, parent, start, ...rest }) => ({
              traceId: idBytes(trace),
              spanId: spanId(id),
              parentSpanId: parent === undefined ? undefined : spanId(parent),
              startTimeUnixNano: start,
              endTimeUnixNano: start + 1,
              ...rest,
            })),
          },
        ],
      },
    ],
  });
}

const spansOf = (...given: Given[]) => decodeTraceRequest(requestOf(...given));

describe('OTLP decoding', () => {
  test('reads every field into the neutral shape', () => {
    const [span] = spansOf({
      id: 2,
      parent: 1,
      start: 10,
      name: 'GET',
      kind: 3,
      traceState: 'a=1',
      flags: 0x101,
      status: { code: 2, message: 'refused' },
      attributes: [
        { key: 'text', value: { stringValue: '' } },
        { key: 'flag', value: { boolValue: false } },
        { key: 'small', value: { intValue: -5 } },
        { key: 'big', value: { intValue: '9223372036854775807' } },
        { key: 'float', value: { doubleValue: 0.5 } },
        { key: 'list', value: { arrayValue: { values: [{ intValue: 1 }, { intValue: 0 }, {}] } } },
        { key: 'map', value: { kvlistValue: { values: [{ key: 'k', value: { stringValue: 'v' } }] } } },
      ],
      events: [{ name: 'exception', timeUnixNano: 11, attributes: [] }],
      links: [{ traceId: idBytes(trace), spanId: idBytes('00000000000000ff'), flags: 1 }],
      droppedAttributesCount: 3,
    });
    expect(span).toEqual({
      traceId: trace,
      spanId: '0000000000000002',
      parentSpanId: '0000000000000001',
      name: 'GET',
      kind: 'CLIENT',
      attributes: {
        text: '',
        flag: false,
        small: -5,
        big: 9223372036854775807n,
        float: 0.5,
        list: [1, 0, undefined],
        map: { k: 'v' },
      },
      status: { code: 'ERROR', message: 'refused' },
      events: [{ name: 'exception', timeUnixNano: 11n, attributes: {}, droppedAttributesCount: 0 }],
      links: [
        {
          traceId: trace,
          spanId: '00000000000000ff',
          traceState: '',
          flags: 1,
          attributes: {},
          droppedAttributesCount: 0,
        },
      ],
      startTimeUnixNano: 10n,
      endTimeUnixNano: 11n,
      scope: { name: 'http', version: '1', attributes: {}, schemaUrl: 'schema' },
      resource: { 'service.name': 'shop' },
      resourceSchemaUrl: '',
      flags: 0x101,
      traceState: 'a=1',
      droppedAttributesCount: 3,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    });
  });

  test('reads bytes that no encoder of ours made', () => {
    const [span] = decodeTraceRequest(HAND_ENCODED);
    expect(span).toMatchObject({
      traceId: '0102030405060708090a0b0c0d0e0f10',
      spanId: '0102030405060708',
      parentSpanId: undefined,
      name: 'a',
      kind: 'SERVER',
      attributes: { k: 5 },
      status: { code: 'UNSET' },
      startTimeUnixNano: 1n,
      flags: 0x101,
      scope: { name: 't' },
    });
  });

  test.each([
    ['an unknown field', [0x98, 0x06, 1], /unknown field 99/],
    ['a known field of another wire type', [0x08, 1], /unknown field 1 with wire type 0/],
    ['a truncated message', [0x0a, 20, 1], /index out of range|truncated/i],
  ])('refuses %s', (_what, bytes, message) => {
    expect(() => decodeTraceRequest(Buffer.from(bytes))).toThrow(message);
  });

  test('refuses an unknown field deep inside', () => {
    // resource_spans { scope_spans { spans { field 17 } } }
    const bytes = [0x0a, 7, 0x12, 5, 0x12, 3, 0x88, 0x01, 1];
    expect(() => decodeTraceRequest(Buffer.from(bytes))).toThrow(/resourceSpans.*spans.*unknown field 17/);
  });

  test.each([
    ['a short trace id', { traceId: idBytes('0102') }, /trace_id/],
    ['a zero span id', { spanId: Buffer.alloc(8) }, /span_id/],
    ['a kind that does not exist', { kind: 9 }, /kind/],
    [
      'a duplicate attribute',
      {
        attributes: [
          { key: 'a', value: {} },
          { key: 'a', value: {} },
        ],
      },
      /duplicate key "a"/,
    ],
  ])('refuses %s', (_what, fields, message) => {
    expect(() => spansOf({ id: 1, name: 'a', start: 1, ...fields })).toThrow(message);
  });
});

describe('OTLP/JSON decoding', () => {
  const requestWith = (span: object) =>
    Buffer.from(
      JSON.stringify({
        resourceSpans: [
          {
            scopeSpans: [{ spans: [{ traceId: trace, spanId: '0000000000000001', name: 'a', kind: 2, ...span }] }],
          },
        ],
      }),
    );

  test('gives what the binary form gives', () => {
    const attributes = [
      { key: 'n', value: { intValue: '9007199254740993' } },
      { key: 'b', value: { bytesValue: 'AP8=' } },
    ];
    const [span] = decodeTraceJson(requestWith({ startTimeUnixNano: '1700000000123456789', attributes }));
    expect(span).toMatchObject({
      traceId: trace,
      spanId: '0000000000000001',
      kind: 'SERVER',
      startTimeUnixNano: 1_700_000_000_123_456_789n,
      attributes: { n: 9_007_199_254_740_993n },
    });
    expect(Buffer.from(span!.attributes['b'] as Uint8Array).toString('hex')).toBe('00ff');
  });

  test.each([
    [{ unheard: 1 }, 'unknown field unheard'],
    [{ kind: 'SPAN_KIND_SERVER' }, 'enum by name'],
    [{ traceId: 'CvdlGRbNQ92ESOshHIAxnA==' }, 'not hexadecimal'],
    [{ traceId: 'abcd' }, 'expected 16 bytes'],
    [{ startTimeUnixNano: 1.5 }, 'no integer'],
    [{ attributes: {} }, 'not an array'],
    [{ status: [] }, 'not an object'],
  ])('refuses %j', (span, message) => {
    expect(() => decodeTraceJson(requestWith(span))).toThrow(message);
  });
});

describe('back end', () => {
  const post = async (url: string, headers: Record<string, string>, body = 'four') =>
    (await fetch(url, { method: 'POST', headers, body })).status;

  test('takes what its rules allow and says why it does not take the rest', async () => {
    const backEnd = await startBackEnd({
      path: '/in?x=1',
      decode: { 'text/plain': (body) => (body.toString() === 'bad' ? JSON.parse('{') : [body.toString()]) },
      refuse: ({ authorization }) => (authorization === undefined ? 401 : authorization === 'me' ? undefined : 403),
      maxBytes: 4,
      status: 202,
    });
    const url = `${backEnd.url}/in?x=1`;
    const me = { authorization: 'me', 'content-type': 'text/plain' };
    expect([
      await post(url, me),
      await post(`${backEnd.url}/in`, me),
      await post(url, { 'content-type': 'text/plain' }),
      await post(url, { ...me, authorization: 'you' }),
      await post(url, { ...me, 'content-type': 'text/html' }),
      await post(url, me, '5 byte'),
      await post(url, me, 'bad'),
      (await fetch(url, { headers: me })).status,
    ]).toEqual([202, 404, 401, 403, 415, 413, 400, 405]);
    expect(backEnd.items).toEqual(['four']);
    expect(backEnd.requests.map(({ status }) => status)).toEqual([202, 404, 401, 403, 415, 413, 400, 405]);
    expect(backEnd.problems).toHaveLength(8);
    await backEnd.close();
  });
});

describe('blocks of docs/back-ends.md', () => {
  test('are filled in and run by a shell', () => {
    const { env, packages } = runBlock('Grafana Cloud', { zone: 'z', 'instance id': '1', token: 'a' });
    expect(packages).toEqual([]);
    expect(env).toEqual({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otlp-gateway-z.grafana.net/otlp',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20MTph',
    });
    expect(withHost(env, 5)).toMatchObject({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://127.0.0.1:5/otlp' });
  });

  test('fail when a placeholder is not known, or has gone', () => {
    expect(() => runBlock('Honeycomb', {})).toThrow('nothing given for <key>');
    expect(() => runBlock('Honeycomb', { key: 'k', zone: 'z' })).toThrow('has no <zone>');
    expect(() => runBlock('Nowhere', {})).toThrow('no block');
  });
});

describe('receiver', () => {
  let receiver: OtlpReceiver;
  const start = async (options?: ReceiverOptions) => {
    receiver = await startReceiver(options);
    return receiver;
  };
  afterEach(() => receiver.close());

  const post = (body: Uint8Array, headers: Record<string, string> = {}) =>
    fetch(`${receiver.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', ...headers },
      body: body as Uint8Array<ArrayBuffer>,
    });
  const body = requestOf({ id: 1, name: 'one', start: 1 });

  test('collects spans, plain and compressed, with the raw requests', async () => {
    await start();
    const waiting = receiver.waitForSpans(2);
    expect((await post(body)).status).toBe(200);
    await post(gzipSync(requestOf({ id: 2, name: 'two', start: 2 })), { 'content-encoding': 'gzip', 'x-key': 'v' });
    expect((await waiting).map(({ name }) => name)).toEqual(['one', 'two']);
    expect(receiver.requests[0]!.bytes).toEqual(Buffer.from(body));
    expect(receiver.requests[1]).toMatchObject({ method: 'POST', url: '/v1/traces', headers: { 'x-key': 'v' } });
  });

  test('answers as it is told, then as usual', async () => {
    await start();
    receiver.replyNext(
      { status: 503, headers: { 'retry-after': '1' }, body: 'busy' },
      { reset: true },
      { hang: true },
      { delayMs: 50, partialSuccess: { rejectedSpans: 1, errorMessage: 'late' } },
    );
    const busy = await post(body);
    expect([busy.status, busy.headers.get('retry-after'), await busy.text()]).toEqual([503, '1', 'busy']);
    await expect(post(body)).rejects.toThrow();
    await expect(
      fetch(`${receiver.url}/v1/traces`, { method: 'POST', body: '', signal: AbortSignal.timeout(200) }),
    ).rejects.toThrow(/timeout/);
    expect(receiver.spans).toEqual([]);
    receiver.errors.length = 0;
    const partial = await post(body);
    expect(Buffer.from(await partial.arrayBuffer()).toString('latin1')).toContain('late');
    expect((await post(body)).status).toBe(200);
    expect(receiver.spans).toHaveLength(2);
  });

  test('makes a request that is no valid OTLP fail the test', async () => {
    await start();
    expect((await post(Buffer.from([0x98, 0x06, 1]))).status).toBe(400);
    await expect(receiver.waitForSpans(1)).rejects.toThrow(/unknown field/);
    receiver.clear();
    await expect(receiver.waitForSpans(1, 20)).rejects.toThrow('expected 1 spans, got 0 (none) after 20 ms');
  });

  test('speaks TLS with a certificate that Node verifies', async () => {
    const { tls, port } = await start({ https: true });
    const ca = readFileSync(tls!.certFile);
    const status = await new Promise((resolve, reject) => {
      const request = httpsRequest(
        { host: 'localhost', port, ca, method: 'POST', headers: { 'content-type': 'application/x-protobuf' } },
        (response) => resolve(response.resume().statusCode),
      );
      request.on('error', reject).end(body);
    });
    expect(status).toBe(200);
    expect(receiver.spans).toHaveLength(1);
    const refused = new Promise((_resolve, reject) => httpsGet({ host: '127.0.0.1', port }).on('error', reject));
    await expect(refused).rejects.toThrow(/self-signed/);
  });

  test('can ask for a client certificate', async () => {
    const { tls, port } = await start({ https: 'mutual' });
    const ca = readFileSync(tls!.certFile);
    const send = (certificate: object) =>
      new Promise((resolve, reject) => {
        const headers = { 'content-type': 'application/x-protobuf' };
        const request = httpsRequest(
          { host: '127.0.0.1', port, ca, method: 'POST', headers, ...certificate },
          (response) => resolve(response.resume().statusCode),
        );
        request.on('error', reject).end(body);
      });
    await expect(send({})).rejects.toThrow();
    await expect(send({ cert: ca, key: readFileSync(tls!.keyFile) })).resolves.toBe(200);
  });
});

describe('span tree', () => {
  const spans = spansOf(
    { id: 3, parent: 1, name: 'second', start: 20, kind: 3 },
    { id: 2, parent: 1, name: 'first', start: 10, kind: 3, status: { code: 2, message: 'no' } },
    {
      id: 1,
      parent: 99,
      name: 'root',
      start: 5,
      kind: 2,
      attributes: [
        { key: 'server.port', value: { intValue: 4318 } },
        { key: 'url', value: { stringValue: 'http://h:4318/a' } },
      ],
    },
  );

  test('puts children under their parents in order of their start', () => {
    expect(formatTree(spans)).toBe('SERVER root\n  CLIENT first [ERROR]\n  CLIENT second');
    expectTree(spans, {
      name: 'root',
      kind: 'SERVER',
      scope: 'http',
      exactAttributes: true,
      attributes: { 'server.port': anyPort, url: withAnyPort('http://h:*/a') },
      children: [
        { name: /^fir/, status: { code: 'ERROR', message: 'no' } },
        { name: 'second', status: 'UNSET', attributes: { missing: undefined } },
      ],
    });
  });

  const children = [{ name: 'first' }, { name: 'second' }];
  test.each([
    ['a child too many', { name: 'root', children: children.slice(0, 1) }],
    ['a missing child', { name: 'root', children: [...children, { name: 'third' }] }],
    ['another order', { name: 'root', children: children.toReversed() }],
    ['another value', { name: 'root', attributes: { url: 'http://h/' }, children }],
    ['another value under a matcher', { name: 'root', attributes: { url: anyPid }, children }],
    ['an attribute too many', { name: 'root', exactAttributes: true, attributes: { 'server.port': 4318 }, children }],
    ['another status', { name: 'root', status: 'ERROR' as const, children }],
    ['another scope', { name: 'root', scope: 'pg', children }],
  ])('refuses %s', (_what, expected) => {
    expect(() => expectTree(spans, expected)).toThrow(/received:/);
  });

  test('has matchers that survive being copied into a difference', () => {
    expect(() => expect({ port: 1, other: 1 }).toMatchObject({ port: anyPort, other: 2 })).toThrow(/any port|other/);
  });

  test('refuses a span that was sent twice', () => {
    expect(() => formatTree([spans[0]!, spans[0]!])).toThrow(/received twice/);
  });
});

describe('applications', () => {
  const echo = 'test/support/fixtures/echo.mjs';

  test('run in a clean environment with the input and arguments given', async () => {
    process.env.OTEL_SERVICE_NAME = 'of the runner';
    const result = await runApp(echo, {
      preload: 'none',
      args: ['3'],
      stdin: 'hello',
      ipc: true,
      env: { OTEL_X: '1' },
    });
    delete process.env.OTEL_SERVICE_NAME;
    expect(JSON.parse(result.stdout)).toMatchObject({
      stdin: 'hello',
      otel: expect.arrayContaining(['OTEL_BSP_SCHEDULE_DELAY', 'OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_X']),
    });
    expect(result.stdout).not.toContain('OTEL_SERVICE_NAME');
    expect(result).toMatchObject({ code: 3, signal: null, messages: [{ ready: true }], spans: [] });
    expect(result.stderr).toMatch(/a warning/);
  });

  test('get a signal when they print the text', async () => {
    const result = await runApp(echo, { preload: 'none', args: ['wait'], signal: { after: 'stdin', name: 'SIGTERM' } });
    expect(result).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  test('are killed when they do not end, and say what they printed', async () => {
    const run = runApp(echo, { preload: 'none', args: ['wait'], timeoutMs: 1500 });
    await expect(run).rejects.toThrow(/still running after 1500 ms.*stdin/s);
  });

  test('report output while they run', async () => {
    const app = await startApp(echo, { preload: 'none', receiver: false, args: ['wait'] });
    const [, text] = await app.waitForOutput(/"stdin":"(.*?)"/);
    expect(text).toBe('');
    app.child.kill();
    expect(await app.done).toMatchObject({ signal: 'SIGTERM' });
    await expect(app.waitForOutput('never')).rejects.toThrow(/ended without printing never/);
  });

  test('are compared with their bare run, ids of processes aside', async () => {
    // Stands in for the agent: this one is about the comparison.
    const harmless = 'data:text/javascript,';
    const visible = 'data:text/javascript,console.log("here")';
    const options = { preloads: ['import' as const], args: ['4'], normalise: withoutFlags };
    const { bare } = await expectSameAsBare(echo, { ...options, specifier: { import: harmless, require: '' } });
    expect(bare.code).toBe(4);
    await expect(expectSameAsBare(echo, { ...options, specifier: { import: visible, require: '' } })).rejects.toThrow(
      /with import, compared with the bare run/,
    );
  });
});

function withoutFlags(text: string): string {
  return text.replace(/"execArgv":\[.*?\]/, '');
}
