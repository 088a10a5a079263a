/**
 * Whether a request target is on the operator's list: exact paths, or prefixes that end in `*`. The query does not
 * count.
 */
export function isIgnored(target: string | undefined, patterns: readonly string[]): boolean {
  if (patterns.length === 0 || target === undefined) return false;
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  return patterns.some((pattern) => (pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern));
}
