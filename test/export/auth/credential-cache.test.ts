import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CredentialCache } from '../../../src/export/auth/credential-cache';
import type { Obtained, PendingCredentials } from '../../../src/export/auth/credentials';

// The clock that fake timers move, in place of the one that they cannot reach.
vi.mock('../../../src/trace/clock', () => ({ nowMs: () => performance.now() }));

/** A source whose answers the test gives. */
function source() {
  const asked: { give(answer: Obtained): void; cancelled: boolean; inTime: boolean }[] = [];
  const obtain = (): PendingCredentials => {
    let give: (answer: Obtained) => void = () => {};
    let given: Obtained | undefined;
    const result = new Promise<Obtained>((resolve) => {
      give = resolve;
    });
    const one = {
      cancelled: false,
      inTime: true,
      give: (answer: Obtained) => {
        given = answer;
        give(answer);
      },
    };
    asked.push(one);
    return {
      result,
      waitSync: () => (one.inTime ? (given ?? token(`sync ${asked.length}`)) : undefined),
      cancel: () => {
        one.cancelled = true;
      },
    };
  };
  return { asked, cache: new CredentialCache(obtain) };
}

const token = (name: string, lifeMs?: number): Obtained => ({
  headers: { authorization: name },
  ...(lifeMs !== undefined && { expiresAtMs: Date.now() + lifeMs }),
});

const FAILED = { problem: 'no luck', final: false };

beforeEach(() => vi.useFakeTimers({ toFake: ['Date', 'performance'] }));
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);
/** The monotonic clock, which fake timers move. */
const wait = (ms: number) => vi.advanceTimersByTime(ms);

describe('CredentialCache', () => {
  it('asks once, however many want them', async () => {
    const { asked, cache } = source();
    const all = [cache.get(), cache.get(), cache.get()];
    expect(asked).toHaveLength(1);
    const given = token('a');
    asked[0]!.give(given);
    expect(await Promise.all(all)).toEqual([given, given, given]);
    expect(await cache.get()).toBe(given);
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['an hour', 3_600_000, 3_600_000 - 240_000],
    ['ten seconds', 10_000, 8_000],
  ])(
    'renews those that live %s before they expire, and uses the old ones meanwhile',
    async (_, lifeMs, renewAfterMs) => {
      const { asked, cache } = source();
      const first = cache.get();
      const old = token('old', lifeMs);
      asked[0]!.give(old);
      await first;
      pass(renewAfterMs - 1);
      expect(await cache.get()).toBe(old);
      expect(asked).toHaveLength(1);
      pass(1);
      expect(await cache.get()).toBe(old);
      expect(await cache.get()).toBe(old);
      expect(asked).toHaveLength(2);
      const fresh = token('fresh', lifeMs);
      asked[1]!.give(fresh);
      await vi.waitFor(async () => expect(await cache.get()).toBe(fresh));
      expect(asked).toHaveLength(2);
    },
  );

  it('waits for new ones when the old ones have expired', async () => {
    const { asked, cache } = source();
    const first = cache.get();
    asked[0]!.give(token('old', 1000));
    await first;
    pass(1000);
    const second = cache.get();
    const fresh = token('fresh');
    asked[1]!.give(fresh);
    expect(await second).toBe(fresh);
  });

  it('keeps the old ones until they expire when renewing fails', async () => {
    const { asked, cache } = source();
    const first = cache.get();
    const old = token('old', 10_000);
    asked[0]!.give(old);
    await first;
    pass(9_000);
    await cache.get();
    asked[1]!.give(FAILED);
    await new Promise(setImmediate);
    expect(await cache.get()).toBe(old);
    expect(asked).toHaveLength(2);
    pass(1_000);
    expect(await cache.get()).toBe(FAILED);
    expect(asked).toHaveLength(2);
  });

  it('pauses after a failure, longer each time, up to a minute', async () => {
    const { asked, cache } = source();
    for (const pauseMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      const count = asked.length + 1;
      const got = cache.get();
      expect(asked).toHaveLength(count);
      asked.at(-1)!.give(FAILED);
      expect(await got).toBe(FAILED);
      wait(pauseMs - 1);
      expect(await cache.get()).toBe(FAILED);
      expect(cache.getSync(100)).toBe(FAILED);
      expect(asked).toHaveLength(count);
      wait(1);
    }
  });

  it('never asks again after a failure for good', async () => {
    const { asked, cache } = source();
    const got = cache.get();
    const missing = { problem: 'npm install x', final: true };
    asked[0]!.give(missing);
    expect(await got).toBe(missing);
    wait(1e9);
    expect(await cache.get()).toBe(missing);
    expect(asked).toHaveLength(1);
  });

  it('drops what was not accepted, at most once a minute', async () => {
    const { asked, cache } = source();
    const first = cache.get();
    asked[0]!.give(token('withdrawn'));
    await first;
    expect(cache.drop()).toBe(true);
    const second = cache.get();
    const fresh = token('fresh');
    asked[1]!.give(fresh);
    expect(await second).toBe(fresh);
    expect(cache.drop()).toBe(false);
    expect(await cache.get()).toBe(fresh);
    wait(60_000);
    expect(cache.drop()).toBe(true);
  });

  it('waits for what was asked already when the process ends, or asks then', async () => {
    const { asked, cache } = source();
    void cache.get();
    expect(cache.getSync(100)).toEqual(token('sync 1'));
    expect(asked).toHaveLength(1);
    const other = source();
    expect(other.cache.getSync(100)).toEqual(token('sync 1'));
    expect(other.asked).toHaveLength(1);
  });

  it('uses what is held when the process ends, even when it is about to expire', async () => {
    const { asked, cache } = source();
    const first = cache.get();
    const old = token('old', 10_000);
    asked[0]!.give(old);
    await first;
    pass(9_999);
    expect(cache.getSync(100)).toBe(old);
  });

  it('says so when there is no answer before the end', () => {
    const { asked, cache } = source();
    void cache.get();
    asked[0]!.inTime = false;
    expect(cache.getSync(100)).toEqual({ problem: 'no credentials before the process ended', final: false });
  });
});
