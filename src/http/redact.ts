const REDACTED = 'REDACTED';

/**
 * Replaces the values of sensitive query parameters; keys and order stay (conventions: `url.query`). `query` comes
 * without its `?`. Linear in its length.
 */
export function redactQuery(query: string, sensitive: ReadonlySet<string>): string {
  if (sensitive.size === 0) return query;
  const lengths = lengthsOf(sensitive);
  let redacted = '';
  let copied = 0;
  for (let start = 0; start <= query.length; ) {
    let end = query.indexOf('&', start);
    if (end < 0) end = query.length;
    const equals = query.indexOf('=', start);
    // Only a name of the right length is worth cutting out and looking up.
    if (equals >= start && equals < end && lengths[equals - start] === 1 && sensitive.has(query.slice(start, equals))) {
      redacted += query.slice(copied, equals + 1) + REDACTED;
      copied = end;
    }
    start = end + 1;
  }
  return copied === 0 ? query : redacted + query.slice(copied);
}

let measured: ReadonlySet<string> | undefined;
let measuredLengths: readonly (1 | undefined)[] = [];

/** `1` at each length that a name of the list has. There is one list in a process. */
function lengthsOf(sensitive: ReadonlySet<string>): readonly (1 | undefined)[] {
  if (sensitive !== measured) {
    const lengths: (1 | undefined)[] = [];
    for (const name of sensitive) lengths[name.length] = 1;
    measured = sensitive;
    measuredLengths = lengths;
  }
  return measuredLengths;
}

/** The same for a path with query, or a whole URL; a fragment stays as it is. */
export function redactTarget(target: string, sensitive: ReadonlySet<string>): string {
  const mark = target.indexOf('?');
  if (mark < 0) return target;
  const hash = target.indexOf('#', mark);
  const end = hash < 0 ? target.length : hash;
  const query = target.slice(mark + 1, end);
  const redacted = redactQuery(query, sensitive);
  return redacted === query ? target : target.slice(0, mark + 1) + redacted + target.slice(end);
}

/** An absolute URL without user name and password: they become REDACTED (conventions: `url.full`). */
export function redactUserInfo(url: string): string {
  const scheme = url.indexOf('://');
  if (scheme < 0) return url;
  const start = scheme + 3;
  let end = url.length;
  for (let i = start; i < url.length; i++) {
    const code = url.charCodeAt(i);
    // `/`, `?`, `#` and, as URL parsers read it, `\` end the authority.
    if (code === 47 || code === 63 || code === 35 || code === 92) {
      end = i;
      break;
    }
  }
  const at = url.lastIndexOf('@', end - 1);
  if (at < start) return url;
  return `${url.slice(0, start)}${REDACTED}:${REDACTED}${url.slice(at)}`;
}
