/** What benchmarks/apps/span.js measures, bundled by benchmarks/span.mjs. */
export { encodeResource, SpanBatch } from '../../src/export/encode';
export { ROOT_CONTEXT } from '../../src/trace/context';
export { createSampler } from '../../src/trace/sampler';
export { TracerProvider } from '../../src/trace/tracer';
