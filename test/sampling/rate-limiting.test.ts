import { describe, expect, it } from 'vitest';
import { RateLimitingSampler, TokenBucket } from '../../src/sampling/rate-limiting';
import { random } from './support';

/** Arrivals of a Poisson process with `rate` per second, as milliseconds. */
function* arrivals(rate: number, seconds: number, seed: number): Generator<number> {
  const next = random(seed);
  for (let at = 0; at < seconds * 1000; ) {
    at += (-Math.log(1 - next()) * 1000) / rate;
    yield at;
  }
}

describe('rate_limiting', () => {
  it.each([
    [5, 200],
    [0.5, 20],
    [100, 5000],
  ])('keeps %s of %s traces per second', (limit, rate) => {
    let now = 0;
    const sampler = new RateLimitingSampler(limit, () => now);
    const kept: number[] = [];
    const seconds = 100;
    for (now of arrivals(rate, seconds, 7)) if (sampler.samples()) kept.push(now);
    // What it starts with, then the rate; only waiting for the next arrival loses a little.
    const capacity = Math.max(limit, 1);
    expect(kept.length).toBeLessThanOrEqual(limit * seconds + capacity);
    expect(kept.length).toBeGreaterThan(limit * seconds * 0.95);
    // Any ten seconds.
    for (const [i, from] of kept.entries()) {
      const within = kept.slice(i).filter((at) => at <= from + 10_000).length;
      expect(within).toBeLessThanOrEqual(limit * 10 + capacity + 1);
      if (i > 200) break;
    }
  });

  it('keeps everything below its rate', () => {
    let now = 0;
    const sampler = new RateLimitingSampler(10, () => now);
    for (now = 0; now < 60_000; now += 100) expect(sampler.samples()).toBe(true);
  });

  it('keeps one second in a burst, and saves no more than that', () => {
    let now = 3_600_000;
    const sampler = new RateLimitingSampler(10, () => now);
    const burst = (): number => Array.from({ length: 1000 }, () => sampler.samples()).filter(Boolean).length;
    expect(burst()).toBe(10);
    now += 500;
    expect(burst()).toBe(5);
    now += 86_400_000;
    expect(burst()).toBe(10);
  });

  it('lets nothing through at 0, and survives a clock that goes back', () => {
    let now = 1000;
    expect(new TokenBucket(0, () => now).take()).toBe(false);
    const bucket = new TokenBucket(1, () => now);
    expect(bucket.take()).toBe(true);
    now = 0;
    expect(bucket.take()).toBe(false);
    now = 1999;
    expect(bucket.take()).toBe(false);
    now = 2000;
    expect(bucket.take()).toBe(true);
  });
});
