import { DB_QUERY_SUMMARY, DB_QUERY_TEXT } from '../semconv';
import { AttributeBlock } from '../trace/attribute-block';
import { sanitize } from './sanitize';
import { type SqlDialect, SqlScanner } from './sql-scanner';
import { summarize } from './summary';
import { copy, cutLength } from './text';

export type { SqlDialect } from './sql-scanner';

export interface QueryDescription {
  /** `db.query.summary` and the span's name, at most 255 characters; '' when the text names no operation. */
  readonly summary: string;
  /** `db.query.text` for text that is not parameterised: each literal replaced by `?`, cut to the limit. */
  readonly sanitized: string;
  /**
   * `db.query.text`, as it is or sanitized, and `db.query.summary`, for all spans of this text. `undefined` when asked
   * for the first time: most texts that are put together with their values come once, and are not worth a block.
   */
  block(verbatim: boolean): AttributeBlock | undefined;
}

export interface QueryDescriberOptions {
  readonly dialect: SqlDialect;
  /** How much of a text is looked at and given out, in UTF-16 units. */
  readonly maxLength: number;
}

/** Longer texts are described each time: hashing them to find them again would cost as much for no known gain. */
const MAX_CACHED_LENGTH = 8192;
/** Of one generation; there are two. */
const MAX_ENTRIES = 1000;
/** UTF-16 units of the texts of one generation. Summaries, sanitized texts and blocks are at most a few times as much. */
const MAX_UNITS = 262_144;

/**
 * Describes statements by their text, and remembers what it described lately: at most 2,000 texts with half a million
 * characters in all. Never throws.
 */
export function createQueryDescriber({
  dialect,
  maxLength,
}: QueryDescriberOptions): (text: string) => QueryDescription {
  const scanner = new SqlScanner(dialect);
  let recent = new Map<string, Description>();
  let older = new Map<string, Description>();
  let units = 0;

  function remember(text: string, description: Description): void {
    units += text.length;
    if (recent.size >= MAX_ENTRIES || units > MAX_UNITS) {
      older = recent;
      recent = new Map();
      units = text.length;
    }
    recent.set(text, description);
  }

  return function describe(text) {
    if (text.length > MAX_CACHED_LENGTH) return new Description(scanner, text, maxLength);
    let description = recent.get(text);
    if (description !== undefined) return description;
    description = older.get(text) ?? new Description(scanner, text, maxLength);
    remember(text, description);
    return description;
  };
}

class Description implements QueryDescription {
  readonly summary: string;
  readonly #scanner: SqlScanner;
  readonly #cut: boolean;
  /** What is looked at. */
  readonly #source: string;
  #sanitized: string | undefined;
  #isAsked = false;
  #verbatimBlock: AttributeBlock | undefined;
  #sanitizedBlock: AttributeBlock | undefined;

  constructor(scanner: SqlScanner, text: string, maxLength: number) {
    const length = cutLength(text, maxLength);
    this.#scanner = scanner;
    this.#cut = length < text.length;
    this.#source = this.#cut ? text.slice(0, length) : text;
    scanner.reset(this.#source);
    const summary = summarize(scanner, this.#cut);
    scanner.reset('');
    // A part of a text keeps all of it alive.
    this.summary = this.#cut ? copy(summary) : summary;
  }

  /** Only some callers want it, and then once: it is made when it is first asked for. */
  get sanitized(): string {
    if (this.#sanitized === undefined) {
      const scanner = this.#scanner;
      scanner.reset(this.#source);
      const text = sanitize(scanner, this.#cut);
      scanner.reset('');
      this.#sanitized = this.#cut ? copy(text) : text;
    }
    return this.#sanitized;
  }
  block(verbatim: boolean): AttributeBlock | undefined {
    if (!this.#isAsked) {
      this.#isAsked = true;
      return undefined;
    }
    if (verbatim) {
      this.#verbatimBlock ??= this.#describe(this.#source);
      return this.#verbatimBlock;
    }
    this.#sanitizedBlock ??= this.#describe(this.sanitized);
    return this.#sanitizedBlock;
  }

  #describe(text: string): AttributeBlock {
    return new AttributeBlock({
      [DB_QUERY_TEXT]: text || undefined,
      [DB_QUERY_SUMMARY]: this.summary || undefined,
    });
  }
}
