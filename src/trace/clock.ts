import type { HrTime, TimeInput } from '@opentelemetry/api';
import { readWallClock } from '../timers';

/**
 * Wall clock at one moment of the monotonic clock. A span keeps the anchor it started with, so its
 * end can never come before its start, however the system clock is set meanwhile.
 */
export interface Anchor {
  /** `performance.now()` at the moment, in milliseconds. */
  readonly monotonicMs: number;
  /** Whole seconds since the Unix epoch at the moment. */
  readonly seconds: number;
  /** Nanoseconds within that second. */
  readonly nanos: number;
}

/** How far wall clock and monotonic clock may drift apart before new spans get a new anchor. */
const MAX_DRIFT_MS = 1;

const DAY_MS = 86_400_000;

/** Taken with the first span: the global `performance` loads Node's perf_hooks, 2 ms that only traced processes pay. */
let anchor: Anchor | undefined;

/** A busy machine may stop a thread between two readings, and what it is stopped for would be in every time of the anchor. */
const MAX_READING_MS = 0.5;
const MAX_READINGS = 4;

function takeAnchor(): Anchor {
  let epochMs = 0;
  let monotonicMs = 0;
  let tookMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < MAX_READINGS && tookMs > MAX_READING_MS; i++) {
    const beforeMs = nowMs();
    // Not performance.timeOrigin, which was up to 0.9 ms off and never follows a clock step.
    const readMs = readWallClock();
    const afterMs = nowMs();
    if (afterMs - beforeMs >= tookMs) continue;
    tookMs = afterMs - beforeMs;
    epochMs = readMs;
    monotonicMs = afterMs;
  }
  return { monotonicMs, seconds: Math.floor(epochMs / 1000), nanos: (epochMs % 1000) * 1e6 };
}

/** The global is an accessor, which costs as much as the reading itself; its method may be replaced by an application's tests. */
let source: typeof performance | undefined;
let read: () => number;

/** Monotonic milliseconds; what spans store, and what our own waits are measured by. */
export function nowMs(): number {
  if (source === undefined) {
    source = performance;
    read = source.now;
  }
  return read.call(source);
}

/** The anchor new spans start with. */
export function currentAnchor(): Anchor {
  if (anchor === undefined) anchor = takeAnchor();
  return anchor;
}

/** Follows the system clock after it was set; called once per flush, which is often enough and costs nothing per span. */
export function realign(): void {
  if (anchor === undefined) return;
  try {
    const fresh = takeAnchor();
    const expectedMs = anchor.seconds * 1000 + anchor.nanos / 1e6 + (fresh.monotonicMs - anchor.monotonicMs);
    if (Math.abs(fresh.seconds * 1000 + fresh.nanos / 1e6 - expectedMs) > MAX_DRIFT_MS) anchor = fresh;
  } catch {
    // The application may have put something else in the clock's place; spans go on with the anchor there is.
  }
}

/** Monotonic milliseconds to `[seconds, nanoseconds]` since the epoch. */
export function toHrTime(at: Anchor, monotonicMs: number): HrTime {
  const nanos = at.nanos + Math.round((monotonicMs - at.monotonicMs) * 1e6);
  const carry = Math.floor(nanos / 1e9);
  return [at.seconds + carry, nanos - carry * 1e9];
}

/** `[seconds, nanoseconds]` of anything the API accepts as a time; `undefined` for what is no time. */
export function hrTimeOf(at: Anchor, time: TimeInput): HrTime | undefined {
  if (Array.isArray(time)) {
    const [seconds, nanos] = time;
    if (!Number.isFinite(seconds) || !Number.isFinite(nanos) || seconds < 0 || nanos < 0) return undefined;
    const carry = Math.floor(nanos / 1e9);
    return [Math.floor(seconds) + carry, Math.floor(nanos) - carry * 1e9];
  }
  const ms = time instanceof Date ? time.getTime() : time;
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0) return undefined;
  // Small numbers are performance.now(), anything else milliseconds since the epoch, which may well lie before the
  // process's start. The day of grace is for times a little ahead: no epoch time is from the first days of 1970.
  if (typeof time === 'number' && ms < nowMs() + DAY_MS) return toHrTime(at, ms);
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

/** Negative when `left` is earlier. */
export function compareHrTime(left: HrTime, right: HrTime): number {
  return left[0] - right[0] || left[1] - right[1];
}

/** `right - left`, never negative. */
export function hrTimeBetween(left: HrTime, right: HrTime): HrTime {
  if (compareHrTime(left, right) >= 0) return [0, 0];
  const nanos = right[1] - left[1];
  return nanos < 0 ? [right[0] - left[0] - 1, nanos + 1e9] : [right[0] - left[0], nanos];
}
