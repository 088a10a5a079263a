// The words the scanner, the sanitizer and the summary tell apart. Each has a small number, its id; 0 is any other word.

/** Ends the list of tables after FROM, UPDATE or DROP, and so is no name where a table is expected. */
export const ENDS_LIST = 1;
/** A value may come next: a sign before a number then belongs to the number. */
export const BEFORE_VALUE = 2;
/** Stands between an operation and its target without being part of either. */
export const BEFORE_TARGET = 4;
/** Part of an operation of several words, before the kind of object: the TEMPORARY of CREATE TEMPORARY TABLE. */
export const MODIFIER = 8;
/** The kind of object CREATE, ALTER, DROP, LOCK and the like are about: their last word. */
export const OBJECT = 16;
/** A kind of object whose definition may contain statements of its own, which are not executed now. */
export const ROUTINE = 32;
/** A kind of object whose names belong to people. */
export const PRINCIPAL = 64;
/** A name of a table follows. */
export const BEFORE_TABLE = 128;
/** An object that LOCK, ANALYZE, REINDEX and the like name the kind of. */
export const MAINTAINED = 256;

const MAX_LENGTH = 18;
const SLOTS = 1024;

const slots = new Uint8Array(SLOTS);
const words: string[] = [''];
const roles: number[] = [0];

function keyword(word: string, role = 0): number {
  let slot = firstSlot(word, 0, word.length);
  while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  const id = words.length;
  slots[slot] = id;
  words.push(word);
  roles.push(role);
  return id;
}

function keywords(text: string, role: number): void {
  for (const word of text.split(' ')) keyword(word, role);
}

/** Length, both ends and the middle tell our words apart well enough, whatever the case of the letters. */
function firstSlot(source: string, start: number, end: number): number {
  const length = end - start;
  const first = source.charCodeAt(start) & 31;
  const middle = source.charCodeAt(start + (length >> 1)) & 31;
  const last = source.charCodeAt(end - 1) & 31;
  return (first * 37 + middle * 11 + last * 3 + length * 131) & (SLOTS - 1);
}

/** The id of the word from `start` to `end`, in any case; 0 for a word that is none of ours. */
export function findKeyword(source: string, start: number, end: number): number {
  const length = end - start;
  if (length < 2 || length > MAX_LENGTH) return 0;
  let slot = firstSlot(source, start, end);
  for (let id = slots[slot]!; id !== 0; id = slots[slot]!) {
    const word = words[id]!;
    if (word.length === length) {
      let i = 0;
      while (i < length && (source.charCodeAt(start + i) | 32) === (word.charCodeAt(i) | 32)) i++;
      if (i === length) return id;
    }
    slot = (slot + 1) & (SLOTS - 1);
  }
  return 0;
}

/** Whether the keyword has one of the roles, given as a union of the constants above. */
export function hasRole(id: number, role: number): boolean {
  return (roles[id]! & role) !== 0;
}

