import type { Attributes } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TailSamplingConfig } from '../../src/config';
import type { Flushable, ProcessorStats } from '../../src/export/processor';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { TailSamplingProcessor } from '../../src/sampling/tail';
import { TraceIdRatioSampler } from '../../src/trace/sampler';
import type { Span, SpanProcessor } from '../../src/trace/span';
import { SpanIdentity } from '../../src/trace/span-identity';
import { startSpan, until } from '../export/support';
import { random, roots, SERVER, TRACE_ID, threeSigma } from './support';

const CONFIG: TailSamplingConfig = {
  errors: true,
  slowMs: 1000,
  ratio: 0,
  everyNth: undefined,
  maxTraces: 100,
  maxSpansPerTrace: 100,
  graceMs: 0,
  timeoutMs: 60_000,
};

/** The export path: keeps what it is given. */
class Sink implements SpanProcessor, Flushable {
  readonly spans: Span[] = [];
  readonly calls: string[] = [];
  onEnd(span: Span): void {
    this.spans.push(span);
  }
  async flush(): Promise<boolean> {
    this.calls.push(`flush ${this.spans.length}`);
    return true;
  }
  flushSync(): void {
    this.calls.push(`flushSync ${this.spans.length}`);
  }
  hasPending(): boolean {
    return false;
  }
  hasPendingAsync(): boolean {
    return this.spans.length > 0;
  }
  async shutdown(): Promise<boolean> {
    return true;
  }
  stats(): ProcessorStats {
    return { queued: 0, inFlight: 0, exported: this.spans.length, dropped: { queue_full: 3 } };
  }
}

let lines: string[] = [];
let sink: Sink;
let tail: TailSamplingProcessor;
let now: number;
const listener = { onQueued: vi.fn(), onDrained: vi.fn() };
let root = roots(1);

beforeEach(() => {
  lines = [];
  root = roots(1);
  setLogSink((line) => void lines.push(line));
  vi.clearAllMocks();
});
afterEach(() => {
  tail?.stop();
  setLogSink(undefined);
  forgetLoggedKeys();
});

function make(changes: Partial<TailSamplingConfig> = {}): void {
  sink = new Sink();
  now = 1000;
  tail = new TailSamplingProcessor({ ...CONFIG, ...changes }, sink, listener, () => now);
}

/** Starts a span as a tracer would. */
function start(name: string, parent?: SpanIdentity, identity?: SpanIdentity, attributes: Attributes = {}): Span {
  const span = startSpan({
    name,
    kind: SERVER,
    attributes,
    processor: tail,
    ...(parent === undefined ? {} : { parent }),
    ...(identity === undefined && parent !== undefined ? {} : { identity: identity ?? root() }),
  });
  tail.onStart(span);
  return span;
}

function endAfter(span: Span, ms: number): void {
  const [seconds, nanos] = span.startTime;
  const total = nanos + ms * 1e6;
  span.end([seconds + Math.floor(total / 1e9), total % 1e9]);
}

const fail = (span: Span): Span => span.setStatus({ code: 2 });
const kept = (): string[] => sink.spans.map(({ name }) => name);

/** All whose root has ended is decided. */
const settle = (): Promise<boolean> => tail.flush(1000);

