import type { Benchmark } from './index.mjs';

export const MEMORY: readonly Benchmark[];
export function growth(steps: readonly number[]): number;
