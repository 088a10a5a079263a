import { BEFORE_TABLE, BEFORE_VALUE, hasRole, IN } from './keywords';
import {
  COMMENT,
  codeAt,
  DIGIT_WORD,
  END,
  LITERAL,
  NUMBER,
  PLACEHOLDER,
  PUNCTUATION,
  type SqlScanner,
  WORD,
} from './sql-scanner';

// What the last token was, as far as it decides whether a sign after it is part of a number.
const OPERATOR = 0;
const OPERAND = 1;
const MASKED = 2;

// Where the scan stands in `IN (?, ?, …)`.
const NO_LIST = 0;
const LIST_MAY_OPEN = 1;
const ITEM_EXPECTED = 2;
const ITEM_READ = 3;

/**
 * The statement the scanner was reset to, with `?` for each literal, without comments, and with `IN (?)` for any list
 * that holds only literals. Rows of VALUES stay, as do blanks inside; a comment between two words leaves one blank.
 * `cut`: whether the text goes on behind what the scanner sees.
 * OpenTelemetry, database spans, "Sanitization of db.query.text".
 */
export function sanitize(scanner: SqlScanner, cut: boolean): string {
  const { source } = scanner;
  let text = '';
  let copied = 0;
  let last = OPERATOR;
  /** Before `last`. */
  let beforeLast = OPERATOR;
  /** Where the last token, a sign, starts; -1 for any other token. */
  let sign = -1;
  let list = NO_LIST;
  let items = 0;
  let afterFirstItem = '';

  for (let kind = scanner.next(); kind !== END; kind = scanner.next()) {
    const { start, end } = scanner;
    if (kind === COMMENT) {
      text += source.slice(copied, start);
      copied = end;
      if (joins(source, start, end)) text += ' ';
      continue;
    }
    let is = OPERAND;
    let isSign = false;
    if (kind === LITERAL || kind === NUMBER || (kind === DIGIT_WORD && !isName(scanner))) {
      is = MASKED;
      const signed = kind === NUMBER && sign >= 0 && sign + 1 === start && beforeLast !== OPERAND;
      text += `${source.slice(copied, signed ? sign : start)}?`;
      copied = end;
    } else if (kind === WORD) {
      if (hasRole(scanner.keyword, BEFORE_VALUE)) is = OPERATOR;
    } else if (kind === PUNCTUATION) {
      const { code } = scanner;
      if (code !== 41 && code !== 93) is = OPERATOR;
      isSign = code === 43 || code === 45;
    }

    if (list !== NO_LIST) {
      const code = kind === PUNCTUATION ? scanner.code : 0;
      if (list === LIST_MAY_OPEN) list = code === 40 ? ITEM_EXPECTED : NO_LIST;
      else if (list === ITEM_EXPECTED) {
        if (is === MASKED || (kind === PLACEHOLDER && source.charCodeAt(start) === 63)) {
          if (++items === 1) afterFirstItem = text + source.slice(copied, end);
          list = ITEM_READ;
        } else if (!isSign) list = NO_LIST;
      } else if (code === 44) list = ITEM_EXPECTED;
      else {
        if (code === 41 && items > 1) {
          text = afterFirstItem;
          copied = start;
        }
        list = NO_LIST;
      }
    } else if (kind === WORD && scanner.keyword === IN) {
      list = LIST_MAY_OPEN;
      items = 0;
    }

    sign = isSign ? start : -1;
    beforeLast = last;
    last = is;
  }

  if (cut && list >= ITEM_EXPECTED && items > 1) return afterFirstItem.trim();
  return (copied === 0 ? source : text + source.slice(copied)).trim();
}

/** Whether leaving out what lies between would make one word of two. */
function joins(source: string, start: number, end: number): boolean {
  return start > 0 && end < source.length && source.charCodeAt(start - 1) > 32 && source.charCodeAt(end) > 32;
}

/** Whether a word that starts with a digit is a name: of a table, or behind a dot. */
function isName({ source, start, previous }: SqlScanner): boolean {
  return hasRole(previous, BEFORE_TABLE) || codeAt(source, start - 1) === 46;
}
