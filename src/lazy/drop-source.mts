/**
 * Runs on the loader thread, behind the application's own customisation hooks: takes the source of target files away
 * again, so that Node compiles them itself and the compile step sees them.
 */
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
  return patterns.some((pattern) => url.includes(pattern)) ? { ...result, source: undefined } : result;
}
