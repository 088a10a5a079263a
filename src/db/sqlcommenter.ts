/** Name and value, neither encoded. */
export type CommentField = readonly [name: string, value: string];

/**
 * The statement with the fields in a block comment at its end, as `traceparent='00-…-01',tracestate='…'`. The comment
 * goes before a closing semicolon, so that it belongs to the statement. Names are sorted, names and values URL-encoded; nothing in
 * them can close the comment or be taken for a placeholder.
 *
 * The statement comes back as it is when it is empty, when there are no fields, and when it has, or seems to have, a
 * comment. `--` and `/*` within a literal count too: reading them apart is not worth a scan of the whole text.
 * sqlcommenter specification, "Comment escaping", "Key value serialization" and "Affix comment".
 */
export function appendTraceComment(sql: string, fields: readonly CommentField[]): string {
  if (fields.length === 0 || sql.includes('/*') || sql.includes('--')) return sql;
  let end = sql.length;
  while (end > 0 && closes(sql.charCodeAt(end - 1))) end--;
  if (end === 0) return sql;
  const pairs = [...fields]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(encodePair)
    .filter((pair) => pair !== '');
  return pairs.length === 0 ? sql : `${sql.slice(0, end)} /*${pairs.join(',')}*/${sql.slice(end)}`;
}

/** A blank or a semicolon. */
function closes(code: number): boolean {
  return code <= 32 || code === 59;
}

/** `name='value'`; '' when either is empty, or holds half a surrogate pair, which has no URL encoding. */
function encodePair([name, value]: CommentField): string {
  if (name === '' || value === '') return '';
  try {
    // encodeURIComponent leaves `!`, and a comment that starts with it is executed by MySQL.
    const key = encodeURIComponent(name).replaceAll('!', '%21').replaceAll("'", "\\'");
    return `${key}='${encodeURIComponent(value).replaceAll("'", "\\'")}'`;
  } catch {
    return '';
  }
}
