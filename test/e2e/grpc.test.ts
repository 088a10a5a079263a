import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { createCertificate } from '../support/certificate';
import { type Comparison, expectSameAsBare } from '../support/compare';
import type { ReceivedSpan } from '../support/otlp-decode';
import { testPackage } from '../support/packages';
import { anyPort, anyText, type ExpectedSpan, expectTree, loopback, Matcher, matching } from '../support/tree';
import { testedVersions } from '../support/versions';

const versions = testedVersions('grpc');
const newest = versions[versions.length - 1]!;
const certificate = createCertificate();

/** The settings of all runs of the cases. */
async function settings(packages: [string, ...string[]], version: string): Promise<Record<string, string>> {
  return {
    GRPC: await testPackage(...packages),
    GRPC_VERSION: version,
    CERT: certificate.cert,
    KEY: certificate.key,
    OTEL_INSTRUMENTATION_GRPC_IGNORE_METHODS: 'cases.v1.Cases/Heal*',
    OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_REQUEST_METADATA: 'x-id-bin,x-a,authorization',
    OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_RESPONSE_METADATA: 'x-initial,x-trailing',
    OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_REQUEST_METADATA: 'x-id-bin,x-a,authorization',
    OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_RESPONSE_METADATA: 'x-initial,x-trailing',
  };
}

const CASES = 'test/e2e/fixtures/grpc-cases/app.mjs';
const SERVER_FAILURES = ['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'];

const marks = (...names: string[]): ExpectedSpan[] => names.map((name) => ({ name, kind: 'INTERNAL', children: [] }));

/** One side of a call; `details` is what the failure says. */
interface Side {
  method?: string;
  status?: string;
  details?: unknown;
  attributes?: Record<string, unknown>;
  children?: ExpectedSpan[];
}

/** The first minor version whose clients send the port with the authority. */
const AUTHORITY_PORT = 1;

/** Spans as a version makes them. */
function sidesOf(minor: number) {
  function called({ method = 'Unary', status = 'OK', details, attributes, children = [] }: Side = {}): ExpectedSpan {
    const name = method.includes('/') ? method : `cases.v1.Cases/${method}`;
    return {
      name,
      kind: 'CLIENT',
      scope: 'hookline/grpc',
      status: status === 'OK' ? { code: 'UNSET' } : { code: 'ERROR', message: details },
      exactAttributes: true,
      attributes: {
        'rpc.system.name': 'grpc',
        'rpc.method': name,
        'rpc.response.status_code': status,
        'server.address': '127.0.0.1',
        'server.port': anyPort,
        'network.peer.address': '127.0.0.1',
        'network.peer.port': anyPort,
        ...(status !== 'OK' && { 'error.type': status }),
        ...attributes,
      },
      events: [],
      children,
    };
  }

  function served({ method = 'Unary', status = 'OK', details, attributes, children }: Side = {}): ExpectedSpan {
    const name = method.includes('/') ? method : `cases.v1.Cases/${method}`;
    const failed = SERVER_FAILURES.includes(status);
    return {
      name,
      kind: 'SERVER',
      scope: 'hookline/grpc',
      status: failed ? { code: 'ERROR', message: details } : { code: 'UNSET' },
      exactAttributes: true,
      attributes: {
        'rpc.system.name': 'grpc',
        'rpc.method': name,
        'rpc.response.status_code': status,
        'server.address': '127.0.0.1',
        ...(minor >= AUTHORITY_PORT && { 'server.port': anyPort }),
        'network.peer.address': '127.0.0.1',
        'network.peer.port': anyPort,
        ...(failed && { 'error.type': status }),
        ...attributes,
      },
      events: [],
      children: children ?? marks('handle service'),
    };
  }

  /** A call with its answer; the same on both sides but for what is the server's alone. */
  function exchanged(side: Side = {}, server: Side = {}): ExpectedSpan {
    return called({ ...side, children: [served({ ...side, ...server })] });
  }

  return { called, served, exchanged };
}

/** Whether the server saw its own deadline first or the client's reset depends on how late the request was. */
const atDeadline = new Matcher('CANCELLED or DEADLINE_EXCEEDED', (value) =>
  ['CANCELLED', 'DEADLINE_EXCEEDED'].includes(String(value)),
);

