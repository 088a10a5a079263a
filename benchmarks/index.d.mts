import type { Bench } from './lib/bench.mjs';
import type { RawRow } from './lib/rows.mjs';

export interface Benchmark {
  name: string;
  group: string;
  run(bench: Bench): Promise<RawRow[]>;
}

export const BENCHMARKS: readonly Benchmark[];
