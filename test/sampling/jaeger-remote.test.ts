import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { JaegerRemoteSampler, parseStrategy, readJaegerRemote } from '../../src/sampling/jaeger-remote';
import { until } from '../export/support';
import { asks, identity, request, roots, threeSigma } from './support';

let lines: string[] = [];
let server: Server;
let url: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let asked: string[] = [];
let sampler: JaegerRemoteSampler | undefined;

beforeEach(async () => {
  lines = [];
  asked = [];
  setLogSink((line) => void lines.push(line));
  server = createServer((incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    answer(incoming, response);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  sampler?.stop();
  setLogSink(undefined);
  forgetLoggedKeys();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const json = (value: unknown) => (_: IncomingMessage, response: ServerResponse) =>
  void response.end(JSON.stringify(value));
const probabilistic = (samplingRate: number) => ({
  strategyType: 'PROBABILISTIC',
  probabilisticSampling: { samplingRate },
});

function start(changes: Partial<{ endpoint: string; initialSamplingRate: number }> = {}): JaegerRemoteSampler {
  const options = { endpoint: url, pollingIntervalMs: 10, initialSamplingRate: 0, ...changes };
  sampler = new JaegerRemoteSampler(options, 'my shop').start();
  return sampler;
}

describe('strategies', () => {
  const root = () => roots(3);
  const share = (strategy: ReturnType<typeof parseStrategy>, name: string, n = 20_000): number => {
    const next = root();
    let kept = 0;
    for (let i = 0; i < n; i++) if (strategy.samples(next(), name, undefined)) kept++;
    return kept;
  };

  it.each([
    [probabilistic(0.25), 0.25],
    [{ strategyType: 0, probabilisticSampling: { samplingRate: 0.1 } }, 0.1],
    [{ probabilisticSampling: { samplingRate: 0.5 } }, 0.5],
    [{ strategyType: 'PROBABILISTIC', probabilisticSampling: {} }, 0],
    [probabilistic(1.1), 1],
  ])('%j keeps its share, within three sigma', (response, rate) => {
    const kept = share(parseStrategy(JSON.stringify(response)), 'GET');
    expect(Math.abs(kept - 20_000 * rate)).toBeLessThanOrEqual(threeSigma(20_000, rate));
  });

  it.each([
    [{ strategyType: 'RATE_LIMITING', rateLimitingSampling: { maxTracesPerSecond: 4 } }],
    [{ strategyType: 1, rateLimitingSampling: { maxTracesPerSecond: 4 } }],
  ])('%j keeps its number per second', (response) => {
    let now = 0;
    const strategy = parseStrategy(JSON.stringify(response), () => now);
    let kept = 0;
    for (now = 0; now < 10_000; now += 10) if (strategy.samples(identity(), 'GET', undefined)) kept++;
    // Four to begin with, then four in each of ten seconds.
    expect(kept).toBeGreaterThanOrEqual(42);
    expect(kept).toBeLessThanOrEqual(44);
  });

  it('by operation, with a lower bound for each', () => {
    let now = 0;
    const strategy = parseStrategy(
      JSON.stringify({
        ...probabilistic(1),
        operationSampling: {
          defaultSamplingProbability: 0,
          defaultLowerBoundTracesPerSecond: 0.5,
          perOperationStrategies: [
            { operation: 'GET', probabilisticSampling: { samplingRate: 0.3 } },
            { operation: 'GET /pay', probabilisticSampling: { samplingRate: 1 } },
            { operation: 'off', probabilisticSampling: {} },
          ],
        },
      }),
      () => now,
    );
    const kept = share(strategy, 'GET');
    expect(Math.abs(kept - 6000)).toBeLessThanOrEqual(threeSigma(20_000, 0.3) + 1);
    // By method and path, for the back end knows requests under such names.
    expect(share(strategy, 'x', 10)).toBe(1);
    const next = root();
    for (let i = 0; i < 10; i++) expect(strategy.samples(next(), 'POST', request('/pay'))).toBe(true);
    // One in two seconds, however many there are.
    let guaranteed = 0;
    for (; now < 20_000; now += 10) if (strategy.samples(next(), 'off', undefined)) guaranteed++;
    expect(guaranteed).toBeGreaterThanOrEqual(10);
    expect(guaranteed).toBeLessThanOrEqual(11);
  });

  it('keeps counters for a bounded number of operations', () => {
    const strategy = parseStrategy(
      '{"operationSampling":{"defaultSamplingProbability":0,"defaultLowerBoundTracesPerSecond":1}}',
    );
    let kept = 0;
    for (let i = 0; i < 5000; i++) if (strategy.samples(identity(), `operation ${i}`, undefined)) kept++;
    expect(kept).toBe(2000);
  });

  it.each([
    '',
    '[]',
    'null',
    '{}',
    '{"strategyType":"RATE_LIMITING"}',
    '{"probabilisticSampling":{"samplingRate":"1"}}',
  ])('%s is none', (text) => expect(() => parseStrategy(text)).toThrow());
});

describe('asking', () => {
  it('asks for the service, again and again, and takes over what it hears', async () => {
    answer = json(probabilistic(1));
    const remote = start();
    expect(asks(remote, identity())).toBe(false);
    await until(() => asks(remote, identity()));
    expect(asked[0]).toBe('GET /sampling?service=my+shop');
    answer = json(probabilistic(0));
    await until(() => !asks(remote, identity()));
    expect(lines).toEqual([]);
  });

  it.each([
    ['/', '/sampling?service=my+shop'],
    ['/jaeger', '/jaeger/sampling?service=my+shop'],
    ['/sampling', '/sampling?service=my+shop'],
    ['/x/?key=1', '/x/sampling?key=1&service=my+shop'],
  ])('an endpoint with the path %s', async (path, expected) => {
    answer = json(probabilistic(1));
    start({ endpoint: url + path });
    await until(() => asked.length > 0);
    expect(asked[0]).toBe(`GET ${expected}`);
  });

  it.each([
    ['status 500', (_: IncomingMessage, response: ServerResponse) => void response.writeHead(500).end()],
    ['JSON', (_: IncomingMessage, response: ServerResponse) => void response.end('<html>')],
    ['no strategy', json({})],
    [
      'more than 1048576 bytes',
      (_: IncomingMessage, response: ServerResponse) => void response.end('x'.repeat(2_000_000)),
    ],
    ['socket hang up', (incoming: IncomingMessage) => void incoming.socket.destroy()],
  ])('keeps the last strategy and says once: %s', async (reason, fail) => {
    answer = json(probabilistic(1));
    const remote = start();
    await until(() => asks(remote, identity()));
    answer = fail;
    await until(() => lines.length > 0);
    const before = asked.length;
    await until(() => asked.length > before + 3);
    expect(asks(remote, identity())).toBe(true);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(reason);
    expect(lines[0]).toContain(`no sampling strategies from ${url}/sampling: `);
    answer = json(probabilistic(0));
    await until(() => !asks(remote, identity()));
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain('again');
  });

  it('starts with its initial rate where nobody answers', async () => {
    const remote = start({ endpoint: 'http://127.0.0.1:1', initialSamplingRate: 1 });
    await until(() => lines.length > 0);
    expect(lines[0]).toContain('ECONNREFUSED');
    expect(asks(remote, identity())).toBe(true);
  });

  it('keeps its initial share until then, within three sigma', () => {
    const options = { endpoint: url, pollingIntervalMs: 10, initialSamplingRate: 0.2 };
    const unasked = new JaegerRemoteSampler(options, 'shop');
    const root = roots(4);
    let kept = 0;
    for (let i = 0; i < 20_000; i++) if (asks(unasked, root())) kept++;
    expect(Math.abs(kept - 4000)).toBeLessThanOrEqual(threeSigma(20_000, 0.2));
  });

  it('does not begin its counters anew with the same answer', async () => {
    answer = json({ strategyType: 'RATE_LIMITING', rateLimitingSampling: { maxTracesPerSecond: 0.001 } });
    const remote = start();
    await until(() => asks(remote, identity()));
    const before = asked.length;
    await until(() => asked.length > before + 3);
    expect(asks(remote, identity())).toBe(false);
  });
});

describe('its argument', () => {
  const defaults = { endpoint: 'http://localhost:5778', pollingIntervalMs: 60_000, initialSamplingRate: 0.001 };

  it.each([
    [undefined, {}],
    ['', {}],
    [
      'endpoint=http://localhost:14250,pollingIntervalMs=5000,initialSamplingRate=0.25',
      { endpoint: 'http://localhost:14250/', pollingIntervalMs: 5000, initialSamplingRate: 0.25 },
    ],
    [' Endpoint = jaeger:5778 , PollingIntervalMS=1 ', { endpoint: 'http://jaeger:5778/', pollingIntervalMs: 1 }],
    ['initialSamplingRate=0', { initialSamplingRate: 0 }],
  ])('%s', (argument, expected) => {
    expect(readJaegerRemote(argument)).toEqual({ options: { ...defaults, ...expected }, problems: [] });
  });

  it.each([
    ['endpoint=ftp://x', 'http:// or https:// URL'],
    ['endpoint=', 'http:// or https:// URL'],
    ['pollingIntervalMs=0', 'integer of 1 or more'],
    ['pollingIntervalMs=1e3', 'integer of 1 or more'],
    ['initialSamplingRate=2', 'number from 0 to 1'],
    ['initialSamplingRate=', 'number from 0 to 1'],
    ['0.5', 'is not endpoint=, pollingIntervalMs= or initialSamplingRate='],
  ])('%s is one line, and the default counts', (argument, text) => {
    const { options, problems } = readJaegerRemote(argument);
    expect(options).toEqual(defaults);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('OTEL_TRACES_SAMPLER_ARG');
    expect(problems[0]).toContain(text);
  });

  it('does not show a password', () => {
    const { problems } = readJaegerRemote('endpoint=ftp://me:secret@host,me:secret@host');
    expect(problems.join()).not.toContain('secret');
  });
});
