import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { isAtLeast, nodeVersion, testPackage } from '../support/packages';
import { runApp } from '../support/run-app';

const APP = 'test/e2e/fixtures/exporters-app/app.cjs';

/** The official exporters of each SDK line, with the API version that the line goes with. */
const OTLP = [
  { line: '1.x', version: '0.57.2', api: '1.9.1', needs: '18.19' },
  { line: '2.x', version: '0.223.0', api: '1.9.1', needs: '18.19' },
  { line: '3.x', version: '0.301.0', api: '1.10.0', needs: '22.15' },
];

/** What has to arrive the same, whoever sends it; ids and times differ between runs. */
function comparable(spans: readonly ReceivedSpan[]) {
  const parents = new Map(spans.map(({ spanId, name, kind }) => [spanId, `${kind} ${name}`]));
  const own = (key: string) => !/port$|^process\.pid$|^service\.instance\.id$|^url\.full$/.test(key);
  const withoutVolatile = (attributes: object) =>
    Object.fromEntries(Object.entries(attributes).filter(([key]) => own(key)));
  return spans
    .map((span) => ({
      name: span.name,
      kind: span.kind,
      parent: parents.get(span.parentSpanId ?? '') ?? span.parentSpanId,
      status: span.status,
      traceState: span.traceState,
      scope: span.scope,
      attributes: withoutVolatile(span.attributes),
      resource: withoutVolatile(span.resource),
      lasts: span.endTimeUnixNano >= span.startTimeUnixNano,
    }))
    .sort((a, b) => `${a.kind}${a.parent}`.localeCompare(`${b.kind}${b.parent}`));
}

describe('unmodified exporters of OpenTelemetry SDKs', () => {
  for (const { line, version, api, needs } of OTLP) {
    const supported = isAtLeast(nodeVersion, needs);
    if (!supported) console.log(`SDK ${line} not run: it needs Node.js ${needs}, this is ${nodeVersion}`);
    it.runIf(supported)(`SDK ${line}: what exporter-trace-otlp-proto sends is what we send`, async () => {
      const folder = await testPackage(
        `@opentelemetry/exporter-trace-otlp-proto@${version}`,
        `@opentelemetry/api@${api}`,
      );
      const path = join(folder, 'node_modules/@opentelemetry/exporter-trace-otlp-proto');
      const theirs = await runApp(APP, { env: { OTEL_TRACES_EXPORTER: `${path}#OTLPTraceExporter` } });
      const ours = await runApp(APP);
      expect(theirs.stderr).toBe('');
      expect(ours.spans).toHaveLength(4);
      expect(comparable(theirs.spans)).toEqual(comparable(ours.spans));
    });
  }
});
