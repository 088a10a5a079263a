import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BENCHMARKS } from '../../benchmarks/index.mjs';
import { type Bench, openBench } from '../../benchmarks/lib/bench.mjs';
import { resultText } from '../../benchmarks/lib/report.mjs';
import { toRow } from '../../benchmarks/lib/rows.mjs';

// Every benchmark once, with next to no operations: that it runs, that all spans are made and arrive, that its rows can
// be shown. The numbers themselves mean nothing here.

const COUNTS = { warmUp: 20, window: 20, windows: 1, operations: 1000 };

let bench: Bench;

beforeAll(async () => {
  bench = await openBench({ quick: true, rounds: 1, counts: COUNTS });
});

afterAll(() => bench.close());

it('has each name once', () => {
  const names = BENCHMARKS.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
});

describe.each(BENCHMARKS.map((benchmark) => [benchmark.name, benchmark] as const))('%s', (_name, { run }) => {
  it('runs, and counts its spans', async () => {
    const rows = (await run(bench)).map((row) => toRow(row));
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      const { title, spans, variants, subject = 'hookline' } = row;
      for (const [variant, { median }] of Object.entries(variants))
        expect(Number.isFinite(median), `${title}, ${variant}`).toBe(true);
      expect(variants, title).toHaveProperty(subject);
      if (spans === undefined) continue;
      expect(variants['bare'], title).toMatchObject({ spansPerOperation: 0, spans: 0 });
      expect(variants['hookline'], title).toMatchObject({ spansPerOperation: spans, lostShare: 0 });
      expect(variants['hookline']?.spans, title).toBe(spans * COUNTS.window);
    }
    const run1 = { node: process.versions.node, variants: [], rows };
    const text = resultText({ date: new Date().toISOString(), version: '', machine: '', mode: 'quick', runs: [run1] });
    for (const { title } of rows) expect(text).toContain(title);
  });
});
