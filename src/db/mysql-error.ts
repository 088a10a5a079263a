/**
 * What of a MySQL or MariaDB error may leave the process.
 *
 * The server cites what it was given: `Duplicate entry 'ada@example.org' for key 'email'`, `near 'secret' at line 1`.
 * MySQL 8.4 Reference Manual, Server Error Message Reference.
 */

/** Longer messages were cut by the server (MYSQL_ERRMSG_SIZE, 512 bytes), maybe before the quote that ends a value. */
const MAX_WHOLE_BYTES = 500;

/** What SIGNAL and RESIGNAL report unless they are told another number: text of the application's own. */
const FIRST_SIGNAL = 1642;
const LAST_SIGNAL = 1644;

/** The class of SQLSTATEs that are the application's to use. */
const UNHANDLED_USER_CONDITION = '45';

/**
 * Messages that cite names alone: a column that cannot be null, an unknown database, a table that is there or is not, a value
 * out of range, truncated, without a default or too long for a column.
 */
const CITING_NAMES: ReadonlySet<number> = new Set([1048, 1049, 1050, 1051, 1146, 1264, 1265, 1364, 1406]);

/** The number of an error that the server reported, as text (`1146`). Numbers of the operating system are negative. */
export function serverErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { errno } = error as { errno?: unknown };
  return typeof errno === 'number' && Number.isInteger(errno) && errno > 0 ? String(errno) : undefined;
}

/**
 * The message; of an error that the server reported, with what stands between its first and its last quote as `?`, since
 * a value may hold quotes as well. `undefined` when there is none or nothing in it can be trusted.
 */
export function safeMessage(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { message, errno, sqlState } = error as { message?: unknown; errno?: unknown; sqlState?: unknown };
  if (typeof message !== 'string' || message === '') return undefined;
  // mysql2's own, which names the file that the statement names.
  if (message.includes('LOCAL INFILE')) return undefined;
  if (typeof errno !== 'number' || errno <= 0) return message;
  if (errno >= FIRST_SIGNAL && errno <= LAST_SIGNAL) return undefined;
  if (typeof sqlState === 'string' && sqlState.replace('#', '').startsWith(UNHANDLED_USER_CONDITION)) return undefined;
  if (CITING_NAMES.has(errno)) return message;
  const first = findQuote(message, 0, 1);
  if (first === undefined) return message;
  const last = findQuote(message, message.length - 1, -1) as number;
  const opening = `${message.slice(0, first + 1)}?`;
  if (last === first) return opening;
  return opening + (Buffer.byteLength(message) < MAX_WHOLE_BYTES ? message.slice(last) : message.charAt(first));
}

/** The first quote from `start` on, to the right or to the left, that is no apostrophe within a word (`doesn't`). */
function findQuote(text: string, start: number, step: 1 | -1): number | undefined {
  for (let at = start; at >= 0 && at < text.length; at += step) {
    const character = text.charAt(at);
    if (character === '"' || (character === "'" && !(isLetter(text, at - 1) && isLetter(text, at + 1)))) return at;
  }
  return undefined;
}

function isLetter(text: string, at: number): boolean {
  const lower = text.charCodeAt(at) | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
