/**
 * Runs on the loader thread, behind the application's own customisation hooks. Node evaluates a CommonJS file whose source they
 * return past the compile step, so the source of target files gets a call appended. The source stays theirs: they may have
 * changed it, and Node itself cannot read files in Yarn's archives.
 *
 * It imports nothing: its own imports go through their hooks too, and some put files in the place of built-ins that make sense on the
 * application's thread only.
 */
import { withHit } from '../hook/hit';

interface LoadResult {
  format?: string | null;
  source?: unknown;
}

let patterns: string[] = [];

export function initialize({ names }: { names: string[] }): void {
  patterns = names.map((name) => `/node_modules/${name}/`);
}

export async function load(
  url: string,
  context: unknown,
  next: (url: string, context: unknown) => Promise<LoadResult>,
): Promise<LoadResult> {
  const result = await next(url, context);
  if (result.format !== 'commonjs' || result.source === null || result.source === undefined) return result;
  if (!url.startsWith('file:') || !patterns.some((pattern) => url.includes(pattern))) return result;
  try {
    return { ...result, source: withHit(result.source, url) };
  } catch {
    // No text; Node says so.
    return result;
  }
}
