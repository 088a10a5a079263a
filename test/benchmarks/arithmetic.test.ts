import { describe, expect, it } from 'vitest';
import { compareText, toChange } from '../../benchmarks/lib/changes.mjs';
import { countDatadogSpans, countOtlpSpans } from '../../benchmarks/lib/count-spans.mjs';
import { parseOptions } from '../../benchmarks/lib/options.mjs';
import { type Results, readmeText, resultText } from '../../benchmarks/lib/report.mjs';
import { type Measured, type RawRow, type Target, toRow } from '../../benchmarks/lib/rows.mjs';
import {
  byRound,
  interleave,
  mean,
  median,
  medianError,
  quantile,
  summarize,
} from '../../benchmarks/lib/statistics.mjs';
import { markdown, nodesTable, peersTable } from '../../benchmarks/lib/table.mjs';
import { judge, number, ratio } from '../../benchmarks/lib/targets.mjs';
import { growth } from '../../benchmarks/memory.mjs';
import { encodeResource, SpanBatch } from '../../src/export/encode';

// What the numbers of a benchmark come to. No test says how large any of them is to be.

describe('statistics', () => {
  it('finds quantiles of unsorted values, between two where they fall there', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(quantile([40, 10, 30, 20, 50], 0)).toBe(10);
    expect(quantile([40, 10, 30, 20, 50], 1)).toBe(50);
    expect(quantile([0, 10], 0.1)).toBeCloseTo(1);
    expect(mean([1, 2, 6])).toBe(3);
    expect(summarize([3, 1, 2])).toEqual({ median: 2, p10: 1.2, min: 1 });
  });

  it('estimates how far a median may be off, less with more values, and not for one outlier', () => {
    const few = [9, 10, 11];
    const many = Array.from({ length: 12 }, () => few).flat();
    expect(medianError(few)).toBeGreaterThan(0);
    expect(medianError(many)).toBeLessThan(medianError(few));
    expect(medianError([10, 10, 10, 10, 1000])).toBe(0);
    expect(medianError([10])).toBe(0);
  });

  it('measures every variant once per round, every other round backwards', async () => {
    const order: string[] = [];
    const take = (name: string) => (round: number) => {
      order.push(`${name}${round}`);
      return order.length;
    };
    const lists = await interleave({ a: take('a'), b: take('b') }, { rounds: 3 });
    expect(order).toEqual(['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
    expect(lists).toEqual({ a: [1, 4, 5], b: [2, 3, 6] });
    expect(byRound(lists)).toEqual([
      { a: 1, b: 2 },
      { a: 4, b: 3 },
      { a: 5, b: 6 },
    ]);
  });

  it('looks for growth at the lower of the first and the last steps, not at a spike', () => {
    expect(growth([900, 100, 300, 110, 100, 100, 100, 500, 120, 105])).toBe(5);
    expect(growth([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).toBe(6);
  });
});

const samples = (...values: number[]): Measured => ({ samples: values });

function row(rounds: RawRow['rounds'], more: Partial<RawRow> = {}) {
  return toRow({ name: 'http', title: 'http hello', unit: 'µs', compare: 'difference', rounds, ...more });
}

describe('rows', () => {
  it('takes differences between samples of one index, so that a slow minute cancels out', () => {
    const { variants } = row([
      { bare: samples(10, 100), hookline: samples(12, 102) },
      { bare: samples(1000), hookline: samples(1002) },
    ]);
    expect(variants['hookline']).toMatchObject({ median: 102, difference: 2, differenceError: 0, min: 12 });
    expect(variants['bare']).not.toHaveProperty('difference');
  });

  it('says which share of the spans got lost', () => {
    const counted = (spans: number) => ({ ...samples(1), spansPerOperation: 2, expectedSpans: 100, spans });
    const { variants } = row([
      {
        bare: { ...samples(1), spansPerOperation: 0, expectedSpans: 0, spans: 0 },
        hookline: counted(100),
        otel: counted(90),
      },
      {
        bare: { ...samples(1), spansPerOperation: 0, expectedSpans: 0, spans: 0 },
        hookline: counted(101),
        otel: counted(60),
      },
    ]);
    expect(variants['bare']).toMatchObject({ lostShare: 0 });
    expect(variants['hookline']).toMatchObject({ spans: 201, lostShare: 0, spansPerOperation: 2 });
    expect(variants['otel']).toMatchObject({ spans: 150, lostShare: 0.25 });
  });
});

describe('targets', () => {
  const measured = { bare: samples(10), hookline: samples(13), otel: samples(30), again: samples(10.5) };
  const judged = (target: Target, more: Partial<RawRow> = {}) => judge(row([measured], { target, ...more }));

  it('compares what agents add, not what the application takes', () => {
    expect(ratio(row([measured]))).toBeCloseTo(3 / 20);
    expect(ratio(row([measured], { compare: 'absolute' }))).toBeCloseTo(13 / 30);
    expect(ratio(row([measured], { subject: 'again', reference: 'hookline' }))).toBeCloseTo(0.5 / 3);
  });

  it('says met, or by how much not', () => {
    expect(judged({ ratio: 0.2 })).toEqual({ target: '≤ 0.20', verdict: 'met', met: true });
    expect(judged({ ratio: 0.1 })).toEqual({ target: '≤ 0.10', verdict: '0.05 over', met: false });
    expect(judged({ ratio: 0.2, atMost: 2.5 })).toEqual({
      target: '≤ 0.20, ≤ 2.50 µs',
      verdict: '0.50 µs over',
      met: false,
    });
    expect(judged({ over: 0.03 })).toEqual({ target: '≤ 3.0 %', verdict: '27.0 % over', met: false });
    expect(judged({ over: 0.3 }).met).toBe(true);
  });

  it('takes nothing for nothing when the bare application differs from itself as much', () => {
    expect(judged({ nothing: true })).toMatchObject({ target: '≤ 0.50 µs', met: false });
    expect(judged({ nothing: true }, { subject: 'again' }).met).toBe(true);
    expect(judged({ asLittleAs: 'otel' })).toMatchObject({ target: '≤ 20.0 µs', met: true });
  });

  it('says so when there is nothing to compare with, also when that is lost in the noise', () => {
    const { otel, ...alone } = measured;
    expect(otel).toBeDefined();
    const target = { ratio: 0.2 };
    expect(judge(row([alone], { target }))).toEqual({ target: '≤ 0.20', verdict: 'not measured', met: undefined });
    expect(judge(row([{ ...alone, otel: samples(9) }], { target })).verdict).toBe('not measured');
    expect(judge(row([measured]))).toEqual({ target: '', verdict: '', met: undefined });
  });

  it('writes numbers with the digits that say something', () => {
    expect([0.123, 3.456, 34.56, 345.6, -2].map(number)).toEqual(['0.12', '3.46', '34.6', '346', '−2.00']);
  });
});

describe('tables', () => {
  const variants = [
    { name: 'bare', title: 'bare or floor' },
    { name: 'hookline', title: 'Hookline' },
    { name: 'otel', title: 'OpenTelemetry, traces only', packages: ['otel@1.0.0'] },
    { name: 'dd', title: 'dd-trace' },
  ];
  const http = row([{ bare: samples(10), hookline: samples(13), otel: samples(30) }], { target: { ratio: 0.2 } });
  const span = row([{ floor: samples(100), hookline: samples(400), 'hookline-api': samples(500) }], {
    name: 'span',
    title: 'span',
    unit: 'ns',
    compare: 'absolute',
  });

  it('has a column per agent that was measured', () => {
    expect(peersTable([http, span], variants)).toBe(
      [
        '| benchmark  | unit | bare or floor | Hookline | OpenTelemetry, traces only | ratio | target | verdict |',
        '| ---------- | ---- | ------------: | -------: | -------------------------: | ----: | ------ | ------- |',
        '| http hello | µs   |          10.0 |    +3.00 |                      +20.0 |  0.15 | ≤ 0.20 | met     |',
        '| span       | ns   |           100 |      400 |                            |       |        |         |',
      ].join('\n'),
    );
    const api = { ...span, subject: 'hookline-api' };
    expect(peersTable([api], variants)).toContain('| span      | ns   |           100 |      500 |');
  });

  it('has a column per Node.js, also where one was not measured', () => {
    expect(
      nodesTable([
        { node: '20.0.0', rows: [http, span] },
        { node: '24.0.0', rows: [http] },
      ]),
    ).toBe(
      [
        '| benchmark  | unit | target |     Node 20.0.0 |     Node 24.0.0 |',
        '| ---------- | ---- | ------ | --------------: | --------------: |',
        '| http hello | µs   | ≤ 0.20 | +3.00, 0.15, met | +3.00, 0.15, met |',
        '| span       | ns   |        |             400 |               – |',
      ]
        .join('\n')
        .replaceAll('Node 2', ' Node 2')
        .replaceAll('--:', '---:')
        .replace('             400', '              400')
        .replace('               – |', '                – |'),
    );
  });

  it('aligns Markdown', () => {
    expect(
      markdown(
        [
          ['a', 'number'],
          ['bcd', '1'],
        ],
        (column) => column === 1,
      ),
    ).toBe('| a   | number |\n| --- | -----: |\n| bcd |      1 |');
  });

  const results = (rows: Results['runs'][0]['rows']): Results => ({
    date: '2026-01-02T03:04:05.000Z',
    version: '1.2.3',
    machine: 'a processor, 2 cores',
    mode: 'full',
    runs: [{ node: '20.0.0', variants, rows }],
  });

  it('tells who lost spans, by how much and where', () => {
    const counted = (spans: number) => ({ ...samples(1), spansPerOperation: 1, expectedSpans: 100, spans });
    const all = row([{ bare: samples(1), hookline: counted(100), otel: counted(100) }]);
    expect(resultText(results([all]))).toContain('All spans of all agents were exported');
    const some = row([{ bare: samples(1), hookline: counted(100), otel: counted(98) }]);
    expect(resultText(results([some]))).toContain(
      'OpenTelemetry, traces only lost 2.0 % of its spans: http hello, Node.js 20.0.0.',
    );
    expect(resultText(results([span]))).not.toContain('spans of all agents');
  });

  it('has for README.md the machine, the versions and the date', () => {
    const text = readmeText(results([http, span]));
    expect(text.split('\n')[0]).toBe(
      'Hookline 1.2.3 on Node.js 20.0.0; a processor, 2 cores; 2026-01-02; `npm run bench`.',
    );
    expect(text).toContain('Compared with otel@1.0.0.');
    expect(text).toContain('1 of 1 targets are met.');
    expect(text).toContain(peersTable([http, span], variants));
  });
});

describe('changes', () => {
  const round = (head: number[], again: number[]) => ({
    bare: samples(10, 10, 10),
    base: samples(14, 15, 16),
    head: samples(...head),
    again: samples(...again),
  });

  it('tells a change from what a build differs from itself', () => {
    const quiet = [14.1, 15.1, 16.1];
    expect(toChange('http', 'µs', [round([12, 13, 14], quiet)])).toMatchObject({
      cost: 5,
      change: -2,
      verdict: 'less',
    });
    expect(toChange('http', 'µs', [round([16, 17, 18], quiet)])).toMatchObject({ change: 2, verdict: 'more' });
    expect(toChange('http', 'µs', [round([12, 13, 14], [17, 18, 19])])).toMatchObject({ verdict: 'no difference' });
  });

  it('takes all of a part for its cost, where there is no bare application', () => {
    const { bare, ...rest } = round([12, 13, 14], [14, 15, 16]);
    expect(bare).toBeDefined();
    const change = toChange('span', 'ns', [rest]);
    expect(change).toMatchObject({ cost: 15, change: -2 });
    expect(compareText([change], 'abc')).toContain('| span      | ns   |        15.0 |  −2.00 |       −13 % |');
  });
});

describe('the command line', () => {
  const benchmarks = [
    { name: 'http', group: 'scenarios' },
    { name: 'pg', group: 'calls' },
    { name: 'mysql2', group: 'calls' },
  ];
  const parse = (...args: string[]) => parseOptions(args, benchmarks);

  it('selects by name and by group, and everything without', () => {
    expect(parse().selected).toEqual(benchmarks);
    expect(parse('http').selected.map(({ name }) => name)).toEqual(['http']);
    expect(parse('calls', 'http').selected.map(({ name }) => name)).toEqual(['http', 'pg', 'mysql2']);
    expect(() => parse('htp')).toThrow('no benchmark is called htp; there are scenarios, http, calls, pg, mysql2');
  });

  it('takes all peers, or the one that ratios are to in a quick run, or those that are named', () => {
    expect(parse().peers).toEqual(['otel', 'otel-default', 'dd', 'elastic']);
    expect(parse('--quick').peers).toEqual(['otel']);
    expect(parse('--quick', '--peers=dd,otel').peers).toEqual(['dd', 'otel']);
    expect(parse('--peers=none').peers).toEqual([]);
    expect(() => parse('--peers=newrelic')).toThrow(/^no peer is called newrelic; there are otel, /);
  });

  it('knows the newest of each line of Node.js, and takes exact versions', () => {
    expect(parse('--nodes=20,22.11.0').nodes).toEqual([expect.stringMatching(/^20\.\d+\.\d+$/), '22.11.0']);
    expect(parse('--rounds=3').rounds).toBe(3);
    expect(() => parse('--rounds=0')).toThrow('--rounds is a positive number, not 0');
    expect(() => parse('--fast')).toThrow();
  });
});

describe('counting spans', () => {
  it('counts those of OTLP requests, several scopes and none included', () => {
    const resource = encodeResource({ attributes: { 'service.name': 'test' } } as never);
    expect(countOtlpSpans(new SpanBatch().toRequest(resource))).toBe(0);
    // Two resources; in the first one scope with two spans and one with one, in the second none.
    const field = (number: number, ...parts: number[][]) => {
      const content = parts.flat();
      return [(number << 3) | 2, content.length, ...content];
    };
    const one = field(2, [0x0a, 1, 7]);
    const first = field(1, field(1), field(2, field(1), one, one), field(2, one));
    expect(countOtlpSpans(Uint8Array.from([...first, ...field(1, field(1))]))).toBe(3);
  });

  it("counts those of Datadog's agent protocol, whatever is in them", () => {
    const spanWith = (...bytes: number[]) => [0x82, 0xa1, 0x61, ...bytes, 0xa1, 0x62, 0xc0];
    const values = [
      [0x05], // a small number
      [0xff], // a negative one
      [0xcc, 200],
      [0xd1, 1, 2],
      [0xce, 1, 2, 3, 4],
      [0xcf, 1, 2, 3, 4, 5, 6, 7, 8],
      [0xcb, 1, 2, 3, 4, 5, 6, 7, 8],
      [0xd9, 2, 0x61, 0x62],
      [0xda, 0, 1, 0x61],
      [0xdb, 0, 0, 0, 1, 0x61],
      [0xc4, 1, 0],
      [0xc2],
      [0x92, 1, 2],
      [0xdc, 0, 1, 3],
      [0xde, 0, 1, 0xa1, 0x6b, 0xc3],
      [0xdf, 0, 0, 0, 1, 0xa1, 0x6b, 0x01],
    ];
    const spans = values.map((value) => spanWith(...value));
    const traces = [0x93, 0x90, 0x91, ...spanWith(1), 0xdc, 0, spans.length, ...spans.flat()];
    expect(countDatadogSpans(Buffer.from(traces))).toBe(spans.length + 1);
    expect(countDatadogSpans(Buffer.from([0xdd, 0, 0, 0, 1, 0x90]))).toBe(0);
    expect(() => countDatadogSpans(Buffer.from([0x81]))).toThrow('no array');
    expect(() => countDatadogSpans(Buffer.from([0x91, 0x91, 0xc1]))).toThrow('unexpected type');
  });
});
