import type { Attributes } from '@opentelemetry/api';
import type { RootSampler } from '../../src/sampling/local-root';
import { type Sampler, SamplingDecision } from '../../src/trace/sampler';
import { SpanIdentity } from '../../src/trace/span-identity';

/** Numbers from 0 to 1, the same for the same seed: mulberry32 by Tommy Ettinger (public domain). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
}

/** Roots with trace ids of a seed: all that samplers know of chance is in there. */
export function roots(seed: number): () => SpanIdentity {
  const next = random(seed);
  const word = (): number => (next() * 0x100000000) | 0;
  return () => new SpanIdentity(word(), word(), word(), word() | 1, word() | 1, word(), 2, undefined, false);
}

export const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';

export function identity(traceId = TRACE_ID, traceFlags = 0, isRemote = false): SpanIdentity {
  return SpanIdentity.from({ traceId, spanId: '00f067aa0ba902b7', traceFlags, isRemote })!;
}

export const SERVER = 1;
export const CLIENT = 2;

export function request(path: string, more: Attributes = {}): Attributes {
  return { 'http.request.method': 'GET', 'url.path': path, 'server.address': 'shop.test', 'server.port': 80, ...more };
}

/** Whether a root is kept. */
export function asks(sampler: RootSampler, span: SpanIdentity, attributes?: Attributes, name = 'GET', kind = SERVER) {
  return sampler.samples(span, name, kind, attributes);
}

export function isSampled(
  sampler: Sampler,
  parent: SpanIdentity | undefined,
  span: SpanIdentity,
  { name = 'GET', kind = SERVER, attributes }: { name?: string; kind?: number; attributes?: Attributes } = {},
): boolean {
  return sampler.shouldSample(parent, span, name, kind, attributes, undefined) === SamplingDecision.RecordAndSample;
}

/** Three standard deviations of a count of `n` draws with the chance `p`. */
export function threeSigma(n: number, p: number): number {
  return 3 * Math.sqrt(n * p * (1 - p));
}
