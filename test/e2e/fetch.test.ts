import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { type Comparison, expectSameAsBare } from '../support/compare';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { anyPort, type ExpectedSpan, expectTree, withAnyPort } from '../support/tree';

const FIXTURE = 'test/e2e/fixtures/fetch-cases/app.mjs';

/** The server's span: the proof that the parent id on the wire is the client span's id. */
const server = (attributes: Record<string, unknown> = {}, status: ExpectedSpan['status'] = 'UNSET'): ExpectedSpan => ({
  name: /^[A-Z]+$/,
  kind: 'SERVER',
  scope: 'hookline/http',
  attributes,
  status,
});

/** The whole client span of a request that was answered. */
function client(path: string, status = 200, method = 'GET'): ExpectedSpan {
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
    },
    events: [],
    children: [server({ 'http.response.status_code': status }, status >= 500 ? 'ERROR' : 'UNSET')],
  };
}

/** A request that never got an answer. */
function unanswered(path: string, errorType?: string, children: ExpectedSpan[] = []): ExpectedSpan {
  return {
    name: 'GET',
    kind: 'CLIENT',
    status: errorType === undefined ? 'UNSET' : 'ERROR',
    exactAttributes: true,
    attributes: {
      'http.request.method': 'GET',
      'server.address': '127.0.0.1',
      'server.port': anyPort,
      'url.full': withAnyPort(`http://127.0.0.1:*${path}`),
      ...(errorType !== undefined && { 'error.type': errorType }),
    },
    events: [],
    children,
  };
}

const givenUp = server({ 'error.type': 'ECONNRESET' }, 'ERROR');

describe('global fetch', () => {
  let runs: Comparison;
  let spans: ReceivedSpan[];

  beforeAll(async () => {
    runs = await expectSameAsBare(FIXTURE);
    spans = runs.traced.import!.spans;
  });

  const expectCase = (name: string, expected: ExpectedSpan | ExpectedSpan[]) => {
    for (const run of Object.values(runs.traced)) expectTree(spansOfCase(run.spans, name), expected);
  };
  const outcome = (name: string) => outcomeOf(runs.traced.import!.stdout, name);

  it('describes a request completely, once', () => {
    expectCase('get', client('/ok?q=1&sig=REDACTED'));
    expectCase('post', client('/echo', 200, 'POST'));
  });

  it('counts 4xx and 5xx as errors', () => {
    expectCase('not found', client('/status/404', 404));
    expectCase('server error', client('/status/503', 503));
  });

  it('gives each hop of a redirect its span', () => {
    expectCase('redirect', [client('/redirect', 302), client('/ok')]);
  });

  it('names what a failed connection failed with', () => {
    expectCase('refused', unanswered('/', 'ECONNREFUSED'));
    expectCase('reset', {
      name: 'GET',
      kind: 'CLIENT',
      status: { code: 'ERROR', message: 'other side closed' },
      attributes: { 'error.type': 'UND_ERR_SOCKET', 'network.peer.address': '127.0.0.1' },
      children: [givenUp],
    });
  });

  it('waits for the answer after an informational one', () => {
    expectCase('early hints', client('/early'));
  });

  it('FU1: an abort on purpose is no error, a timeout is', () => {
    const aborted = (name: string, errorType?: string) =>
      expectCase(name, {
        name: 'GET',
        kind: 'CLIENT',
        status: errorType === undefined ? 'UNSET' : 'ERROR',
        attributes: { 'error.type': errorType, 'http.response.status_code': undefined },
        events: [],
        children: [givenUp],
      });
    aborted('FU1 abort');
    aborted('FU1 abort with an error');
    aborted('FU1 abort with a coded error');
    aborted('FU1 abort with a string');
    aborted('FU1 timeout', 'TimeoutError');
    expectCase('FU1 aborted before', []);
    expectCase('FU1 abort while reading', { ...client('/endless'), children: [givenUp] });
  });

  it('FU2: cancelling the body is no error', () => {
    const { children, ...span } = client('/large');
    expectCase('FU2 cancel', { ...span, children: [{ name: 'GET', kind: 'SERVER' }] });
  });

  it('FU3: a body that is never read does not keep the span open', () => {
    const { children, ...span } = client('/large');
    expectCase('FU3 never read', Array(5).fill({ ...span, children: [{ name: 'GET', kind: 'SERVER' }] }));
  });

  it('FU4: an endless answer streams through', () => {
    expect(outcome('FU4 endless')).toBe(true);
    expectCase('FU4 endless', { ...client('/endless'), children: [givenUp] });
  });

  it('FU5: headers of every form arrive', () => {
    expect(outcome('FU5 headers').map((answer: any) => answer.headers)).toEqual([
      { 'x-a': '1', 'x-b': '2' },
      { 'x-a': '3' },
      { 'x-a': '4, 5' },
      { 'x-a': '6' },
      { 'x-a': '7' },
      { 'x-b': '9' },
      { 'x-a': '10' },
    ]);
    expectCase(
      'FU5 headers',
      ['GET', 'GET', 'GET', 'GET', 'PUT', 'PATCH', 'GET'].map((method) => client('/echo', 200, method)),
    );
  });

  it('FU6: the init object stays as it is', () => {
    const { keys, headers, init } = outcome('FU6 init');
    expect(keys[1]).toEqual(keys[0]);
    expect(headers).toEqual([['x-a', '2']]);
    expect(init).toEqual({ method: 'POST', body: 'b', headers: { 'x-a': '1' } });
  });

  it('FU7: fetch and its Response look as without the agent', () => {
    // That the output equals the bare run's is what proves it; this only shows that something was looked at.
    expect(outcome('FU7 looks')).toMatchObject({ name: 'fetch', writable: true, type: 'basic', instance: true });
  });

  it("FU9: the parent id sent is the client span's, and the application's own traceparent stays", () => {
    expect(outcome('FU9 injected')).toBe(true);
    expectCase('FU9 injected', client('/echo'));
    expect(outcome('FU9 own traceparent')).toBe(true);
  });

  it("FU12: the caller's span is active before and after", () => {
    expect(outcome('FU12 active span')).toEqual([true, true, true]);
  });

  it('keeps requests that run at the same time apart', () => {
    const byUrl = spansOfCase(spans, 'parallel').filter(({ kind }) => kind === 'CLIENT');
    expect(byUrl.map(({ attributes }) => attributes['http.response.status_code']).sort()).toEqual([201, 202, 203]);
    expect(new Set(byUrl.map(({ parentSpanId }) => parentSpanId)).size).toBe(1);
  });
});
