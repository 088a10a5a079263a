import { createSampler } from '../../src/trace/sampler';
import { type Tracer, type TracerOptions, TracerProvider } from '../../src/trace/tracer';

export const RESOURCE = { attributes: { 'service.name': 'bench' } } as unknown as TracerOptions['resource'];

const LIMITS = {
  attributeCountLimit: 128,
  attributeValueLengthLimit: 16_384,
  eventCountLimit: 128,
  linkCountLimit: 128,
  attributePerEventCountLimit: 128,
  attributePerLinkCountLimit: 128,
};

/** A tracer as the agent makes it, over another processor. */
export function createTracer(processor: TracerOptions['processor']): Tracer {
  const sampler = createSampler({ name: 'parentbased_always_on', ratio: 1 } as Parameters<typeof createSampler>[0]);
  const provider = new TracerProvider({ resource: RESOURCE, sampler, limits: LIMITS, processor });
  return provider.getTracer('bench', '1.0.0');
}
