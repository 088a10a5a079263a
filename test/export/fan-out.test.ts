import { describe, expect, it } from 'vitest';
import { ExporterProcessor, type SpanExporter } from '../../src/export/exporter-processor';
import { FanOut } from '../../src/export/fan-out';
import { setLogSink } from '../../src/log';
import { BATCH, startSpan } from './support';

function part(name: string, code: number, batch = {}): ExporterProcessor {
  const exporter: SpanExporter = { export: (_spans, done) => done({ code }) };
  return new ExporterProcessor(name, () => exporter, { ...BATCH, ...batch });
}

describe('several exporters', () => {
  it('have counts of their own beside the sums', async () => {
    setLogSink(() => {});
    const processor = new FanOut([part('good', 0), part('bad', 1)], ['good', 'bad']);
    for (let i = 0; i < 3; i++) startSpan({ processor }).end();
    expect(await processor.flush(1_000)).toBe(false);
    const none = { queued: 0, inFlight: 0 };
    expect(processor.stats()).toEqual({
      ...{ ...none, exported: 3, dropped: { export_failed: 3 } },
      exporters: {
        good: { ...none, exported: 3, dropped: {} },
        bad: { ...none, exported: 0, dropped: { export_failed: 3 } },
      },
    });
    expect(processor.hasLosses()).toBe(true);
    expect(processor.lastLosses()).toEqual([{ to: 'by bad', counts: { export_failed: 3 } }]);
    expect(processor.hasLosses()).toBe(false);
    setLogSink(undefined);
  });

  it('whose names are not told have none', () => {
    expect(new FanOut([part('a', 0), part('b', 0)]).stats()).toEqual({
      ...{ queued: 0, inFlight: 0, exported: 0, dropped: {} },
    });
  });

  it('of which one is broken still tell what the others lost', () => {
    const broken = new Proxy(part('broken', 0), {
      get: () => () => {
        throw new Error('bug');
      },
    });
    setLogSink(() => {});
    const processor = new FanOut(
      [broken, part('full', 0, { maxQueueSize: 1, maxExportBatchSize: 1 })],
      ['broken', 'full'],
    );
    for (let i = 0; i < 3; i++) startSpan({ processor }).end();
    expect(processor.stats()).toMatchObject({ queued: 1, dropped: { queue_full: 2 } });
    // One more was waiting, for which no event loop will turn.
    expect(processor.lastLosses()).toEqual([{ to: 'by full', counts: { queue_full: 2, exit_timeout: 1 } }]);
    setLogSink(undefined);
  });
});
