import { describe, expect, it } from 'vitest';
import { createCertificate } from '../support/certificate';
import { anyPort, type ExpectedSpan, expectTree, loopback, matching, withAnyPort } from '../support/tree';
import {
  clientAttributes,
  entries,
  scenario as run,
  type ScenarioOptions,
  sameAsBare,
  serverAttributes,
} from './fixtures/http-entry/scenario';

const scenario = (name: string, check: Parameters<typeof run>[2], options?: ScenarioOptions) =>
  run('http-http2', name, check, options);
const same = (name: string) => sameAsBare('http-http2', name);

const both = { 'network.protocol.version': '2', 'network.peer.address': loopback };
const unanswered = {
  'http.response.status_code': undefined,
  'network.protocol.version': undefined,
  'network.peer.address': undefined,
  'network.peer.port': undefined,
};

function called(path: string, own: Record<string, unknown> = {}, rest: Partial<ExpectedSpan> = {}): ExpectedSpan {
  return {
    name: 'GET',
    kind: 'CLIENT',
    scope: 'hookline/http2',
    status: { code: 'UNSET' },
    attributes: clientAttributes(path, {
      ...both,
      'url.full': withAnyPort(`http://localhost:*${path}`),
      'server.address': 'localhost',
      ...own,
    }),
    exactAttributes: true,
    ...rest,
  };
}

function served(path: string, own: Record<string, unknown> = {}, rest: Partial<ExpectedSpan> = {}): ExpectedSpan {
  return {
    name: 'GET',
    kind: 'SERVER',
    scope: 'hookline/http2',
    status: { code: 'UNSET' },
    attributes: serverAttributes({
      ...both,
      'client.address': loopback,
      'url.path': path,
      'server.port': anyPort,
      ...own,
    }),
    exactAttributes: true,
    ...rest,
  };
}

const marks = (...names: string[]) => names.map((name): ExpectedSpan => ({ name }));
const error = (message?: unknown) => ({ code: 'ERROR' as const, ...(message !== undefined && { message }) });

