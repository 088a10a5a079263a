import { COPY, ESCAPE, FALSE, findKeyword, IS, NOT, STDIN, TRUE } from './keywords';

/** Which lexical rules apply: PostgreSQL 9.1 and newer, or MySQL and MariaDB. */
export type SqlDialect = 'postgresql' | 'mysql';

// Kinds of tokens. Blanks are no tokens: they lie between the end of one and the start of the next.
/** Nothing is left. */
export const END = 0;
/** A word that is not quoted: a keyword or a name. */
export const WORD = 1;
/** A quoted name with its quotes. */
export const QUOTED_NAME = 2;
/** A string, a boolean, or whatever else must not be shown, with its prefix. */
export const LITERAL = 3;
/** A number without its sign. */
export const NUMBER = 4;
/** A word that starts with a digit: in MySQL a name, where one is expected. */
export const DIGIT_WORD = 5;
/** `?`, `$1`. */
export const PLACEHOLDER = 6;
/** Any other single character; a field of the scanner holds its code. */
export const PUNCTUATION = 7;
/** A comment, or the opening or closing marker of a MySQL comment that is executed. */
export const COMMENT = 8;

// Classes of ASCII characters.
const OTHER = 0;
const BLANK = 1;
const LETTER = 2;
const DIGIT = 3;
const APOSTROPHE = 4;
const QUOTE = 5;
const BACKTICK = 6;
const DASH = 7;
const SLASH = 8;
const HASH = 9;
const DOLLAR = 10;
const DOT = 11;
const STAR = 12;
const QUESTION = 13;
const SEMICOLON = 14;

/** Beyond the text. */
const NONE = -1;
const LINE_FEED = 10;
const RETURN = 13;
const BACKSLASH = 92;

const classes = new Uint8Array(128);
/** 1 for what a word may contain. */
const wordCodes = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  classes[code] = classOf(code);
  if (/[\w$]/.test(String.fromCharCode(code))) wordCodes[code] = 1;
}

function classOf(code: number): number {
  if (code <= 32 || code === 127) return BLANK;
  const character = String.fromCharCode(code);
  if (/[a-z_]/i.test(character)) return LETTER;
  if (/\d/.test(character)) return DIGIT;
  const index = `'"\`-/#$.*?;`.indexOf(character);
  return index < 0 ? OTHER : APOSTROPHE + index;
}

// Where the text stands with regard to COPY … FROM STDIN; the rows, when they are part of the text, follow the `;`.
const COPY_MAY_START = 0;
const COPY_NO = 1;
const COPY_YES = 2;
const COPY_FROM_STDIN = 3;
const COPY_ROWS = 4;

/**
 * Cuts a statement into tokens, in one pass and without an object per token. What it can not tell for sure it calls a
 * literal, up to the end of the text if need be.
 *
 * PostgreSQL: `standard_conforming_strings` is on. A plain string with a backslash right before a quote would end
 * elsewhere if it were off, so all that follows is one literal; only `ESCAPE '\'` is taken as it stands.
 * MySQL: backslashes escape (no NO_BACKSLASH_ESCAPES) and double quotes make strings (no ANSI_QUOTES): with
 * ANSI_QUOTES, names in double quotes are literals here.
 */
export class SqlScanner {
  readonly dialect: SqlDialect;
  source = '';
  kind = END;
  start = 0;
  end = 0;
  /** Of a word: its id in `keywords.ts`; 0 also where a keyword has no meaning, as in `t.from`, `:from` and `@from`. */
  keyword = 0;
  /** Of punctuation: its code. */
  code = 0;
  /** Id of the keyword that is the token before this one, comments aside; 0 for any other token. */
  previous = 0;

  readonly #mysql: boolean;
  /** The same for this token; it becomes `previous` with the next one. */
  #current = 0;
  #copy = COPY_MAY_START;
  /** In a comment that MySQL executes: where it ends for a server that skips it instead; elsewhere -1. */
  #skippedUntil = -1;

  constructor(dialect: SqlDialect) {
    this.dialect = dialect;
    this.#mysql = dialect === 'mysql';
  }

  /** Starts at the beginning of another text. */
  reset(source: string): void {
    this.source = source;
    this.kind = END;
    this.start = 0;
    this.end = 0;
    this.keyword = 0;
    this.code = 0;
    this.previous = 0;
    this.#current = 0;
    this.#copy = COPY_MAY_START;
    this.#skippedUntil = -1;
  }

