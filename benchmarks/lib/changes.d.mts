import type { Measured } from './rows.mjs';

export interface Change {
  title: string;
  unit: string;
  cost: number;
  change: number;
  noise: number;
  verdict: 'no difference' | 'less' | 'more';
}

export function toChange(title: string, unit: string, rounds: Record<string, Measured>[]): Change;
export function compareText(changes: readonly Change[], base: string): string;