describe('what is kept', () => {
  it('every trace with an error, all of it, whichever span failed', async () => {
    make();
    const request = start('request');
    start('before', request.identity).end();
    fail(start('failing', request.identity)).end();
    start('after', request.identity).end();
    request.end();
    const fine = start('fine');
    start('child', fine.identity).end();
    fine.end();
    const failed = fail(start('failed root'));
    start('its child', failed.identity).end();
    failed.end();
    await settle();
    expect(kept()).toEqual(['before', 'failing', 'after', 'request', 'its child', 'failed root']);
    expect(tail.stats()).toEqual({ queued: 0, inFlight: 0, exported: 6, dropped: { queue_full: 3, tail_sampling: 2 } });
  });

  it('no errors when only slow ones are wanted', async () => {
    make({ errors: false });
    fail(start('failed')).end();
    const slow = start('slow');
    endAfter(slow, 1000);
    endAfter(start('quick'), 999);
    await settle();
    expect(kept()).toEqual(['slow']);
  });

  it('slow roots, not slow children', async () => {
    make({ slowMs: 50 });
    const quick = start('quick');
    endAfter(start('slow child', quick.identity), 500);
    endAfter(quick, 10);
    endAfter(start('slow'), 50);
    await settle();
    expect(kept()).toEqual(['slow']);
  });

  it.each([0.1, 0.5, 1])('a ratio of %s of the rest, within three sigma', async (ratio) => {
    make({ ratio });
    const n = 10_000;
    for (let i = 0; i < n; i++) start('request').end();
    await settle();
    // All at once is more than it holds: what it decided at the start by the same ratio counts as well.
    expect(Math.abs(sink.spans.length - n * ratio)).toBeLessThanOrEqual(threeSigma(n, ratio));
  });

  it('that ratio also of what a head sampler has left, and the same traces in every service', async () => {
    const head = new TraceIdRatioSampler(0.1);
    const sampled: SpanIdentity[] = [];
    while (sampled.length < 5000) {
      const identity = root();
      if (head.shouldSample(undefined, identity) !== 0) sampled.push(identity);
    }
    const run = async (): Promise<string[]> => {
      make({ ratio: 0.2, maxTraces: 10_000 });
      for (const identity of sampled) start('request', undefined, SpanIdentity.child(identity, true, undefined)).end();
      await settle();
      return sink.spans.map(({ identity }) => identity.traceId);
    };
    const first = await run();
    expect(Math.abs(first.length - 1000)).toBeLessThanOrEqual(threeSigma(5000, 0.2));
    expect(await run()).toEqual(first);
  });

  it('the first of each route, and then one in so many', async () => {
    make({ everyNth: 10 });
    for (let i = 0; i < 25; i++) {
      start(`GET ${i}`, undefined, undefined, { 'http.request.method': 'GET', 'url.path': `/users/${i}` }).end();
      await settle();
    }
    start('GET rare', undefined, undefined, { 'http.request.method': 'GET', 'url.path': '/rare' }).end();
    await settle();
    expect(kept()).toEqual(['GET 0', 'GET 10', 'GET 20', 'GET rare']);
  });

  it('one in so many of each route in any mix, and within three sigma the ratio of the others', async () => {
    make({ everyNth: 20, ratio: 0.1, maxTraces: 50_000 });
    const next = random(17);
    const paths = ['/flood', '/flood', '/flood', '/flood', '/busy', '/busy', '/rare'];
    const seen = new Map<string, number>();
    for (let i = 0; i < 14_000; i++) {
      const path = paths[Math.floor(next() * paths.length)] as string;
      seen.set(path, (seen.get(path) ?? 0) + 1);
      start(path, undefined, undefined, { 'http.request.method': 'GET', 'url.path': path }).end();
    }
    await settle();
    for (const [path, count] of seen) {
      const forRoute = Math.ceil(count / 20);
      const others = count - forRoute;
      const more = kept().filter((name) => name === path).length - forRoute;
      expect(Math.abs(more - others * 0.1), path).toBeLessThanOrEqual(threeSigma(others, 0.1));
    }
  });

  it('counts a bounded number of routes', async () => {
    make({ everyNth: 1000, maxTraces: 10_000 });
    const word = (i: number): string => [...String(i)].map((digit) => 'abcdefghij'[Number(digit)]).join('');
    for (let i = 0; i < 5000; i++) start(word(i)).end();
    await settle();
    // A thousand of their own, and four thousand that share a count.
    expect(sink.spans).toHaveLength(1004);
  });
});