  /** Goes to the next token and returns its kind. After the last one it stays at `END`. */
  next(): number {
    const { source } = this;
    const limit = source.length;
    let at = this.end;
    let code = 0;
    let cls = BLANK;
    for (; at < limit; at++) {
      code = source.charCodeAt(at);
      cls = code < 128 ? classes[code]! : isWideBlank(code) ? BLANK : LETTER;
      if (cls !== BLANK) break;
    }
    this.start = at;
    if (at >= limit) {
      this.end = limit;
      this.kind = END;
      return END;
    }
    if (this.#copy === COPY_ROWS) return this.#token(LITERAL, limit);
    if (cls === LETTER) return this.#word(at);
    if (cls === OTHER) return this.#punctuation(at, code);
    switch (cls) {
      case DIGIT:
        return this.#number(at);
      case DOT:
        if (isDigit(codeAt(source, at + 1)) && !endsOperand(codeAt(source, at - 1))) return this.#number(at);
        break;
      case APOSTROPHE:
        return this.#token(LITERAL, this.#string(at, code, this.#mysql));
      case QUOTE:
        return this.#mysql ? this.#token(LITERAL, this.#string(at, code, true)) : this.#quotedName(at, code);
      case BACKTICK:
        if (this.#mysql) return this.#quotedName(at, code);
        break;
      case DASH:
        if (codeAt(source, at + 1) === code && this.#dashesComment(at + 2)) return this.#lineComment(at + 2);
        break;
      case SLASH:
        if (codeAt(source, at + 1) === 42) return this.#mysql ? this.#comment(at) : this.#nestingComment(at);
        break;
      case HASH:
        if (this.#mysql) return this.#lineComment(at + 1);
        break;
      case DOLLAR:
        return this.#mysql ? this.#word(at) : this.#dollar(at);
      case STAR:
        if (at === this.#skippedUntil) {
          this.#skippedUntil = -1;
          return this.#token(COMMENT, at + 2);
        }
        break;
      case QUESTION:
        return this.#token(PLACEHOLDER, at + 1);
      case SEMICOLON:
        this.#copy = this.#copy === COPY_FROM_STDIN ? COPY_ROWS : COPY_MAY_START;
        break;
    }
    return this.#punctuation(at, code);
  }

  #token(kind: number, end: number, keyword = 0): number {
    // A server that skips this comment sees it end inside of the token and goes on from there.
    if (this.#skippedUntil >= 0 && end > this.#skippedUntil && this.start < this.#skippedUntil) {
      kind = LITERAL;
      end = this.source.length;
      keyword = 0;
    }
    this.kind = kind;
    this.end = end;
    this.keyword = keyword;
    if (kind !== COMMENT) {
      this.previous = this.#current;
      this.#current = keyword;
    }
    return kind;
  }

  #punctuation(at: number, code: number): number {
    this.code = code;
    return this.#token(PUNCTUATION, at + 1);
  }

  #word(at: number): number {
    const { source } = this;
    const limit = source.length;
    const first = source.charCodeAt(at);
    let end = at + 1;
    let code = NONE;
    for (; end < limit; end++) {
      code = source.charCodeAt(end);
      if (code < 128 ? wordCodes[code] === 0 : isWideBlank(code)) break;
    }
    if (end === limit) code = NONE;
    if (code === 39 || code === 34 || code === 38) {
      const literal = this.#prefixed(at, end, first | 32, code);
      if (literal !== 0) return literal;
    }
    // MySQL 9 opens a body of a routine so, older servers read a name: only masking all of the rest is right for both.
    if (this.#mysql && first === 36 && source.lastIndexOf('$', end - 1) > at)
      return this.#token(LITERAL, source.length);
    const before = codeAt(source, at - 1);
    if (before === 46 || before === 58 || before === 64) return this.#token(WORD, end);
    const keyword = findKeyword(source, at, end);
    if (this.#copy === COPY_MAY_START) this.#copy = keyword === COPY ? COPY_YES : COPY_NO;
    else if (this.#copy === COPY_YES && keyword === STDIN) this.#copy = COPY_FROM_STDIN;
    if (keyword === TRUE || keyword === FALSE) {
      // The predicate IS [NOT] TRUE is no value.
      const predicate = this.#current === IS || (this.#current === NOT && this.previous === IS);
      return predicate ? this.#token(WORD, end) : this.#token(LITERAL, end);
    }
    return this.#token(WORD, end, keyword);
  }

  /** A string or quoted name whose prefix is the word from `at` to `end`; 0 when the word is none. */
  #prefixed(at: number, end: number, letter: number, code: number): number {
    const { source } = this;
    const short = end === at + 1;
    if (this.#mysql) {
      // Introducers such as _utf8mb4 stand before both kinds of strings.
      if (code !== 38 && codeAt(source, at) === 95) return this.#token(LITERAL, this.#string(end, code, true));
      return short && code === 39 && (letter === 110 || letter === 98 || letter === 120)
        ? this.#token(LITERAL, this.#string(end, code, true))
        : 0;
    }
    if (!short) return 0;
    if (letter === 117 && code === 38) {
      const quote = codeAt(source, end + 1);
      if (quote === 39) return this.#token(LITERAL, this.#string(end + 1, quote, false));
      return quote === 34 ? this.#quotedName(end + 1, quote) : 0;
    }
    if (code !== 39) return 0;
    if (letter === 101) return this.#token(LITERAL, this.#string(end, code, true));
    return letter === 98 || letter === 110 || letter === 120 ? this.#token(LITERAL, this.#string(end, code, false)) : 0;
  }

  /** Where the string that opens at `at` ends; the end of the text for one that is left open. */
  #string(at: number, quote: number, escapes: boolean): number {
    const { source } = this;
    const limit = source.length;
    /** Whether an odd number of backslashes stands right before, in a string in which they mean nothing. */
    let odd = false;
    for (let i = at + 1; i < limit; i++) {
      const code = source.charCodeAt(i);
      if (code === BACKSLASH) {
        if (escapes) i++;
        else odd = !odd;
        continue;
      }
      if (code !== quote) {
        odd = false;
        continue;
      }
      const doubled = codeAt(source, i + 1) === quote;
      if (odd && (doubled || i !== at + 2 || this.#current !== ESCAPE)) return limit;
      odd = false;
      if (doubled) {
        i++;
        continue;
      }
      const continued = this.#mysql ? -1 : this.#continuation(i + 1);
      if (continued < 0) return i + 1;
      i = continued;
    }
    return limit;
  }

  /** PostgreSQL joins strings with a line break between them; the position of the next one's quote, or -1. */
  #continuation(at: number): number {
    const { source } = this;
    let broken = false;
    for (let i = at; i < source.length; i++) {
      const code = source.charCodeAt(i);
      if (code === LINE_FEED || code === RETURN) broken = true;
      else if (code === 39) return broken ? i : -1;
      else if (code > 32) return -1;
    }
    return -1;
  }

  #quotedName(at: number, quote: number): number {
    const { source } = this;
    for (let i = source.indexOf(QUOTES[quote]!, at + 1); i >= 0; i = source.indexOf(QUOTES[quote]!, i + 1)) {
      if (codeAt(source, i + 1) !== quote) return this.#token(QUOTED_NAME, i + 1);
      i++;
    }
    // Left open or cut: it may hold anything.
    return this.#token(LITERAL, source.length);
  }

  /** `$1`, `$$…$$` and `$tag$…$tag$` of PostgreSQL. */
  #dollar(at: number): number {
    const { source } = this;
    let end = at + 1;
    let code = codeAt(source, end);
    if (isDigit(code)) {
      do code = codeAt(source, ++end);
      while (isDigit(code));
      return this.#token(PLACEHOLDER, end);
    }
    while (code !== 36 && isWordCode(code)) code = codeAt(source, ++end);
    if (code !== 36) return this.#punctuation(at, 36);
    const close = source.indexOf(source.slice(at, end + 1), end + 1);
    return this.#token(LITERAL, close < 0 ? source.length : close + end + 1 - at);
  }

  /** Takes all that could belong to a number, `1abc` too: older PostgreSQL reads `1 abc`, newer reports an error. */
  #number(at: number): number {
    const { source } = this;
    const marker = codeAt(source, at + 1) | 32;
    const prefixed = codeAt(source, at) === 48 && (marker === 120 || marker === 98 || marker === 111);
    let end = at;
    if (this.#mysql && !prefixed) {
      while (isDigit(codeAt(source, end))) end++;
      let code = codeAt(source, end);
      // A lone `e` is what a cut leaves of an exponent.
      if (end > at && isWordCode(code) && !this.#exponent(end) && !this.#loneE(end)) {
        do code = codeAt(source, ++end);
        while (isWordCode(code));
        return this.#token(DIGIT_WORD, end);
      }
    }
    for (let code = codeAt(source, end); ; code = codeAt(source, ++end)) {
      if (code === 46 || (isWordCode(code) && code !== 36)) continue;
      const signed = (code === 43 || code === 45) && !prefixed && this.#exponent(end - 1);
      if (!signed) return this.#token(NUMBER, end);
    }
  }

