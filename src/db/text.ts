/**
 * The text, or its first `maxLength` UTF-16 units (one less where that would split a surrogate pair).
 * A cut text is a copy: a slice would keep the whole original alive for as long as a span carries it.
 */
export function cutText(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : copy(text.slice(0, cutLength(text, maxLength)));
}

/** How many UTF-16 units `cutText` keeps. */
export function cutLength(text: string, maxLength: number): number {
  if (text.length <= maxLength) return text.length;
  if (maxLength <= 0) return 0;
  const last = text.charCodeAt(maxLength - 1);
  return last >= 0xd800 && last < 0xdc00 ? maxLength - 1 : maxLength;
}

/** The same text in memory of its own. Lone surrogates become U+FFFD, as they do when a span is encoded. */
export function copy(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
