import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExporterProcessor, type SpanExporter, type SpanSnapshot } from '../../src/export/exporter-processor';
import { FanOut } from '../../src/export/fan-out';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { activeContext } from '../../src/trace/context';
import { FLAG_SAMPLED, SpanIdentity } from '../../src/trace/span-identity';
import { BATCH, makeResource, SCOPE, startSpan, until } from './support';

type Callback = (result: { code: number; error?: unknown }) => void;

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});
afterEach(() => setLogSink(undefined));

class MemoryExporter implements SpanExporter {
  readonly batches: SpanSnapshot[][] = [];
  answer: (callback: Callback) => unknown = (callback) => callback({ code: 0 });

  export(spans: SpanSnapshot[], callback: Callback): unknown {
    this.batches.push(spans);
    return this.answer(callback);
  }

  get names(): string[][] {
    return this.batches.map((spans) => spans.map(({ name }) => name));
  }
}

function setUp(
  exporter: SpanExporter,
  batch = {},
): { processor: ExporterProcessor; end: (...names: string[]) => void } {
  const processor = new ExporterProcessor('mine', () => exporter, { ...BATCH, ...batch });
  const end = (...names: string[]): void => {
    for (const name of names) startSpan({ name, processor }).end();
  };
  return { processor, end };
}

describe('a snapshot', () => {
  it('has the shape of every SDK line', async () => {
    const exporter = new MemoryExporter();
    const { processor } = setUp(exporter);
    const resource = makeResource();
    const parent = new SpanIdentity(1, 2, 3, 4, 5, 6, FLAG_SAMPLED, undefined, true);
    const span = startSpan({ processor, resource, parent, kind: 2, name: 'n', attributes: { a: ['x'] } });
    span.addEvent('e', { k: 1 }, [5, 6]);
    span.addLink({ context: { traceId: '1'.repeat(32), spanId: '1'.repeat(16), traceFlags: 1 } });
    span.setStatus({ code: 2, message: 'm' });
    span.end();
    await processor.flush(1_000);
    const [snapshot] = exporter.batches[0] as [SpanSnapshot];
    expect(Object.getPrototypeOf(snapshot)).toBe(Object.prototype);
    expect(snapshot).toMatchObject({
      name: 'n',
      kind: 2,
      parentSpanId: '0000000500000006',
      parentSpanContext: { spanId: '0000000500000006', isRemote: true },
      startTime: span.startTime,
      endTime: span.endTime,
      duration: span.duration,
      status: { code: 2, message: 'm' },
      attributes: { a: ['x'] },
      events: [{ name: 'e', time: [5, 6], attributes: { k: 1 }, droppedAttributesCount: 0 }],
      links: [{ context: { traceFlags: 1 }, attributes: {}, droppedAttributesCount: 0 }],
      ended: true,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    });
    expect(snapshot.spanContext()).toEqual(span.spanContext());
    expect(snapshot.resource).toBe(resource);
    expect(snapshot.instrumentationScope).toBe(SCOPE);
    expect(snapshot.instrumentationLibrary).toBe(SCOPE);
  });

  it('belongs to its exporter: another one does not see what is written into it', async () => {
    const first = new MemoryExporter();
    const second = new MemoryExporter();
    const parts = [first, second].map((exporter) => setUp(exporter).processor);
    const processor = new FanOut(parts);
    const span = startSpan({ processor, name: 'n', attributes: { a: ['x'] } });
    span.addEvent('e', { k: 1 });
    span.end();
    await parts[0]?.flush(1_000);
    const snapshot = first.batches[0]?.[0] as SpanSnapshot;
    (snapshot.attributes['a'] as string[])[0] = 'changed';
    snapshot.attributes['more'] = 1;
    snapshot.name = 'changed';
    snapshot.startTime[0] = 0;
    (snapshot.events[0] as { attributes: object }).attributes = {};
    snapshot.events.length = 0;
    await processor.flush(1_000);
    expect(second.batches[0]?.[0]).toMatchObject({
      name: 'n',
      attributes: { a: ['x'] },
      startTime: span.startTime,
      events: [{ attributes: { k: 1 } }],
    });
    expect(second.batches[0]?.[0]?.attributes).not.toHaveProperty('more');
  });

  it('keeps the limits for attributes that were adopted unchecked', async () => {
    const exporter = new MemoryExporter();
    const { processor } = setUp(exporter);
    startSpan({
      processor,
      attributes: { a: 'abcdef', b: 1, c: 2 },
      limits: { attributeCountLimit: 2, attributeValueLengthLimit: 3 },
    }).end();
    await processor.flush(1_000);
    expect(exporter.batches[0]?.[0]).toMatchObject({ attributes: { a: 'abc', b: 1 }, droppedAttributesCount: 1 });
    expect(Object.keys(exporter.batches[0]?.[0]?.attributes ?? {})).toHaveLength(2);
  });
});

