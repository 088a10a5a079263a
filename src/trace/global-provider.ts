import type { TracerProvider } from '@opentelemetry/api';

/**
 * What the API's own ProxyTracerProvider offers: applications ask the global provider for its delegate and its flush.
 * `setDelegate` is ignored, as a second `setGlobalTracerProvider` would be.
 */
export function toGlobalProvider(provider: TracerProvider, forceFlush?: () => Promise<void>): TracerProvider {
  const proxy = {
    getTracer: provider.getTracer.bind(provider),
    getDelegate: () => (forceFlush === undefined ? provider : proxy),
    getDelegateTracer: provider.getTracer.bind(provider),
    setDelegate: () => {},
    ...(forceFlush === undefined ? {} : { forceFlush }),
  };
  return proxy;
}
