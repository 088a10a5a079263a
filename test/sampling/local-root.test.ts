import { describe, expect, it } from 'vitest';
import { LocalRootSampler, type RootSampler } from '../../src/sampling/local-root';
import { identity, isSampled, TRACE_ID } from './support';

const remote = (sampled: boolean) => identity(TRACE_ID, sampled ? 1 : 0, true);
const local = (sampled: boolean) => identity(TRACE_ID, sampled ? 1 : 0, false);

function answering(answer: boolean, more: Partial<RootSampler> = {}): RootSampler {
  return { describes: true, samples: () => answer, toString: () => 'Answering', ...more };
}

describe('a sampler of local roots', () => {
  it.each([true, false])('asks for roots and for requests from other services: %s', (answer) => {
    const sampler = new LocalRootSampler(answering(answer), false);
    for (const parent of [undefined, remote(true), remote(false)])
      expect(isSampled(sampler, parent, identity())).toBe(answer);
  });

  it.each([true, false])('follows the caller when it is parent-based: %s', (answer) => {
    const sampler = new LocalRootSampler(answering(answer), true);
    expect(isSampled(sampler, undefined, identity())).toBe(answer);
    expect(isSampled(sampler, remote(true), identity())).toBe(true);
    expect(isSampled(sampler, remote(false), identity())).toBe(false);
    expect(String(sampler)).toBe('ParentBased{root=Answering}');
  });

  it.each([true, false])('lets spans of this process follow, parent-based or not: %s', (parentBased) => {
    for (const answer of [true, false]) {
      const sampler = new LocalRootSampler(answering(answer), parentBased);
      expect(isSampled(sampler, local(true), identity())).toBe(true);
      expect(isSampled(sampler, local(false), identity())).toBe(false);
    }
  });

  it('lets single spans of a sampled trace be left out, and none be added', () => {
    const sampler = new LocalRootSampler(answering(true, { samplesChild: (_span, name) => name !== 'noise' }), false);
    expect(isSampled(sampler, local(true), identity(), { name: 'noise' })).toBe(false);
    expect(isSampled(sampler, local(true), identity(), { name: 'signal' })).toBe(true);
    expect(isSampled(sampler, local(false), identity(), { name: 'signal' })).toBe(false);
  });

  it('has spans described that are asked about, and no others', () => {
    const roots = new LocalRootSampler(answering(true), false);
    expect([remote(true), remote(false), local(true), local(false)].map((p) => roots.describesUnder(p))).toEqual([
      ...[true, true, false, false],
    ]);
    const children = new LocalRootSampler(answering(true, { samplesChild: () => true }), true);
    expect([remote(true), remote(false), local(true), local(false)].map((p) => children.describesUnder(p))).toEqual([
      ...[true, false, true, false],
    ]);
  });
});