const withA = { attributes: { 'rpc.request.metadata.x-a': ['1'] } };
const repeat = <Item>(times: number, ...items: Item[]): Item[] => Array.from({ length: times }, () => items).flat();

describe.each(versions)('grpc $label', ({ packages, version }) => {
  const minor = Number(version.split('.')[1]);
  const { called, served, exchanged } = sidesOf(minor);
  let runs: Comparison;
  beforeAll(async () => {
    runs = await expectSameAsBare(CASES, {
      env: await settings(packages, version),
      preloads: ['import'],
      races: minor < 8 ? 'grpc-js before 1.8 fails calls whose connection comes up late' : undefined,
    });
  });

  const outcome = (name: string) => outcomeOf(runs.traced.import!.stdout, name);
  const spansOf = (name: string) => spansOfCase(runs.traced.import!.spans, name);
  /** Marks of one case come in an order that differs by version where a stream's end and its status meet. */
  const expectCase = (name: string, expected: ExpectedSpan | ExpectedSpan[]) => expectTree(spansOf(name), expected);
  const expired = called({
    status: 'DEADLINE_EXCEEDED',
    details: matching(/^Deadline exceeded/),
    children: [
      { name: 'cases.v1.Cases/Unary', kind: 'SERVER', attributes: { 'rpc.response.status_code': atDeadline } },
    ],
  });
  const since = (wanted: number) => (minor >= wanted ? it : () => {});

  it('a unary call is one span on each side', () => {
    expectCase('unary', [exchanged(), ...marks('callback')]);
    expect(outcome('unary')).toEqual([{ count: 2, reply: { text: 'service: hello', count: 0 } }, true]);
  });

  it('GR1: every overload works, and leaves the metadata it is given alone', () => {
    expectCase('GR1 unary', repeat(2, exchanged(), ...marks('callback'), exchanged(withA), ...marks('callback')));
    expect(outcome('GR1 unary')[4]).toEqual({ 'x-a': '1' });

    const upload = { method: 'Upload', children: marks('server data', 'server end') };
    const uploaded = (more: Side = {}) => exchanged({ ...upload, ...more });
    const unordered = spansOf('GR1 client streams').filter(({ kind }) => kind !== 'INTERNAL');
    expect(unordered).toHaveLength(8);
    const calls = [uploaded(), uploaded(withA), uploaded(), uploaded(withA)];
    expectTree(
      spansOf('GR1 client streams').filter(({ name }) => !['written', 'finish', 'callback'].includes(name)),
      calls,
    );

    const down = { method: 'Download' };
    const tale = (side: Side) => [exchanged({ ...down, ...side }), ...marks('metadata', 'data', 'status', 'end')];
    expectCase('GR1 server streams', [...repeat(2, ...tale({}), ...tale(withA)), ...repeat(2, ...tale({}))]);

    const chat = { method: 'Chat', children: marks('handle service', 'server end') };
    const talks = spansOf('GR1 bidirectional streams').filter(
      ({ name }) => !['written', 'metadata', 'data', 'status', 'end'].includes(name),
    );
    expectTree(talks, [
      exchanged(chat),
      exchanged({ ...chat, ...withA }),
      exchanged({ ...chat, ...withA }),
      exchanged(chat),
    ]);
  });

  it('GR2: the call object is the library’s own, with its own listeners only', () => {
    const [unary, upload, download, chat] = outcome('GR2 the call object');
    expect([unary.made, upload.made, download.made, chat.made]).toEqual([
      'ClientUnaryCallImpl',
      'ClientWritableStreamImpl',
      'ClientReadableStreamImpl',
      'ClientDuplexStreamImpl',
    ]);
    for (const { inner, listeners, cancel } of [unary, upload, download, chat]) {
      expect(inner).toEqual(['call', 'methodDefinition']);
      expect(listeners.map(([event]: [string]) => event)).not.toContain('status');
      expect(cancel).toBe(true);
    }
  });

  it('GR3: undefined and null metadata are taken and refused as ever', () => {
    // That the outcomes are those of the bare run is what the comparison says; calls that were refused have no span.
    const answered = outcome('GR3 undefined metadata').filter(({ count }: { count?: number }) => count !== undefined);
    expect(spansOf('GR3 undefined metadata').filter(({ kind }) => kind === 'CLIENT')).toHaveLength(answered.length);
    expectCase('bad arguments', []);
  });

  it('a request that cannot be serialised is an error', () => {
    const [call] = spansOf('not serialisable').filter(({ kind }) => kind === 'CLIENT');
    expect(call!.attributes['rpc.response.status_code']).toBe('INTERNAL');
    expect(call!.status).toEqual({ code: 'ERROR', message: outcome('not serialisable').details });
  });

  it('GR4: generated, generic and bare clients, and promisified methods', () => {
    const greeting = exchanged({ method: 'generated.Greeter/Greet', children: [] });
    expectCase('GR4 makeClientConstructor', repeat(4, greeting, ...marks('callback')));
    expectCase('GR4 promisify', [
      exchanged(),
      ...marks('resolved'),
      exchanged({ status: 'NOT_FOUND', details: 'no such note' }),
    ]);
  });

  it('GR5: the methods keep their properties, and the other name makes no second span', () => {
    expect(outcome('GR5 method properties')).toMatchObject({
      path: '/cases.v1.Cases/Unary',
      requestStream: false,
      responseStream: false,
      originalName: 'unary',
      same: true,
    });
    expectCase('GR5 both names', repeat(2, exchanged(), ...marks('callback')));
  });

  it('GR6: a client with a property named service', () => {
    expectCase('GR6 own property', [exchanged(), ...marks('callback')]);
    expect(outcome('GR6 own property')[1]).toEqual({ name: 'mine' });
  });

  it('GR7: a stream ends with its final status, and is over after the server’s', () => {
    expectCase('GR7 final status', [exchanged({ method: 'Download' }), ...marks('metadata', 'data', 'status', 'end')]);
    const at = (name: string, kind: string) =>
      spansOf('GR7 final status').find((span) => span.name === name && span.kind === kind) as ReceivedSpan;
    const call = at('cases.v1.Cases/Download', 'CLIENT');
    expect(call.endTimeUnixNano >= at('handle service', 'INTERNAL').endTimeUnixNano).toBe(true);
    expect(at('cases.v1.Cases/Download', 'SERVER').endTimeUnixNano <= call.endTimeUnixNano).toBe(true);
  });

  it('GR8: without an error listener the error is uncaught, as ever', () => {
    expectCase(
      'GR8 no error listener',
      exchanged({ method: 'Download', status: 'NOT_FOUND', details: 'no such note' }),
    );
    expect(outcome('GR8 no error listener')).toMatchObject([{ code: 5 }, 0]);
  });

  it('GR9: the status is the one that was sent', () => {
    const ends: [string, string][] = [
      ['UNKNOWN', 'plain failure'],
      ['NOT_FOUND', 'no such note'],
      ['FAILED_PRECONDITION', 'not now'],
      ['INTERNAL', 'broken: 100% of it'],
      ['UNAVAILABLE', 'down'],
    ];
    const failures = ends.flatMap(([status, details]) => [exchanged({ status, details }), ...marks('callback')]);
    expectCase('GR9 callback errors', failures);

    const codes = (name: string, kind: string) =>
      spansOf(name)
        .filter((span) => span.kind === kind)
        .map(({ attributes }) => attributes['rpc.response.status_code']);
    for (const kind of ['CLIENT', 'SERVER']) {
      const streams = ['NOT_FOUND', 'UNKNOWN', 'FAILED_PRECONDITION', 'INTERNAL', 'UNAVAILABLE'];
      expect(codes('GR9 stream errors', kind)).toEqual(streams);
      expect(codes('GR9 unwritten', kind)).toEqual(['UNIMPLEMENTED']);
    }
    // Since 1.10 a call that is destroyed sends nothing, and the client gives up at its deadline.
    expect(codes('GR9 destroy', 'SERVER')).toEqual([minor >= 10 ? atDeadline : 'ABORTED']);
    expect(codes('GR9 destroy', 'CLIENT')).toEqual([minor >= 10 ? 'DEADLINE_EXCEEDED' : 'ABORTED']);
  });

  since(10)('GR9: what a handler throws is UNKNOWN', () => {
    expectCase('GR9 thrown', [
      exchanged({ status: 'UNKNOWN', details: outcome('GR9 thrown').details }),
      ...marks('callback'),
    ]);
  });

  it('a method that the server does not have is _OTHER', () => {
    const missing = {
      method: 'Missing',
      status: 'UNIMPLEMENTED',
      details: 'The server does not implement the method /cases.v1.Cases/Missing',
    };
    const { children, ...span } = exchanged(missing, {
      attributes: { 'rpc.method': '_OTHER', 'rpc.method_original': 'cases.v1.Cases/Missing' },
      children: [],
    });
    expectCase('GR9 no such method', [
      { ...span, children: [{ ...children![0]!, name: 'grpc' }] },
      ...marks('callback'),
    ]);
  });

  it('asked-for metadata is recorded, secrets are not', () => {
    // What was sent as two values arrives as one, but for old versions.
    const oneAndTwo = new Matcher('one and two', (value) => Array.isArray(value) && value.join(', ') === 'one, two');
    const requested = {
      'rpc.request.metadata.x-a': ['asked'],
      'rpc.request.metadata.authorization': ['REDACTED'],
      ...(minor >= 1 && { 'rpc.response.metadata.x-initial': ['first'] }),
    };
    expectCase('trailers', [
      exchanged(
        { attributes: { ...requested, 'rpc.response.metadata.x-trailing': oneAndTwo } },
        { attributes: { ...requested, 'rpc.response.metadata.x-trailing': ['one', 'two'] } },
      ),
      ...marks('metadata', 'status'),
    ]);
    expectCase('binary metadata', [
      exchanged({ attributes: { 'rpc.request.metadata.x-id-bin': ['AQL/'] } }),
      ...marks('callback'),
    ]);
  });

  it('GR12: what a handler starts later, and the events of its call, are in the server’s span', () => {
    expectCase('asynchronous handler', [
      exchanged({ children: marks('handle service', 'server timer') }),
      ...marks('callback'),
    ]);
  });

  it('GR12: callbacks of a server’s writes are in its span, and a handler’s rejection stays unhandled', () => {
    expectCase('written on the server', [
      exchanged({ method: 'Download', children: marks('handle service', 'server written') }),
      ...marks('metadata', 'data', 'status', 'end'),
    ]);
    expect(outcome('rejected handler')).toEqual(['TypeError', 'rejected handler', 4]);
    expectTree(
      spansOf('rejected handler').filter(({ kind }) => kind !== 'INTERNAL'),
      expired,
    );
  });

  it('a cancelled call is an error of the client and none of the server', () => {
    const cancelled = { status: 'CANCELLED', details: 'Cancelled on client' };
    const heard = marks('handle service', 'server cancelled');
    const sorted = (name: string) =>
      spansOf(name).filter(
        (span) => span.kind !== 'INTERNAL' || span.name.startsWith('server') || span.name.startsWith('handle'),
      );
    expectTree(sorted('cancelled'), exchanged({ ...cancelled, children: heard }));
    expectTree(sorted('cancelled stream'), exchanged({ ...cancelled, method: 'Download', children: heard }));
  });

  it('a deadline is an error on both sides', () => {
    const calls = spansOf('deadline').filter(({ kind }) => kind !== 'INTERNAL');
    expectTree(calls, expired);
    const server = spansOf('reset just before the deadline').find(({ name }) => name === 'cases.v1.Cases/Unary');
    expect(server).toMatchObject({
      attributes: { 'rpc.response.status_code': 'DEADLINE_EXCEEDED', 'error.type': 'DEADLINE_EXCEEDED' },
      status: { code: 'ERROR' },
    });
  });

  it('a server that is not there', () => {
    expectCase('unavailable', [
      called({
        status: 'UNAVAILABLE',
        details: anyText,
        attributes: { 'network.peer.address': undefined, 'network.peer.port': undefined },
      }),
      ...marks('callback'),
    ]);
  });

  it('interceptors run in the caller’s context, and a call through them is one span', () => {
    const inServer = minor >= 10 ? marks('server interceptor', 'handle service') : marks('handle service');
    const names = spansOf('interceptors').filter(({ kind }) => kind === 'INTERNAL');
    expect(names.filter(({ name }) => name === 'interceptor metadata')).toHaveLength(4);
    expect(names.filter(({ name }) => name === 'interceptor status')).toHaveLength(4);
    const calls = spansOf('interceptors').filter(
      ({ kind, name }) => kind !== 'INTERNAL' || /^(server|handle)/.test(name),
    );
    expectTree(calls, [
      ...repeat(2, exchanged({ children: inServer })),
      exchanged({ method: 'Download', children: inServer }),
    ]);
    // 1.0 cannot say, and what looks like a call cannot be looked into.
    const peer = minor >= 1 ? {} : { 'network.peer.address': undefined, 'network.peer.port': undefined };
    expectCase('own call', [called({ attributes: peer, children: [served()] }), ...marks('callback')]);
  });

  it('an interceptor that throws, and one that answers by itself', () => {
    const nowhere = { 'network.peer.address': undefined, 'network.peer.port': undefined };
    expectCase(
      'throwing interceptor',
      called({ status: 'UNKNOWN', details: 'not today', attributes: { ...nowhere, 'error.type': 'TypeError' } }),
    );
    expectCase('answered by an interceptor', [called({ attributes: nowhere }), ...marks('callback')]);
  });

  since(8)('a call that is retried by policy is one span', () => {
    const failed = (attempt: number) => served({ status: 'UNAVAILABLE', details: `attempt ${attempt}` });
    expectCase('retries', [called({ children: [failed(1), failed(2), served()] }), ...marks('callback')]);
  });

  it('metadata that is handed on carries the new parent', () => {
    const inner = exchanged();
    expectCase('relay', [
      exchanged({}, { children: [...marks('handle service'), inner, ...marks('relay answered')] }),
      ...marks('callback'),
    ]);
  });

  it('a traceparent of the application’s own stays', () => {
    expectCase('user traceparent', [called(), ...marks('callback')]);
    const foreign = runs.traced.import!.spans.filter(({ traceId }) => traceId === '0af7651916cd43dd8448eb211c80319c');
    expectTree(foreign, served());
    expect(foreign.find(({ kind }) => kind === 'SERVER')!.parentSpanId).toBe('b7ad6b7169203331');
  });

  it('methods that are ignored make no spans, and neither does what they call', () => {
    expectCase('ignored', marks('callback'));
  });

  it('GR10: addresses of all kinds', () => {
    const clients = spansOf('GR10').filter(({ kind }) => kind === 'CLIENT');
    const outcomes = outcome('GR10') as unknown[];
    expect(clients).toHaveLength(outcomes.length);
    const socket = matching(/^\/.*hookline-grpc-\d+\.sock$/);
    const expected = [
      ...(minor >= 1
        ? [
            ['::1', anyPort, '::1'],
            ['::1', anyPort, '::1'],
          ]
        : []),
      ['localhost', anyPort, loopback],
      ['localhost', anyPort, loopback],
      ['127.0.0.1', anyPort, '127.0.0.1'],
      [matching(/^ipv4:127\.0\.0\.1:\d+,127\.0\.0\.1:\d+$/), undefined, '127.0.0.1'],
      [socket, undefined, socket],
      [socket, undefined, socket],
    ];
    for (const [index, [address, port, peer]] of expected.entries()) {
      const { attributes } = clients[index]!;
      // Up to 1.2 a target of addresses is a strange name.
      if (typeof outcomes[index] !== 'object') continue;
      expect([attributes['server.address'], attributes['server.port']]).toEqual([address, port]);
      expect(attributes['network.peer.address']).toEqual(peer);
    }
  });

  it('over TLS, with credentials that are made in the context of their call', () => {
    const local = { 'server.address': 'localhost', 'network.peer.address': loopback };
    const calls = spansOf('TLS').filter(({ name }) => name !== 'callback');
    const tokens = calls.filter(({ name }) => name === 'credentials');
    expect(tokens).toHaveLength(2);
    expectTree(
      calls.filter(({ name }) => name !== 'credentials'),
      repeat(2, exchanged({ attributes: local })),
    );
    expectCase('waiting for the connection', [...marks('ready'), exchanged(), ...marks('callback')]);
  });

  it('HTTP/2 that is not grpc-js keeps its spans', () => {
    const post = (kind: 'CLIENT' | 'SERVER', rest: Partial<ExpectedSpan>): ExpectedSpan => ({
      name: 'POST',
      kind,
      scope: 'hookline/http2',
      ...rest,
    });
    expectCase('raw HTTP/2 to a gRPC server', [
      post('CLIENT', {
        status: 'ERROR',
        attributes: { 'http.response.status_code': 415 },
        children: [post('SERVER', { attributes: { 'http.response.status_code': 415 } })],
      }),
      post('CLIENT', {
        attributes: { 'http.response.status_code': 200 },
        children: [{ name: 'grpc', kind: 'SERVER', attributes: { 'rpc.response.status_code': 'UNIMPLEMENTED' } }],
      }),
    ]);
    expectCase('a gRPC client at a raw HTTP/2 server', [
      { name: 'cases.v1.Cases/Unary', kind: 'CLIENT', status: 'ERROR', children: [post('SERVER', {})] },
      ...marks('callback'),
    ]);
  });

  it('GR13, CX4: a connection that one call opened puts no other call into its context', () => {
    expectCase('opens the connection', [exchanged(), ...marks('callback')]);
    expectCase('uses the connection', [
      exchanged(),
      ...marks('callback'),
      exchanged({ method: 'Download' }),
      ...marks('metadata', 'data', 'status', 'end'),
    ]);
    // Nothing outside of the cases but the one call whose trace the application chose itself.
    const cases = new Set(
      runs.traced
        .import!.spans.filter(({ scope, parentSpanId }) => scope.name === 'cases' && !parentSpanId)
        .map(({ traceId }) => traceId),
    );
    expect(runs.traced.import!.spans.filter(({ traceId }) => !cases.has(traceId))).toHaveLength(2);
  });

  it('says nothing', () => {
    expect(runs.traced.import!.stderr).toBe(runs.bare.stderr);
  });
});

