import type { Attributes, Link } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import {
  ALWAYS_OFF,
  ALWAYS_ON,
  createSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioSampler,
} from '../../src/trace/sampler';
import { SpanIdentity } from '../../src/trace/span-identity';
import { roots, threeSigma } from '../sampling/support';

const decide = (sampler: Sampler, span: SpanIdentity, parent?: SpanIdentity): SamplingDecision =>
  sampler.shouldSample(parent, span, 'name', 0, undefined as Attributes | undefined, undefined as Link[] | undefined);

const identity = (traceId: string, traceFlags = 0, isRemote = false): SpanIdentity =>
  SpanIdentity.from({ traceId, spanId: '00f067aa0ba902b7', traceFlags, isRemote })!;

/** OpenTelemetry JavaScript's algorithm on the id's text, written down independently. */
function referenceDecision(traceId: string, ratio: number): boolean {
  let accumulated = 0;
  for (let i = 0; i < 4; i++) accumulated = (accumulated ^ Number.parseInt(traceId.slice(i * 8, i * 8 + 8), 16)) >>> 0;
  return accumulated < Math.floor(ratio * 0xffffffff);
}

describe('always_on and always_off', () => {
  it('decide without looking', () => {
    expect(decide(ALWAYS_ON, SpanIdentity.root(false, undefined))).toBe(SamplingDecision.RecordAndSample);
    expect(decide(ALWAYS_OFF, SpanIdentity.root(false, undefined))).toBe(SamplingDecision.Drop);
  });
});

describe('traceidratio', () => {
  it('agrees with the algorithm of OpenTelemetry JavaScript on any id', () => {
    for (const ratio of [0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.999]) {
      const sampler = new TraceIdRatioSampler(ratio);
      for (let i = 0; i < 2000; i++) {
        const span = SpanIdentity.root(false, undefined);
        expect(decide(sampler, span) === SamplingDecision.RecordAndSample).toBe(referenceDecision(span.traceId, ratio));
      }
    }
  });

  it('decides at the bound', () => {
    // floor(0.5 * 0xffffffff) is 0x7fffffff.
    const half = new TraceIdRatioSampler(0.5);
    expect(decide(half, identity('7ffffffe000000000000000000000000'))).toBe(SamplingDecision.RecordAndSample);
    expect(decide(half, identity('7fffffff000000000000000000000000'))).toBe(SamplingDecision.Drop);
    expect(decide(half, identity('ffffffff800000010000000000000000'))).toBe(SamplingDecision.RecordAndSample);
  });

  it('keeps every trace at 1 and none at 0', () => {
    expect(decide(new TraceIdRatioSampler(1), identity('ffffffff000000000000000000000000'))).toBe(2);
    expect(decide(new TraceIdRatioSampler(0), identity('00000001000000010000000000000000'))).toBe(0);
  });

  it.each([0.01, 0.2, 0.5, 0.99])('keeps %s within three sigma', (ratio) => {
    const sampler = new TraceIdRatioSampler(ratio);
    const root = roots(Math.round(ratio * 1000));
    let kept = 0;
    for (let i = 0; i < 50_000; i++) kept += decide(sampler, root()) === 2 ? 1 : 0;
    expect(Math.abs(kept - 50_000 * ratio)).toBeLessThanOrEqual(threeSigma(50_000, ratio));
  });

  it('keeps about its share', () => {
    const sampler = new TraceIdRatioSampler(0.2);
    let kept = 0;
    for (let i = 0; i < 20_000; i++) kept += decide(sampler, SpanIdentity.root(false, undefined)) === 2 ? 1 : 0;
    // Ten standard deviations.
    expect(Math.abs(kept - 4000)).toBeLessThan(570);
  });
});

describe('parent-based', () => {
  const span = SpanIdentity.root(false, undefined);
  const id = '4bf92f3577b34da6a3ce929d0e0e4736';

  it.each([true, false])('follows the flag of a parent, remote: %s', (isRemote) => {
    for (const root of [ALWAYS_ON, ALWAYS_OFF]) {
      const sampler = new ParentBasedSampler(root);
      expect(decide(sampler, span, identity(id, 1, isRemote))).toBe(SamplingDecision.RecordAndSample);
      expect(decide(sampler, span, identity(id, 3, isRemote))).toBe(SamplingDecision.RecordAndSample);
      expect(decide(sampler, span, identity(id, 0, isRemote))).toBe(SamplingDecision.Drop);
      expect(decide(sampler, span, identity(id, 2, isRemote))).toBe(SamplingDecision.Drop);
    }
  });

  it('asks the root sampler when there is no parent', () => {
    expect(decide(new ParentBasedSampler(ALWAYS_ON), span)).toBe(SamplingDecision.RecordAndSample);
    expect(decide(new ParentBasedSampler(ALWAYS_OFF), span)).toBe(SamplingDecision.Drop);
  });
});

describe('createSampler', () => {
  const rest =
    'remoteParentSampled=AlwaysOnSampler, remoteParentNotSampled=AlwaysOffSampler, ' +
    'localParentSampled=AlwaysOnSampler, localParentNotSampled=AlwaysOffSampler}';

  it.each([
    ['always_on', 'AlwaysOnSampler'],
    ['always_off', 'AlwaysOffSampler'],
    ['traceidratio', 'TraceIdRatioBased{0.25}'],
    ['parentbased_always_on', `ParentBased{root=AlwaysOnSampler, ${rest}`],
    ['parentbased_always_off', `ParentBased{root=AlwaysOffSampler, ${rest}`],
    ['parentbased_traceidratio', `ParentBased{root=TraceIdRatioBased{0.25}, ${rest}`],
  ] as const)('makes %s', (name, description) => {
    const sampler = createSampler({ name, ratio: 0.25 });
    expect(String(sampler)).toBe(description);
    expect(sampler.describes).toBe(false);
  });

  it.each(['rules', 'parentbased_adaptive'] as const)('asks for %s, which are not read at start', (name) => {
    const config = { name, ratio: 1 };
    expect(createSampler(config, (asked) => (asked === config ? ALWAYS_OFF : ALWAYS_ON))).toBe(ALWAYS_OFF);
    expect(createSampler(config)).toBe(ALWAYS_ON);
  });
});
