import { join } from 'node:path';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { testPackage } from '../support/packages';
import { type RunResult, root, runApp } from '../support/run-app';

const APP = 'test/e2e/fixtures/exporters-app/app.cjs';
const API = '@opentelemetry/api@1.9.1';

/** Spans of one round of the application: client, server, client, server and the two of its own. */
export const SPANS_PER_ROUND = 6;
const ROUNDS = 2;
export const SPANS = SPANS_PER_ROUND * ROUNDS;

/** The lines of SDKs, with the API version that each goes with. */
export const LINES = [
  { line: '1.x', otlp: '0.57.2', zipkin: '1.30.1', api: API, needs: '18.19' },
  { line: '2.x', otlp: '0.223.0', zipkin: '2.12.0', api: API, needs: '18.19' },
  { line: '3.x', otlp: '0.301.0', zipkin: '3.1.0', api: '@opentelemetry/api@1.10.0', needs: '22.15' },
];

/** The application in a folder where these packages are installed. */
export async function runWith(
  packages: readonly [string, ...string[]],
  env: Record<string, string>,
  preload: 'import' | 'none' = 'import',
): Promise<RunResult> {
  return runApp(APP, {
    cwd: await testPackage(...packages),
    receiver: false,
    preload,
    env: {
      ROUNDS: String(ROUNDS),
      OTEL_SERVICE_NAME: 'shop',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      ...(preload !== 'none' && { HOOKLINE_INDEX: join(root, 'dist', 'index.js') }),
      ...env,
    },
  });
}

let bare: Promise<RunResult> | undefined;

/** What the application prints and how it ends without the agent. */
export async function runBare(): Promise<{ stdout: string; code: number | null }> {
  bare ??= runWith([API], {}, 'none');
  const { stdout, code } = await bare;
  return { stdout, code };
}

/** Keys whose values differ between two runs of the same. */
export function isVolatile(key: string): boolean {
  return /port$|^process\.pid$|^process\.working_directory$|^service\.instance\.id$|^url\.full$/.test(key);
}

export function withoutVolatile<Value>(attributes: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(attributes).filter(([key]) => !isVolatile(key)));
}

/** What has to arrive the same, whoever sends it; ids and times differ between runs. */
export function comparable(spans: readonly ReceivedSpan[]) {
  const parents = new Map(spans.map(({ spanId, name, kind }) => [spanId, `${kind} ${name}`]));
  return spans
    .map(({ traceId: _trace, spanId: _span, startTimeUnixNano, endTimeUnixNano, ...span }) => ({
      ...span,
      parentSpanId: parents.get(span.parentSpanId ?? '') ?? span.parentSpanId,
      attributes: withoutVolatile(span.attributes),
      resource: withoutVolatile(span.resource),
      events: span.events.map(({ timeUnixNano: _time, ...event }) => event),
      lasts: endTimeUnixNano >= startTimeUnixNano,
    }))
    .sort((a, b) => `${a.kind}${a.name}${a.parentSpanId}`.localeCompare(`${b.kind}${b.name}${b.parentSpanId}`));
}
