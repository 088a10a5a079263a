import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { createCertificate } from '../support/certificate';
import { type Comparison, expectSameAsBare } from '../support/compare';
import { isAtLeast, testPackage } from '../support/packages';
import { runApp } from '../support/run-app';
import { anyPort, type ExpectedSpan, expectTree, withAnyPort } from '../support/tree';
import { testedVersions } from '../support/versions';

describe.each(testedVersions('undici'))('undici $label', ({ version, packages }) => {
  let runs: Comparison;
  beforeAll(async () => {
    runs = await expectSameAsBare('test/e2e/fixtures/undici-cases/app.mjs', {
      env: {
        UNDICI: await testPackage(...packages),
        UNDICI_VERSION: version,
        OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS: 'user-agent,x-a',
        OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS: 'x-many',
      },
      preloads: ['import'],
      normalise: (text) => text.replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT'),
    });
  });

  const outcome = (name: string) => outcomeOf(runs.traced.import!.stdout, name);
  const spansOf = (name: string) => spansOfCase(runs.traced.import!.spans, name);
  const expectCase = (name: string, expected: ExpectedSpan | ExpectedSpan[]) => expectTree(spansOf(name), expected);

  function client(path: string, status = 200, method = 'GET', more: Record<string, unknown> = {}): ExpectedSpan {
    return {
      name: method,
      kind: 'CLIENT',
      scope: 'hookline/undici',
      status: status >= 400 ? { code: 'ERROR', message: undefined } : 'UNSET',
      exactAttributes: true,
      attributes: {
        'http.request.method': method,
        'http.response.status_code': status,
        'network.peer.address': '127.0.0.1',
        'network.peer.port': anyPort,
        'network.protocol.version': '1.1',
        'server.address': '127.0.0.1',
        'server.port': anyPort,
        'url.full': withAnyPort(`http://127.0.0.1:*${path}`),
        ...(status >= 400 && { 'error.type': String(status) }),
        ...more,
      },
      children: [{ name: method, kind: 'SERVER' }],
    };
  }

  it.each(['fetch', 'request'])('%s makes one span', (name) => {
    // fetch sends a user agent of its own.
    const own = spansOf(name).find(({ kind }) => kind === 'CLIENT')?.attributes['http.request.header.user-agent'];
    expectCase(
      name,
      client('/ok?q=1', 200, 'GET', own === undefined ? {} : { 'http.request.header.user-agent': ['undici'] }),
    );
  });

  it('stream, pipeline, Client, Pool and callbacks make one span each', () => {
    expectCase('stream', client('/ok'));
    expectCase('pipeline', client('/echo', 200, 'POST', { 'http.response.header.x-many': ['one', 'two'] }));
    expectCase('client', client('/ok'));
    expectCase('pool', client('/ok'));
    expectCase('callback', client('/ok'));
  });

  it('a method that the conventions do not know is _OTHER', () => {
    expectCase('custom method', {
      name: 'HTTP',
      kind: 'CLIENT',
      attributes: { 'http.request.method': '_OTHER', 'http.request.method_original': 'PURGE' },
      children: [{ name: 'HTTP', kind: 'SERVER' }],
    });
  });

  it('failures are errors', () => {
    expectCase('not found', client('/status/404', 404));
    expectCase('refused', {
      name: 'GET',
      kind: 'CLIENT',
      status: 'ERROR',
      attributes: { 'error.type': 'ECONNREFUSED' },
    });
  });

  it('each hop of a redirect has its span', () => {
    // On a connection that an earlier case opened: the second hop has to stay in this trace.
    expectCase('redirect', [client('/redirect', 302), client('/ok')]);
  });

  it('FU1: an abort on purpose is no error, a timeout is', () => {
    const aborted = (name: string, errorType?: string) =>
      expectCase(name, {
        name: 'GET',
        kind: 'CLIENT',
        status: errorType === undefined ? 'UNSET' : 'ERROR',
        attributes: { 'error.type': errorType, 'http.response.status_code': undefined },
        events: [],
        children: [{ name: 'GET', kind: 'SERVER', status: 'ERROR' }],
      });
    aborted('FU1 abort');
    aborted('FU1 abort with an error');
    // Up to 6.0 undici hides the signal's reason behind an abort of its own.
    const { name } = outcome('FU1 timeout').threw as { name: string };
    aborted('FU1 timeout', name === 'TimeoutError' ? 'TimeoutError' : undefined);
    aborted('FU1 headers timeout', 'UND_ERR_HEADERS_TIMEOUT');
  });

  it('FU2: destroying the body is no error', () => {
    const { children, ...span } = client('/large');
    expectCase('FU2 destroy the body', { ...span, children: [{ name: 'GET', kind: 'SERVER' }] });
  });

  it('FU8: a full URL as path, a proxy, a tunnel and an upgrade', () => {
    expectCase('FU8 full URL as path', client('/ok?q=1'));
    expectCase('FU8 proxy', client('/ok'));
    expectCase('FU8 connect', []);
    expectCase('FU8 upgrade', client('/ok', 101));
  });

  it('FU10: options that are used again are as they were, and carry one traceparent each time', () => {
    expect(outcome('FU10 reused options')).toEqual({
      keys: ['path', 'method', 'headers'],
      headers: ['x-a', '1'],
      good: true,
    });
    expectCase(
      'FU10 reused options',
      Array(2).fill(
        client('/echo', 200, 'GET', {
          'http.request.header.x-a': ['1'],
          'http.response.header.x-many': ['one', 'two'],
        }),
      ),
    );
  });

  it('FU11: time in the queue counts', () => {
    const [first, second] = spansOf('FU11 queued').filter(({ kind }) => kind === 'CLIENT');
    expect(first!.attributes['url.full']).toContain('/large');
    expect(second!.startTimeUnixNano < first!.endTimeUnixNano).toBe(true);
  });

  // Before, it could be switched on and did not work well enough to test.
  const http2 = isAtLeast(version, '6.29') ? it : () => {};
  http2('HTTP/2 requests have their span too', async () => {
    const { cert, key } = createCertificate();
    const env = { UNDICI: await testPackage(...packages), CERT: cert, KEY: key };
    const { stdout, code, spans } = await runApp('test/e2e/fixtures/undici-cases/h2.cjs', { env });
    const lines = stdout.split('\n');
    expect({ code, last: lines[2] }).toEqual({ code: 0, last: 'the user left' });
    // The session is of node:http2, whose instrumentation leaves it to undici's.
    const own = spans.filter(({ kind }) => kind === 'CLIENT');
    expect(new Set(own.map(({ scope }) => scope.name))).toEqual(new Set(['hookline/undici']));
    expect(
      own.map(({ status, attributes }) => [
        status.code,
        attributes['http.response.status_code'],
        attributes['error.type'],
      ]),
    ).toEqual([
      ['UNSET', 200, undefined],
      ['UNSET', 200, undefined],
      ['UNSET', undefined, undefined],
    ]);
    // 6.x does not tell which connection took a request.
    const protocol = isAtLeast(version, '7.30') ? '2' : undefined;
    expect(own[1]!.attributes['network.protocol.version']).toBe(protocol);
    expect(lines[0]).toContain(`200 00-${own[0]!.traceId}-${own[0]!.spanId}-`);
  });

  it('FU13: beside the global fetch, with header values read right', () => {
    const both = spansOf('FU13 both').filter(({ kind }) => kind === 'CLIENT');
    expect(both.map(({ attributes }) => attributes['http.response.status_code']).sort()).toEqual([201, 202]);
    expectCase(
      'post',
      client('/echo', 200, 'POST', {
        'http.request.header.x-a': ['1'],
        'http.request.header.user-agent': ['tester/1'],
        'http.response.header.x-many': ['one', 'two'],
      }),
    );
  });
});
