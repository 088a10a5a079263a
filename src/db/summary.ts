import * as word from './keywords';
import {
  COMMENT,
  codeAt,
  DIGIT_WORD,
  END,
  isWordCode,
  LITERAL,
  NUMBER,
  PUNCTUATION,
  QUOTED_NAME,
  type SqlScanner,
  WORD,
} from './sql-scanner';

/** UTF-16 units; OpenTelemetry, database spans, "Generating a summary of the query". */
const MAX_LENGTH = 255;
/** An operation that is not among our keywords is taken for one up to this length. */
const MAX_UNKNOWN_OPERATION = 16;
/** Parentheses nested deeper are skipped over. */
const MAX_DEPTH = 64;

// What holds within the current parentheses; a union of these.
/** At the first token of a statement. */
const STATEMENT = 1;
/** At the first token within the parentheses. */
const FIRST = 2;
/** The same, and the parentheses may be those of a common table expression that changes data. */
const CHANGES_DATA = 256;
/** After WITH, EXPLAIN and the like: the operation it is about is still to come. */
const AWAITS_OPERATION = 4;
/** FROM introduces tables, not the argument of a function such as EXTRACT. */
const FROM_TABLES = 8;
/** USING introduces tables, not the columns of a join. */
const USING_TABLES = 16;
/** INTO introduces a table. */
const INTO_TABLE = 32;
/** In a list of tables: the next one follows a comma or JOIN. */
const LIST = 64;
/** The operation's options stand in parentheses, its target behind them. */
const AWAITS_TARGET = 128;

// What is expected next.
const NOTHING = 0;
/** A table in a list. */
const TABLE = 1;
/** A table, or a parenthesis that can only hold a subquery. */
const TABLE_OR_QUERY = 2;
/** The target of an operation. */
const TARGET = 3;
/** The kind of object, then the target. */
const OBJECT = 4;
/** The kind of object or the target. */
const OBJECT_OR_TARGET = 5;
/** The target after INTO, perhaps with its kind of object. */
const INTO_TARGET = 6;

/**
 * The operations and targets of the statement the scanner was reset to, as they are written and in their order:
 * `INSERT shipping_details SELECT orders`. '' when there is no operation.
 *
 * Operations of several words keep them all (`CREATE UNIQUE INDEX i`); WITH is none. Targets are tables, views,
 * functions in FROM and other schema objects, qualified and quoted as written, and never literals. No targets are names
 * that are often generated or belong to people: savepoints, prepared statements after PREPARE, cursors, channels,
 * roles. A name that the cut may have shortened is left out.
 * `cut`: whether the text goes on behind what the scanner sees.
 */
export function summarize(scanner: SqlScanner, cut: boolean): string {
  const reader = new SummaryReader(scanner, cut);
  return reader.read();
}

class SummaryReader {
  readonly #scanner: SqlScanner;
  readonly #cut: boolean;
  #summary = '';
  #expected = NOTHING;
  #state = STATEMENT;
  #outer: number[] | undefined;
  #depth = 0;
  /** Nothing is read up to the next statement. */
  #skips = false;
  /** Nothing more is read. */
  #done = false;
  /** The object's definition may contain statements. */
  #routine = false;
  /** The keyword that makes, with the one before it, an operation of two words. */
  #second = 0;

  constructor(scanner: SqlScanner, cut: boolean) {
    this.#scanner = scanner;
    this.#cut = cut;
  }

  read(): string {
    const scanner = this.#scanner;
    while (!this.#done) {
      const kind = scanner.next();
      if (kind === END) break;
      if (kind === COMMENT) continue;
      if (kind === PUNCTUATION) this.#punctuation(scanner.code);
      else if (this.#skips) continue;
      else if (kind === WORD) {
        if (this.#cut && scanner.end === scanner.source.length) break;
        this.#word(scanner.keyword);
      } else if (this.#state & STATEMENT) {
        // No statement starts so.
        if (kind === LITERAL || kind === NUMBER || kind === QUOTED_NAME) this.#skips = true;
      } else if (kind === QUOTED_NAME || kind === DIGIT_WORD) this.#name();
      else this.#leave();
    }
    return this.#summary;
  }

  /** Something that is neither a name nor a keyword: no target follows. */
  #leave(): void {
    this.#state &= ~FIRST;
    if (!this.#allowsOptions()) this.#expected = NOTHING;
  }

  /** MySQL has options before the kind of object: CREATE DEFINER = `a`@`b` SQL SECURITY INVOKER VIEW v. */
  #allowsOptions(): boolean {
    return this.#expected === OBJECT && this.#scanner.dialect === 'mysql';
  }

  #punctuation(code: number): void {
    if (code === 59) {
      this.#expected = NOTHING;
      this.#state = STATEMENT;
      this.#depth = 0;
      this.#skips = false;
      this.#second = 0;
    } else if (this.#skips) return;
    else if (code === 40) this.#open();
    else if (code === 41) {
      if (this.#depth > 0) {
        this.#depth--;
        this.#state = this.#depth < MAX_DEPTH ? this.#outer![this.#depth]! : 0;
      }
      this.#expected = this.#state & AWAITS_TARGET ? OBJECT_OR_TARGET : NOTHING;
      this.#state &= ~AWAITS_TARGET;
    } else if (code === 44) {
      this.#expected = this.#state & LIST ? TABLE : NOTHING;
      this.#state &= ~FIRST;
    } else this.#leave();
  }

  #open(): void {
    const expected = this.#expected;
    // A statement may start with a subquery, as in (SELECT …) UNION (SELECT …); what follows it is no operation.
    const awaits = this.#state & AWAITS_OPERATION;
    let state = this.#state & ~(STATEMENT | FIRST);
    if (expected === OBJECT_OR_TARGET) state |= AWAITS_TARGET;
    if (this.#depth < MAX_DEPTH) {
      this.#outer ??= [];
      this.#outer[this.#depth] = state;
    }
    this.#depth++;
    if (this.#depth > MAX_DEPTH) {
      this.#state = 0;
      this.#expected = NOTHING;
      return;
    }
    // Tables may stand in parentheses, as in FROM (a JOIN b ON …); anything else is an expression or a subquery.
    this.#state = expected === TABLE ? FIRST | LIST : FIRST | (awaits === 0 ? 0 : CHANGES_DATA);
    this.#expected = expected === TABLE ? TABLE : NOTHING;
  }

