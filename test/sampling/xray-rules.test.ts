import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { parseRules, parseTargets, type Target, type XRayRule } from '../../src/sampling/xray-rules';
import { request, roots, threeSigma } from './support';

/** A rule as X-Ray sends it, which matches anything unless it is changed. */
const rule = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  RuleName: 'test',
  RuleARN: 'arn:aws:xray:us-east-1:123456789012:sampling-rule/test',
  Priority: 100,
  FixedRate: 0.5,
  ReservoirSize: 0,
  ServiceName: '*',
  ServiceType: '*',
  Host: '*',
  HTTPMethod: '*',
  URLPath: '*',
  ResourceARN: '*',
  Version: 1,
  Attributes: {},
  ...changes,
});
const answer = (...rules: unknown[]): string =>
  JSON.stringify({ SamplingRuleRecords: rules.map((SamplingRule) => ({ SamplingRule, ModifiedAt: 1, CreatedAt: 1 })) });
const SHOP: Attributes = { 'service.name': 'Shop' };

let now = 0;
const parse = (json: string, resource = SHOP, known: readonly XRayRule[] = []): readonly XRayRule[] =>
  parseRules(json, resource, known, () => now);
const one = (changes: Record<string, unknown>): XRayRule => parse(answer(rule(changes)))[0] as XRayRule;
const target = (changes: Partial<Target>): Target => ({
  ruleName: 'test',
  fixedRate: undefined,
  quota: undefined,
  quotaUntilMs: undefined,
  intervalMs: undefined,
  ...changes,
});

describe('what a rule matches', () => {
  it.each([
    [{}, request('/'), true],
    [{}, undefined, true],
    [{ HTTPMethod: 'get' }, request('/'), true],
    [{ HTTPMethod: 'P*' }, request('/', { 'http.request.method': 'POST' }), true],
    [{ HTTPMethod: 'POST' }, request('/'), false],
    [{ HTTPMethod: 'POST' }, {}, false],
    [{ URLPath: '/API/*' }, request('/api/users'), true],
    [{ URLPath: '/api/?' }, request('/api/12'), false],
    [{ URLPath: '/pay' }, { 'url.full': 'https://x/pay?a=1' }, true],
    [{ URLPath: '' }, request('/'), false],
    [{ URLPath: '/*' }, {}, false],
    [{ Host: 'shop.*' }, request('/'), true],
    [{ Host: 'Shop.test:80' }, request('/'), true],
    [{ Host: 'other' }, request('/'), false],
    [{ Attributes: { 'user_agent.original': 'CURL/?' } }, request('/', { 'user_agent.original': 'curl/8' }), true],
    [{ Attributes: { 'user_agent.original': 'curl/?' } }, request('/', { 'user_agent.original': 'wget' }), false],
    [{ Attributes: { 'server.port': '80' } }, request('/'), true],
    [{ Attributes: { a: '*' } }, request('/'), false],
    [{ Attributes: { a: '*', b: '1' } }, { a: 'x', b: '1' }, true],
    [{ Attributes: { a: '*', b: '1' } }, { a: 'x', b: '2' }, false],
    [{ URLPath: '/a', HTTPMethod: 'POST' }, request('/a'), false],
    // What every account has for the rest.
    [{ RuleName: 'Default', URLPath: '/never' }, {}, true],
    [{ URLPath: 'x'.repeat(2000) }, request('x'.repeat(2000)), false],
  ] as const)('%j on %j: %s', (changes, attributes, expected) => {
    expect(one(changes).matches(attributes as Attributes | undefined)).toBe(expected);
  });

  it.each([
    [{ ServiceName: 'shop' }, {}, true],
    [{ ServiceName: 'SH?P' }, {}, true],
    [{ ServiceName: 'bank' }, {}, false],
    [{ ServiceType: 'AWS::ECS::*' }, { 'cloud.platform': 'aws_ecs' }, true],
    [{ ServiceType: 'AWS::EC2::Instance' }, { 'cloud.platform': 'aws_ecs' }, false],
    [{ ServiceType: 'AWS::EC2::Instance' }, {}, false],
    [{ ResourceARN: 'arn:*:shop-*' }, { 'aws.ecs.container.arn': 'arn:aws:ecs:eu:1:container/shop-1' }, false],
    [{ ResourceARN: 'arn:*/shop-*' }, { 'aws.ecs.container.arn': 'arn:aws:ecs:eu:1:container/shop-1' }, true],
    [{ ResourceARN: 'arn:*' }, { 'aws.eks.cluster.arn': 'arn:aws:eks:eu:1:cluster/a' }, true],
    [{ ResourceARN: 'arn:*' }, { 'cloud.platform': 'aws_lambda', 'cloud.resource_id': 'arn:aws:lambda:a' }, true],
    [{ ResourceARN: 'arn:*' }, { 'cloud.resource_id': 'arn:aws:lambda:a' }, false],
    [{ ServiceName: 'bank', RuleName: 'Default' }, {}, true],
  ] as const)('%j of the service %j: %s', (changes, resource, expected) => {
    expect(parse(answer(rule(changes)), { ...SHOP, ...resource })).toHaveLength(expected ? 1 : 0);
  });
});

