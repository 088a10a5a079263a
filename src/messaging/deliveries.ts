/** Messages of one channel that wait to be settled, and what ends their spans when nobody settles them. */

/** A message under way. */
export interface Delivery {
  /** Ends its span; the first call counts. */
  end(error?: unknown): void;
  /** The sweeper's turn in which it was delivered. */
  readonly turn: number;
}

/**
 * By delivery tag, in ascending order: the broker counts the tags of a channel up, and messages are added as they
 * arrive. That makes settling all up to a tag, and finding what is too old, linear in what is taken out.
 */
export class Deliveries<Entry extends Delivery> {
  readonly #byTag = new Map<number, Entry>();

  /** @param capacity in messages; beyond it the oldest is ended, since a consumer may leave any number unsettled */
  constructor(readonly capacity: number) {}

  get size(): number {
    return this.#byTag.size;
  }

  get(tag: number): Entry | undefined {
    return this.#byTag.get(tag);
  }

  add(tag: number, entry: Entry): void {
    this.#byTag.set(tag, entry);
    if (this.#byTag.size <= this.capacity) return;
    for (const [oldest, first] of this.#byTag) {
      this.#byTag.delete(oldest);
      first.end();
      return;
    }
  }

  /** The messages that settling would take out. */
  *upTo(tag: number): Generator<Entry, void> {
    for (const [key, entry] of this.#byTag) {
      if (key > tag) return;
      yield entry;
    }
  }

  /** Ends one. */
  settle(tag: number, error?: unknown): void {
    const entry = this.#byTag.get(tag);
    if (entry === undefined) return;
    this.#byTag.delete(tag);
    entry.end(error);
  }

  /** Ends all up to a tag, `Infinity` for all there are. */
  settleUpTo(tag: number, error?: unknown): void {
    for (const [key, entry] of this.#byTag) {
      if (key > tag) return;
      this.#byTag.delete(key);
      entry.end(error);
    }
  }

  /** Ends those that were delivered in `turn` or before. */
  expire(turn: number): void {
    for (const [key, entry] of this.#byTag) {
      if (entry.turn > turn) return;
      this.#byTag.delete(key);
      entry.end();
    }
  }
}

/** A message is looked at this many times before its time is up: it may be ended late by a tenth of it. */
const TURNS = 10;

/** Starts calling a function at an interval that does not hold the process; returns what stops it. */
export type StartInterval = (turn: () => void, intervalMs: number) => () => void;

/** Ends messages that stay unsettled for too long: one timer for all channels, running only while there are any. */
export class Sweeper {
  readonly #watched = new Set<Deliveries<Delivery>>();
  #stop: (() => void) | undefined = undefined;
  /** Counts up with the timer, so that nobody reads a clock for each message. */
  turn = 0;

  /** @param timeoutMs 0: never */
  constructor(
    readonly timeoutMs: number,
    readonly start: StartInterval,
  ) {}

  /** To be called when a channel has a new message. */
  watch(deliveries: Deliveries<Delivery>): void {
    if (this.timeoutMs === 0) return;
    this.#watched.add(deliveries);
    this.#stop ??= this.start(() => this.#sweep(), Math.max(1, Math.ceil(this.timeoutMs / TURNS)));
  }

  #sweep(): void {
    this.turn++;
    for (const deliveries of this.#watched) {
      // One turn more: a message may have come just before the timer fired.
      deliveries.expire(this.turn - TURNS - 1);
      if (deliveries.size === 0) this.#watched.delete(deliveries);
    }
    if (this.#watched.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}
