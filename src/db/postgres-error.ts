/**
 * What of a PostgreSQL error may leave the process.
 *
 * The server quotes values in its messages (`invalid input syntax for type integer: "4111 1111"`), and functions of the
 * application raise whatever text they like. The SQLSTATE says how far a message can be trusted, in any language of
 * the server: PostgreSQL 15 documentation, appendix A.
 */

/** As much of the error of either driver as is looked at. */
interface DatabaseError {
  readonly code: string;
  readonly message?: unknown;
  /** The server's function that reported it. */
  readonly routine?: unknown;
}

/** Longest message that is kept, in UTF-16 units. */
const MAX_LENGTH = 1024;

/** Syntax errors and invalid names cite the statement where they stopped reading, which may be within a literal. */
const CITING_STATEMENT: readonly string[] = ['42601', '42602', '42622'];

/** Data exceptions, which cite the value. */
const DATA_EXCEPTION = '22';

/** Errors that procedural code raises. */
const RAISED = 'P0';

/** The function behind RAISE in PL/pgSQL, whichever SQLSTATE it was given. */
const RAISE_ROUTINE = 'exec_stmt_raise';

/** Opening and closing quotes of the languages that PostgreSQL's messages come in. */
const QUOTES = '"\'«»‹›„“”‚‘’「」『』';

/** The SQLSTATE of an error that the server reported; Node's own errors have a `code` too, but no severity. */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (typeof code !== 'string' || code.length !== 5 || typeof severity !== 'string') return undefined;
  return code;
}

/**
 * The message without values: names of tables, columns and constraints stay, values are `?`. `undefined` when nothing
 * in it can be trusted. `error` has a SQLSTATE.
 */
export function safeMessage({ code, message, routine }: DatabaseError): string | undefined {
  if (typeof message !== 'string' || message === '') return undefined;
  if (code.startsWith(RAISED) || routine === RAISE_ROUTINE) return undefined;
  const text = message.slice(0, MAX_LENGTH);
  if (code.startsWith(DATA_EXCEPTION) || CITING_STATEMENT.includes(code)) return maskNumbers(maskFromFirstQuote(text));
  return maskQuotedValues(text);
}

/**
 * Everything from the first quote to the last, since the value may hold quotes as well. What follows the last one is
 * the server's own text; without a second quote the message was cut within the value.
 */
function maskFromFirstQuote(text: string): string {
  const first = findQuote(text, 0);
  if (first < 0) return text;
  let last = text.length - 1;
  while (last > first && !QUOTES.includes(text.charAt(last))) last--;
  const opening = text.slice(0, first + 1);
  return last === first ? `${opening}?` : `${opening}?${text.slice(last)}`;
}

function maskNumbers(text: string): string {
  return text.replace(/\b(?:0x[0-9a-f]+|\d[\d.]*)/gi, '?');
}

/** Quoted parts that are no plain names. */
function maskQuotedValues(text: string): string {
  let masked = '';
  let from = 0;
  for (;;) {
    const open = findQuote(text, from);
    if (open < 0) return masked + text.slice(from);
    const close = findQuote(text, open + 1);
    // Without its end: cut, or a quote within the text.
    if (close < 0) return `${masked}${text.slice(from, open + 1)}?`;
    const quoted = text.slice(open + 1, close).trim();
    masked += text.slice(from, open + 1) + (isName(quoted) ? quoted : '?') + text.charAt(close);
    from = close + 1;
  }
}

function findQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (QUOTES.includes(text.charAt(at)) && !isApostrophe(text, at)) return at;
  }
  return -1;
}

/** As in the French `n'existe pas`. */
function isApostrophe(text: string, at: number): boolean {
  const character = text.charAt(at);
  return (character === "'" || character === '’') && /^\p{L}.\p{L}$/u.test(text.slice(at - 1, at + 2));
}

/** An identifier, or several with dots between, as `schema.table`. */
function isName(text: string): boolean {
  return text.length <= 128 && /^[\p{L}_][\p{L}\p{N}_$]*(?:\.[\p{L}_][\p{L}\p{N}_$]*)*$/u.test(text);
}
