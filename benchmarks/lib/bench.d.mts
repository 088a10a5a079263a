export interface Counts {
  warmUp: number;
  window: number;
  windows: number;
  /** For what is no workload. */
  operations: number;
}

export interface Bench {
  close(): Promise<void>;
}

export function openBench(options: {
  node?: string;
  quick?: boolean;
  rounds?: number;
  counts?: Counts;
  peers?: string[];
}): Promise<Bench>;
