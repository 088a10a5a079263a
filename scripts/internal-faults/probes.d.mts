/** The code with a probe in every function: `globalThis.__hooklineFault?.(id)` before its first step. */
export function withProbes(
  code: string,
  file: string,
  lineOf: (position: { line: number; column: number }) => number,
): string;
