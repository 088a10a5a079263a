import type { Row } from './rows.mjs';

export function peersTable(rows: readonly Row[], variants: readonly { name: string; title: string }[]): string;
export function nodesTable(runs: readonly { node: string; rows: readonly Row[] }[]): string;
export function markdown(lines: readonly string[][], isNumber: (column: number) => boolean): string;