describe('when it is decided', () => {
  it('when the grace after the end of the last local root is over', async () => {
    make({ graceMs: 20 });
    const request = start('request');
    const late = start('late', request.identity);
    request.end();
    expect(tail.stats().queued).toBe(1);
    fail(late).end();
    expect(kept()).toEqual(['request', 'late']);

    start('dropped').end();
    now += 25;
    await until(() => tail.stats().dropped.tail_sampling === 1);
    expect(tail.hasPending()).toBe(false);
  });

  it('waits for all local roots of one trace', async () => {
    make();
    const identity = root();
    const remote = (): SpanIdentity =>
      SpanIdentity.from({ traceId: identity.traceId, spanId: '00f067aa0ba902b7', traceFlags: 1, isRemote: true })!;
    const first = start('first', remote());
    const second = start('second', remote());
    first.end();
    await settle();
    expect(tail.stats().queued).toBe(1);
    fail(second).end();
    expect(kept()).toEqual(['first', 'second']);
  });

  it('lets late spans follow', async () => {
    make();
    const bad = fail(start('bad'));
    const lateOfBad = start('late of bad', bad.identity);
    const good = start('good');
    const lateOfGood = start('late of good', good.identity);
    bad.end();
    good.end();
    await settle();
    lateOfBad.end();
    fail(lateOfGood).end();
    await settle();
    expect(kept()).toEqual(['bad', 'late of bad']);
    expect(tail.stats().dropped.tail_sampling).toBe(2);
  });

  it('looks again at a trace that comes back, unless it was kept', async () => {
    make();
    const caller = SpanIdentity.from({ traceId: TRACE_ID, spanId: '00f067aa0ba902b7', traceFlags: 1, isRemote: true })!;
    start('dropped', caller).end();
    await settle();
    fail(start('failed', caller)).end();
    const again = start('again', caller);
    start('child', again.identity).end();
    again.end();
    await settle();
    expect(kept()).toEqual(['failed', 'child', 'again']);
  });

  it('takes spans without a local root: below a span that is not ours, or from before it listened', async () => {
    make({ ratio: 1 });
    const foreign = SpanIdentity.from({ traceId: TRACE_ID, spanId: '00f067aa0ba902b7', traceFlags: 1 })!;
    start('orphan', foreign).end();
    expect(tail.hasPending()).toBe(true);
    await settle();
    expect(kept()).toEqual(['orphan']);
  });

  it('after the time-out by what is known, and the end follows', async () => {
    make({ timeoutMs: 30, slowMs: 60_000 });
    const endless = start('endless');
    start('child', endless.identity).end();
    now += 40;
    await until(() => tail.stats().dropped.tail_sampling === 1);
    fail(endless).end();
    await settle();
    expect(kept()).toEqual([]);

    make({ timeoutMs: 30, slowMs: 20 });
    const slow = start('slow');
    start('child', slow.identity).end();
    now += 40;
    await until(() => kept().length === 1);
    slow.end();
    expect(kept()).toEqual(['child', 'slow']);
  });

  it('at the end of the process, where what was cut off is kept', () => {
    make({ graceMs: 10_000 });
    start('complete').end();
    const open = start('open');
    start('child of open', open.identity).end();
    expect(tail.hasPending()).toBe(true);
    tail.flushSync(1000);
    expect(sink.calls).toEqual(['flushSync 1']);
    expect(kept()).toEqual(['child of open']);
    expect(tail.hasPending()).toBe(false);
    open.end();
    expect(kept()).toEqual(['child of open', 'open']);
  });

  it('before the event loop ends, so that exporters that need it get their turn', () => {
    make({ graceMs: 10_000, ratio: 1 });
    start('request').end();
    expect(tail.hasPendingAsync()).toBe(true);
    expect(kept()).toEqual(['request']);
  });

  it('at a flush, except for what still runs', async () => {
    make({ graceMs: 10_000, ratio: 1 });
    start('request').end();
    const open = start('open');
    start('child', open.identity).end();
    await tail.flush(1000);
    expect(sink.calls).toEqual(['flush 1']);
    expect(kept()).toEqual(['request']);
    expect(tail.stats().queued).toBe(1);
  });

  it('at shutdown, after which spans go straight on', async () => {
    make();
    const open = start('open');
    start('child', open.identity).end();
    await tail.shutdown(1000);
    start('later').end();
    open.end();
    expect(kept()).toEqual(['child', 'later', 'open']);
  });
});

