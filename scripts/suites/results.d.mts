export type Outcome = 'passed' | 'failed' | 'skipped' | 'missing';
export interface Test {
  outcome: Outcome;
  why?: string;
}
export type Tests = Map<string, Test>;
export interface Difference {
  file: string;
  name: string;
  bare: Outcome;
  traced: Outcome;
  why?: string;
}
export type Way = 'bare' | 'empty' | 'traced' | 'silent';
export const PROCESS: string;
export function parseReport(lines: string): Tests;
export function parseOutput(output: string, patterns: Partial<Record<Outcome, RegExp>>): Tests;
export function ownLines(output: string): string[];
export function differences(bare: Map<string, Tests>, traced: Map<string, Tests>): Difference[];
export function causeOf(
  difference: Pick<Difference, 'bare' | 'traced'>,
  again: Record<Way, Outcome[]>,
): 'flaky' | 'preload' | 'headers' | 'agent';
export function count(run: Map<string, Tests>): { passed: number; failed: number; skipped: number };
