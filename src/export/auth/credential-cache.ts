import { stopTimer } from '../../timers';
import { nowMs } from '../../trace/clock';
import { untracedTimer } from '../processor';
import type { Credentials, Obtained, PendingCredentials } from './credentials';

/** A source that has not answered by then is given up. */
const OBTAIN_TIMEOUT_MS = 30_000;

/**
 * Credentials are renewed this long before they expire, or in the last fifth of their life. Just below the five minutes for which
 * Google's and Azure's metadata servers still hand out the old token.
 */
const MAX_RENEWAL_MS = 240_000;
const RENEWAL_SHARE = 0.2;

/** Between two attempts of a source that fails: each of them is a thread. */
const FIRST_PAUSE_MS = 5_000;
const MAX_PAUSE_MS = 60_000;

/** Credentials that the back end does not accept are fetched anew this often at most: they may be right and the permission missing. */
const MIN_DROP_INTERVAL_MS = 60_000;

interface Held {
  readonly credentials: Credentials;
  /** By the clock: a machine that slept must not count on what expired meanwhile. */
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
}

/**
 * Keeps the credentials of one source until they expire. Renewed before that while the old ones are still used; however many
 * ask, the source is asked once at a time.
 */
export class CredentialCache {
  readonly #obtain: () => PendingCredentials;
  #held: Held | undefined;
  #pending: PendingCredentials | undefined;
  #waiting: Promise<Obtained> | undefined;
  #failures = 0;
  #lastFailure: Obtained | undefined;
  /** Monotonic milliseconds before which a source that failed is not asked again. */
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #lastDropMs = Number.NEGATIVE_INFINITY;

  constructor(obtain: () => PendingCredentials) {
    this.#obtain = obtain;
  }

  /** Never rejects. */
  async get(): Promise<Obtained> {
    const nowMs = Date.now();
    const held = this.#held;
    if (held !== undefined && nowMs < held.renewAtMs) return held.credentials;
    if (held !== undefined && nowMs < held.expiresAtMs) {
      if (!this.#isPausing()) void this.#fetch();
      return held.credentials;
    }
    if (this.#isPausing() && this.#lastFailure !== undefined) return this.#lastFailure;
    return this.#fetch();
  }

  /** The same while the event loop stands still, for at most `budgetMs`. */
  getSync(budgetMs: number): Obtained {
    if (this.#held !== undefined && Date.now() < this.#held.expiresAtMs) return this.#held.credentials;
    if (this.#lastFailure !== undefined && this.#isPausing()) return this.#lastFailure;
    const pending = this.#pending ?? this.#obtain();
    const answer = pending.waitSync(budgetMs);
    if (answer === undefined) return { problem: 'no credentials before the process ended', final: false };
    this.#keep(answer);
    return answer;
  }

  /** Forgets what is held. False when that was done a moment ago: it did not help then. */
  drop(): boolean {
    const atMs = nowMs();
    if (atMs - this.#lastDropMs < MIN_DROP_INTERVAL_MS) return false;
    this.#lastDropMs = atMs;
    this.#held = undefined;
    return true;
  }

  #isPausing(): boolean {
    return nowMs() < this.#notBeforeMs;
  }

  #fetch(): Promise<Obtained> {
    this.#waiting ??= this.#ask().finally(() => {
      this.#waiting = undefined;
      this.#pending = undefined;
    });
    return this.#waiting;
  }

  async #ask(): Promise<Obtained> {
    let answer: Obtained;
    try {
      const pending = this.#obtain();
      this.#pending = pending;
      answer = await new Promise((resolve) => {
        const timer = untracedTimer(() => {
          pending.cancel();
          resolve({ problem: `no credentials within ${OBTAIN_TIMEOUT_MS / 1000} s`, final: false });
        }, OBTAIN_TIMEOUT_MS);
        void pending.result.then((result) => {
          stopTimer(timer);
          resolve(result);
        });
      });
    } catch (error) {
      answer = { problem: `no credentials: ${String(error)}`, final: false };
    }
    this.#keep(answer);
    return answer;
  }

  #keep(answer: Obtained): void {
    if ('problem' in answer) {
      this.#lastFailure = answer;
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, MAX_PAUSE_MS);
      this.#notBeforeMs = nowMs() + (answer.final ? Number.POSITIVE_INFINITY : pauseMs);
      return;
    }
    this.#failures = 0;
    this.#lastFailure = undefined;
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
    const { expiresAtMs = Number.POSITIVE_INFINITY } = answer;
    const marginMs = Math.min(MAX_RENEWAL_MS, Math.max(expiresAtMs - Date.now(), 0) * RENEWAL_SHARE);
    this.#held = { credentials: answer, expiresAtMs, renewAtMs: expiresAtMs - marginMs };
  }
}
