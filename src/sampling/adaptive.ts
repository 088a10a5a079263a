import type { Attributes, SpanKind } from '@opentelemetry/api';
import { nowMs } from '../trace/clock';
import type { SpanIdentity } from '../trace/span-identity';
import type { RootSampler } from './local-root';
import type { Clock } from './rate-limiting';
import { routeKey } from './request';

const WINDOW_MS = 1000;
/** Windows that the rate of arrivals is estimated from. */
const WINDOWS = 5;

/** Routes that are told apart; further ones share one target. */
const MAX_ROUTES = 1000;
/** A route that was not asked for in this time may make room for another one. */
const IDLE_MS = 60_000;
/** The longest list is looked through at most this often. */
const SWEEP_MS = 1000;

/** 2^32: what a trace id's randomness is compared with. */
const RANGE = 0x100000000;

/**
 * One route. The probability is constant for a stretch of time and decided before it starts, so that within the stretch
 * each trace has the same chance, whatever came before it. A stretch is a window of one second, but ends earlier when twice
 * as many arrive as it was made for: then the probability is halved. A flood of n in one second thus costs about
 * log2(n) times the target, not n.
 */
class Route {
  probability = 1;
  lastSeenMs: number;
  readonly #target: number;
  /** Arrivals of the windows before this one, latest first. */
  readonly #past: number[] = [];
  #startMs: number;
  #arrivals = 0;
  /** Arrivals at which this stretch ends. */
  #limit: number;

  constructor(target: number, now: number) {
    this.#target = target;
    this.#startMs = now;
    this.lastSeenMs = now;
    this.#limit = this.#limitFor(0);
  }

  /** Counts an arrival; afterwards `probability` is the one that it has. */
  arrive(now: number): void {
    this.lastSeenMs = now;
    if (now - this.#startMs >= WINDOW_MS) this.#nextWindow(now);
    if (this.#arrivals >= this.#limit) {
      this.probability = Math.min(1, this.#target / this.#arrivals);
      this.#limit = this.#limitFor(this.#arrivals);
    }
    this.#arrivals++;
  }

  #nextWindow(now: number): void {
    const passed = Math.floor((now - this.#startMs) / WINDOW_MS);
    this.#startMs += passed * WINDOW_MS;
    this.#past.unshift(this.#arrivals);
    for (let empty = 1; empty < passed && empty < WINDOWS; empty++) this.#past.unshift(0);
    if (this.#past.length > WINDOWS) this.#past.length = WINDOWS;
    this.#arrivals = 0;
    let sum = 0;
    for (const arrivals of this.#past) sum += arrivals;
    const expected = sum / this.#past.length;
    this.probability = expected > this.#target ? this.#target / expected : 1;
    this.#limit = this.#limitFor(expected);
  }

  /** Twice what is expected, and never less than what the target allows anyway. */
  #limitFor(expected: number): number {
    return Math.max(2 * expected, 2 * this.#target, 1);
  }
}

/**
 * `adaptive`: about `target` traces per second of each route, so that a flood of one does not push out the others. Of a route
 * that is asked for less often, every trace. The chance of a trace comes from its id: services with the same rates
 * agree on it.
 */
export class AdaptiveSampler implements RootSampler {
  readonly describes = true;
  readonly #clock: Clock;
  readonly #routes = new Map<string, Route>();
  readonly #others: Route;
  #sweptMs: number;

  constructor(
    readonly target: number,
    clock: Clock = nowMs,
  ) {
    this.#clock = clock;
    const now = clock();
    this.#others = new Route(target, now);
    this.#sweptMs = now;
  }

  samples(span: SpanIdentity, name: string, kind: SpanKind, attributes: Attributes | undefined): boolean {
    const now = this.#clock();
    const route = this.#route(routeKey(name, kind, attributes), now);
    route.arrive(now);
    const { probability } = route;
    if (probability >= 1) return true;
    return (span.trace0 ^ span.trace1 ^ span.trace2 ^ span.trace3) >>> 0 < probability * RANGE;
  }

  /** The chance of the route's latest trace; `undefined` for a route that is not known. For tests and status. */
  probabilityOf(key: string): number | undefined {
    return this.#routes.get(key)?.probability;
  }

  get routeCount(): number {
    return this.#routes.size;
  }

  toString(): string {
    return `AdaptiveSampler{${this.target}}`;
  }

  #route(key: string, now: number): Route {
    let route = this.#routes.get(key);
    if (route !== undefined) return route;
    if (this.#routes.size >= MAX_ROUTES && !this.#sweep(now)) return this.#others;
    route = new Route(this.target, now);
    this.#routes.set(key, route);
    return route;
  }

  /** Forgets idle routes. False when there is still no room. */
  #sweep(now: number): boolean {
    if (now - this.#sweptMs < SWEEP_MS) return false;
    this.#sweptMs = now;
    for (const [key, { lastSeenMs }] of this.#routes) if (now - lastSeenMs > IDLE_MS) this.#routes.delete(key);
    return this.#routes.size < MAX_ROUTES;
  }
}
