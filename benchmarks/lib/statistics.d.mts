export function quantile(values: readonly number[], share: number): number;
export function median(values: readonly number[]): number;
export function mean(values: readonly number[]): number;
export function summarize(values: readonly number[]): { median: number; p10: number; min: number };
export function medianError(values: readonly number[]): number;
export function interleave<Measured>(
  variants: Record<string, (round: number) => Measured | Promise<Measured>>,
  limits: { rounds: number },
): Promise<Record<string, Measured[]>>;
export function byRound<Measured>(lists: Record<string, Measured[]>): Record<string, Measured>[];
