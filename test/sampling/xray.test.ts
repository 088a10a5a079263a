import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { readXRay, XRaySampler } from '../../src/sampling/xray';
import { until } from '../export/support';
import { asks, identity, request, roots, threeSigma } from './support';

// Against a daemon that says what the test tells it to.

type Answering = (body: any, response: ServerResponse, incoming: IncomingMessage) => void;

const HOUR_MS = 3_600_000;
let lines: string[] = [];
let server: Server;
let url: string;
let rules: Answering;
let targets: Answering;
let asked: string[] = [];
let reported: Record<string, any>[][] = [];
let sampler: XRaySampler | undefined;
let now = 0;

const rule = (name: string, changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  ...{ RuleName: name, Priority: 10, Version: 1, ReservoirSize: 0, FixedRate: 1, ServiceName: '*', ServiceType: '*' },
  ...{ Host: '*', HTTPMethod: '*', URLPath: '*', ResourceARN: '*', Attributes: {}, ...changes },
});
const json =
  (value: unknown): Answering =>
  (_, response) =>
    void response.end(JSON.stringify(value));
const withRules = (...list: Record<string, unknown>[]): Answering =>
  json({ SamplingRuleRecords: list.map((SamplingRule) => ({ SamplingRule })) });
const withTargets = (list: unknown[], more: Record<string, unknown> = {}): Answering =>
  json({ SamplingTargetDocuments: list, UnprocessedStatistics: [], ...more });

beforeEach(async () => {
  lines = [];
  asked = [];
  reported = [];
  now = 0;
  rules = withRules();
  targets = withTargets([]);
  setLogSink((line) => void lines.push(line));
  server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
    incoming.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      asked.push(`${incoming.method} ${incoming.url} ${incoming.headers['content-type']}`);
      if (incoming.url?.endsWith('/SamplingTargets')) {
        reported.push(body.SamplingStatisticsDocuments);
        targets(body, response, incoming);
      } else rules(body, response, incoming);
    });
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

/** Reads rules and reports every few milliseconds. */
function start(endpoint = url, pollingIntervalMs = 10): XRaySampler {
  const resource = { attributes: { 'service.name': 'shop' } };
  sampler = new XRaySampler({ endpoint, pollingIntervalMs }, resource, () => now, 10).start();
  return sampler;
}

const hasRules = (count: number) => () => String(sampler).includes(`${count} rules`);