describe('bounds', () => {
  it('traces: further ones are decided by the ratio when they start, counted and said once', async () => {
    make({ ratio: 0.3, maxTraces: 10 });
    const held = Array.from({ length: 10 }, () => start('held'));
    const n = 3000;
    const more = Array.from({ length: n }, () => fail(start('more')));
    for (const span of more) span.end();
    const passed = sink.spans.length;
    expect(Math.abs(passed - n * 0.3)).toBeLessThanOrEqual(threeSigma(n, 0.3));
    expect(tail.stats().dropped.tail_overflow).toBe(n - passed);
    expect(tail.stats().queued).toBe(0);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('HOOKLINE_TAIL_SAMPLING_MAX_TRACES');
    // Those that were there first are decided as ever.
    for (const span of held) fail(span).end();
    expect(sink.spans).toHaveLength(passed + 10);
  });

  it('a grace is cut short before that', () => {
    make({ maxTraces: 10, graceMs: 60_000, everyNth: 2 });
    for (let i = 0; i < 1000; i++) start('request').end();
    expect(tail.stats()).toMatchObject({ queued: 10, dropped: { tail_sampling: 495 } });
    expect(tail.stats().dropped.tail_overflow).toBeUndefined();
    expect(sink.spans).toHaveLength(495);
    expect(lines).toEqual([]);
  });

  it('spans of one trace', () => {
    make({ maxSpansPerTrace: 5 });
    const request = start('request');
    for (let i = 0; i < 20; i++) start('child', request.identity).end();
    expect(tail.stats()).toMatchObject({ queued: 0, dropped: { tail_overflow: 20 } });
    fail(request).end();
    expect(kept()).toEqual([]);
    make({ maxSpansPerTrace: 5, ratio: 1 });
    const other = start('request');
    for (let i = 0; i < 20; i++) start('child', other.identity).end();
    other.end();
    expect(sink.spans).toHaveLength(21);
  });

  it('bytes', () => {
    make({ maxTraces: 10_000, maxSpansPerTrace: 10_000 });
    const text = 'x'.repeat(16_000);
    for (let i = 0; i < 8000; i++) {
      const request = start('request');
      start('child', request.identity, undefined, { text, list: [text, text] }).end();
    }
    // 64 MiB of 48,000 bytes each.
    expect(tail.stats().queued).toBeGreaterThan(1000);
    expect(tail.stats().queued).toBeLessThan(1500);
    expect(tail.stats().dropped.tail_overflow).toBe(8000 - tail.stats().queued);
  });

  it('what it remembers of traces that are over', async () => {
    make({ maxTraces: 100 });
    const first = fail(start('first'));
    const late = start('late', first.identity);
    first.end();
    for (let i = 0; i < 1000; i++) fail(start('more')).end();
    late.end();
    await settle();
    // Forgotten, so that it is looked at by itself.
    expect(kept().includes('late')).toBe(false);
  });
});

describe('signals', () => {
  it('are watched while spans are held, and no longer', async () => {
    make({ graceMs: 0 });
    start('open');
    expect(listener.onQueued).not.toHaveBeenCalled();
    start('request').end();
    expect(listener.onQueued).toHaveBeenCalled();
    expect(listener.onDrained).not.toHaveBeenCalled();
    await settle();
    expect(listener.onDrained).toHaveBeenCalledTimes(1);
  });
});

it('keeps its own failures to itself', () => {
  make();
  const span = start('request');
  Object.defineProperty(span, 'status', {
    get() {
      throw new Error('on purpose');
    },
  });
  expect(() => span.end()).not.toThrow();
  expect(lines).toHaveLength(1);
});