describe('batches', () => {
  it('are sent by the timer, in order, never empty', async () => {
    const exporter = new MemoryExporter();
    const { processor, end } = setUp(exporter, { scheduleDelayMs: 10, maxExportBatchSize: 2 });
    await processor.flush(100);
    end('a', 'b', 'c');
    await until(() => processor.stats().exported === 3);
    await processor.flush(100);
    expect(exporter.names).toEqual([['a', 'b'], ['c']]);
  });

  it('are sent at once when full', async () => {
    const exporter = new MemoryExporter();
    const { end } = setUp(exporter, { maxExportBatchSize: 2 });
    end('a', 'b', 'c');
    expect(exporter.names).toEqual([]);
    await until(() => exporter.batches.length === 1);
    expect(exporter.names).toEqual([['a', 'b']]);
  });

  it('come from a ring that drops the newest while it is full', async () => {
    const exporter = new MemoryExporter();
    const { processor, end } = setUp(exporter, { maxQueueSize: 3, maxExportBatchSize: 3 });
    for (let round = 0; round < 4; round++) {
      end(`${round}a`, `${round}b`, `${round}c`, `${round}d`);
      await processor.flush(1_000);
    }
    expect(exporter.names).toEqual([0, 1, 2, 3].map((round) => [`${round}a`, `${round}b`, `${round}c`]));
    expect(processor.stats()).toMatchObject({ queued: 0, exported: 12, dropped: { queue_full: 4 } });
  });

  it('run where nothing is traced', async () => {
    const exporter = new MemoryExporter();
    const suppressed: boolean[] = [];
    exporter.answer = async (callback) => {
      suppressed.push(activeContext().suppressed);
      await Promise.resolve();
      suppressed.push(activeContext().suppressed);
      callback({ code: 0 });
    };
    const { processor, end } = setUp(exporter);
    end('a');
    await processor.flush(1_000);
    expect(suppressed).toEqual([true, true]);
  });

  it('wait for attributes of the resource that are still being found out', async () => {
    const exporter = new MemoryExporter();
    const { processor } = setUp(exporter);
    let ready: () => void = () => {};
    const found = new Promise<void>((resolve) => (ready = resolve));
    const resource = { ...makeResource(), asyncAttributesPending: true, waitForAsyncAttributes: () => found };
    startSpan({ processor, resource }).end();
    const flushed = processor.flush(1_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(exporter.batches).toHaveLength(0);
    ready();
    expect(await flushed).toBe(true);
    expect(exporter.batches).toHaveLength(1);
  });
});

describe('exporters that misbehave', () => {
  const misbehaviours: [string, (callback: Callback) => unknown][] = [
    [
      'throws',
      () => {
        throw new Error('thrown');
      },
    ],
    [
      'throws undefined',
      () => {
        throw undefined;
      },
    ],
    [
      'rejects',
      async () => {
        throw new Error('rejected');
      },
    ],
    ['fails', (callback) => callback({ code: 1, error: new Error('failed') })],
    ['answers nonsense', (callback) => callback(undefined as never)],
    ['never answers', () => {}],
  ];

  it.each(misbehaviours)('one that %s loses its batch, says so once, and gets the next one', async (_name, answer) => {
    const exporter = new MemoryExporter();
    exporter.answer = answer;
    const { processor, end } = setUp(exporter, { exportTimeoutMs: 30 });
    end('a');
    expect(await processor.flush(5_000)).toBe(false);
    end('b');
    expect(await processor.flush(5_000)).toBe(false);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('mine');
    exporter.answer = (callback) => callback({ code: 0 });
    end('c');
    expect(await processor.flush(5_000)).toBe(true);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 1, dropped: { export_failed: 2 } });
  });

  it('the first answer counts, the second does not', async () => {
    const exporter = new MemoryExporter();
    exporter.answer = (callback) => {
      callback({ code: 0 });
      callback({ code: 1 });
      throw new Error('after the answer');
    };
    const { processor, end } = setUp(exporter);
    end('a');
    expect(await processor.flush(1_000)).toBe(true);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 1, dropped: {} });
    expect(lines).toEqual([]);
  });

  it('one that hangs does not hold up another', async () => {
    const hanging = new MemoryExporter();
    hanging.answer = () => {};
    const good = new MemoryExporter();
    const processor = new FanOut([setUp(hanging).processor, setUp(good).processor]);
    startSpan({ processor, name: 'a' }).end();
    expect(await processor.flush(50)).toBe(false);
    expect(good.names).toEqual([['a']]);
    expect(processor.stats()).toMatchObject({ inFlight: 1, exported: 1 });
    expect(processor.hasPendingAsync()).toBe(true);
  });

  it('a processor that throws does not keep a span from the next one', () => {
    const good = setUp(new MemoryExporter()).processor;
    const broken = new Proxy(setUp(new MemoryExporter()).processor, {
      get: () => () => {
        throw new Error('bug');
      },
    });
    const processor = new FanOut([broken, good]);
    startSpan({ processor }).end();
    expect(good.stats().queued).toBe(1);
    expect(processor.hasPending()).toBe(false);
  });
});