describe('xray', () => {
  it('without rules keeps one trace per second and 5 % of the rest, within three sigma', () => {
    const alone = new XRaySampler(
      { endpoint: 'http://127.0.0.1:1', pollingIntervalMs: 10 },
      { attributes: {} },
      () => now,
    );
    const next = roots(81);
    const n = 50_000;
    let kept = 0;
    for (let i = 0; i < n; i++, now += 10) if (asks(alone, next(), request('/'))) kept++;
    const reservoir = n / 100;
    expect(Math.abs(kept - reservoir - (n - reservoir) * 0.05)).toBeLessThanOrEqual(threeSigma(n, 0.05));
  });

  it('asks the daemon with a POST and decides by the first rule that matches, in the order of priority', async () => {
    rules = withRules(
      rule('Default', { Priority: 10_000, FixedRate: 0 }),
      rule('api', { Priority: 2, URLPath: '/api/*', FixedRate: 0 }),
      rule('pay', { Priority: 1, URLPath: '/api/pay' }),
      rule('bank', { Priority: 1, ServiceName: 'bank' }),
    );
    const xray = start();
    await until(hasRules(3));
    expect(asked[0]).toBe('POST /GetSamplingRules application/json');
    expect(asks(xray, identity(), request('/api/pay'))).toBe(true);
    expect(asks(xray, identity(), request('/api/list'))).toBe(false);
    expect(asks(xray, identity(), request('/other'))).toBe(false);
    expect(lines).toEqual([]);
  });

  it.each([
    ['/', '/GetSamplingRules'],
    ['/proxy', '/proxy/GetSamplingRules'],
    ['/proxy/', '/proxy/GetSamplingRules'],
  ])('an endpoint with the path %s', async (path, expected) => {
    start(url + path);
    await until(() => asked.length > 0);
    expect(asked[0]).toBe(`POST ${expected} application/json`);
  });

  it('reports what each rule decided, each decision once, and only rules that were used', async () => {
    rules = withRules(rule('a', { URLPath: '/a', ReservoirSize: 1, FixedRate: 0 }), rule('b', { URLPath: '/b' }));
    const xray = start();
    await until(hasRules(2));
    for (let i = 0; i < 5; i++) asks(xray, identity(), request('/a'));
    await until(() => reported.length > 0);
    expect(reported[0]).toEqual([
      {
        ...{ ClientID: expect.stringMatching(/^[0-9a-f]{24}$/), RuleName: 'a' },
        ...{ RequestCount: 5, SampledCount: 1, BorrowCount: 1, Timestamp: expect.any(Number) },
      },
    ]);
    asks(xray, identity(), request('/b'));
    await until(() => reported.length > 1);
    expect(reported[1]).toEqual([expect.objectContaining({ RuleName: 'b', RequestCount: 1, SampledCount: 1 })]);
    expect(reported[1]?.[0]?.['ClientID']).toBe(reported[0]?.[0]?.['ClientID']);
    const before = asked.length;
    await until(() => asked.length > before + 3);
    expect(reported).toHaveLength(2);
  });

  it('follows the targets: share, quota and interval', async () => {
    rules = withRules(rule('a', { ReservoirSize: 9, FixedRate: 0 }));
    targets = (_, response) => {
      const nowSeconds = Math.floor(Date.now() / 1000);
      withTargets([
        { RuleName: 'a', FixedRate: 0, ReservoirQuota: 4, ReservoirQuotaTTL: nowSeconds + 60, Interval: 1 },
        { RuleName: 'unknown', FixedRate: 1, Interval: 3000 },
      ])(_, response, undefined as never);
    };
    const xray = start();
    await until(hasRules(1));
    // Borrowed, and nothing else in this second.
    expect([asks(xray, identity()), asks(xray, identity())]).toEqual([true, false]);
    await until(() => asks(xray, identity()));
    const kept = Array.from({ length: 100 }, () => asks(xray, identity())).filter(Boolean).length;
    expect(kept).toBe(3);
  });

  it('reads the rules again at once when X-Ray says that they have changed', async () => {
    rules = withRules(rule('a', { FixedRate: 0 }));
    const xray = start(url, HOUR_MS);
    await until(hasRules(1));
    rules = withRules(rule('a', { FixedRate: 1 }), rule('b', { URLPath: '/b' }));
    targets = withTargets([], { LastRuleModification: Date.now() / 1000 + 5 });
    asks(xray, identity());
    await until(hasRules(2));
    expect(asks(xray, identity())).toBe(true);
  });

  it('does not read them again for a change that it has seen', async () => {
    rules = withRules(rule('a'));
    targets = withTargets([], { LastRuleModification: Date.now() / 1000 - 60 });
    const xray = start(url, HOUR_MS);
    await until(hasRules(1));
    for (let i = 1; i <= 3; i++) {
      asks(xray, identity());
      await until(() => reported.length === i);
    }
    expect(asked.filter((line) => line.includes('GetSamplingRules'))).toHaveLength(1);
  });

  it('tells the next time what could not be told', async () => {
    rules = withRules(rule('a'));
    targets = (_, response) => void response.writeHead(500).end();
    const xray = start();
    await until(hasRules(1));
    asks(xray, identity());
    await until(() => lines.length > 0);
    expect(lines[0]).toContain(
      `no sampling targets from ${url}/SamplingTargets: status 500; keeping what the rules say`,
    );
    asks(xray, identity());
    targets = withTargets([]);
    await until(() => lines.length > 1);
    expect(lines[1]).toContain('sampling targets come from');
    expect(reported[reported.length - 1]).toEqual([expect.objectContaining({ RequestCount: 2, SampledCount: 2 })]);
  });

  it('reports all of many rules, in several requests', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `rule ${i}`);
    rules = withRules(...names.map((name, i) => rule(name, { URLPath: `/${i}` })));
    const xray = start();
    await until(hasRules(60));
    for (let i = 0; i < 60; i++) asks(xray, identity(), request(`/${i}`));
    await until(() => reported.flat().length >= 60);
    expect(reported.every((documents) => documents.length <= 25)).toBe(true);
    expect(new Set(reported.flat().map((document) => document['RuleName']))).toEqual(new Set(names));
    expect(reported.flat()).toHaveLength(60);
  });

  it.each([
    ['status 403', ((_, response) => void response.writeHead(403).end()) as Answering],
    ['JSON', ((_, response) => void response.end('<html>')) as Answering],
    ['no SamplingRuleRecords', json({})],
    ['more than 1048576 bytes', ((_, response) => void response.end('x'.repeat(2_000_000))) as Answering],
    ['socket hang up', ((_, __, incoming) => void incoming.socket.destroy()) as Answering],
  ])('keeps the last rules for an hour and says once: %s', async (reason, fail) => {
    rules = withRules(rule('Default', { FixedRate: 0 }));
    const xray = start();
    await until(hasRules(1));
    rules = fail;
    await until(() => lines.length > 0);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`no sampling rules from ${url}/GetSamplingRules: `);
    expect(lines[0]).toContain(reason);
    expect(lines[0]).toContain('keeping the last ones for an hour');
    const next = roots(91);
    const keeps = () => Array.from({ length: 1000 }, () => asks(xray, next())).filter(Boolean).length;
    now = HOUR_MS - 1;
    expect(keeps()).toBe(0);
    now = HOUR_MS;
    // One, and 5 % of the rest.
    expect(Math.abs(keeps() - 51)).toBeLessThanOrEqual(threeSigma(999, 0.05));
    rules = withRules(rule('Default', { FixedRate: 1 }));
    await until(() => lines.length > 1);
    expect(lines[1]).toContain('sampling rules come from');
    expect(keeps()).toBe(1000);
  });

  it('says what it keeps where nobody answers', async () => {
    start('http://127.0.0.1:1');
    await until(() => lines.length > 0);
    expect(lines[0]).toContain('ECONNREFUSED');
    expect(lines[0]).toContain('keeping 1 trace per second and 5 % of the rest');
  });
});

