import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { parseTraceState } from '../../src/propagation/trace-state';
import { ConsistentSampler, parseThreshold, thresholdOf } from '../../src/sampling/consistent';
import { SpanIdentity } from '../../src/trace/span-identity';
import { isSampled, roots, threeSigma } from './support';

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  setLogSink((line) => void lines.push(line));
});
afterEach(() => {
  setLogSink(undefined);
  forgetLoggedKeys();
});

const SPAN = '00f067aa0ba902b7';

/** A caller: its last seven bytes of trace id, flags, and what it sends as tracestate. */
function caller(randomness: string, flags: number, traceState?: string): SpanIdentity {
  const traceId = `4bf92f3577b34da6a3${randomness}`;
  return SpanIdentity.from({
    traceId,
    spanId: SPAN,
    traceFlags: flags,
    isRemote: true,
    traceState: parseTraceState(traceState),
  } as never)!;
}

/** The decision below a caller, and the tracestate that goes on. */
function below(sampler: ConsistentSampler, parent: SpanIdentity): [boolean, string | undefined] {
  const span = SpanIdentity.child(parent, false, parent.traceState);
  return [isSampled(sampler, parent, span), span.traceState?.serialize()];
}

describe('thresholds', () => {
  // The table of the specification for four digits.
  it.each([
    [1, '0'],
    [1 / 2, '8'],
    [1 / 3, 'aaab'],
    [1 / 4, 'c'],
    [1 / 5, 'cccd'],
    [1 / 8, 'e'],
    [1 / 10, 'e666'],
    [1 / 16, 'f'],
    [1 / 100, 'fd70a'],
    [1 / 1000, 'ffbe77'],
    [1 / 10_000, 'fff9724'],
    [1 / 100_000, 'ffff583a'],
    [1 / 1_000_000, 'ffffef39'],
    [2 ** -56, 'ffffffffffffff'],
    [0.9999999, '0'],
  ])('of %s is %s', (probability, expected) => {
    expect(thresholdOf(probability)).toBe(expected);
  });

  it('of nothing is none', () => {
    expect(thresholdOf(0)).toBeUndefined();
    expect(thresholdOf(2 ** -60)).toBeUndefined();
  });

  it('are read with their zeros left out', () => {
    expect(parseThreshold('0')).toEqual({ high: 0, low: 0 });
    expect(parseThreshold('8')).toEqual({ high: 0x800000, low: 0 });
    expect(parseThreshold('fd70a4')).toEqual({ high: 0xfd70a4, low: 0 });
    expect(parseThreshold('0123456789abcd')).toEqual({ high: 0x012345, low: 0x6789abcd });
    expect(parseThreshold('FFffffffffffff')).toEqual({ high: 0xffffff, low: 0xffffffff });
    for (const bad of ['', '123456789abcdef', 'g', '-1', '0x1', ' 1']) expect(parseThreshold(bad)).toBeUndefined();
  });
});