  #word(id: number): void {
    const state = this.#state;
    this.#state = state & ~(FIRST | CHANGES_DATA);
    if (state & STATEMENT) {
      this.#operation(id);
      return;
    }
    const second = this.#second;
    this.#second = 0;
    if (second !== 0 && id === second) {
      this.#append();
      return;
    }
    if (id === word.SELECT) {
      this.#append();
      this.#select();
      return;
    }
    if (changesData(id) && (state & AWAITS_OPERATION || (state & CHANGES_DATA && state & FIRST))) {
      this.#operation(id);
      return;
    }
    if (id === word.WITH && state & FIRST) {
      this.#state = AWAITS_OPERATION;
      return;
    }
    if (this.#expected !== NOTHING && this.#target(id)) return;
    if (id !== 0) this.#clause(id);
  }

  #select(): void {
    this.#expected = NOTHING;
    this.#state = FROM_TABLES;
    if (this.#scanner.dialect === 'postgresql') this.#state |= INTO_TABLE;
  }

  /** The first word of a statement, or the operation in a common table expression, EXPLAIN and the like. */
  #operation(id: number): void {
    this.#expected = NOTHING;
    this.#state = 0;
    switch (id) {
      case word.WITH:
        this.#state = AWAITS_OPERATION;
        return;
      case word.SELECT:
        this.#append();
        this.#select();
        return;
      case word.INSERT:
      case word.REPLACE:
        this.#expected = TARGET;
        break;
      case word.CALL:
      case word.EXEC:
      case word.EXECUTE:
      case word.USE:
      case word.DESCRIBE:
      case word.DESC:
      case word.TABLE:
        this.#expected = TABLE_OR_QUERY;
        break;
      case word.COPY:
        this.#expected = TABLE;
        break;
      case word.UPDATE:
        this.#expected = TARGET;
        this.#state = LIST | FROM_TABLES;
        break;
      case word.DELETE:
        this.#state = FROM_TABLES | USING_TABLES;
        break;
      case word.MERGE:
        this.#expected = TARGET;
        this.#state = USING_TABLES;
        break;
      case word.EXPLAIN:
      case word.PREPARE:
      case word.DECLARE:
        this.#state = AWAITS_OPERATION;
        break;
      case word.CREATE:
      case word.ALTER:
        this.#expected = OBJECT;
        break;
      case word.DROP:
        this.#expected = OBJECT;
        this.#state = LIST;
        break;
      case word.TRUNCATE:
      case word.LOCK:
      case word.ANALYZE:
      case word.VACUUM:
      case word.OPTIMIZE:
      case word.REPAIR:
      case word.CHECK:
      case word.CHECKSUM:
      case word.RENAME:
      case word.REINDEX:
      case word.CLUSTER:
      case word.REFRESH:
      case word.UNLOCK:
        this.#expected = OBJECT_OR_TARGET;
        this.#state = LIST;
        break;
      case word.LOAD:
        this.#second = word.DATA;
        this.#state = INTO_TABLE;
        break;
      case word.START:
        this.#second = word.TRANSACTION;
        break;
      case word.RELEASE:
        this.#second = word.SAVEPOINT;
        break;
      case word.SET:
      case word.DO:
      case word.VALUES:
        break;
      case word.FETCH:
        this.#skips = true;
        break;
      default:
        this.#skips = true;
        if (!this.#couldBeOperation(id)) return;
    }
    this.#append();
  }

