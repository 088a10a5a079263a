import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { isAtLeast, nodeVersion } from '../support/packages';
import { type RunResult, root, runApp } from '../support/run-app';
import { type SpanNode, toTree } from '../support/tree';

const FIXTURES = 'test/e2e/fixtures/context-cases';

/** CX8: with async_hooks and with AsyncContextFrame, where this Node has both. */
const MODES: [string, string[]][] = [['default', []]];
if (isAtLeast(nodeVersion, '22.8') && !isAtLeast(nodeVersion, '24.0')) {
  MODES.push(['AsyncContextFrame', ['--experimental-async-context-frame']]);
} else if (isAtLeast(nodeVersion, '24.0')) {
  MODES.push(['without AsyncContextFrame', ['--no-async-context-frame']]);
} else {
  console.log(`CX8: not run with AsyncContextFrame, which Node.js ${nodeVersion} does not have`);
}

describe.each(MODES)('context: %s', (_mode, execArgv) => {
  let run: RunResult;
  let roots: SpanNode[];

  beforeAll(async () => {
    const runs = await expectSameAsBare(`${FIXTURES}/app.mjs`, { execArgv, preloads: ['import'] });
    run = runs.traced.import!;
    roots = toTree(run.spans);
  });

  /** The names of the spans right under each request for the route; twice, as it was requested twice. */
  function leaves(route: string): string[][] {
    const path = `/${encodeURIComponent(route)}`;
    return roots
      .filter(({ span }) => span.kind === 'SERVER' && span.attributes['url.path'] === path)
      .map(({ children }) => children.map(({ span }) => span.name).sort());
  }

  it('has no span without a request', () => {
    expect(roots.filter(({ span }) => span.kind !== 'SERVER').map(({ span }) => span.name)).toEqual([]);
  });

  it.each([
    ['await', ['leaf']],
    ['chained', ['leaf']],
    ['timeout', ['leaf']],
    ['interval', ['leaf', 'tick']],
    ['timers promise', ['leaf']],
    ['nextTick', ['leaf', 'tick']],
    ['setImmediate', ['leaf', 'tick']],
    ['queueMicrotask', ['leaf', 'tick']],
    ['fs callback', ['leaf', 'tick']],
    ['fs promise', ['leaf']],
    ['stream pipeline', ['leaf', 'tick']],
    ['events', ['leaf']],
    ['body', ['leaf']],
    ['body events', ['leaf', 'tick']],
  ])('CX1: the parent is right across %s', (route, names) => {
    expect(leaves(route)).toEqual([names, names]);
  });

  it('CX2: adding and removing listeners works as before', () => {
    // The comparison with the bare run is the proof; this is what both have printed.
    expect(run.stdout.split('\n')[0]).toBe('[3,true,2,1,true,1,false,0,true]');
  });

  it('CX3: each step of an async generator runs in the context of who asked for it', () => {
    expect(leaves('CX3 generator')).toEqual([
      ['leaf', 'step', 'step'],
      ['leaf', 'step', 'step'],
    ]);
  });

  it('CX4: a pooled socket does not carry the context of who opened it', () => {
    const http = ['GET', 'data', 'end', 'leaf', 'response', 'socket'];
    expect(leaves('CX4 http')).toEqual([http, http]);
    const fetch = ['GET', 'data', 'end', 'leaf'];
    expect(leaves('CX4 fetch')).toEqual([fetch, fetch]);
  });

  it('CX5: a timer made during a request does not keep its span, req or res', async () => {
    const { stdout } = await runApp(`${FIXTURES}/retained.cjs`, { execArgv: ['--expose-gc', ...execArgv] });
    expect(JSON.parse(stdout)).toEqual({ watched: ['inner', 'req', 'res', 'socket', 'span'], alive: [] });
  });

  it('CX6: nothing that was entered stays active', () => {
    expect(run.stdout).toContain('leaked: false');
  });

  it("CX7: there is one store, and the application's own is not touched", async () => {
    expect(leaves('CX7 own storage')).toEqual([
      ['GET', 'leaf', 'tick'],
      ['GET', 'leaf', 'tick'],
    ]);
    const { stdout } = await runApp(undefined, {
      preload: 'none',
      execArgv: [
        ...execArgv,
        ...['--require', `${root}/${FIXTURES}/count.cjs`, '--require', `${root}/dist/register.js`],
        ...['-e', "require('http'); require('http2'); require('https'); fetch('http://127.0.0.1:1').catch(() => {})"],
      ],
    });
    expect(stdout).toBe('stores: 1\n');
  });

  it('CX9: messages on one socket and one emitter have a trace each', () => {
    const traces = [1, 2, 3].map((i) => {
      const leaf = run.spans.find(({ name }) => name === `message ${i}`);
      const parent = run.spans.find((span) => isParent(span, leaf));
      return [leaf?.traceId, parent?.attributes['url.path']];
    });
    expect(traces).toEqual([1, 2, 3].map((i) => [`${i}af7651916cd43dd8448eb211c80319c`, `/message%20${i}`]));
  });
});

function isParent(span: ReceivedSpan, child: ReceivedSpan | undefined): boolean {
  return span.traceId === child?.traceId && span.spanId === child.parentSpanId;
}
