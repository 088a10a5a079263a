import type { Row } from './rows.mjs';

export interface Results {
  date: string;
  version: string;
  machine: string;
  mode: string;
  runs: { node: string; variants: { name: string; title: string; packages?: string[] }[]; rows: Row[] }[];
}

export function resultText(results: Results): string;
export function readmeText(results: Results): string;
