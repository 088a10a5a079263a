/** Called by the line that is appended to a target file, with the module that was just evaluated. */
export const HIT = 'hookline.hit';

/** The source of a CommonJS file with that call. */
export function withHit(source: unknown, path: string): string {
  const text = typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8');
  return `${text}\n;globalThis[Symbol.for('${HIT}')]?.(${JSON.stringify(path)}, module);`;
}