  /** Whether an `e` stands at `at` that makes the digits before it a power of ten. */
  #exponent(at: number): boolean {
    const { source } = this;
    if ((codeAt(source, at) | 32) !== 101) return false;
    const next = codeAt(source, at + 1);
    return isDigit(next === 43 || next === 45 ? codeAt(source, at + 2) : next);
  }

  #loneE(at: number): boolean {
    return (codeAt(this.source, at) | 32) === 101 && !isWordCode(codeAt(this.source, at + 1));
  }

  /** MySQL wants a blank after the two dashes: `1--1` subtracts there. */
  #dashesComment(at: number): boolean {
    return !this.#mysql || codeAt(this.source, at) <= 32;
  }

  #lineComment(at: number): number {
    const { source } = this;
    const limit = source.length;
    let end = at;
    for (; end < limit; end++) {
      const code = source.charCodeAt(end);
      if (code === LINE_FEED || (code === RETURN && !this.#mysql)) break;
    }
    return this.#token(COMMENT, end);
  }

  /** PostgreSQL nests comments. */
  #nestingComment(at: number): number {
    const { source } = this;
    const limit = source.length;
    let depth = 1;
    for (let i = at + 2; i < limit; i++) {
      const code = source.charCodeAt(i);
      if (code === 42 && codeAt(source, i + 1) === 47) {
        i++;
        if (--depth === 0) return this.#token(COMMENT, i + 1);
      } else if (code === 47 && codeAt(source, i + 1) === 42) {
        i++;
        depth++;
      }
    }
    return this.#token(COMMENT, limit);
  }

  /** A comment of MySQL, or the opening marker of one that it executes, with the version: `/*!80000`, `/*M!100500`. */
  #comment(at: number): number {
    const { source } = this;
    const marker = codeAt(source, at + 2) === 77 ? at + 3 : at + 2;
    if (codeAt(source, marker) !== 33) {
      const close = source.indexOf('*/', at + 2);
      return this.#token(COMMENT, close < 0 ? source.length : close + 2);
    }
    let end = marker + 1;
    while (isDigit(codeAt(source, end))) end++;
    const kind = this.#token(COMMENT, end);
    if (this.#skippedUntil < 0) {
      const close = source.indexOf('*/', end);
      this.#skippedUntil = close < 0 ? source.length : close;
    }
    return kind;
  }
}

