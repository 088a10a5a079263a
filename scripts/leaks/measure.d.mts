export interface Measured {
  /** Operations so far, and the bytes that were in use after them. */
  samples: [number, number][];
  bytesPerOperation: number;
  variants: string[];
  exported: number;
  dropped: number;
}

export type Mode = 'bare' | 'up' | 'down';

export interface MeasureOptions {
  /** Without the agent, or with a collector that answers or is not there. */
  mode: Mode;
  operations: number;
  /** How often memory is looked at. */
  points: number;
  serviceUrl?: string | undefined;
  /** Separated by `|`; default: all. */
  variants?: string;
  /** What the application keeps on purpose for each operation. */
  plant?: 'object' | 'span';
  node?: string;
}

/** By name: which server a library needs. */
export const LIBRARIES: Record<string, { service?: 'postgres' | 'mysql' | 'amqp' }>;

/** One run of a library's operations. Rejects with what the application complained about. */
export function measure(library: string, options: MeasureOptions): Promise<Measured>;

/** What is wrong with traced runs, compared with the bare one; empty when nothing is. */
export function verdictOf(runs: Partial<Record<Mode, Measured>> & { bare: Measured }, operations: number): string[];