describe('loading', () => {
  it('starts with the first span, off its stack, and happens once', async () => {
    let loads = 0;
    const exporter = new MemoryExporter();
    const processor = new ExporterProcessor(
      'mine',
      () => {
        loads++;
        return exporter;
      },
      BATCH,
    );
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(loads).toBe(0);
    startSpan({ processor }).end();
    expect(loads).toBe(0);
    await until(() => loads === 1);
    startSpan({ processor }).end();
    await processor.flush(1_000);
    expect(loads).toBe(1);
  });

  it('that fails is one line, and spans are counted as lost', async () => {
    const processor = new ExporterProcessor('mine', () => Promise.reject(new Error('no such module')), BATCH);
    startSpan({ processor }).end();
    expect(await processor.flush(1_000)).toBe(false);
    startSpan({ processor }).end();
    expect(processor.stats().dropped).toEqual({ export_failed: 2 });
    expect(processor.hasPendingAsync()).toBe(false);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('no such module');
  });
});

describe('flush and shutdown', () => {
  it('work without the optional methods and call them where they are', async () => {
    const plain = setUp(new MemoryExporter());
    plain.end('a');
    expect(await plain.processor.flush(1_000)).toBe(true);
    expect(await plain.processor.shutdown(1_000)).toBe(true);

    const calls: string[] = [];
    const exporter = Object.assign(new MemoryExporter(), {
      forceFlush: async () => void calls.push('forceFlush'),
      shutdown: async () => void calls.push('shutdown'),
    });
    const { processor, end } = setUp(exporter);
    end('a');
    expect(await processor.shutdown(1_000)).toBe(true);
    expect(await processor.shutdown(1_000)).toBe(true);
    expect(calls).toEqual(['forceFlush', 'shutdown']);
    end('b');
    expect(processor.stats()).toMatchObject({ queued: 0, dropped: { shutdown: 1 } });
  });

  it('are limited in time and isolated', async () => {
    const hanging = Object.assign(new MemoryExporter(), { shutdown: () => new Promise(() => {}) });
    const first = setUp(hanging);
    first.end('a');
    expect(await first.processor.shutdown(30)).toBe(false);
    const throwing = Object.assign(new MemoryExporter(), {
      forceFlush: () => {
        throw new Error('no');
      },
    });
    const second = setUp(throwing);
    second.end('a');
    expect(await second.processor.flush(1_000)).toBe(false);
    expect(second.processor.stats().exported).toBe(1);
  });
});

it('counts the spans of a batch in which something of ours failed', async () => {
  const exporter = new MemoryExporter();
  const { processor, end } = setUp(exporter);
  const resource = makeResource();
  const broken = Object.assign(resource, {
    asyncAttributesPending: true,
    waitForAsyncAttributes() {
      throw new Error('injected');
    },
  });
  startSpan({ name: 'lost', processor, resource: broken }).end();
  expect(await processor.flush(1_000)).toBe(false);
  expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 0, dropped: { export_failed: 1 } });
  expect(lines).toEqual(['hookline: internal error while exporting to mine: injected\n']);
  end('next');
  expect(await processor.flush(1_000)).toBe(true);
  expect(exporter.names).toEqual([['next']]);
});
