import { describe, expect, it } from 'vitest';
import { AdaptiveSampler } from '../../src/sampling/adaptive';
import { asks, random, request, roots } from './support';

interface Traffic {
  readonly path: string;
  readonly perSecond: number;
}

/** Runs Poisson traffic; per path: arrivals, kept, and the sum and variance that their chances give. */
function run(target: number, traffic: readonly Traffic[], seconds: number, seed: number) {
  let now = 0;
  const sampler = new AdaptiveSampler(target, () => now);
  const root = roots(seed);
  const next = random(seed + 1);
  const result = new Map(traffic.map(({ path }) => [path, { arrived: 0, kept: 0, expected: 0, variance: 0 }]));
  const total = traffic.reduce((sum, { perSecond }) => sum + perSecond, 0);
  for (;;) {
    now += (-Math.log(1 - next()) * 1000) / total;
    if (now >= seconds * 1000) return { sampler, result };
    let pick = next() * total;
    const { path } = traffic.find(({ perSecond }) => {
      pick -= perSecond;
      return pick < 0;
    }) as Traffic;
    const counts = result.get(path)!;
    counts.arrived++;
    if (asks(sampler, root(), request(path))) counts.kept++;
    const probability = sampler.probabilityOf(`GET ${path}`)!;
    counts.expected += probability;
    counts.variance += probability * (1 - probability);
  }
}

describe('adaptive', () => {
  const traffic = [
    { path: '/flood', perSecond: 2000 },
    { path: '/busy', perSecond: 50 },
    { path: '/rare', perSecond: 0.2 },
  ];

  it.each([1, 2, 3])('keeps rare routes whole and busy ones at the target, seed %s', (seed) => {
    const { result } = run(2, traffic, 60, seed);
    const rare = result.get('/rare')!;
    expect(rare.arrived).toBeGreaterThan(4);
    expect(rare.kept).toBe(rare.arrived);
    for (const path of ['/flood', '/busy']) {
      const { kept } = result.get(path)!;
      // 120 in a minute, and what the first seconds took to learn the rate.
      expect(kept, path).toBeGreaterThan(120 * 0.7);
      expect(kept, path).toBeLessThan(120 * 1.4);
    }
  });

  it.each([11, 12, 13, 14])('gives each trace the chance it says, within three sigma, seed %s', (seed) => {
    const { result } = run(2, traffic, 120, seed);
    for (const [path, { kept, expected, variance }] of result) {
      expect(Math.abs(kept - expected), path).toBeLessThanOrEqual(3 * Math.sqrt(variance) + 1e-9);
    }
  });

  it('has one chance for all traces of a stretch, wherever in it they come', () => {
    let now = 0;
    const sampler = new AdaptiveSampler(5, () => now);
    const root = roots(21);
    let early = 0;
    let late = 0;
    let chances = 0;
    let variance = 0;
    for (let second = 0; second < 400; second++) {
      for (let i = 0; i < 100; i++) {
        now = second * 1000 + i * 10;
        const kept = asks(sampler, root(), request('/x'));
        if (second < 10) continue;
        const probability = sampler.probabilityOf('GET /x')!;
        expect(probability).toBe(0.05);
        if (i < 50) {
          chances += probability;
          variance += probability * (1 - probability);
          if (kept) early++;
        } else if (kept) late++;
      }
    }
    expect(Math.abs(early - chances)).toBeLessThanOrEqual(3 * Math.sqrt(variance));
    expect(Math.abs(late - chances)).toBeLessThanOrEqual(3 * Math.sqrt(variance));
  });

  it('holds a flood that comes out of nothing', () => {
    let now = 0;
    const sampler = new AdaptiveSampler(1, () => now);
    const root = roots(31);
    let kept = 0;
    for (let i = 0; i < 100_000; i++) {
      now = i / 200;
      if (asks(sampler, root(), request('/x'))) kept++;
    }
    // 2 at once, then about one each time that the number of arrivals doubles.
    expect(kept).toBeGreaterThanOrEqual(2);
    expect(kept).toBeLessThan(2 + 3 * Math.log2(100_000));
  });

  it('lets a route recover when its flood is over', () => {
    let now = 0;
    const sampler = new AdaptiveSampler(1, () => now);
    const root = roots(41);
    for (; now < 10_000; now += 1) asks(sampler, root(), request('/x'));
    expect(sampler.probabilityOf('GET /x')).toBeLessThan(0.01);
    for (; now < 20_000; now += 2000) asks(sampler, root(), request('/x'));
    expect(sampler.probabilityOf('GET /x')).toBe(1);
  });

  it('counts identifiers as one route and bounds the number of routes', () => {
    let now = 0;
    const sampler = new AdaptiveSampler(1, () => now);
    const root = roots(51);
    for (let i = 0; i < 100; i++) asks(sampler, root(), request(`/users/${i}`));
    expect(sampler.routeCount).toBe(1);
    const word = (i: number): string => [...String(i)].map((digit) => 'abcdefghij'[Number(digit)]).join('');
    let kept = 0;
    for (let i = 0; i < 20_000; i++) if (asks(sampler, root(), request(`/${word(i)}`))) kept++;
    expect(sampler.routeCount).toBe(1000);
    // Each of the first thousand once; the rest shares one target.
    expect(kept).toBeLessThan(999 + 60);
    // Idle routes make room.
    now = 120_000;
    asks(sampler, root(), request('/new'));
    expect(sampler.probabilityOf('GET /new')).toBe(1);
    expect(sampler.routeCount).toBe(1);
  });
});