describe(`grpc ${newest.label}, once`, () => {
  const { exchanged } = sidesOf(Number(newest.version.split('.')[1]));
  it('an application of ES modules is traced the same', async () => {
    const env = { ...(await settings(newest.packages, newest.version)), HOW: 'import' };
    const { traced } = await expectSameAsBare(CASES, { env, preloads: ['import', 'require'] });
    for (const { spans } of Object.values(traced)) {
      expectTree(spansOfCase(spans, 'unary'), [exchanged(), ...marks('callback')]);
      expectTree(spansOfCase(spans, 'GR7 final status'), [
        exchanged({ method: 'Download' }),
        ...marks('metadata', 'data', 'status', 'end'),
      ]);
    }
  });

  it('switched off, its calls are HTTP/2 requests', async () => {
    const env = { ...(await settings(newest.packages, newest.version)), OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'grpc' };
    const { traced } = await expectSameAsBare(CASES, { env, preloads: ['import'] });
    const { spans } = traced.import!;
    expect(spans.filter(({ scope }) => scope.name === 'hookline/grpc')).toEqual([]);
    expectTree(
      spansOfCase(spans, 'uses the connection').filter(
        ({ kind, name }) => kind !== 'INTERNAL' || name === 'handle service',
      ),
      Array.from({ length: 2 }, () => ({
        name: 'POST',
        kind: 'CLIENT' as const,
        scope: 'hookline/http2',
        children: [
          { name: 'POST', kind: 'SERVER' as const, scope: 'hookline/http2', children: marks('handle service') },
        ],
      })),
    );
  });

  it('without the instrumentation of HTTP/2 it is the same', async () => {
    const env = { ...(await settings(newest.packages, newest.version)), OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'http2' };
    const { traced } = await expectSameAsBare(CASES, { env, preloads: ['import'] });
    const { spans } = traced.import!;
    expectTree(spansOfCase(spans, 'unary'), [exchanged(), ...marks('callback')]);
    expect(spans.filter(({ name }) => name === 'POST')).toEqual([]);
  });

  it('unsampled calls hand on that they are', async () => {
    const env = { ...(await settings(newest.packages, newest.version)), OTEL_TRACES_SAMPLER: 'always_off' };
    const { traced } = await expectSameAsBare(CASES, { env, preloads: ['import'] });
    // The one call that came with a sampled parent of its own is not sampled here either.
    expect(traced.import!.spans).toEqual([]);
  });
});