describe('rules', () => {
  it('stand in the order of their priority, then of their names', () => {
    const rules = parse(
      answer(
        rule({ RuleName: 'Default', Priority: 10_000 }),
        rule({ RuleName: 'b', Priority: 7 }),
        rule({ RuleName: 'a', Priority: 7 }),
        rule({ RuleName: 'z', Priority: 1 }),
        rule({ RuleName: 'none', Priority: undefined }),
      ),
    );
    expect(rules.map(({ name }) => name)).toEqual(['z', 'a', 'b', 'Default', 'none']);
  });

  it('leave out what is none, or of another version', () => {
    const json = answer(null, 7, {}, rule({ Version: 2 }), rule({ RuleName: 7 }), rule({ RuleName: 'good' }));
    expect(parse(json).map(({ name }) => name)).toEqual(['good']);
    for (const bad of ['', 'null', '[]', '{}', '{"SamplingRuleRecords":{}}']) expect(() => parse(bad), bad).toThrow();
    expect(parse(answer(...Array.from({ length: 1500 }, (_, i) => rule({ RuleName: `rule ${i}` }))))).toHaveLength(
      1000,
    );
  });

  it('keep their counts and quota as long as they do not change', () => {
    const before = parse(answer(rule({ RuleName: 'a' }), rule({ RuleName: 'b' })));
    const after = parse(answer(rule({ RuleName: 'b', FixedRate: 0.1 }), rule({ RuleName: 'a' })), SHOP, before);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });
});

describe('what a rule keeps', () => {
  const n = 50_000;
  const ask = (subject: XRayRule, next: ReturnType<typeof roots>, count: number): number => {
    let kept = 0;
    for (let i = 0; i < count; i++) if (subject.samples(next())) kept++;
    return kept;
  };

  it.each([0, 0.05, 0.5, 1])('its share %s, within three sigma', (FixedRate) => {
    const kept = ask(one({ FixedRate }), roots(Math.round(FixedRate * 100) + 1), n);
    expect(Math.abs(kept - n * FixedRate)).toBeLessThanOrEqual(threeSigma(n, FixedRate));
  });

  it('a borrowed trace per second and its share of the rest, within three sigma', () => {
    now = 0;
    const subject = one({ ReservoirSize: 50, FixedRate: 0.05 });
    const next = roots(71);
    // A hundred per second: one of them is borrowed.
    let kept = 0;
    for (let i = 0; i < n; i++, now += 10) if (subject.samples(next())) kept++;
    const { statistics } = subject;
    expect(statistics).toEqual({ requests: n, sampled: kept, borrowed: statistics.borrowed });
    expect(statistics.borrowed).toBeGreaterThanOrEqual(n / 100 - 1);
    expect(statistics.borrowed).toBeLessThanOrEqual(n / 100 + 1);
    const rest = n - statistics.borrowed;
    expect(Math.abs(kept - statistics.borrowed - rest * 0.05)).toBeLessThanOrEqual(threeSigma(rest, 0.05));
  });

  it('nothing borrowed without a reservoir', () => {
    const subject = one({ ReservoirSize: 0, FixedRate: 0 });
    expect(ask(subject, roots(1), 1000)).toBe(0);
    expect(subject.statistics).toEqual({ requests: 1000, sampled: 0, borrowed: 0 });
  });

  it("its quota per second instead, until that is over by X-Ray's clock", () => {
    now = 5_000_000;
    const subject = one({ ReservoirSize: 50, FixedRate: 0 });
    // X-Ray's clock is years behind ours.
    subject.update(target({ quota: 7, quotaUntilMs: 110_000 }), 100_000);
    const next = roots(72);
    const perSecond: number[] = [];
    for (let second = 0; second < 13; second++, now += 1000) perSecond.push(ask(subject, next, 100));
    expect(perSecond).toEqual([...Array(10).fill(7), 1, 1, 1]);
    expect(subject.statistics).toEqual({ requests: 1300, sampled: 73, borrowed: 3 });
  });

  it('no more of a second when the same quota comes again in it, and another share', () => {
    now = 0;
    const subject = one({ ReservoirSize: 5, FixedRate: 0 });
    const next = roots(73);
    subject.update(target({ quota: 5, quotaUntilMs: 10_000 }), 0);
    expect(ask(subject, next, 100)).toBe(5);
    subject.update(target({ quota: 5, quotaUntilMs: 20_000 }), 0);
    expect(ask(subject, next, 100)).toBe(0);
    subject.update(target({ quota: 0, quotaUntilMs: 20_000, fixedRate: 1 }), 0);
    expect(ask(subject, next, 100)).toBe(100);
    subject.update(target({ quota: 0, quotaUntilMs: 20_000, fixedRate: 0 }), 0);
    now = 5000;
    expect(ask(subject, next, 100)).toBe(0);
    // None at all: it borrows again.
    subject.update(target({}), 0);
    expect(ask(subject, next, 100)).toBe(1);
  });
});

describe('targets', () => {
  it('are read, in milliseconds', () => {
    const json = JSON.stringify({
      SamplingTargetDocuments: [
        { RuleName: 'a', FixedRate: 0.1, ReservoirQuota: 2, ReservoirQuotaTTL: 1530923107, Interval: 10 },
        { RuleName: 'b', FixedRate: 0, ReservoirQuota: null, Interval: 'x' },
        { FixedRate: 1 },
        null,
      ],
      LastRuleModification: 1530920505.5,
      UnprocessedStatistics: [],
    });
    expect(parseTargets(json)).toEqual({
      targets: [
        { ruleName: 'a', fixedRate: 0.1, quota: 2, quotaUntilMs: 1530923107000, intervalMs: 10_000 },
        { ruleName: 'b', fixedRate: 0, quota: undefined, quotaUntilMs: undefined, intervalMs: undefined },
      ],
      rulesChangedMs: 1530920505500,
    });
    for (const bad of ['', 'null', '{}', '[]']) expect(() => parseTargets(bad), bad).toThrow();
  });
});