describe('its argument', () => {
  const defaults = { endpoint: 'http://localhost:2000', pollingIntervalMs: 300_000 };

  it.each([
    [undefined, {}],
    ['', {}],
    [
      'endpoint=http://cloudwatch-agent.amazon-cloudwatch:2000,polling_interval=60',
      { endpoint: 'http://cloudwatch-agent.amazon-cloudwatch:2000/', pollingIntervalMs: 60_000 },
    ],
    [' ENDPOINT = daemon:2000 , Polling_Interval=10 ', { endpoint: 'http://daemon:2000/', pollingIntervalMs: 10_000 }],
  ])('%s', (argument, expected) => {
    expect(readXRay(argument)).toEqual({ options: { ...defaults, ...expected }, problems: [] });
  });

  it.each([
    [
      'endpoint=ftp://x',
      'endpoint="ftp://x" is not an http:// or https:// URL or host:port; using http://localhost:2000',
    ],
    ['polling_interval=9', 'polling_interval="9" is not an integer of 10 or more; using 300'],
    ['polling_interval=5m', 'polling_interval="5m" is not an integer of 10 or more; using 300'],
    ['0.05', '"0.05" is not endpoint= or polling_interval=; ignoring it'],
  ])('%s is one line, and the default counts', (argument, text) => {
    expect(readXRay(argument)).toEqual({ options: defaults, problems: [`OTEL_TRACES_SAMPLER_ARG: ${text}`] });
  });

  it('does not show a password', () => {
    expect(readXRay('endpoint=ftp://me:secret@host,me:secret@host').problems.join()).not.toContain('secret');
  });
});
