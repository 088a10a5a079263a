import { beforeAll, describe, expect, test } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { testPackage, writeFolder } from '../support/packages';
import { root, runApp } from '../support/run-app';

// Processes that an application starts are given the active context, when the operator asks for it; nothing else changes.

const FOLDER = 'test/e2e/fixtures/child-process';
const STARTED = '00-11111111111111111111111111111111-2222222222222222-01';
let env: Record<string, string>;

beforeAll(async () => {
  env = { API: await testPackage('@opentelemetry/api@1.9.1'), OTEL_SERVICE_NAME: 'parent' };
}, 60_000);

/** The variables that carry a context, taken out of what children print. */
const withoutContext = (text: string): string =>
  text
    .replaceAll(/\\?"[ps]\\?":\\?"00-[0-9a-f-]{52}\\?",?/g, '')
    .replaceAll(/\\?"b\\?":\\?"k=v\\?",?/g, '')
    .replaceAll(/,(\\?"?\})/g, '$1');

/** What each line of the cases says of the children: the variables, in the order of printing. */
function variables(stdout: string): Map<string, Record<string, string>[]> {
  const found = new Map<string, Record<string, string>[]>();
  for (const line of stdout.trim().split('\n')) {
    const [name, ...values] = JSON.parse(line) as [string, ...unknown[]];
    const objects = (value: unknown): Record<string, string>[] => {
      if (typeof value === 'string') return value.startsWith('{') ? [JSON.parse(value)] : [];
      if (Array.isArray(value)) return value.flatMap(objects);
      return typeof value === 'object' && value !== null ? [value as Record<string, string>] : [];
    };
    found.set(name, objects(values));
  }
  return found;
}

/** The context of the span that is active in the cases; a trace that starts there has the random flag. */
const parentOf = (spans: readonly ReceivedSpan[], flags = '03'): string => {
  const span = spans.find(({ name }) => name === 'parent')!;
  return `00-${span.traceId}-${span.spanId}-${flags}`;
};

/** Cases whose children print what they were given, which is the application's own in the last ones. */
const GIVEN = [
  ...['spawn', 'spawn with options', 'spawn with options for arguments', 'spawn with an empty environment'],
  ...['exec', 'exec with options', 'execFile', 'execFile with options', 'promisified exec', 'promisified execFile'],
  ...['fork', 'fork with options for arguments', 'spawnSync', 'spawnSync with options', 'spawnSync with a shell'],
  ...['execSync', 'execFileSync', 'standard streams'],
];

describe.each(['app.cjs', 'app.mjs'])('%s', (file) => {
  test('is the same without the switch, and nothing of child_process is replaced', async () => {
    const { traced } = await expectSameAsBare(`${FOLDER}/${file}`, { env });
    for (const { stdout, spans } of Object.values(traced)) {
      expect(variables(stdout).get('spawn')).toEqual([{}]);
      expect(spans.map(({ name }) => name)).toEqual(['parent']);
    }
  });

  test('is the same with it, but for what the children are given', async () => {
    const { traced } = await expectSameAsBare(`${FOLDER}/${file}`, {
      env: { ...env, HOOKLINE_CHILD_PROCESS_CONTEXT: 'true' },
      normalise: withoutContext,
    });
    for (const { stdout, spans } of Object.values(traced)) {
      const p = parentOf(spans);
      const given = variables(stdout);
      for (const name of GIVEN) {
        const children = given.get(name)!;
        expect(children.length, name).toBeGreaterThan(0);
        for (const child of children) expect(child, name).toMatchObject({ p, b: 'k=v' });
      }
      expect(given.get('spawn inherits an environment by prototype')).toEqual([{ p, b: 'k=v', m: 'm' }]);
      expect(given.get('fork')).toEqual([{ p, b: 'k=v', args: ['a'] }]);
      // The application's own say.
      expect(given.get('own traceparent, spawn')).toEqual([{ p: 'mine', b: 'k=v', m: 'm' }]);
      expect(given.get('own traceparent, spawnSync')).toEqual([{ p: 'mine', b: 'k=v', m: 'm' }]);
      expect(given.get('own baggage')).toEqual([{ p, b: 'mine=1' }]);
      expect(given.get('set in process.env')).toEqual([
        { p: 'set here', b: 'k=v' },
        { p: 'set here', b: 'k=v' },
      ]);
      expect(given.get('outside of any span')).toEqual([{}, {}]);
    }
  });
});

describe('what a child is given', () => {
  const run = (more: Record<string, string>) =>
    runApp(`${FOLDER}/app.cjs`, { env: { ...env, HOOKLINE_CHILD_PROCESS_CONTEXT: 'true', ...more } });

  test('is the active context, not what this process was started with', async () => {
    const started = { TRACEPARENT: STARTED, STARTED_WITH: STARTED, TRACESTATE: 'old=1', BAGGAGE: 'old=1' };
    const { stdout, spans, stderr } = await run(started);
    expect(stderr).toBe('');
    const given = variables(stdout);
    const p = parentOf(spans, '01');
    expect(p.slice(3, 35)).toBe(STARTED.slice(3, 35));
    // The state of the trace goes on; `k=v` took the place of the baggage.
    for (const name of GIVEN) {
      if (name === 'spawn with an empty environment') continue;
      for (const child of given.get(name)!) expect(child, name).toMatchObject({ p, s: 'old=1', b: 'k=v' });
    }
    expect(given.get('outside of any span')).toEqual([
      { p: STARTED, s: 'old=1', b: 'old=1' },
      { p: STARTED, s: 'old=1', b: 'old=1' },
    ]);

    // A trace of its own takes the place of all of it.
    const apart = variables((await run({ ...started, HOOKLINE_ENVIRONMENT_CONTEXT: 'false' })).stdout);
    for (const name of ['spawn', 'spawnSync']) {
      const [child] = apart.get(name)!;
      expect(child).toEqual({ p: expect.not.stringContaining(STARTED.slice(3, 35)), b: 'k=v' });
    }
  });

  test('has the names of the configured propagators', async () => {
    const { stdout, spans } = await run({ OTEL_PROPAGATORS: 'b3' });
    const [, traceId, spanId] = parentOf(spans).split('-');
    for (const name of GIVEN) {
      for (const child of variables(stdout).get(name)!) {
        const { args: _args, ...given } = child;
        expect(given, name).toEqual({ x: `${traceId}-${spanId}-1` });
      }
    }
    const none = variables((await run({ OTEL_PROPAGATORS: 'none' })).stdout);
    for (const name of GIVEN) for (const { p, x } of none.get(name)!) expect([p, x]).toEqual([undefined, undefined]);
  });

  test('continues in a traced child, whatever the toggles say; workers of a cluster get nothing', async () => {
    const folder = writeFolder({
      'main.cjs': `
const { fork } = require('child_process');
const cluster = require('cluster');
const { createRequire } = require('node:module');
const { trace } = createRequire(process.env.API + '/noop.js')('@opentelemetry/api');
if (cluster.isPrimary && !process.send) {
  trace.getTracer('t').startActiveSpan('parent', (span) => {
    const child = fork(__filename);
    child.on('exit', () => {
      cluster.fork().on('exit', () => span.end());
    });
  });
} else {
  console.log(cluster.isWorker ? 'worker' : 'child', process.env.TRACEPARENT !== undefined);
  trace.getTracer('t').startSpan(cluster.isWorker ? 'worker' : 'child').end();
  process.disconnect();
}`,
    });
    const { stdout, spans, stderr } = await runApp(`${folder}/main.cjs`, {
      cwd: folder,
      preload: 'node-options',
      env: { ...env, HOOKLINE_CHILD_PROCESS_CONTEXT: 'true', OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'http' },
    });
    expect(stderr).toBe('');
    expect(stdout).toBe('child true\nworker false\n');
    const named = (name: string) => spans.find((span) => span.name === name)!;
    expect(named('child')).toMatchObject({ traceId: named('parent').traceId, parentSpanId: named('parent').spanId });
    expect(named('worker').traceId).not.toBe(named('parent').traceId);
  });
});

test('the start line and the status name it only when it is on', async () => {
  const script = `
require('child_process');
const { instrumentations } = globalThis[Symbol.for('hookline')].status();
console.log(JSON.stringify(instrumentations.find(({ name }) => name === 'child-process') ?? null));`;
  const status = async (more: Record<string, string>) =>
    runApp(undefined, { execArgv: ['-e', script], cwd: root, env: { ...env, OTEL_LOG_LEVEL: 'info', ...more } });
  const on = await status({ HOOKLINE_CHILD_PROCESS_CONTEXT: 'true' });
  expect(JSON.parse(on.stdout)).toMatchObject({ enabled: true, patched: ['child_process'], failures: 0, off: false });
  expect(on.stderr).toContain('child-process');
  const off = await status({});
  expect(off.stdout).toBe('null\n');
  expect(off.stderr).not.toContain('child-process');
});
