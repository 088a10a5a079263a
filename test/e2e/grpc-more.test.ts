import { describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { expectSameAsBare } from '../support/compare';
import { testPackage } from '../support/packages';
import { runApp } from '../support/run-app';
import { anyPort, type ExpectedSpan, expectTree, loopback } from '../support/tree';
import { newestVersion, testedVersions } from '../support/versions';

describe.each(testedVersions('grpc'))('grpc $label', ({ packages, version }) => {
  const minor = Number(version.split('.')[1]);
  const environment = async () => ({ GRPC: await testPackage(...packages), GRPC_VERSION: version });

  it('a chain over three processes is one trace', async () => {
    const { stdout, spans } = await runApp('test/e2e/fixtures/grpc-chain/app.cjs', { env: await environment() });
    expect(stdout).toBe('hello\n');
    const asked = (child: ExpectedSpan): ExpectedSpan => ({
      name: 'chain.Chain/Ask',
      kind: 'CLIENT',
      status: 'UNSET',
      exactAttributes: true,
      attributes: {
        'rpc.system.name': 'grpc',
        'rpc.method': 'chain.Chain/Ask',
        'rpc.response.status_code': 'OK',
        'server.address': 'localhost',
        'server.port': anyPort,
        'network.peer.address': loopback,
        'network.peer.port': anyPort,
      },
      children: [
        {
          name: 'chain.Chain/Ask',
          kind: 'SERVER',
          status: 'UNSET',
          exactAttributes: true,
          attributes: {
            'rpc.system.name': 'grpc',
            'rpc.method': 'chain.Chain/Ask',
            'rpc.response.status_code': 'OK',
            'server.address': 'localhost',
            // 1.0 leaves the port out of the authority.
            ...(minor >= 1 && { 'server.port': anyPort }),
            'network.peer.address': loopback,
            'network.peer.port': anyPort,
          },
          children: [child],
        },
      ],
    });
    const fetched: ExpectedSpan = {
      name: 'GET',
      kind: 'CLIENT',
      scope: 'hookline/undici',
      children: [{ name: 'GET', kind: 'SERVER', scope: 'hookline/http' }],
    };
    expectTree(spans, {
      name: 'GET',
      kind: 'CLIENT',
      children: [{ name: 'GET', kind: 'SERVER', children: [asked(asked(fetched))] }],
    });
  });

  it('proxies, reconnects and odd objects', async () => {
    const { traced } = await expectSameAsBare('test/e2e/fixtures/grpc-cases/odd.mjs', {
      env: { ...(await environment()), OTEL_LOG_LEVEL: 'none' },
      preloads: ['import'],
      // A span of a channel that cannot name its target has no `server.address`.
      anyConventions: true,
    });
    const { spans, stdout } = traced.import!;
    const call = (rest: Partial<ExpectedSpan> = {}): ExpectedSpan => ({
      name: 'cases.v1.Cases/Unary',
      kind: 'CLIENT',
      status: 'UNSET',
      children: [{ name: 'cases.v1.Cases/Unary', kind: 'SERVER', children: [{ name: 'handle service' }] }],
      ...rest,
    });

    // The CONNECT is no request of the application's, and the target stays what it asked for.
    const [answer, targets] = outcomeOf(stdout, 'through a proxy');
    expect(targets).toEqual(['localhost:PORT']);
    // Up to 1.9 the library cannot read the answer that comes back, with the current Node versions.
    if (minor >= 10) expect(answer).toBe('service: x');
    const proxied = {
      'server.address': 'localhost',
      ...(answer === 'service: x' && { 'network.peer.address': loopback }),
    };
    expectTree(
      spansOfCase(spans, 'through a proxy'),
      call({ status: answer === 'service: x' ? 'UNSET' : 'ERROR', attributes: proxied }),
    );
    expectTree(spansOfCase(spans, 'keepalive and reconnect'), [call(), call()]);
    expectTree(
      spansOfCase(spans, 'a channel without a target'),
      Array.from({ length: 6 }, () =>
        call({ attributes: { 'server.address': undefined, 'network.peer.address': '127.0.0.1' } }),
      ),
    );
    // Its `start` cannot be shadowed: no span, and the server's is of a trace of its own.
    expectTree(spansOfCase(spans, 'a frozen call'), []);
    expectTree(spansOfCase(spans, 'a subclass with a start of its own'), call());
    // Five failures of ours switch the instrumentation off; the calls go on.
    expect(outcomeOf(stdout, 'metadata that fails us')).toEqual(Array(8).fill('service: x'));
    expect(outcomeOf(stdout, 'afterwards')).toBe('service: x');
    expect(spansOfCase(spans, 'afterwards').filter(({ scope }) => scope.name === 'hookline/grpc')).toEqual([]);
  });
});

const newest = newestVersion('grpc');
const isTested = testedVersions('grpc').some(({ label }) => label === newest.label);
const unreachable = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_LOG_LEVEL: 'none' };

// Old versions lose connections under load on a current Node, with and without us.
describe.runIf(isTested)(`grpc ${newest.label}, under load`, () => {
  it('GR13, CX9: many calls at a time over one connection have a context each', async () => {
    const { stdout, spans } = await runApp('test/e2e/fixtures/grpc-load/mix.cjs', {
      env: { GRPC: await testPackage(...newest.packages), OTEL_BSP_MAX_QUEUE_SIZE: '8192' },
    });
    const { wrong, compared } = JSON.parse(stdout);
    expect(wrong).toBe(0);
    expect(compared).toBeGreaterThan(120 * 80);
    // Per request its own span, and two calls with two sides each.
    expect(spans).toHaveLength(120 * 5);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(120);
  });

  it.each([
    ['a collector', undefined],
    ['a collector that is not there', unreachable],
  ])(
    'many calls and a long stream leave the heap flat, with %s',
    async (_name, settings) => {
      const { stdout } = await runApp('test/e2e/fixtures/grpc-load/app.cjs', {
        env: {
          GRPC: await testPackage(...newest.packages),
          GRPC_VERSION: newest.version,
          CALLS: '20000',
          MESSAGES: '20000',
          OTEL_BSP_MAX_QUEUE_SIZE: '512',
          ...settings,
        },
        execArgv: ['--expose-gc'],
        ...(settings && { receiver: false }),
        timeoutMs: 180_000,
      });
      const { received, calls, stream } = JSON.parse(stdout);
      expect(received).toBe(20_000);
      expect(calls).toBeLessThan(2);
      expect(stream).toBeLessThan(2);
    },
    180_000,
  );
});

it('GR11: the agent reads no gRPC library of its own accord', async () => {
  const { stdout } = await runApp(undefined, {
    execArgv: [
      '-e',
      "require('http2'); require('http').createServer(); setTimeout(() => console.log(Object.keys(require.cache).filter((file) => file.includes('@grpc')).length), 50)",
    ],
  });
  expect(stdout).toBe('0\n');
});
