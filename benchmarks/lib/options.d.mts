export interface Options<Benchmark> {
  quick: boolean;
  rounds: number | undefined;
  peers: string[];
  selected: Benchmark[];
  node?: string;
  nodes: string[] | undefined;
  json?: string;
  table: boolean;
  readme: boolean;
}

/** Throws an error with one line for the user. */
export function parseOptions<Benchmark extends { name: string; group: string }>(
  args: string[],
  benchmarks: readonly Benchmark[],
): Options<Benchmark>;