  /** Any word of letters that is not known to be something else. */
  #couldBeOperation(id: number): boolean {
    if (id !== 0) return !word.hasRole(id, word.ENDS_LIST | word.BEFORE_VALUE | word.BEFORE_TABLE);
    const { source, start, end } = this.#scanner;
    if (end - start > MAX_UNKNOWN_OPERATION) return false;
    for (let i = start; i < end; i++) {
      const letter = (source.charCodeAt(i) | 32) - 97;
      if (letter < 0 || letter > 25) return false;
    }
    return true;
  }

  /** Takes a word where a target is expected. False: it starts the next clause. */
  #target(id: number): boolean {
    const expected = this.#expected;
    if (expected === TABLE || expected === TABLE_OR_QUERY) {
      if (id === word.ONLY || id === word.LATERAL) return true;
      // TABLE(function()), but a table could bear that name.
      if (id === word.TABLE && codeAt(this.#scanner.source, this.#scanner.end) === 40) return true;
    } else if (expected === OBJECT || expected === OBJECT_OR_TARGET) {
      if (this.#object(id)) return true;
    } else if (id === word.INTO) {
      this.#expected = TABLE_OR_QUERY;
      return true;
    } else if (word.hasRole(id, word.BEFORE_TARGET) || id === word.ON) return true;
    else if (expected === INTO_TARGET && word.hasRole(id, word.MODIFIER | word.OBJECT)) return true;
    if (word.hasRole(id, word.ENDS_LIST)) {
      this.#expected = NOTHING;
      return false;
    }
    this.#name();
    return true;
  }

  /** Takes a word of what CREATE, LOCK and the like are about. False: it is the target. */
  #object(id: number): boolean {
    if (this.#expected === OBJECT_OR_TARGET) {
      if (word.hasRole(id, word.BEFORE_TARGET)) return true;
      if (!word.hasRole(id, word.MAINTAINED | word.MODIFIER)) return false;
    }
    if (word.hasRole(id, word.MODIFIER)) this.#append();
    else if (word.hasRole(id, word.OBJECT | word.ROUTINE)) {
      this.#append();
      this.#expected = TARGET;
      // With DROP, which takes a list, there is no definition.
      this.#routine = word.hasRole(id, word.ROUTINE) && (this.#state & LIST) === 0;
    } else if (word.hasRole(id, word.PRINCIPAL)) {
      this.#append();
      this.#skips = true;
    } else if (!this.#allowsOptions()) this.#skips = true;
    return true;
  }

  #clause(id: number): void {
    const state = this.#state;
    const { previous } = this.#scanner;
    switch (id) {
      case word.FROM:
        // A IS DISTINCT FROM b compares.
        if (state & FROM_TABLES && previous !== word.DISTINCT) this.#list(TABLE);
        return;
      case word.JOIN:
      case word.STRAIGHT_JOIN:
        // USE INDEX FOR JOIN is a hint.
        if (state & LIST && previous !== word.FOR) this.#expected = TABLE;
        return;
      case word.USING:
        if (state & USING_TABLES) this.#list(TABLE_OR_QUERY);
        return;
      case word.INTO:
        this.#state &= ~LIST;
        if (state & INTO_TABLE) this.#expected = INTO_TARGET;
        return;
      case word.FOR:
        if (previous === word.INDEX || previous === word.KEY) return;
    }
    if (word.hasRole(id, word.ENDS_LIST)) this.#state &= ~LIST;
  }

  #list(expected: number): void {
    this.#state |= LIST;
    this.#expected = expected;
  }

  /** Takes the name the scanner is at, and what is joined to it by dots, as the target; if one is expected. */
  #name(): void {
    const scanner = this.#scanner;
    const { source, start } = scanner;
    this.#state &= ~FIRST;
    if (this.#expected === NOTHING || this.#allowsOptions()) return;
    this.#expected = NOTHING;
    while (codeAt(source, scanner.end) === 46 && this.#startsName(codeAt(source, scanner.end + 1))) {
      scanner.next();
      const kind = scanner.next();
      if (kind !== WORD && kind !== QUOTED_NAME && kind !== DIGIT_WORD) return;
    }
    // The cut may be right behind it, or behind the dot that joins the next part to it.
    const rest = source.length - scanner.end;
    if (this.#cut && (rest === 0 || (rest === 1 && codeAt(source, scanner.end) === 46))) this.#done = true;
    else this.#append(source.slice(start, scanner.end));
    if (this.#routine) this.#done = true;
  }

  #startsName(code: number): boolean {
    return isWordCode(code) || code === (this.#scanner.dialect === 'mysql' ? 96 : 34);
  }

  #append(text = this.#scanner.source.slice(this.#scanner.start, this.#scanner.end)): void {
    const summary = this.#summary;
    if (summary.length + text.length + (summary === '' ? 0 : 1) > MAX_LENGTH) this.#done = true;
    else this.#summary = summary === '' ? text : `${summary} ${text}`;
  }
}

/** Whether the operation may stand in a common table expression or after it. SELECT may stand anywhere. */
function changesData(id: number): boolean {
  return id === word.INSERT || id === word.UPDATE || id === word.DELETE || id === word.MERGE || id === word.REPLACE;
}
