import type { Row } from './rows.mjs';

export function ratio(row: Row): number | undefined;
export function judge(row: Row): { target: string; verdict: string; met: boolean | undefined };
export function number(value: number): string;