describe('consistent_probability', () => {
  it.each([0.5, 0.1, 0.01])('keeps %s of roots, within three sigma, and says so', (probability) => {
    const sampler = new ConsistentSampler(probability, false);
    const root = roots(Math.round(1000 * probability));
    const n = 50_000;
    let kept = 0;
    for (let i = 0; i < n; i++) {
      const span = root();
      if (isSampled(sampler, undefined, span)) {
        kept++;
        expect(span.traceState?.serialize()).toBe(`ot=th:${thresholdOf(probability)}`);
      } else expect(span.traceState).toBeUndefined();
    }
    expect(Math.abs(kept - n * probability)).toBeLessThanOrEqual(threeSigma(n, probability));
  });

  it('keeps with a larger share whatever it keeps with a smaller one', () => {
    const samplers = [1, 0.7, 0.3, 0.05].map((share) => new ConsistentSampler(share, false));
    const root = roots(5);
    for (let i = 0; i < 5000; i++) {
      const span = root();
      const decisions = samplers.map((sampler) => isSampled(sampler, undefined, span));
      expect(decisions).toEqual([...decisions].sort((left, right) => Number(right) - Number(left)));
    }
  });

  it('keeps randomness at the threshold, and nothing below', () => {
    const half = new ConsistentSampler(0.5, false);
    expect(below(half, caller('80000000000000', 2))).toEqual([true, 'ot=th:8']);
    expect(below(half, caller('7fffffffffffff', 2))).toEqual([false, undefined]);
    const tiny = new ConsistentSampler(2 ** -56, false);
    expect(below(tiny, caller('ffffffffffffff', 2))).toEqual([true, 'ot=th:ffffffffffffff']);
    expect(below(tiny, caller('fffffffffffffe', 2))[0]).toBe(false);
    expect(below(new ConsistentSampler(0, false), caller('ffffffffffffff', 3))).toEqual([false, undefined]);
  });

  it('goes by explicit randomness before the trace id, and passes it on', () => {
    const half = new ConsistentSampler(0.5, false);
    expect(below(half, caller('00000000000000', 2, 'ot=rv:80000000000000'))).toEqual([
      true,
      'ot=th:8;rv:80000000000000',
    ]);
    expect(below(half, caller('ffffffffffffff', 2, 'ot=rv:7fffffffffffff;th:0'))).toEqual([
      false,
      'ot=rv:7fffffffffffff',
    ]);
    // Not 14 digits: no randomness.
    expect(below(half, caller('ffffffffffffff', 2, 'ot=rv:7ff'))).toEqual([true, 'ot=th:8;rv:7ff']);
  });

  it("decides by its own share whatever the caller's flag and threshold, and leaves the other members alone", () => {
    const half = new ConsistentSampler(0.5, false);
    const more = 'vendor=1,ot=p:8;th:f;xy:1,other=2';
    expect(below(half, caller('90000000000000', 2, more))).toEqual([true, 'ot=th:8;p:8;xy:1,vendor=1,other=2']);
    expect(below(half, caller('10000000000000', 3, more))).toEqual([false, 'ot=p:8;xy:1,vendor=1,other=2']);
    expect(below(half, caller('10000000000000', 3, 'ot=th:f,vendor=1'))).toEqual([false, 'vendor=1']);
    expect(below(half, caller('10000000000000', 3, 'ot=th:f'))).toEqual([false, undefined]);
  });

  it('says once that it presumes randomness', () => {
    const half = new ConsistentSampler(0.5, false);
    for (let i = 0; i < 3; i++) expect(below(half, caller('80000000000000', 1))).toEqual([true, 'ot=th:8']);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('random flag');
  });

  it('lets spans below one of this process follow', () => {
    const sampler = new ConsistentSampler(0.5, false);
    const root = roots(9)();
    root.traceState = parseTraceState('ot=th:8');
    root.flags = 3;
    const child = SpanIdentity.child(root, false, root.traceState);
    expect(isSampled(sampler, root, child)).toBe(true);
    expect(child.traceState?.serialize()).toBe('ot=th:8');
    root.flags = 2;
    expect(isSampled(sampler, root, SpanIdentity.child(root, false, undefined))).toBe(false);
  });

  it('drops its threshold rather than break a full member, and survives lists that are none', () => {
    const full = `ot=${'a'.repeat(60)}:${'b'.repeat(60)};c:${'d'.repeat(130)}`;
    const [sampled, text] = below(new ConsistentSampler(1 / 3, false), caller('ffffffffffffff', 2, full));
    expect(sampled).toBe(true);
    expect(text).toBe(full);
    for (const broken of [{}, { get: () => 7 }, { get: () => 'th:8' }]) {
      const parent = caller('ffffffffffffff', 2);
      parent.traceState = broken as never;
      const span = SpanIdentity.child(parent, false, parent.traceState);
      expect(isSampled(new ConsistentSampler(0.5, false), parent, span)).toBe(true);
    }
  });
});

describe('parentbased_consistent_probability', () => {
  const sampler = new ConsistentSampler(0.5, true);

  it('decides about roots', () => {
    const span = caller('80000000000000', 2);
    expect(isSampled(sampler, undefined, span)).toBe(true);
    expect(span.traceState?.serialize()).toBe('ot=th:8');
  });

  it('follows the caller, whose threshold goes on as it is', () => {
    expect(below(sampler, caller('f0000000000000', 3, 'ot=th:c;rv:e0000000000000'))).toEqual([
      true,
      'ot=th:c;rv:e0000000000000',
    ]);
    expect(below(sampler, caller('10000000000000', 2, 'ot=th:c'))).toEqual([false, 'ot=th:c']);
    expect(below(sampler, caller('10000000000000', 3))).toEqual([true, undefined]);
    expect(lines).toEqual([]);
  });

  it('takes out a threshold that the flag contradicts, or that is none', () => {
    expect(below(sampler, caller('10000000000000', 3, 'ot=th:c;k:v'))).toEqual([true, 'ot=k:v']);
    expect(below(sampler, caller('f0000000000000', 2, 'ot=th:c,a=b'))).toEqual([false, 'a=b']);
    expect(below(sampler, caller('f0000000000000', 3, 'ot=th:xyz'))).toEqual([true, undefined]);
    // Nothing to compare with: a trace id that does not say that it is random.
    expect(below(sampler, caller('10000000000000', 1, 'ot=th:c'))).toEqual([true, 'ot=th:c']);
  });
});
