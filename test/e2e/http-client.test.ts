import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isAtLeast } from '../support/packages';
import { type ExpectedSpan, expectTree, Matcher, withAnyPort } from '../support/tree';
import {
  clientAttributes,
  entries,
  nodeVersion,
  printed,
  scenario as run,
  type ScenarioOptions,
  sameAsBare,
  unanswered,
} from './fixtures/http-entry/scenario';

const scenario = (name: string, check: Parameters<typeof run>[2], options?: ScenarioOptions) =>
  run('http-client', name, check, options);
const same = (name: string, options?: ScenarioOptions) => sameAsBare('http-client', name, options);

/** A call's span, with all its attributes. */
function called(attributes: Record<string, unknown>, rest: Partial<ExpectedSpan> = {}): ExpectedSpan {
  return {
    name: 'GET',
    kind: 'CLIENT',
    scope: 'hookline/http',
    status: { code: 'UNSET' },
    attributes,
    exactAttributes: true,
    events: [],
    ...rest,
  };
}

function failed(attributes: Record<string, unknown>, type: string, message: unknown = ''): ExpectedSpan {
  return called(
    { ...attributes, 'error.type': type },
    { status: { code: 'ERROR', ...(message !== '' && { message }) } },
  );
}

const some = new Matcher('some text', (value) => typeof value === 'string' && value !== '');

