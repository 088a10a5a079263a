import { afterEach, describe, expect, test } from 'vitest';
import { createQueryDescriber, type SqlDialect } from '../../src/db/query';
import { random } from '../support/random';

// The cases of the OpenTelemetry semantic conventions for SQL, in our own words: text, sanitized text, summary.
const CONVENTIONS: [string, string, string][] = [
  ['SELECT 12, -12, +12', 'SELECT ?, ?, ?', 'SELECT'],
  ['SELECT 12.34, -12.34, +12.34, .01, -.01', 'SELECT ?, ?, ?, ?, ?', 'SELECT'],
  ['SELECT 12.34e56, -12.34e56, +12.34e-56', 'SELECT ?, ?, ?', 'SELECT'],
  ['SELECT 99+100', 'SELECT ??', 'SELECT'],
  ['SELECT 0xDEADBEEF, 0XdeadBEEF', 'SELECT ?, ?', 'SELECT'],
  ["SELECT 'hello', 'it''s', 'two \n lines'", 'SELECT ?, ?, ?', 'SELECT'],
  ['SELECT c3po FROM covid19 WHERE n1h1=1234', 'SELECT c3po FROM covid19 WHERE n1h1=?', 'SELECT covid19'],
  ['SELECT a FROM dbo.T JOIN dbo.U', 'SELECT a FROM dbo.T JOIN dbo.U', 'SELECT dbo.T dbo.U'],
  ['INSERT INTO X VALUES(1, 123.456, 99+100)', 'INSERT INTO X VALUES(?, ?, ??)', 'INSERT X'],
  ["SELECT { guid '01234567-89ab' }", 'SELECT { guid ? }', 'SELECT'],
  ["SELECT * FROM table WHERE v IN (1, 2, 'a')", 'SELECT * FROM table WHERE v IN (?)', 'SELECT table'],
  ['SELECT c -- to the end\nFROM /* a \n block */ t', 'SELECT c \nFROM  t', 'SELECT t'],
  ['INSERT INTO a\n(b)\nSELECT c\nFROM   d', 'INSERT INTO a\n(b)\nSELECT c\nFROM   d', 'INSERT a SELECT d'],
  ['SELEcT a\nFROM (sELECT * FROM ORders o)', 'SELEcT a\nFROM (sELECT * FROM ORders o)', 'SELEcT sELECT ORders'],
  ['SELECT * FROM O o CROSS JOIN D d', 'SELECT * FROM O o CROSS JOIN D d', 'SELECT O D'],
  ['SELECT * FROM O o, D d', 'SELECT * FROM O o, D d', 'SELECT O D'],
  ['CREATE  TABLE T (\n ID IDENTITY(1,1)\n)', 'CREATE  TABLE T (\n ID IDENTITY(?,?)\n)', 'CREATE TABLE T'],
  ['ALTER  TABLE T ADD n varchar(255)', 'ALTER  TABLE T ADD n varchar(?)', 'ALTER TABLE T'],
  ['DROP  TABLE T', 'DROP  TABLE T', 'DROP TABLE T'],
];

const DIALECTS: SqlDialect[] = ['postgresql', 'mysql'];

describe.each(DIALECTS)('describer, %s', (dialect) => {
  test.each(CONVENTIONS)('convention: %s', (text, sanitized, summary) => {
    expect(createQueryDescriber({ dialect, maxLength: 1000 })(text)).toMatchObject({ sanitized, summary });
  });

  test('describes the same text once, also when it comes again after many others', () => {
    const describe = createQueryDescriber({ dialect, maxLength: 1000 });
    const first = describe('SELECT 1 FROM t');
    for (let i = 0; i < 1500; i++) {
      describe(`SELECT ${i}`);
      if (i % 500 === 0) expect(describe('SELECT 1 FROM t')).toBe(first);
    }
    expect(describe('SELECT 1 FROM t')).toBe(first);
    expect(first).toMatchObject({ summary: 'SELECT t', sanitized: 'SELECT ? FROM t' });
  });

  test('forgets texts: by their number, by their length', () => {
    const describe = createQueryDescriber({ dialect, maxLength: 1000 });
    const first = describe('SELECT 1');
    for (let i = 0; i < 2100; i++) describe(`SELECT ${i} a`);
    expect(describe('SELECT 1')).not.toBe(first);

    const second = describe('SELECT 2');
    for (let i = 0; i < 100; i++) describe(`SELECT ${i} ${'x'.repeat(8000)}`);
    expect(describe('SELECT 2')).not.toBe(second);
  });

  test('does not remember very long texts', () => {
    const describe = createQueryDescriber({ dialect, maxLength: 1000 });
    const long = `SELECT ${'x'.repeat(10_000)}`;
    expect(describe(long)).not.toBe(describe(long));
    expect(describe(long).sanitized).toBe(long.slice(0, 1000));
  });

  test('keeps descriptions apart while others are made', () => {
    const describe = createQueryDescriber({ dialect, maxLength: 1000 });
    const [a, b] = [describe('SELECT 1 FROM a'), describe("DELETE FROM b WHERE c = 'x'")];
    expect([b.sanitized, a.sanitized]).toEqual(['DELETE FROM b WHERE c = ?', 'SELECT ? FROM a']);
    expect([a.summary, b.summary]).toEqual(['SELECT a', 'DELETE b']);
  });
});

