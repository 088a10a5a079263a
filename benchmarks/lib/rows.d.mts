export interface Measured {
  samples: number[];
  spansPerOperation?: number;
  expectedSpans?: number;
  spans?: number;
}

export interface Target {
  ratio?: number;
  atMost?: number;
  over?: number;
  asLittleAs?: string;
  nothing?: true;
}

interface Described {
  name: string;
  title: string;
  unit: string;
  compare: 'difference' | 'absolute';
  /** The variant that the row is about; default: the agent. */
  subject?: string;
  /** What its ratio is to; default: OpenTelemetry, traces only. */
  reference?: string;
  target?: Target | undefined;
  /** That one operation is to make. */
  spans?: number;
}

export interface RawRow extends Described {
  rounds: Record<string, Measured>[];
}

export interface Summary {
  median: number;
  p10: number;
  min: number;
  mean: number;
  difference?: number;
  differenceError?: number;
  spansPerOperation?: number;
  spans?: number;
  lostShare?: number;
  samples: number[][];
}

export interface Row extends Described {
  variants: Record<string, Summary>;
}

export function toRow(row: RawRow, base?: string): Row;
