import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attributes } from '@opentelemetry/api';
import { afterAll, describe, expect, it } from 'vitest';
import { RulesSampler, readRules } from '../../src/sampling/rules';
import { asks, CLIENT, identity, request, roots, SERVER, threeSigma } from './support';

const folder = mkdtempSync(join(tmpdir(), 'hookline-rules-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function sampler(document: unknown): RulesSampler {
  const { set, problems } = readRules(JSON.stringify(document));
  expect(problems).toEqual([]);
  return new RulesSampler(set);
}

const keeps = (document: unknown, attributes: Attributes | undefined, name = 'GET', kind = SERVER): boolean =>
  asks(sampler(document), identity(), attributes, name, kind);

const drop = (match: Record<string, unknown>): unknown => [{ ...match, decision: 'drop' }];

describe('what a rule matches', () => {
  it.each([
    [{ path: '/health*' }, request('/healthz'), true],
    [{ path: '/health*' }, request('/api/health'), false],
    [{ path: ['/a', '/b'] }, request('/b'), true],
    [{ path: '/a' }, { 'url.full': 'http://x/a?b' }, true],
    [{ path: '*' }, {}, false],
    [{ method: 'get' }, request('/'), true],
    [{ method: ['HEAD', 'OPTIONS'] }, request('/'), false],
    [{ host: 'SHOP.*' }, request('/'), true],
    [{ host: 'shop.test:80' }, request('/'), true],
    [{ host: 'shop.test:8080' }, request('/'), false],
    [{ host: '*.test' }, {}, false],
    [{ name: 'G?T' }, request('/'), true],
    [{ name: 'POST' }, request('/'), false],
    [{ kind: 'Server' }, request('/'), true],
    [{ kind: ['client', 'internal'] }, request('/'), false],
    [{ attributes: { 'user_agent.original': 'curl/*' } }, request('/', { 'user_agent.original': 'curl/8' }), true],
    [{ attributes: { 'user_agent.original': 'curl/*' } }, request('/'), false],
    [{ attributes: { 'server.port': '8?' } }, request('/'), true],
    [{ attributes: { 'server.port': 80 } }, request('/'), true],
    [{ attributes: { flag: true } }, { flag: true }, true],
    [{ attributes: { list: 'b' } }, { list: ['a', 'b'] }, true],
    [{ attributes: { toString: '*' } }, {}, false],
    [{ path: '/a', method: 'POST' }, request('/a'), false],
    [{}, {}, true],
    [{ route: '/users/:id' }, request('/users/7'), true],
    [{ route: '/users/{id}/orders' }, request('/users/7/orders'), true],
    [{ route: '/users/[id]' }, request('/users/7'), true],
    [{ route: '/users/:id' }, request('/users/'), false],
    [{ route: '/users/:id' }, request('/users/7/orders'), false],
    [{ route: '/users/:id/orders' }, request('/users/7'), false],
    [{ route: '/users/:id' }, request('/users/7', { 'http.route': '/users/:id' }), true],
    [{ route: '/users/:id' }, request('/users/7', { 'http.route': '/other/:id' }), false],
    [{ route: '/users/*' }, request('/users/7/orders'), true],
  ] as const)('%j on %j: %s', (match, attributes, expected) => {
    expect(keeps(drop(match), attributes as Attributes)).toBe(!expected);
  });

  it('is nothing when there are no attributes', () => {
    for (const match of [{ path: '*' }, { host: '*' }, { route: '/:a' }, { attributes: { a: '*' } }])
      expect(keeps(drop(match), undefined)).toBe(true);
  });
});

describe('rules', () => {
  it('are asked in order, and the first that matches decides', () => {
    const rules = {
      rules: [
        { path: '/api/pay', decision: 'keep' },
        { path: '/api/*', decision: 'drop' },
        { path: '/images/*', ratio: 0 },
        { method: 'GET', decision: 1 },
      ],
      default: 'drop',
    };
    expect(keeps(rules, request('/api/pay'))).toBe(true);
    expect(keeps(rules, request('/api/list'))).toBe(false);
    expect(keeps(rules, request('/images/a'))).toBe(false);
    expect(keeps(rules, request('/other'))).toBe(true);
    expect(keeps(rules, request('/other', { 'http.request.method': 'PUT' }))).toBe(false);
    expect(keeps([], request('/'))).toBe(true);
  });

  it.each([
    [{ rules: [{ path: '/x', ratio: 0.2 }] }, 0.2],
    [{ rules: [{ path: '/x', decision: 'ratio', ratio: 0.5 }] }, 0.5],
    [{ rules: [{ path: '/x', decision: 0.05 }], default: 'drop' }, 0.05],
    [{ default: 0.3 }, 0.3],
  ])('%j keeps its share, within three sigma', (document, share) => {
    const rules = sampler({ rules: [], ...document });
    const root = roots(Math.round(share * 100));
    const n = 50_000;
    let kept = 0;
    for (let i = 0; i < n; i++) if (asks(rules, root(), request('/x'))) kept++;
    expect(Math.abs(kept - n * share)).toBeLessThanOrEqual(threeSigma(n, share));
  });

  describe.each([
    [{ path: '/shop/*' }, request('/shop/a'), request('/bank/a'), 'GET'],
    [{ route: '/users/:id' }, request('/users/7'), request('/users/7/orders'), 'GET'],
    [{ method: 'POST' }, request('/', { 'http.request.method': 'POST' }), request('/'), 'GET'],
    [{ host: '*.test' }, request('/'), request('/', { 'server.address': 'shop.example' }), 'GET'],
    [{ name: 'job ?' }, {}, undefined, 'job 1'],
    [{ kind: 'server' }, {}, undefined, 'GET'],
    [{ attributes: { 'user_agent.original': 'curl/*' } }, { 'user_agent.original': 'curl/8' }, {}, 'GET'],
    [
      { attributes: { tenant: ['a*', 'b?'], flag: true } },
      { tenant: 'b1', flag: true },
      { tenant: 'b1', flag: false },
      'GET',
    ],
  ] as const)('%j', (match, meant, other, name) => {
    const keepsWith = (rule: object, fallback: string, attributes: Attributes | undefined, named: string = name) => {
      const kind = attributes === undefined ? CLIENT : SERVER;
      return keeps({ rules: [{ ...match, ...rule }], default: fallback }, attributes, named, kind);
    };

    it.each([
      ['keep', 'drop', true],
      ['drop', 'keep', false],
      [1, 'drop', true],
      [0, 'keep', false],
    ])('%s, and %s for the others', (decision, fallback, kept) => {
      expect(keepsWith({ decision }, fallback, meant as Attributes)).toBe(kept);
      expect(keepsWith({ decision }, fallback, other as Attributes | undefined, 'other')).toBe(!kept);
    });

    it('a ratio, within three sigma, and nothing of the others', () => {
      const rules = sampler({ rules: [{ ...match, ratio: 0.25 }], default: 'drop' });
      const root = roots(61);
      const n = 10_000;
      let kept = 0;
      let others = 0;
      for (let i = 0; i < n; i++) {
        if (asks(rules, root(), meant as Attributes, name)) kept++;
        if (asks(rules, root(), other as Attributes | undefined, 'other', other === undefined ? CLIENT : SERVER))
          others++;
      }
      expect(Math.abs(kept - n * 0.25)).toBeLessThanOrEqual(threeSigma(n, 0.25));
      expect(others).toBe(0);
    });
  });

  it('look at spans inside of a trace when they name a kind or a name', () => {
    const rules = sampler([
      { path: '/inner', decision: 'drop' },
      { kind: 'client', host: '169.254.*', decision: 'drop' },
      { name: 'dns*', decision: 'drop' },
    ]);
    const child = (attributes: Attributes, name = 'GET', kind = CLIENT) =>
      rules.samplesChild?.(identity(), name, kind, attributes);
    expect(child({ 'server.address': '169.254.169.254' })).toBe(false);
    expect(child({ 'server.address': 'shop.test', 'url.full': 'http://shop.test/inner' })).toBe(true);
    expect(child({}, 'dns.lookup', 0)).toBe(false);
    expect(sampler([{ path: '/inner', decision: 'drop' }]).samplesChild).toBeUndefined();
  });

  it('ask for attributes only when one of them reads some', () => {
    expect(sampler([{ name: 'a', kind: 'server', decision: 'drop' }]).describes).toBe(false);
    expect(sampler([{ path: 'a', decision: 'drop' }]).describes).toBe(true);
  });
});

describe('reading rules', () => {
  it.each([
    ['text', 'rule 1 is not an object'],
    [['a'], 'rule 1 is not an object'],
    [{ pathh: '/a', decision: 'drop' }, 'rule 1 has the unknown key "pathh"'],
    [{ path: '/a' }, 'rule 1 has no decision that is keep, drop or a number from 0 to 1'],
    [{ path: '/a', decision: 'maybe' }, 'rule 1 has no decision'],
    [{ path: '/a', decision: 1.5 }, 'rule 1 has no decision'],
    [{ path: '/a', ratio: 'keep' }, 'rule 1 has no decision'],
    [{ path: '/a', ratio: -1 }, 'rule 1 has no decision'],
    [{ path: '/a', decision: 'ratio' }, 'rule 1 has the decision ratio and no ratio'],
    [{ path: '/a', decision: 'keep', ratio: 1 }, 'rule 1 has both a decision and a ratio'],
    [{ path: 7, decision: 'drop' }, 'rule 1 has a path that is not a text'],
    [{ path: [], decision: 'drop' }, 'rule 1 has a path that is not a text'],
    [{ path: 'x'.repeat(1025), decision: 'drop' }, 'up to 1024 characters'],
    [{ kind: 'servant', decision: 'drop' }, 'internal, server, client, producer, consumer'],
    [{ attributes: 'a', decision: 'drop' }, 'rule 1 has attributes that are not an object'],
    [{ attributes: { a: {} }, decision: 'drop' }, 'rule 1 has a pattern for "a"'],
  ])('skips %j with one line', (bad, text) => {
    const { set, problems } = readRules(JSON.stringify([bad, { path: '/b', decision: 'drop' }]));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`OTEL_TRACES_SAMPLER_ARG: `);
    expect(problems[0]).toContain(text);
    expect(problems[0]).toMatch(/; skipping it$/);
    expect(set.rules).toHaveLength(1);
    expect(asks(new RulesSampler(set), identity(), request('/b'))).toBe(false);
  });

  it.each([
    [undefined, 'is not set'],
    ['[', 'is not valid JSON'],
    ['{"rules": 7}', 'is not a list of rules'],
    ['{"default": "drop"}', 'is not a list of rules'],
    ['missing.json', 'ENOENT'],
    ['.', 'not a file'],
  ])('of %s is one line, and keeps all', (argument, text) => {
    const { set, problems } = readRules(argument);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(text);
    expect(problems[0]).not.toContain('\n');
    expect(set.rules).toEqual([]);
  });

  it('reports a bad default and unknown keys, and uses the rest', () => {
    const { set, problems } = readRules('{"rules": [], "default": "none", "more": 1}');
    expect(problems).toHaveLength(2);
    expect(set.fallback.ratio).toBe(1);
  });

  it('takes the path of a file', () => {
    const file = join(folder, 'rules.json');
    writeFileSync(file, '\ufeff[{"path": "/a", "decision": "drop"}]');
    const { set, problems } = readRules(file);
    expect(problems).toEqual([]);
    expect(set.rules).toHaveLength(1);
    for (const text of ['null', '"x"', '7', 'not json']) {
      writeFileSync(file, text);
      expect(readRules(file).problems, text).toHaveLength(1);
    }
    writeFileSync(file, `[${' '.repeat(1024 * 1024)}]`);
    expect(readRules(file).problems[0]).toContain('more than 1048576 bytes');
  });

  it('is bounded', () => {
    const many = Array.from({ length: 1002 }, () => ({ path: '/a', decision: 'drop' }));
    const { set, problems } = readRules(JSON.stringify(many));
    expect(set.rules).toHaveLength(1000);
    expect(problems).toHaveLength(1);
  });
});
