/** Called by the line that is appended to a target file, with its URL and the module that was just evaluated. */
export const HIT = 'hookline.hit';

/** The source of a CommonJS file with that call; `url` is the file's. */
export function withHit(source: unknown, url: string): string {
  const text = typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8');
  return `${text}\n;globalThis[Symbol.for('${HIT}')]?.(${JSON.stringify(url)}, module);`;
}
