import { writeSync } from 'node:fs';

/** Levels of OTEL_LOG_LEVEL, quietest first. */
export const LOG_LEVELS = ['none', 'error', 'warn', 'info', 'debug', 'verbose', 'all'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Levels that a message can have. */
export type MessageLevel = 'error' | 'warn' | 'info' | 'debug';

/** Longest message in UTF-16 units: a foreign error message may be a whole response body. */
const MAX_TEXT_LENGTH = 2000;

/** Different keys that `once` remembers; a key made from foreign input must not grow the set for ever. */
const MAX_KEYS = 1000;

const STDERR = 2;

let threshold = LOG_LEVELS.indexOf('warn');
const seen = new Set<string>();
/** What `internal` was told. */
const internalErrors: { count: number; first: string | undefined } = { count: 0, first: undefined };
let write = writeToStderr;

/** From now on only messages of `level` and quieter levels are written; `warn` until called. */
export function setLogLevel(level: LogLevel): void {
  threshold = LOG_LEVELS.indexOf(level);
}

/** True when a message of this level is written, for callers whose text is costly to make. */
export function isLogged(level: MessageLevel): boolean {
  return LOG_LEVELS.indexOf(level) <= threshold;
}

/** Sends lines (each with its line feed) to `sink` instead of stderr; `undefined` for stderr again. */
export function setLogSink(sink: ((line: string) => void) | undefined): void {
  write = sink ?? writeToStderr;
}

/** Forgets which keys `once` has seen, and the internal errors. */
export function forgetLoggedKeys(): void {
  seen.clear();
  internalErrors.count = 0;
  internalErrors.first = undefined;
}

/** Errors of the agent's own that belong to no instrumentation, for the status: how many, and the first one. */
export function countedInternalErrors(): { readonly count: number; readonly first: string | undefined } {
  return internalErrors;
}

/**
 * The agent's own messages: one line each on stderr, never on stdout, never thrown.
 * An `error` adds its message, and its stack at level `debug`.
 */
export const log = {
  error(text: string, error?: unknown): void {
    message('error', text, error);
  },
  warn(text: string, error?: unknown): void {
    message('warn', text, error);
  },
  info(text: string, error?: unknown): void {
    message('info', text, error);
  },
  debug(text: string, error?: unknown): void {
    message('debug', text, error);
  },
  /** An error of the agent's own that belongs to no instrumentation: it is counted, and the first of each `key` is written. */
  internal(key: string, text: string, error: unknown): void {
    internalErrors.count++;
    internalErrors.first ??= `${text}: ${describeError(error)}`;
    log.once('error', key, text, error);
  },
  /** Writes the first message of each `key`. A message that its level suppresses does not use up the key. */
  once(level: MessageLevel, key: string, text: string, error?: unknown): void {
    try {
      if (!isLogged(level) || seen.has(key) || seen.size > MAX_KEYS) return;
      seen.add(key);
    } catch {
      return;
    }
    if (seen.size > MAX_KEYS) {
      message(level, `${MAX_KEYS} different messages were written once each; further ones are left out`, undefined);
    } else {
      message(level, text, error);
    }
  },
};

function message(level: MessageLevel, text: string, error: unknown): void {
  try {
    if (!isLogged(level)) return;
    const full = error === undefined ? text : `${text}: ${describeError(error, isLogged('debug'))}`;
    write(`hookline: ${oneLine(full, MAX_TEXT_LENGTH)}\n`);
  } catch {
    // Closed (EPIPE, EBADF) or full (EAGAIN): the message is lost, the application is not.
  }
}

/** A synchronous write to the descriptor: `process.stderr` would report a closed pipe as the application's 'error' event. */
function writeToStderr(line: string): void {
  writeSync(STDERR, line);
}

/** The message, or the stack, of anything that can be thrown. Never throws. */
export function describeError(error: unknown, withStack = false): string {
  try {
    if (typeof error === 'object' && error !== null) {
      const { stack, message: text } = error as { stack?: unknown; message?: unknown };
      if (withStack && typeof stack === 'string') return stack;
      if (typeof text === 'string' && text !== '') return text;
    }
    return String(error);
  } catch {
    return 'an error that cannot be described';
  }
}

/** Why a connection failed. Where all addresses of a name did (RFC 8305), the message of the whole is empty, and the first one's says it. */
export function describeConnectionError(error: unknown): string {
  const [first] = (error as { errors?: unknown[] } | null)?.errors ?? [];
  return describeError(first instanceof Error && (error as Error).message === '' ? first : error);
}

/** `text` without what could end, hide or colour a line: line ends and tabs are escaped, other control characters left out. */
export function oneLine(text: string, maxLength: number): string {
  const end = Math.min(text.length, maxLength);
  let result = '';
  let from = 0;
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    const isControl = code < 0x20 || (code >= 0x7f && code <= 0x9f) || code === 0x2028 || code === 0x2029;
    if (!isControl) continue;
    result += text.slice(from, i) + escapeControl(code);
    from = i + 1;
  }
  result += text.slice(from, end);
  return text.length > end ? `${result}…` : result;
}

function escapeControl(code: number): string {
  if (code === 0x0a || code === 0x2028 || code === 0x2029) return '\\n';
  if (code === 0x0d) return '\\r';
  return code === 0x09 ? '\\t' : '';
}
