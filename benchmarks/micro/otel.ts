import type { Peer } from './micro';

/** A provider of OpenTelemetry's SDK, whose class has another name and package since version 3. */
export function createProvider(peer: Peer, spanProcessor: object) {
  const { resourceFromAttributes } = peer('@opentelemetry/resources');
  const Provider = sdk(peer).TracerProvider ?? sdk(peer).BasicTracerProvider;
  return new Provider({
    resource: resourceFromAttributes({ 'service.name': 'bench' }),
    spanProcessors: [spanProcessor],
  });
}

/** The package of the SDK for tracing. */
export function sdk(peer: Peer) {
  try {
    return peer('@opentelemetry/sdk-trace-base');
  } catch {
    return peer('@opentelemetry/sdk-trace');
  }
}

/** Collects spans and hands each 512 of them over: less than the SDK's own batch processor does. */
export function collector(onBatch: (spans: readonly unknown[]) => void) {
  let spans: unknown[] = [];
  return {
    onStart() {},
    onEnd(span: unknown) {
      spans.push(span);
      if (spans.length < 512) return;
      onBatch(spans);
      spans = [];
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };
}