describe('blocks', () => {
  const TEXT = "SELECT name FROM songs WHERE id = 5 AND title = 'x'";
  const MASKED = 'SELECT name FROM songs WHERE id = ? AND title = ?';
  const describeNew = () => createQueryDescriber({ dialect: 'postgresql', maxLength: 1000 });

  test('are there from the second time on, one for each form of the text', () => {
    const describe = describeNew();
    expect(describe(TEXT).block(false)).toBeUndefined();
    const sanitized = describe(TEXT).block(false);
    const verbatim = describe(TEXT).block(true);
    expect(sanitized?.attributes).toEqual({ 'db.query.text': MASKED, 'db.query.summary': 'SELECT songs' });
    expect(verbatim?.attributes).toEqual({ 'db.query.text': TEXT, 'db.query.summary': 'SELECT songs' });
    expect(describe(TEXT).block(false)).toBe(sanitized);
    expect(describe(TEXT).block(true)).toBe(verbatim);
  });

  test('are of one text, also where others are sanitized to the same', () => {
    const describe = describeNew();
    const blocks = [TEXT, TEXT.replace("'x'", "'y'")].map((text) => {
      describe(text).block(true);
      return describe(text).block(true);
    });
    expect(blocks.map((block) => block?.attributes['db.query.text'])).toEqual([TEXT, TEXT.replace("'x'", "'y'")]);
  });

  test('are not made of texts that come once, are forgotten, or are not remembered', () => {
    const describe = describeNew();
    for (let i = 0; i < 5000; i++) expect(describe(`SELECT ${i}`).block(true)).toBeUndefined();
    expect(describe('SELECT 0').block(true)).toBeUndefined();
    const long = `SELECT ${'x'.repeat(10_000)}`;
    for (let i = 0; i < 3; i++) expect(describe(long).block(true)).toBeUndefined();
  });

  test('have no empty attributes', () => {
    const describe = describeNew();
    for (const text of ['', '-- nothing', "'x'"]) describe(text).block(false);
    expect(describe('').block(false)?.attributes).toEqual({});
    expect(describe('-- nothing').block(false)?.attributes).toEqual({});
    expect(describe("'x'").block(false)?.attributes).toEqual({ 'db.query.text': '?' });
  });
});

