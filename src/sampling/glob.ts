/**
 * A text with `*` for any characters and `?` for one; everything else stands for itself.
 *
 * Not turned into a regular expression, whose time on a hostile text can grow with a power of its length. Here each part
 * between two stars is looked for once, from where the one before it ended: the leftmost place is always the best.
 * Parts without `?` are found in time linear in the text (Knuth, Morris and Pratt); a part with `?` is compared at each
 * place, which its own length bounds.
 */
export class Glob {
  readonly #first: string;
  readonly #last: string | undefined;
  readonly #middle: readonly Part[];
  /** The shortest text that can match. */
  readonly #minLength: number;

  constructor(readonly pattern: string) {
    const parts = pattern.split('*');
    this.#first = parts[0] as string;
    this.#last = parts.length > 1 ? (parts[parts.length - 1] as string) : undefined;
    this.#middle = parts
      .slice(1, -1)
      .filter((part) => part !== '')
      .map(toPart);
    this.#minLength = parts.reduce((length, part) => length + part.length, 0);
  }

  matches(text: string): boolean {
    const first = this.#first;
    if (this.#last === undefined) return text.length === first.length && equalsAt(text, 0, first);
    if (text.length < this.#minLength || !equalsAt(text, 0, first)) return false;
    const end = text.length - this.#last.length;
    if (!equalsAt(text, end, this.#last)) return false;
    let at = first.length;
    for (const part of this.#middle) {
      const found = find(text, at, end, part);
      if (found < 0) return false;
      at = found + part.text.length;
    }
    return true;
  }
}

interface Part {
  readonly text: string;
  /** For each length of a match that went wrong, how long a match it leaves; `undefined` where a `?` makes it untrue. */
  readonly failure: readonly number[] | undefined;
}

function toPart(text: string): Part {
  if (text.includes('?')) return { text, failure: undefined };
  const failure = [0];
  for (let i = 1, length = 0; i < text.length; i++) {
    while (length > 0 && text[i] !== text[length]) length = failure[length - 1] as number;
    if (text[i] === text[length]) length++;
    failure.push(length);
  }
  return { text, failure };
}

const QUESTION_MARK = 0x3f;

function equalsAt(text: string, at: number, part: string): boolean {
  if (at < 0 || at + part.length > text.length) return false;
  for (let i = 0; i < part.length; i++) {
    const code = part.charCodeAt(i);
    if (code !== QUESTION_MARK && code !== text.charCodeAt(at + i)) return false;
  }
  return true;
}

/** Where `part` first lies between `from` and `end`; negative when it does not. */
function find(text: string, from: number, end: number, { text: part, failure }: Part): number {
  if (failure === undefined) {
    for (let at = from; at + part.length <= end; at++) if (equalsAt(text, at, part)) return at;
    return -1;
  }
  for (let at = from, length = 0; at < end; at++) {
    const code = text.charCodeAt(at);
    while (length > 0 && code !== part.charCodeAt(length)) length = failure[length - 1] as number;
    if (code === part.charCodeAt(length)) length++;
    if (length === part.length) return at - length + 1;
  }
  return -1;
}