export const SELECT = keyword('SELECT', ENDS_LIST | BEFORE_VALUE);
export const WITH = keyword('WITH');
export const INSERT = keyword('INSERT');
export const REPLACE = keyword('REPLACE', MODIFIER);
export const UPDATE = keyword('UPDATE');
export const DELETE = keyword('DELETE');
export const MERGE = keyword('MERGE');
export const CALL = keyword('CALL');
export const EXEC = keyword('EXEC');
export const EXECUTE = keyword('EXECUTE');
export const USE = keyword('USE');
export const DESCRIBE = keyword('DESCRIBE');
export const DESC = keyword('DESC');
export const EXPLAIN = keyword('EXPLAIN');
export const PREPARE = keyword('PREPARE');
export const DECLARE = keyword('DECLARE');
export const COPY = keyword('COPY');
export const STDIN = keyword('STDIN');
export const CREATE = keyword('CREATE');
export const ALTER = keyword('ALTER');
export const DROP = keyword('DROP');
export const TRUNCATE = keyword('TRUNCATE');
export const RENAME = keyword('RENAME');
export const LOCK = keyword('LOCK');
export const UNLOCK = keyword('UNLOCK');
export const ANALYZE = keyword('ANALYZE', BEFORE_TARGET);
export const VACUUM = keyword('VACUUM');
export const OPTIMIZE = keyword('OPTIMIZE');
export const REPAIR = keyword('REPAIR');
export const CHECK = keyword('CHECK');
export const CHECKSUM = keyword('CHECKSUM');
export const REINDEX = keyword('REINDEX');
export const CLUSTER = keyword('CLUSTER');
export const REFRESH = keyword('REFRESH');
export const LOAD = keyword('LOAD');
export const DATA = keyword('DATA');
export const START = keyword('START');
export const TRANSACTION = keyword('TRANSACTION');
export const RELEASE = keyword('RELEASE');
export const SAVEPOINT = keyword('SAVEPOINT');
export const SET = keyword('SET', ENDS_LIST | BEFORE_VALUE);
export const DO = keyword('DO', BEFORE_VALUE);
export const FROM = keyword('FROM', BEFORE_TABLE | BEFORE_VALUE);
export const JOIN = keyword('JOIN', BEFORE_TABLE);
export const STRAIGHT_JOIN = keyword('STRAIGHT_JOIN', BEFORE_TABLE);
export const USING = keyword('USING', BEFORE_TABLE);
export const INTO = keyword('INTO', BEFORE_TARGET | BEFORE_TABLE);
export const TABLE = keyword('TABLE', OBJECT | MAINTAINED | BEFORE_TABLE);
export const VALUES = keyword('VALUES', ENDS_LIST | BEFORE_VALUE);
export const FETCH = keyword('FETCH', ENDS_LIST);
export const FOR = keyword('FOR', ENDS_LIST);
export const INDEX = keyword('INDEX', OBJECT | MAINTAINED);
export const KEY = keyword('KEY');
export const ON = keyword('ON', BEFORE_VALUE);
export const ONLY = keyword('ONLY', BEFORE_TARGET);
export const LATERAL = keyword('LATERAL');
export const DISTINCT = keyword('DISTINCT', BEFORE_VALUE);
export const IN = keyword('IN', BEFORE_VALUE);
export const IS = keyword('IS', BEFORE_VALUE);
export const NOT = keyword('NOT', BEFORE_TARGET | BEFORE_VALUE);
export const TRUE = keyword('TRUE');
export const FALSE = keyword('FALSE');
export const ESCAPE = keyword('ESCAPE');
keywords('WHERE HAVING LIMIT OFFSET', ENDS_LIST | BEFORE_VALUE);
keywords('GROUP ORDER UNION INTERSECT EXCEPT WINDOW RETURNING', ENDS_LIST);
keyword('OR', BEFORE_VALUE | MODIFIER);
keywords('AND XOR BY BETWEEN LIKE ILIKE WHEN THEN ELSE CASE DIV MOD', BEFORE_VALUE);
keywords('ALL DEFAULT INTERVAL RETURN REGEXP RLIKE ANY SOME TO', BEFORE_VALUE);
keywords('IF EXISTS IGNORE LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK', BEFORE_TARGET);
keywords('CONCURRENTLY VERBOSE FULL FREEZE NO_WRITE_TO_BINLOG LOCAL', BEFORE_TARGET);
keywords('TEMP TEMPORARY UNLOGGED UNIQUE GLOBAL RECURSIVE MATERIALIZED FOREIGN FULLTEXT SPATIAL', MODIFIER);
keywords('TABLES VIEW SCHEMA DATABASE', OBJECT | MAINTAINED);
keywords('SEQUENCE TYPE EXTENSION DOMAIN TABLESPACE', OBJECT);
keywords('COLLATION PUBLICATION SUBSCRIPTION SYSTEM SERVER AGGREGATE', OBJECT);
keywords('FUNCTION PROCEDURE TRIGGER EVENT RULE POLICY PACKAGE', ROUTINE);
keywords('ROLE USER', PRINCIPAL);