const QUOTES: Readonly<Record<number, string>> = { 34: '"', 96: '`' };

/** The code at a position before the end, at the end, or right before the start: there it is `NONE`. */
export function codeAt(source: string, at: number): number {
  // charCodeAt answers NaN there, which would make every comparison one of floating point numbers.
  return at >= 0 && at < source.length ? source.charCodeAt(at) : NONE;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** A letter, a digit, `_`, `$` or anything beyond ASCII that is no blank. */
export function isWordCode(code: number): boolean {
  return code < 128 ? code >= 0 && wordCodes[code] === 1 : !isWideBlank(code);
}

/** Whether a `.` after it separates names instead of starting a number. */
function endsOperand(code: number): boolean {
  return isWordCode(code) || code === 34 || code === 96 || code === 41 || code === 93;
}

/**
 * Blanks beyond ASCII. Servers take them for letters and report an error, but a number behind one, pasted from a
 * document, is still a number to whoever wrote it.
 */
function isWideBlank(code: number): boolean {
  if (code < 0x1680) return code === 0xa0 || code === 0x85;
  if (code < 0x3000) return code === 0x1680 || (code >= 0x2000 && code <= 0x200f) || (code >= 0x2028 && code <= 0x2060);
  return code === 0x3000 || code === 0xfeff;
}