describe('http2', () => {
  it('core API: one client and one server span per stream', () =>
    scenario(
      'core',
      ({ spans }) => {
        const post = { 'http.request.method': 'POST' };
        const missing = { 'http.response.status_code': 404 };
        expectTree(spans, {
          name: 'caller',
          children: [
            called('/core?sig=REDACTED', post, {
              name: 'POST',
              children: [
                served(
                  '/core',
                  { ...post, 'url.query': 'sig=REDACTED', 'user_agent.original': 'test/1.0' },
                  { name: 'POST', children: marks('stream', 'data', 'stream close') },
                ),
              ],
            }),
            ...marks('after the call', 'response'),
            called(
              '/missing',
              { ...missing, 'error.type': '404' },
              {
                status: error(),
                children: [served('/missing', missing, { children: marks('stream', 'stream close') })],
              },
            ),
            ...marks('last'),
          ],
        });
      },
      { entries },
    ));

  it('compatibility API: one server span, its context in every event', () =>
    scenario('compat', ({ spans }) => {
      const put = { 'http.request.method': 'PUT' };
      const failed = { 'http.response.status_code': 503, 'error.type': '503' };
      expectTree(spans, [
        called('/compat', put, {
          name: 'PUT',
          children: [served('/compat', put, { name: 'PUT', children: marks('/compat', 'finish') })],
        }),
        called('/fail', failed, {
          status: error(),
          children: [served('/fail', failed, { status: error(), children: marks('/fail', 'finish') })],
        }),
        called('/', {}, { children: [served('/', {}, { children: marks('/', 'finish') })] }),
      ]);
    }));

  it('a secure server with allowHTTP1 is traced in both versions', () => {
    const { key, cert } = createCertificate();
    return scenario(
      'secure',
      ({ spans }) => {
        const own = (path: string, version: string) => ({
          'url.full': withAnyPort(`https://localhost:*${path}`),
          'network.protocol.version': version,
        });
        const inner = (version: string) => ({ 'url.scheme': 'https', 'network.protocol.version': version });
        expectTree(spans, [
          called('/two', own('/two', '2'), { children: [served('/two', inner('2'), { children: marks('HTTP/2.0') })] }),
          called('/one', own('/one', '1.1'), {
            scope: 'hookline/http',
            children: [served('/one', inner('1.1'), { scope: 'hookline/http', children: marks('HTTP/1.1') })],
          }),
        ]);
      },
      { entries, env: { TLS_KEY: key, TLS_CERT: cert } },
    );
  });

  it('resets, cancellations and lost sessions', async () => {
    await same('failures');
    await scenario('failures', ({ spans }) => {
      const STREAM = 'ERR_HTTP2_STREAM_ERROR';
      const closed = (code: number) => matching(new RegExp(`code (${code}|NGHTTP2_[A-Z_]+)$`));
      const lost = (
        path: string,
        code: number,
        type: unknown = STREAM,
        message: unknown = closed(code),
      ): ExpectedSpan =>
        served(path, { 'http.response.status_code': undefined, 'error.type': type }, { status: error(message) });
      const failed = (path: string, type: string, message: unknown, server: ExpectedSpan): ExpectedSpan =>
        called(path, { ...unanswered, 'error.type': type }, { status: error(message), children: [server] });
      const cancelled = (path: string, code = 8): ExpectedSpan =>
        called(path, unanswered, { children: [lost(path, code)] });
      const without = { 'http.response.status_code': undefined };
      expectTree(spans, [
        failed('/refused', STREAM, closed(7), lost('/refused', 7)),
        failed('/reset', STREAM, closed(8), lost('/reset', 8)),
        failed(
          '/internal',
          STREAM,
          closed(2),
          served('/internal', { ...without, 'error.type': 'EBROKEN' }, { status: error('broken') }),
        ),
        cancelled('/closed'),
        cancelled('/destroyed', 0),
        cancelled('/aborted'),
        failed('/failed', 'EQUOTA', 'quota', lost('/failed', 2)),
        failed('/timeout', 'TimeoutError', 'the request timed out', lost('/timeout', 8)),
        failed('/own-code', STREAM, closed(2), lost('/own-code', 2)),
        called('/half', {}, { children: [served('/half', { 'error.type': STREAM }, { status: error(closed(8)) })] }),
        failed(
          '/lost',
          'EGONE',
          'gone',
          lost('/lost', 2, matching(/^ERR_HTTP2_(STREAM|SESSION)_ERROR$/), matching(/code/)),
        ),
        called(
          '/unreachable',
          {
            ...unanswered,
            'url.full': withAnyPort('http://127.0.0.1:*/unreachable'),
            'server.address': '127.0.0.1',
            'error.type': 'ECONNREFUSED',
          },
          { status: error(matching(/^connect ECONNREFUSED/)) },
        ),
        called(
          '/late',
          {
            ...unanswered,
            'url.full': withAnyPort('http://127.0.0.1:*/late'),
            'server.address': '127.0.0.1',
            'error.type': 'ERR_HTTP2_INVALID_SESSION',
          },
          { status: error(matching(/destroyed/)) },
        ),
      ]);
    });
  });

  it("arguments: the caller's headers stay as they are, and a traceparent of its own goes out", async () => {
    const withoutTrace = (text: string) => text.replace(/ (no|00-\w{7})$/gm, '');
    let bare = '';
    const keep = ({ stdout }: { stdout: string }) => {
      bare = stdout;
    };
    await scenario('arguments', keep, { entries: ['require.cjs'], preload: 'none' });
    await scenario('arguments', ({ stdout }) => {
      expect(withoutTrace(stdout)).toBe(withoutTrace(bare));
      const sent = stdout.match(/ 00-\w{7}$/gm);
      expect(sent?.length).toBe(bare.match(/ no$/gm)!.length + 1);
      expect(sent?.[1]).toBe(' 00-1111111');
    });
  });

  it('listeners, order of events, objects and functions are those of a bare run', async () => {
    await same('observed');
  });

  it('pushed streams have no span and arrive', async () => {
    await scenario('push', ({ spans }) => {
      expectTree(spans, called('/main', {}, { children: [served('/main')] }));
    });
    await same('push');
  });

  it('ignored and unsampled requests have no spans', () =>
    scenario(
      'ignored',
      ({ spans, stdout }) => {
        // The client is no part of the trace it was told to send: its own spans are roots.
        expectTree(spans, [called('/health?a'), called('/unsampled')]);
        expect(stdout.match(/0af7651916cd43dd8448eb211c80319c/g)).toHaveLength(2);
      },
      { env: { OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS: '/health' } },
    ));

  it('captures the headers it is asked for, secrets never', () =>
    scenario(
      'headers',
      ({ spans }) => {
        const asked = {
          'http.request.header.x-ask': ['a', 'b'],
          'http.request.header.authorization': ['REDACTED'],
          'http.response.header.set-cookie': ['REDACTED'],
        };
        expectTree(
          spans,
          called(
            '/',
            { ...asked, 'http.response.header.x-answer': ['1, 2'] },
            {
              children: [
                served('/', {
                  ...asked,
                  'http.request.header.x-ask': ['a, b'],
                  'http.response.header.x-answer': ['1', '2'],
                }),
              ],
            },
          ),
        );
      },
      {
        env: Object.fromEntries(
          ['SERVER', 'CLIENT'].flatMap((side) => [
            [`OTEL_INSTRUMENTATION_HTTP_${side}_CAPTURE_REQUEST_HEADERS`, 'x-ask,authorization'],
            [`OTEL_INSTRUMENTATION_HTTP_${side}_CAPTURE_RESPONSE_HEADERS`, 'x-answer,set-cookie'],
          ]),
        ),
      },
    ));
});