describe('http client', () => {
  it('HC1: a response nobody listens to is drained, its socket reused, and nothing accumulates', async () => {
    // Every tenth call is recorded: what is kept is kept with or without a span, and a queue that is full drops spans.
    const env = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.1' };
    const { traced } = await same('hc1', { execArgv: ['--expose-gc'], entries: ['require.cjs'], env });
    expect(Object.values(traced)[0]?.stdout).toBe('1\nflat\n'.replace('\n', ' '));
  });

  it('HC2: a late listener receives every byte', async () => {
    await scenario('hc2', ({ spans }) => {
      expectTree(spans, [called(clientAttributes('/small')), called(clientAttributes('/large'))]);
    });
    await same('hc2');
  });

  it("HC3: the caller's options and headers stay as they are", async () => {
    await scenario('hc3', ({ spans }) => {
      expectTree(spans, [
        called(clientAttributes('/frozen')),
        called(
          clientAttributes('/', {
            'url.full': 'http://listed.test/',
            'server.address': 'listed.test',
            'server.port': 80,
          }),
        ),
        called(clientAttributes('/plain')),
        called(clientAttributes('/plain')),
      ]);
    });
    await same('hc3');
  });

  // What real signers and verifiers say is in propagation-hosts.test.ts.
  it('HC4: a signed request is sent as it is, and stays valid when it is sent again', () =>
    scenario('hc4', ({ stdout, spans }) => {
      const keys = '["x-amz-date","x-amz-content-sha256","Authorization"]';
      expect(stdout).toBe(`200 valid\n${keys}\n200 valid\n${keys}\n[0,0]\n`);
      expectTree(spans, [{ name: 'POST' }, { name: 'POST' }]);
    }));

  it('HC5: every form of call is traced', async () => {
    await same('hc5');
    await scenario(
      'hc5',
      ({ spans }) => {
        const method = (name: string) => ({ 'http.request.method': name });
        const to = (path: string, name = 'GET', own: Record<string, unknown> = {}) =>
          called(clientAttributes(path, { ...method(name), ...own }), { name });
        const elsewhere = (url: string, host: string, port: number): Record<string, unknown> => ({
          'url.full': url,
          'server.address': host,
          'server.port': port,
        });
        expectTree(spans, [
          to('/string'),
          to('/string-callback'),
          to('/string-options', 'PUT'),
          to('/string-options-callback', 'DELETE'),
          to('/url'),
          to('/url-callback'),
          to('/url-options?a=b', 'PATCH'),
          to('/host'),
          to('/hostname'),
          // The default port goes unsaid on the wire.
          to('/null-port', 'GET', elsewhere('http://127.0.0.1/null-port', '127.0.0.1', 80)),
          to('/user'),
          to('', 'OPTIONS'),
          to('', 'GET', elsewhere('http://proxied.test:81/x?sig=REDACTED&b=2', 'proxied.test', 81)),
          to('', 'GET', elsewhere('http://named.test/named', 'named.test', 80)),
          to('/agent'),
          called(clientAttributes('/odd', { ...method('_OTHER'), 'http.request.method_original': 'PROPFIND' }), {
            name: 'HTTP',
          }),
        ]);
      },
      { entries },
    );
  });

  it('HC5: a unix socket', () =>
    scenario('unix', ({ spans }) => {
      const none = { 'network.peer.address': undefined, 'network.peer.port': undefined };
      expectTree(
        spans,
        called(
          clientAttributes('', {
            ...none,
            'url.full': 'http://localhost/unix',
            'server.address': 'localhost',
            'server.port': 80,
          }),
        ),
      );
    }));

  it('HC6: a call that throws has a failed span and throws the same', async () => {
    await same('hc6');
    await scenario(
      'hc6',
      ({ spans }) => {
        const threw = (type: string, attributes: Record<string, unknown> = {}, name = 'GET') => ({
          ...failed({ 'http.request.method': name, ...attributes }, type, some),
          name,
        });
        expectTree(spans, [
          threw('ERR_UNESCAPED_CHARACTERS'),
          threw('ERR_INVALID_URL'),
          threw('ERR_INVALID_URL'),
          threw(
            'ERR_INVALID_HTTP_TOKEN',
            { 'url.full': 'http://a.test:81/', 'server.address': 'a.test', 'server.port': 81 },
            'POST',
          ),
          threw('ERR_INVALID_PROTOCOL', {
            'url.full': 'https://b.test/',
            'server.address': 'b.test',
            'server.port': 443,
          }),
          threw('ERR_INVALID_PROTOCOL', {
            'url.full': 'http://c.test/x?sig=REDACTED',
            'server.address': 'c.test',
            'server.port': 80,
          }),
          threw('ERR_INVALID_ARG_TYPE'),
        ]);
      },
      { entries },
    );
  });

  it('HC7: a refused connection without a listener crashes as without the agent', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const { bare, traced } = await same('hc7', { env: { REFUSED_PORT: String(port) } });
    expect(bare).toMatchObject({ code: 1, stdout: 'exit 1\n' });
    expect(bare.stderr).toContain("Emitted 'error' event on ClientRequest instance");
    for (const { spans } of Object.values(traced)) {
      expectTree(spans, failed(unanswered('/'), 'ECONNREFUSED', `connect ECONNREFUSED 127.0.0.1:${port}`));
    }
  });

  it('connection failures are errors', async () => {
    await scenario('failures', ({ spans }) => {
      expectTree(spans, [
        failed(unanswered('/refused'), 'ECONNREFUSED', some),
        failed(unanswered('/hang-up'), 'ECONNRESET', 'socket hang up'),
        failed(unanswered('/reset'), 'ECONNRESET', some),
        failed(unanswered('/nonsense'), 'HPE_INVALID_CONSTANT', some),
        failed(
          unanswered('', {
            'url.full': 'http://absent.test/absent',
            'server.address': 'absent.test',
            'server.port': 80,
          }),
          'ENOTFOUND',
          'no such host',
        ),
      ]);
    });
    await same('failures');
  });

  it('4xx and 5xx are errors', () =>
    scenario('statuses', ({ spans }) => {
      const answered = (status: number) => clientAttributes(`/${status}`, { 'http.response.status_code': status });
      expectTree(spans, [
        called(answered(204)),
        called(answered(302)),
        failed(answered(404), '404'),
        failed(answered(500), '500'),
      ]);
    }));

  it('HC8: cancelling ends the span once and is no error', async () => {
    await scenario('hc8', ({ spans }) => {
      const targets = ['/abort', '/destroy', '/destroy-twice', '/signal', '/signal-reason', '/before'];
      expectTree(spans, [
        ...targets.map((target) => called(unanswered(target))),
        failed(unanswered('/failed'), 'EQUOTA', 'quota'),
        called(clientAttributes('/body')),
      ]);
    });
    await same('hc8');
  });

  it('HC9: a timeout is an error', async () => {
    await scenario('hc9', ({ spans }) => {
      expectTree(spans, [
        failed(unanswered('/option'), 'TimeoutError', 'the request timed out'),
        failed(unanswered('/method'), 'TimeoutError', 'too slow'),
        failed(unanswered('/agent'), 'TimeoutError', 'the request timed out'),
        failed(unanswered('/signal'), 'TimeoutError', some),
        { name: 'patient', children: [called(clientAttributes('/')), { name: 'timeout' }] },
      ]);
    });
    await same('hc9');
  });

  it('HC10: the span ends once, with the response headers', () =>
    scenario('hc10', ({ spans }) => {
      expectTree(spans, { name: 'caller', children: [called(clientAttributes('/')), { name: 'body read' }] });
      const [call, body] = ['GET', 'body read'].map((name) => spans.find((span) => span.name === name)!);
      expect(call!.endTimeUnixNano).toBeLessThanOrEqual(body!.startTimeUnixNano);
    }));

  it("HC11: the call's span is active for nobody else", () =>
    scenario('hc11', ({ spans }) => {
      const child = (name: string): ExpectedSpan => ({ name });
      expectTree(spans, {
        name: 'caller',
        children: [
          called(clientAttributes('/first')),
          ...['after the call', 'socket', 'response', 'end'].map(child),
          called(clientAttributes('/second')),
          child('last'),
        ],
      });
    }));

  it("HC12: queued requests on one socket keep their callers' contexts", () =>
    scenario('hc12', ({ spans, stdout }) => {
      expect(stdout).toBe('1\n');
      const names = (parent: string) => {
        const { spanId } = spans.find(({ name }) => name === parent)!;
        return spans
          .filter(({ parentSpanId }) => parentSpanId === spanId)
          .map(({ name }) => name)
          .sort();
      };
      const marks = (name: string) =>
        ['callback', 'closed', 'data', 'end', 'response close', 'sent'].map((event) => `${name} ${event}`);
      expect(names('a')).toEqual(['POST', ...marks('a')]);
      expect(names('b')).toEqual(['POST', ...marks('b')]);
      expect(spans).toHaveLength(16);
    }));

  it('HC13: a traceparent of the application is neither doubled nor overwritten', () =>
    scenario('hc13', (result) => {
      const mine = 'traceparent: 00-11111111111111111111111111111111-2222222222222222-01';
      const ours = expect.stringMatching(/^traceparent: 00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
      const lower = (lines: string[]) => lines.map((line) => line.replace(/^traceparent/i, 'traceparent')).sort();
      expect(printed(result).map(lower)).toEqual([
        ['baggage: ours=1', mine],
        ['baggage: ours=1', mine],
        ['baggage: ours=1', mine],
        ['baggage: ours=1', mine, 'tracestate: mine=1'],
        ['baggage: ours=1', ours, 'tracestate: mine=1'],
        ['baggage: mine=1', ours, 'tracestate: ours=1'],
        ['baggage: ours=1', mine, 'tracestate: ours=1'],
      ]);
    }));

  it('HC14: credentials and signatures are not recorded, and the name has no path', () =>
    scenario('hc14', ({ spans, stdout }) => {
      const redacted = ['sig', 'X-Amz-Signature', 'Signature', 'AWSAccessKeyId'].map((key) => `${key}=REDACTED`);
      expectTree(spans, [
        called(clientAttributes(`/path?a=1&${redacted.join('&')}&SIG=kept`)),
        called(
          clientAttributes('', {
            'url.full': 'http://REDACTED:REDACTED@proxied.test/p?X-Goog-Signature=REDACTED',
            'server.address': 'proxied.test',
            'server.port': 80,
          }),
        ),
      ]);
      expect(JSON.stringify(spans, (_key, value) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
        's3cret',
      );
      expect(stdout).toContain('true true');
    }));

  it('captures the headers it is asked for, secrets never', () =>
    scenario(
      'headers',
      ({ spans }) => {
        const answered = {
          'http.response.header.x-answer': ['1', '2'],
          'http.response.header.set-cookie': ['REDACTED'],
        };
        expectTree(spans, [
          called(
            clientAttributes('/', {
              'http.request.header.x-ask': ['a', 'b'],
              'http.request.header.authorization': ['REDACTED'],
              ...answered,
            }),
          ),
          called(
            clientAttributes('', {
              'url.full': 'http://listed.test/',
              'server.address': 'listed.test',
              'server.port': 80,
              'http.request.header.x-ask': ['c'],
              ...answered,
            }),
          ),
        ]);
      },
      {
        env: {
          OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS: 'X-Ask,Authorization',
          OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS: 'x-answer,Set-Cookie',
        },
      },
    ));

  it('interim responses end nothing', async () => {
    await scenario('expectContinue', ({ spans }) => {
      expectTree(spans, called(clientAttributes('/', { 'http.request.method': 'POST' }), { name: 'POST' }));
    });
  });

  it('upgrade and CONNECT end with their answer', async () => {
    await scenario('switching', ({ spans }) => {
      const switched = (path: string) => called(clientAttributes(path, { 'http.response.status_code': 101 }));
      expectTree(spans, [
        {
          name: 'caller',
          children: [
            switched('/upgrade'),
            { name: 'upgrade' },
            called(
              clientAttributes('', {
                'http.request.method': 'CONNECT',
                'url.full': 'http://upstream.test:443',
                'server.address': 'upstream.test',
                'server.port': 443,
              }),
              { name: 'CONNECT' },
            ),
            { name: 'connect' },
          ],
        },
        called(
          clientAttributes('/unheard', {
            'http.response.status_code': 101,
            'network.peer.address': undefined,
            'network.peer.port': undefined,
          }),
        ),
      ]);
    });
    await same('switching');
  });

  it('the bytes on the wire are the same, but for one traceparent', async () => {
    await same('wire');
    await scenario(
      'wire',
      ({ stdout, spans }) => {
        expect(stdout.match(/^\d$/gm)).toEqual(spans.map(() => '1'));
        expect(spans).toHaveLength(7);
      },
      { env: { SHOW_FIELDS: '1' } },
    );
  });

  it('listeners, order of events, objects and functions are those of a bare run', async () => {
    await same('observed');
  });

  // Older releases publish nothing when a request is created.
  it.runIf(isAtLeast(nodeVersion, '22.12'))('requests made with `new` are traced', () =>
    scenario('extended', ({ spans, stdout }) => {
      expectTree(spans, called({ ...clientAttributes('/class'), 'url.full': withAnyPort('http://127.0.0.1:*/class') }));
      expect(stdout).toBe('200 ok\n1\n');
    }),
  );
});
