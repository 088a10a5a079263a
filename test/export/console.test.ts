import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConsoleProcessor, formatTrace, type PrintableSpan, writeAll } from '../../src/export/console';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { BATCH, startSpan, until } from './support';

function printable(parts: Partial<PrintableSpan>): PrintableSpan {
  return {
    traceId: 't'.repeat(32),
    spanId: 'root',
    name: 'span',
    kind: 0,
    startMs: 0,
    durationMs: 1,
    status: { code: 0 },
    attributes: {},
    ...parts,
  };
}

describe('formatTrace', () => {
  it('draws a tree in the order of starts, with aligned columns', () => {
    const text = formatTrace(
      [
        printable({
          spanId: 'b',
          parentSpanId: 'root',
          name: 'SELECT carts',
          kind: 2,
          startMs: 2,
          durationMs: 3.14,
          attributes: { 'db.system.name': 'postgresql' },
        }),
        printable({ spanId: 'c', parentSpanId: 'b', name: 'inner', startMs: 3, durationMs: 0.5 }),
        printable({
          spanId: 'root',
          name: 'GET /cart',
          kind: 1,
          startMs: 1,
          durationMs: 112.4,
          attributes: { 'http.response.status_code': 500, other: 1 },
          status: { code: 2, message: 'bad' },
          serviceName: 'shop',
        }),
        printable({
          spanId: 'a',
          parentSpanId: 'root',
          name: 'POST',
          kind: 2,
          startMs: 1.5,
          durationMs: 12.34,
          attributes: { 'server.address': 'api', 'server.port': 443 },
        }),
      ],
      { color: false },
    );
    expect(text).toBe(
      [
        `trace ${'t'.repeat(32)}  shop  4 spans`,
        'GET /cart        server     112 ms  ERROR bad  http.response.status_code=500',
        '├─ POST          client    12.3 ms  server.address=api:443',
        '└─ SELECT carts  client    3.14 ms  db.system.name=postgresql',
        '   └─ inner      internal  0.50 ms',
        '',
      ].join('\n'),
    );
  });

  it('colours errors red only when asked', () => {
    const spans = [printable({ status: { code: 2, message: 'bad' } })];
    expect(formatTrace(spans, { color: true })).toContain('\u001b[31mERROR bad\u001b[0m');
    expect(formatTrace(spans, { color: false })).not.toContain('\u001b');
  });

  it('separates traces, and shows spans without their parent as roots', () => {
    const text = formatTrace(
      [printable({ traceId: 'one', parentSpanId: 'elsewhere', name: 'a' }), printable({ traceId: 'two', name: 'b' })],
      { color: false },
    );
    expect(text).toMatch(/^trace one {2}1 span\na .*\ntrace two {2}1 span\nb .*\n$/);
  });

  it('shows every span once, whatever the ids say', () => {
    const circle = [
      printable({ spanId: 'a', parentSpanId: 'b', name: 'circle a' }),
      printable({ spanId: 'b', parentSpanId: 'a', name: 'circle b' }),
    ];
    const self = [printable({ spanId: 's', parentSpanId: 's', name: 'self' })];
    const deep = Array.from({ length: 500 }, (_, i) =>
      printable({ spanId: `d${i}`, parentSpanId: `d${i - 1}`, name: `deep ${i}.` }),
    );
    const spans = [...circle, ...self, ...deep];
    const text = formatTrace(spans, { color: false });
    for (const { name } of spans) expect(text.split(name)).toHaveLength(2);
  });

  it('lets no control characters through and survives hostile values', () => {
    const hostile = {
      toString: () => {
        throw new Error('no');
      },
      toJSON: () => {
        throw new Error('no');
      },
    };
    const text = formatTrace(
      [
        printable({
          name: 'a\u001b[2Jb\nc',
          status: { code: 2, message: '\r\u0007' },
          durationMs: Number.NaN,
          attributes: { 'db.query.text': 'SELECT\n\t1', 'error.type': hostile, 'url.full': 'x'.repeat(500) },
        }),
      ],
      { color: false },
    );
    expect(text.trimEnd().split('\n')).toHaveLength(2);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f]/);
    expect(text).toContain('db.query.text=SELECT 1');
    expect(text.length).toBeLessThan(600);
  });
});

describe('the exporter', () => {
  function setUp(batch = {}): { processor: ConsoleProcessor; texts: string[] } {
    const texts: string[] = [];
    const processor = new ConsoleProcessor({ ...BATCH, ...batch }, { write: (text) => texts.push(text), color: false });
    return { processor, texts };
  }

  it('prints a trace when its root has ended, not on the stack of the span', async () => {
    const { processor, texts } = setUp();
    const root = startSpan({ processor, name: 'root' });
    const child = startSpan({ processor, name: 'child', parent: root.identity });
    child.end();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(texts).toEqual([]);
    root.end();
    expect(texts).toEqual([]);
    await until(() => texts.length === 1);
    expect(texts[0]).toMatch(/ {2}test {2}2 spans\nroot .*\n└─ child .*\n$/);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 2, dropped: {} });
  });

  it('takes a span with a remote parent as the root', async () => {
    const { processor, texts } = setUp();
    const remote = new SpanIdentity(1, 2, 3, 4, 5, 6, FLAG_SAMPLED, undefined, true);
    startSpan({ processor, name: 'served', parent: remote }).end();
    await until(() => texts.length === 1);
    expect(texts[0]).toContain('served');
  });

  it('does not wait for a root for ever', async () => {
    const { processor, texts } = setUp({ scheduleDelayMs: 20 });
    const root = startSpan({ processor, name: 'root' });
    startSpan({ processor, name: 'child', parent: root.identity }).end();
    await until(() => texts.length === 1);
    expect(texts[0]).toContain('child');
  });

  it('does not collect without bound', () => {
    const { processor, texts } = setUp({ maxQueueSize: 10 });
    const root = startSpan({ processor });
    for (let i = 0; i < 25; i++) startSpan({ processor, name: `child ${i}.`, parent: root.identity }).end();
    expect(processor.stats()).toMatchObject({ queued: 5, exported: 20 });
    expect(texts).toHaveLength(2);
  });

  it('prints what is left at once when the process ends', () => {
    const { processor, texts } = setUp();
    const root = startSpan({ processor });
    startSpan({ processor, name: 'child', parent: root.identity }).end();
    expect(processor.hasPending()).toBe(true);
    processor.flushSync();
    expect(texts.join()).toContain('child');
    expect(processor.hasPending()).toBe(false);
  });

  it('counts what cannot be written', () => {
    const processor = new ConsoleProcessor(BATCH, {
      write: () => {
        throw new Error('closed');
      },
      color: false,
    });
    startSpan({ processor }).end();
    processor.flushSync();
    expect(processor.stats()).toMatchObject({ queued: 0, exported: 0, dropped: { export_failed: 1 } });
  });
});

describe('writeAll', () => {
  it('writes everything, and gives up quietly on a descriptor that is not open', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hookline-console-'));
    const file = join(folder, 'out');
    const fd = openSync(file, 'w');
    const text = '├─ é\n'.repeat(50_000);
    writeAll(fd, text);
    closeSync(fd);
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(() => writeAll(fd, 'x')).not.toThrow();
    rmSync(folder, { recursive: true });
  });
});
