import type { Tests } from './results.mjs';

export function parseTap(text: string): Tests;
