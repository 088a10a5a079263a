import { describe, expect, it } from 'vitest';
import { anyPort, type ExpectedSpan, expectTree } from '../support/tree';
import {
  clientAttributes,
  entries,
  printed,
  scenario as run,
  type ScenarioOptions,
  sameAsBare,
  serverAttributes,
} from './fixtures/http-entry/scenario';

const scenario = (name: string, check: Parameters<typeof run>[2], options?: ScenarioOptions) =>
  run('http-server', name, check, options);
const same = (name: string, options?: ScenarioOptions) => sameAsBare('http-server', name, options);

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const RESET = { code: 'ERROR', message: 'the connection was closed before the response was complete' } as const;

/** A request's span, with all its attributes. */
function served(own: Record<string, unknown>, rest: Partial<ExpectedSpan> = {}): ExpectedSpan {
  return {
    name: 'GET',
    kind: 'SERVER',
    scope: 'hookline/http',
    status: { code: 'UNSET' },
    attributes: serverAttributes(own),
    exactAttributes: true,
    events: [],
    ...rest,
  };
}

describe('http server', () => {
  it('gives a request one span with the attributes of the conventions', () =>
    scenario(
      'plain',
      ({ spans }) => {
        expectTree(
          spans,
          served({ 'url.path': '/orders/42', 'url.query': 'page=2&sig=REDACTED', 'user_agent.original': 'test/1.0' }),
        );
        expect(spans[0]?.parentSpanId).toBeUndefined();
        expect(spans[0]?.scope.schemaUrl).toBe('https://opentelemetry.io/schemas/1.44.0');
      },
      { entries },
    ));

  it('is traced by every form of import, client and server together', () =>
    scenario(
      'forms',
      ({ spans }) => {
        const exchange = (path: string, method: string): ExpectedSpan => {
          const own = { 'http.request.method': method };
          return {
            name: method,
            kind: 'CLIENT',
            attributes: clientAttributes(path, own),
            exactAttributes: true,
            children: [
              served(
                { 'url.path': path, 'server.address': '127.0.0.1', 'server.port': anyPort, ...own },
                { name: method },
              ),
            ],
          };
        };
        expectTree(spans, [exchange('/get', 'GET'), exchange('/request', 'POST')]);
      },
      { entries },
    ));

  it('HS1: a client that disconnects first leaves one failed span', () =>
    scenario('hs1', ({ spans }) => {
      const cut = { 'error.type': 'ECONNRESET' };
      const events = ['request aborted', 'response close', 'request close'];
      const rest = { status: RESET, children: events.map((name): ExpectedSpan => ({ name })) };
      expectTree(spans, [
        served({ 'url.path': '/half', ...cut }, rest),
        served({ 'url.path': '/silent', 'http.response.status_code': undefined, ...cut }, rest),
      ]);
    }));

  it('HS2: the span ends with the response, not with the handler', () =>
    scenario('hs2', ({ spans }) => {
      expectTree(spans, served({}, { children: [{ name: 'late work' }, { name: 'finish' }] }));
      const [span, finish] = ['GET', 'finish'].map((name) => spans.find((found) => found.name === name)!);
      expect(span!.endTimeUnixNano).toBeGreaterThanOrEqual(finish!.endTimeUnixNano);
    }));

  it('HS3: ending a response twice gives one span and no throw', async () => {
    await scenario('hs3', ({ spans }) => expectTree(spans, [served({}), served({ 'url.path': '/late' })]));
    await same('hs3');
  });

  it('HS4: 4xx leaves the status unset, 5xx is an error', () =>
    scenario('hs4', ({ spans }) => {
      const answered = (code: number) => ({ 'url.path': `/${code}`, 'http.response.status_code': code });
      const failed = (code: number) =>
        served({ ...answered(code), 'error.type': String(code) }, { status: { code: 'ERROR' } });
      expectTree(spans, [
        served(answered(204)),
        served(answered(302)),
        served(answered(404)),
        served(answered(499)),
        failed(500),
        failed(503),
      ]);
    }));

  // Routers come with the instrumentations of frameworks.
  it('HS5: without a router the name is the method', () =>
    scenario('plain', ({ spans }) => {
      expectTree(spans, { name: 'GET', attributes: { 'http.route': undefined } });
    }));

  it('HS6: a 404 has no route', () =>
    scenario('hs6', ({ spans }) => {
      expectTree(spans, served({ 'url.path': '/users/17', 'http.response.status_code': 404 }));
    }));

  it('HS7: odd request targets are served and described', async () => {
    await same('hs7');
    await scenario('hs7', ({ spans }) => {
      expectTree(spans, [
        served({ 'url.path': '//' }),
        served({ 'url.path': '/a', 'url.query': 'b=1' }),
        served({ 'url.path': '/' }),
        served({ 'url.path': '/%E0%A4%A', 'url.query': 'x=%' }),
        served({}),
        served({ 'url.path': '/a', 'url.query': 'b?c' }),
        served({ 'url.path': '/a' }),
        served({ 'url.path': '//evil.test/x' }),
        served({ 'url.path': '/' }),
        served({ 'url.path': '*', 'http.request.method': 'OPTIONS' }, { name: 'OPTIONS' }),
      ]);
    });
  });

  it('HS8: malformed forwarding and trace headers do no harm', () =>
    scenario('hs8', (result) => {
      const [lines] = printed(result);
      expect(new Set(lines)).toEqual(new Set(['HTTP/1.1 200 OK']));
      const { spans } = result;
      expectTree(
        spans,
        lines.map((_line: string, index: number) => ({
          name: 'GET',
          kind: 'SERVER',
          status: 'UNSET',
          children: [{ name: 'handled' }],
          attributes: { 'http.response.status_code': 200, ...(index === 4 && { 'url.scheme': 'http' }) },
        })),
      );
      expect(spans.filter(({ parentSpanId, kind }) => kind === 'SERVER' && parentSpanId !== undefined)).toEqual([]);
    }));

  it('HS9: requests without socket, version or address are served', () =>
    scenario('hs9', ({ spans }) => {
      const none = {
        'server.address': undefined,
        'server.port': undefined,
        'network.peer.address': undefined,
        'network.peer.port': undefined,
        'network.protocol.version': undefined,
        'client.address': undefined,
        'http.response.status_code': 200,
      };
      const marked = (name: string) => ({ children: [{ name }] });
      expectTree(spans, [
        served({ ...none, 'url.path': '/null-socket', 'client.address': '192.0.2.1' }, marked('/null-socket')),
        served({ ...none, 'url.path': '/null-version', 'client.address': '2001:db8::1' }, marked('/null-version')),
        { name: 'HTTP', kind: 'SERVER', children: [{ name: 'undefined' }] },
        served(
          {
            ...none,
            'url.path': '/unix',
            'server.address': 'localhost',
            'server.port': 80,
            'network.protocol.version': '1.1',
          },
          marked('/unix'),
        ),
      ]);
    }));

  it('HS10: upgrade and CONNECT requests end their span', async () => {
    await scenario('hs10', ({ spans }) => {
      const status = (code: number | undefined) => ({ 'http.response.status_code': code });
      const upgraded = { children: [{ name: 'upgrade' }] };
      expectTree(spans, [
        served({ 'url.path': '/ordinary' }),
        served(
          { 'url.path': '/dropped', ...status(undefined), 'error.type': 'ECONNRESET' },
          { ...upgraded, status: RESET },
        ),
        served(
          { 'url.path': '/refused', ...status(503), 'error.type': '503' },
          { ...upgraded, status: { code: 'ERROR' } },
        ),
        served(
          { 'url.path': '/failed', ...status(undefined), 'error.type': 'TypeError' },
          { ...upgraded, status: { code: 'ERROR', message: 'no' } },
        ),
        served({ 'url.path': '/echo', ...status(101) }, upgraded),
        served(
          { 'http.request.method': 'CONNECT', 'url.path': '', 'server.address': 'upstream.test', 'server.port': 443 },
          { name: 'CONNECT' },
        ),
      ]);
    });
    await same('hs10');
  });

  it('HS11: requests on one kept-alive socket have contexts of their own, to their last event', () =>
    scenario('hs11', ({ spans }) => {
      const marks = (path: string) =>
        [path, `end of ${path}`, `close of ${path}`].map((name): ExpectedSpan => ({ name }));
      expectTree(spans, [
        served({ 'url.path': '/first' }, { children: marks('/first') }),
        served({ 'url.path': '/second', 'http.request.method': 'POST' }, { name: 'POST', children: marks('/second') }),
      ]);
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(2);
    }));

  it('HS11: nothing of a request is kept by the next one on its socket', async () => {
    const { traced } = await same('retained', { execArgv: ['--expose-gc'] });
    expect(Object.values(traced)[0]?.stdout).toBe('[true,true]\n');
  });

  it('HS12: the application sees its own objects', async () => {
    await same('hs12');
  });

  it('HS13: listeners do not grow, whatever the number of middlewares', async () => {
    const { bare } = await same('hs13');
    expect(bare.stdout).not.toContain('Warning');
  });

  it('HS14: an ignored request and what it causes have no spans', () =>
    scenario(
      'hs14',
      (result) => {
        const call: ExpectedSpan = { name: 'GET', kind: 'CLIENT' };
        expectTree(
          result.spans,
          served(
            { 'url.path': '/healthy' },
            { children: [{ name: 'handler of /healthy' }, call, call, { name: 'end of /healthy' }] },
          ),
        );
        // The trace goes on beyond us, as if we were not there.
        const outgoing = JSON.parse(result.stdout.trim().split('\n').at(-1)!);
        const passed = `traceparent: 00-${TRACE}-b7ad6b7169203331-01`;
        expect(outgoing).toEqual([passed, passed]);
      },
      { env: { OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS: '/health, /internal/*' } },
    ));

  it('pipelined requests have a span each', async () => {
    await scenario('pipelining', ({ spans }) => {
      expectTree(
        spans,
        ['/1', '/2', '/3'].map((path) => served({ 'url.path': path }, { children: [{ name: path }] })),
      );
    });
    await same('pipelining');
  });

  it('a request with an expectation has one span, whoever answers it', async () => {
    const posted = (path: string, marks: string[], own: Record<string, unknown> = {}) =>
      served(
        { 'url.path': path, 'http.request.method': 'POST', ...own },
        { name: 'POST', children: marks.map((name) => ({ name })) },
      );
    const refused = { 'http.response.status_code': 417 };
    await scenario('expectContinue', ({ spans }) => {
      expectTree(spans, [
        posted('/automatic', ['/automatic']),
        posted('/manual', ['checkContinue', '/manual']),
        posted('/refused', ['checkContinue'], refused),
        posted('/other', [], refused),
      ]);
    });
    await same('expectContinue');
  });

  it('captures the headers it is asked for, secrets never', () =>
    scenario(
      'headers',
      ({ spans }) => {
        expectTree(
          spans,
          served({
            'http.request.header.x-many': ['a', 'b'],
            'http.request.header.authorization': ['REDACTED'],
            'http.response.header.x-answer': ['1', '2'],
            'http.response.header.set-cookie': ['REDACTED'],
            'http.response.header.content-type': ['text/plain'],
          }),
        );
      },
      {
        env: {
          OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS: 'X-Many,Authorization,X-Absent',
          OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS: 'x-answer,set-cookie,Content-Type',
        },
      },
    ));

  it('methods are known or _OTHER', async () => {
    await scenario('methods', ({ spans }) => {
      expectTree(spans, [
        served({}),
        served({ 'http.request.method': '_OTHER', 'http.request.method_original': 'PROPFIND' }, { name: 'HTTP' }),
        served({ 'http.request.method': 'PATCH' }, { name: 'PATCH' }),
      ]);
    });
    await scenario(
      'methods',
      ({ spans }) => {
        expectTree(spans, [
          served({}),
          served({ 'http.request.method': 'PROPFIND' }, { name: 'PROPFIND' }),
          served({ 'http.request.method': '_OTHER', 'http.request.method_original': 'PATCH' }, { name: 'HTTP' }),
        ]);
      },
      {
        entries: ['require.cjs'],
        env: { OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: 'GET,PROPFIND' },
        anyConventions: true,
      },
    );
  });

  it('proxies say who asked, how and for what', () =>
    scenario('forwarded', ({ spans }) => {
      expectTree(spans, [
        served({
          'url.scheme': 'https',
          'server.address': 'shop.test',
          'server.port': 443,
          'client.address': '2001:db8::7',
        }),
        served({
          'url.scheme': 'https',
          'server.address': 'shop.test',
          'server.port': 8443,
          'client.address': '203.0.113.7',
        }),
      ]);
    }));

  it('an incoming trace goes on: sampled, unsampled, with its state and baggage', () =>
    scenario('propagation', (result) => {
      const { spans } = result;
      const child: ExpectedSpan = { name: 'GET', kind: 'CLIENT' };
      expectTree(spans, [served({}, { children: [child] }), served({}, { children: [child] })]);
      for (const span of spans) {
        expect(span).toMatchObject({ traceId: TRACE, traceState: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE' });
        if (span.kind === 'SERVER') expect(span.parentSpanId).toBe('b7ad6b7169203331');
      }
      const outgoing = printed(result).slice(1);
      const clients = spans.filter(({ kind }) => kind === 'CLIENT').map(({ spanId }) => spanId);
      expect(clients).toHaveLength(2);
      for (const [index, flags] of ['01', '00', '03'].entries()) {
        const [baggage, traceparent, tracestate] = outgoing[index];
        expect(baggage).toBe('baggage: user=ann,tier=gold;p=1');
        expect(tracestate).toBe('tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE');
        expect(traceparent).toMatch(new RegExp(`^traceparent: 00-${TRACE}-[0-9a-f]{16}-${flags}$`));
        const sent = traceparent.split('-')[2];
        expect(clients.includes(sent)).toBe(flags !== '00');
        expect(sent).not.toBe('b7ad6b7169203331');
      }
    }));

  it('a handler that throws ends the process as without the agent', async () => {
    const { bare } = await same('throws');
    expect(bare.code).not.toBe(0);
    expect(bare.stderr).toContain('RangeError: handler');
  });

  it('subclasses of server and response are traced', () =>
    scenario('subclass', ({ spans }) => {
      expectTree(spans, [{ name: 'emit' }, served({})]);
    }));

  it('a request is no child of the span its server was started in', () =>
    scenario('inSpan', ({ spans }) => {
      expectTree(spans, [{ name: 'start-up' }, served({})]);
    }));
});
