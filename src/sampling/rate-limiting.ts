import { nowMs } from '../trace/clock';
import type { RootSampler } from './local-root';

/** Monotonic milliseconds. */
export type Clock = () => number;

/**
 * Lets `perSecond` events through each second. What was not used is saved for one second at most, so that no span of
 * `t` seconds ever holds more than `perSecond * t` and one second's worth.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #capacity: number;
  readonly #clock: Clock;
  #balance: number;
  #atMs: number;

  /** `perSecond` from 0; below 1, the first event still passes at once. */
  constructor(perSecond: number, clock: Clock = nowMs) {
    this.#perMs = perSecond / 1000;
    this.#capacity = perSecond > 0 ? Math.max(perSecond, 1) : 0;
    this.#clock = clock;
    this.#balance = this.#capacity;
    this.#atMs = clock();
  }

  take(): boolean {
    const now = this.#clock();
    if (now > this.#atMs) {
      this.#balance = Math.min(this.#capacity, this.#balance + (now - this.#atMs) * this.#perMs);
      this.#atMs = now;
    }
    if (this.#balance < 1) return false;
    this.#balance -= 1;
    return true;
  }
}

/** `rate_limiting`: so many traces per second, whatever they are. */
export class RateLimitingSampler implements RootSampler {
  readonly describes = false;
  readonly #bucket: TokenBucket;

  constructor(
    readonly perSecond: number,
    clock?: Clock,
  ) {
    this.#bucket = new TokenBucket(perSecond, clock);
  }

  samples(): boolean {
    return this.#bucket.take();
  }

  toString(): string {
    return `RateLimitingSampler{${this.perSecond}}`;
  }
}