describe('work', () => {
  const { charCodeAt, indexOf, lastIndexOf } = String.prototype;
  afterEach(() => {
    Object.assign(String.prototype, { charCodeAt, indexOf, lastIndexOf });
  });

  /** How many characters are looked at to describe the text. */
  function countVisits(dialect: SqlDialect, text: string, maxLength: number): number {
    const describe = createQueryDescriber({ dialect, maxLength });
    let visits = 0;
    Object.assign(String.prototype, {
      charCodeAt(this: string, at: number) {
        visits++;
        return charCodeAt.call(this, at);
      },
      indexOf(this: string, searched: string, from = 0) {
        const found = indexOf.call(this, searched, from);
        visits += (found < 0 ? this.length : found + searched.length) - from;
        return found;
      },
      lastIndexOf(this: string, searched: string, from = this.length) {
        const found = lastIndexOf.call(this, searched, from);
        visits += from - found;
        return found;
      },
    });
    try {
      void describe(text).sanitized;
    } finally {
      Object.assign(String.prototype, { charCodeAt, indexOf, lastIndexOf });
    }
    return visits;
  }

  const PIECES = [
    'a',
    'select ',
    'a.',
    'a.b ',
    "'",
    "''",
    "'\n",
    "'x' \n ",
    "\\'",
    "E'\\",
    '"',
    '""',
    '`',
    '`a`.',
    '$',
    '$a',
    '$$',
    '$a$ ',
    '1',
    '1.',
    '1e',
    '1e-',
    '-',
    '-1',
    '--',
    '-- ',
    '--\n',
    '/',
    '/*',
    '/* */',
    '/*!',
    '/*! */',
    '/*!1 /* */',
    '*/',
    '(',
    ')',
    '(select ',
    ',',
    'in (',
    'in (1,',
    '1,',
    ';',
    'copy stdin;',
    'u&',
    "u&'",
    '_',
    "_x'a'",
    '#',
    ' ',
    '\n',
    '\u00e9',
    '\ud83d',
    '\u3000',
    'from a,',
    'with a as (',
    '?',
    ':a',
    '@',
  ];

  test.each(DIALECTS)('%s: grows with the text and not faster', (dialect) => {
    for (const piece of PIECES)
      for (const other of ['', 'select * from t where a in (1, ', "select 'x' \n", 'a', '/*!', '$a$']) {
        const text = other + piece.repeat(Math.ceil(4000 / piece.length));
        expect(countVisits(dialect, text, 100_000), JSON.stringify([other, piece])).toBeLessThan(12 * text.length);
      }
  });

  test.each(DIALECTS)('%s: ends at the limit', (dialect) => {
    const tails = [' ', "'", '"', '`', '$$', '*/', '\n', 'x', '1', ',', ')', '$a$'];
    for (const head of [
      'select 1',
      "select 'a",
      'select "a',
      'select `a',
      'select $$a',
      'select /* a',
      'select $a$a',
    ]) {
      const text = `${head}${'b'.repeat(200)}`;
      const visits = countVisits(dialect, `${text}${'b'.repeat(1000)}`, 200);
      expect(visits).toBeLessThan(200 * 12);
      for (const tail of tails) {
        const long = `${text}${tail.repeat(100_000)}`;
        expect(countVisits(dialect, long, 200)).toBe(visits);
        const describe = createQueryDescriber({ dialect, maxLength: 200 });
        const { summary, sanitized } = describe(`${text}${'b'.repeat(1000)}`);
        expect(describe(long)).toMatchObject({ summary, sanitized });
      }
    }
  });
});

describe.each(DIALECTS)('any text, %s', (dialect) => {
  const TOKENS =
    `SELECT FROM WHERE IN INSERT INTO UPDATE SET DELETE WITH AS CREATE TABLE VIEW DROP EXPLAIN COPY STDIN JOIN
    USING VALUES UNION LOCK VACUUM LOAD DATA START PREPARE TRUE ESCAPE IS NOT ON a b.c t1 é 😀 1 .5 1e5 -1 0x1 2fa
    ' '' \\' " "" \` \\ $ $$ $a$ $1 ? ?? : :: @ . , ; ( ) [ ] { } * / + - -- # /* */ /*! /*!50000 /*+ E' U&' N' _x' = < >`
      .split(/\s+/)
      .concat(' ', '\n', '\r', '\t', '\0', '\u00a0', '\ud800', '\udc00', '\uffff');

  test('never throws, keeps the limits', () => {
    const { integer, pick } = random(dialect.length);
    for (let i = 0; i < 20_000; i++) {
      let text = '';
      for (let n = integer(30); n > 0; n--)
        text += integer(12) === 0 ? String.fromCharCode(integer(0x300)) : pick(TOKENS) + (integer(2) === 0 ? ' ' : '');
      const maxLength = integer(4) === 0 ? integer(40) : 1000;
      const { summary, sanitized } = createQueryDescriber({ dialect, maxLength })(text);
      expect(summary.length).toBeLessThanOrEqual(255);
      expect(sanitized.length).toBeLessThanOrEqual(Math.min(maxLength, text.length));
    }
  });

  test('sanitizing once more changes nothing but what lists and comments leave', () => {
    const describe = createQueryDescriber({ dialect, maxLength: 1000 });
    for (const [text] of CONVENTIONS) {
      const { sanitized, summary } = describe(text);
      expect(describe(sanitized)).toMatchObject({ sanitized, summary });
    }
  });
});
