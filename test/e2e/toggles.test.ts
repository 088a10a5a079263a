import { describe, expect, it } from 'vitest';
import { runApp } from '../support/run-app';

const FIXTURE = 'test/e2e/fixtures/toggles-app/app.cjs';
/** Those that the application gives something to do. */
const USED = ['http', 'http2', 'undici'];

interface Row {
  env: Record<string, string>;
  enabled: string[];
}

const ENABLED = 'OTEL_NODE_ENABLED_INSTRUMENTATIONS';
const DISABLED = 'OTEL_NODE_DISABLED_INSTRUMENTATIONS';
const DEFAULT = 'OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED';

const ROWS: Row[] = [
  { env: {}, enabled: USED },
  { env: { [ENABLED]: 'http' }, enabled: ['http'] },
  { env: { [ENABLED]: ' http , undici ' }, enabled: ['http', 'undici'] },
  // Other names that people know them by.
  { env: { [ENABLED]: 'https,fetch' }, enabled: ['http', 'undici'] },
  { env: { [DISABLED]: 'undici' }, enabled: ['http', 'http2'] },
  { env: { [DISABLED]: 'fetch,http2' }, enabled: ['http'] },
  { env: { [ENABLED]: 'http,undici', [DISABLED]: 'undici' }, enabled: ['http'] },
  { env: { OTEL_INSTRUMENTATION_HTTP_ENABLED: 'false' }, enabled: ['http2', 'undici'] },
  { env: { OTEL_INSTRUMENTATION_FETCH_ENABLED: 'FALSE' }, enabled: ['http', 'http2'] },
  // The most specific word counts.
  { env: { [DISABLED]: 'http', OTEL_INSTRUMENTATION_HTTP_ENABLED: 'true' }, enabled: USED },
  { env: { [ENABLED]: 'undici', OTEL_INSTRUMENTATION_UNDICI_ENABLED: 'false' }, enabled: [] },
  { env: { [ENABLED]: 'undici', OTEL_INSTRUMENTATION_HTTP2_ENABLED: 'true' }, enabled: ['http2', 'undici'] },
  { env: { [DEFAULT]: 'false' }, enabled: [] },
  { env: { [DEFAULT]: 'false', OTEL_INSTRUMENTATION_HTTP_ENABLED: 'true' }, enabled: ['http'] },
  { env: { [DEFAULT]: 'false', [ENABLED]: 'undici' }, enabled: ['undici'] },
  { env: { [DEFAULT]: 'true', [DISABLED]: 'http2' }, enabled: ['http', 'undici'] },
];

describe('toggles', () => {
  it.each(ROWS.map((row) => [JSON.stringify(row.env), row] as const))('%s', async (_text, { env, enabled }) => {
    const { stdout, stderr, code, spans } = await runApp(FIXTURE, { env });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect((JSON.parse(stdout) as string[]).filter((name) => USED.includes(name))).toEqual(enabled);
    // What is said is what happens.
    const scopes = [...new Set(spans.map(({ scope }) => scope.name))].sort();
    expect(scopes).toEqual(enabled.map((name) => `hookline/${name}`));
  });

  it.each([
    [{ [ENABLED]: 'http,nothing' }, ENABLED, '"nothing"'],
    [{ [DISABLED]: 'nothing' }, DISABLED, '"nothing"'],
    [{ OTEL_INSTRUMENTATION_NOTHING_ENABLED: 'true' }, 'OTEL_INSTRUMENTATION_NOTHING_ENABLED', 'known are'],
    [{ OTEL_INSTRUMENTATION_HTTP_ENABLED: 'maybe' }, 'OTEL_INSTRUMENTATION_HTTP_ENABLED', 'maybe'],
  ])('%j: a word that means nothing is one line', async (env, variable, text) => {
    const { stderr, code } = await runApp(FIXTURE, { env: env as Record<string, string> });
    const lines = stderr.split('\n').filter(Boolean);
    expect({ code, lines: lines.length }).toEqual({ code: 0, lines: 1 });
    expect(lines[0]).toContain(variable);
    expect(lines[0]).toContain(text);
  });

  it('OTEL_SDK_DISABLED turns everything off', async () => {
    const { stdout, stderr, spans } = await runApp(FIXTURE, { env: { OTEL_SDK_DISABLED: ' True ' } });
    expect({ stdout, stderr, spans }).toEqual({ stdout: 'undefined\n', stderr: '', spans: [] });
  });
});
