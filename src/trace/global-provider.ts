import type { Tracer, TracerProvider } from '@opentelemetry/api';
import { noteApiFailure } from './api-failure';
import { NO_SPAN } from './non-recording-span';

/** Where one could not be made. */
const NO_TRACER: Tracer = {
  startSpan: () => NO_SPAN,
  startActiveSpan: (...args: unknown[]) => {
    const fn = args.at(-1);
    return typeof fn === 'function' ? fn(NO_SPAN) : undefined;
  },
};

/**
 * What the API's own ProxyTracerProvider offers: applications ask the global provider for its delegate and its flush.
 * `setDelegate` is ignored, as a second `setGlobalTracerProvider` would be.
 */
export function toGlobalProvider(provider: TracerProvider, forceFlush?: () => Promise<void>): TracerProvider {
  const getTracer: TracerProvider['getTracer'] = (name, version, options) => {
    try {
      return provider.getTracer(name, version, options);
    } catch (error) {
      noteApiFailure(error);
      return NO_TRACER;
    }
  };
  const proxy = {
    getTracer,
    getDelegate: () => (forceFlush === undefined ? provider : proxy),
    getDelegateTracer: getTracer,
    setDelegate: () => {},
    ...(forceFlush === undefined ? {} : { forceFlush }),
  };
  return proxy;
}
