import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SamplerConfig, SamplerName } from '../../src/config';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { loadSampler } from '../../src/sampling/load';
import { createSampler } from '../../src/trace/sampler';

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  setLogSink((line) => void lines.push(line));
});
afterEach(() => {
  // Those that ask a back end that is not there say so after their test.
  setLogSink(() => {});
  forgetLoggedKeys();
});

const make = (name: SamplerName, more: Partial<SamplerConfig> = {}): string =>
  String(
    createSampler({ name, ratio: 1, ...more }, (config) =>
      loadSampler(config, { attributes: { 'service.name': 'shop' } }),
    ),
  );

describe('loadSampler', () => {
  it.each([
    ['rate_limiting', { perSecond: 5 }, 'RateLimitingSampler{5}'],
    ['adaptive', { perSecond: 2 }, 'AdaptiveSampler{2}'],
    ['consistent_probability', { ratio: 0.25 }, 'ConsistentProbability{0.25}'],
    ['rules', { argument: '[{"path":"/a","decision":"drop"}]' }, 'RulesSampler{1 rules, default=1}'],
    [
      'jaeger_remote',
      { argument: 'endpoint=http://127.0.0.1:1,initialSamplingRate=0.5' },
      'JaegerRemoteSampler{http://127.0.0.1:1/sampling, TraceIdRatioBased{0.5}}',
    ],
  ] as const)('makes %s, parent-based or not', (name, more, expected) => {
    expect(make(name, more)).toBe(expected);
    expect(make(`parentbased_${name}`, more)).toBe(`ParentBased{root=${expected}}`);
    expect(lines).toEqual([]);
  });

  it('makes xray, which follows the caller under either name', () => {
    const expected = 'ParentBased{root=XRaySampler{http://127.0.0.1:1/GetSamplingRules, no rules}}';
    for (const name of ['xray', 'parentbased_xray'] as const)
      expect(make(name, { argument: 'endpoint=http://127.0.0.1:1,polling_interval=10' })).toBe(expected);
    expect(lines).toEqual([]);
  });

  it('says what is wrong in an argument, and works all the same', () => {
    expect(make('rules', { argument: '[{"path":"/a"},{"path":"/b","decision":"drop"}]' })).toBe(
      'RulesSampler{1 rules, default=1}',
    );
    expect(make('jaeger_remote', { argument: 'endpoint=http://127.0.0.1:1,pollingIntervalMs=-1' })).toContain('Jaeger');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('OTEL_TRACES_SAMPLER_ARG: rule 1 ');
    expect(lines[1]).toContain('pollingIntervalMs="-1"');
  });
});
