import { describe, expect, test } from 'vitest';
import { createQueryDescriber, type SqlDialect } from '../../src/db/query';

function sanitized(dialect: SqlDialect, text: string, maxLength = 10_000): string {
  return createQueryDescriber({ dialect, maxLength })(text).sanitized;
}

describe.each<SqlDialect>(['postgresql', 'mysql'])('sanitized text, %s', (dialect) => {
  test.each([
    // Strings.
    ["SELECT 'a'", 'SELECT ?'],
    ["SELECT ''", 'SELECT ?'],
    ["SELECT 'it''s', 'b'", 'SELECT ?, ?'],
    ["SELECT 'line\nbreak; -- /* $$ \"'", 'SELECT ?'],
    ["a='x'AND b='y'", 'a=?AND b=?'],
    ["SELECT N'a', n'b', X'1F', x'1f', B'01', b'01'", 'SELECT ?, ?, ?, ?, ?, ?'],
    ["SELECT DATE '2024-01-31', TIMESTAMP'2024-01-31 10:00', TIME '10:00'", 'SELECT DATE ?, TIMESTAMP?, TIME ?'],
    ["SELECT INTERVAL '1 day', INTERVAL 1 DAY", 'SELECT INTERVAL ?, INTERVAL ? DAY'],
    ["SELECT name'a'", 'SELECT name?'],
    ["SELECT 'open", 'SELECT ?'],
    // Numbers.
    ['SELECT 1, 1.5, .5, 1., 1e10, 1E-5, 1.5e+3, 0x1F, 0XfF, 0b01, 0', `SELECT ${Array(11).fill('?').join(', ')}`],
    ['SELECT -1, +1, - 1, (-1), -.5, a=-1, -1e-5', 'SELECT ?, ?, - ?, (?), ?, a=?, ?'],
    ['SELECT a-1, a - 1, (a)-1, a[1]-1, ?-1', 'SELECT a-?, a - ?, (a)-?, a[?]-?, ?-?'],
    ['WHERE a > -1 AND -1 < b LIMIT -1', 'WHERE a > ? AND ? < b LIMIT ?'],
    ['SELECT 99+100, 2*3, 1 - 2', 'SELECT ??, ?*?, ? - ?'],
    ['SELECT 1abc, 1_000', 'SELECT ?, ?'],
    ['SELECT 0x1e-5', 'SELECT ??'],
    ['SELECT id=\u00a0123\u3000, 4', 'SELECT id=\u00a0?\u3000, ?'],
    // Names with digits.
    ['SELECT t1, a_2b, t1.c2 FROM x9 WHERE n1h1=1', 'SELECT t1, a_2b, t1.c2 FROM x9 WHERE n1h1=?'],
    ['SELECT größe7 FROM übung2', 'SELECT größe7 FROM übung2'],
    ['SELECT t.5', 'SELECT t.?'],
    ['varchar(255)', 'varchar(?)'],
    // Booleans and NULL.
    ['SELECT TRUE, false, NULL, t.true', 'SELECT ?, ?, NULL, t.true'],
    ['a IS TRUE AND b IS NOT FALSE AND NOT TRUE', 'a IS TRUE AND b IS NOT FALSE AND NOT ?'],
    ['SELECT truest, :true', 'SELECT truest, :true'],
    // Comments.
    ['SELECT a -- x 1\nFROM /* y \n 2 */ t', 'SELECT a \nFROM  t'],
    ['SELECT/* x */a', 'SELECT a'],
    ['SELECT 1/**//**/', 'SELECT ?'],
    ['/* x */ SELECT 1 -- y', 'SELECT ?'],
    ["SELECT '/*', 1 /* ' */, '*/'", 'SELECT ?, ? , ?'],
    ["SELECT 'a' -- it's\n, 'b'", 'SELECT ? \n, ?'],
    ['SELECT a /* open 1', 'SELECT a'],
    ['-- only', ''],
    // Blanks stay inside and go at the ends.
    ['  SELECT  a,\n\t b \n', 'SELECT  a,\n\t b'],
    ['', ''],
    // Lists of literals only.
    ["a IN (1, -2, 'x', ?)", 'a IN (?)'],
    ['a NOT IN (1)', 'a NOT IN (?)'],
    ['a in(1,2)and b IN (3 /* c */ , 4)', 'a in(?)and b IN (?)'],
    ['a IN (b, 1, 2)', 'a IN (b, ?, ?)'],
    ['a IN (1, b, 2)', 'a IN (?, b, ?)'],
    ['a IN (1, 2 + 3)', 'a IN (?, ? + ?)'],
    ['a IN (SELECT 1, 2)', 'a IN (SELECT ?, ?)'],
    ['a IN ()', 'a IN ()'],
    ['(a, b) IN ((1, 2), (3, 4))', '(a, b) IN ((?, ?), (?, ?))'],
    ['f(1, 2)', 'f(?, ?)'],
    ['INSERT INTO t VALUES (1, 2), (3, 4)', 'INSERT INTO t VALUES (?, ?), (?, ?)'],
    // Placeholders and operators.
    ['SELECT ?, ??, :name, @var', 'SELECT ?, ??, :name, @var'],
    ['a::int = b AND c := d', 'a::int = b AND c := d'],
    ["SELECT a->'b', c->>'d', e->1, f->-1", 'SELECT a->?, c->>?, e->?, f->?'],
  ])('%s', (text, expected) => {
    expect(sanitized(dialect, text)).toBe(expected);
  });

  test('cuts at the limit and masks what the cut left open', () => {
    const text = "SELECT 'abc', 1234 FROM t";
    const texts = Array.from({ length: text.length + 1 }, (_, cut) => sanitized(dialect, text, cut));
    expect(texts[0]).toBe('');
    expect(texts[7]).toBe('SELECT');
    for (let cut = 8; cut <= 12; cut++) expect(texts[cut]).toBe('SELECT ?');
    for (let cut = 15; cut <= 18; cut++) expect(texts[cut]).toBe('SELECT ?, ?');
    expect(texts[text.length]).toBe('SELECT ?, ? FROM t');
  });

  test('gives lists one text wherever they are cut', () => {
    const text = `SELECT a FROM t WHERE b IN (${Array.from({ length: 50 }, (_, i) => 1000 + i).join(', ')})`;
    for (let cut = 60; cut < text.length; cut++)
      expect(sanitized(dialect, text, cut)).toBe('SELECT a FROM t WHERE b IN (?');
    expect(sanitized(dialect, text)).toBe('SELECT a FROM t WHERE b IN (?)');
  });

  test('never splits a character', () => {
    expect(sanitized(dialect, 'SELECT 😀😀', 8)).toBe('SELECT');
    expect(sanitized(dialect, 'SELECT 😀😀', 9)).toBe('SELECT 😀');
  });
});

describe('sanitized text, PostgreSQL only', () => {
  test.each([
    ["E'it\\'s', e'\\\\', 'x'", '?, ?, ?'],
    ["U&'d\\0061t' UESCAPE '!', u&'it''s'", '? UESCAPE ?, ?'],
    ['U&"d\\0061t", u & \'x\'', 'U&"d\\0061t", u & ?'],
    ["type'x', e2'y'", 'type?, e2?'],
    ["$$a ' b$$, $tag$ $$ $other$ $tag$, $é$x$é$", '?, ?, ?'],
    ['$1, $22, $1::int, $1-1', '$1, $22, $1::int, $1-?'],
    ['a$b$c, a$$b', 'a$b$c, a$$b'],
    ['1$$x y$$', '??'],
    ['$$open', '?'],
    ['$tag$open $tag', '?'],
    ['a $ b', 'a $ b'],
    ["'a'\n'b', 'c' 'd', E'a'\r\n  'it\\'s', 'x'", '?, ? ?, ?, ?'],
    ["'{1,2}'::int[], '{}'::jsonb, ARRAY[1, 2]", '?::int[], ?::jsonb, ARRAY[?, ?]'],
    ["CAST('1' AS int), a[1:2]", 'CAST(? AS int), a[?:?]'],
    ['"Quoted ""1""", "it\'s 2", \'x\'', '"Quoted ""1""", "it\'s 2", ?'],
    ['"open 1', '?'],
    ['/* a /* 1 */ 2 */ b', 'b'],
    ['/* a /* 1 */ 2', ''],
    ['a--1\nb', 'a\nb'],
    ["a --it's\r, 'b'", 'a \r, ?'],
    ['/*!40000 a */ b', 'b'],
    ["a @> '{}' AND b ? 'k' AND c ?| d AND e #>> '{f}' = g # 1", 'a @> ? AND b ? ? AND c ?| d AND e #>> ? = g # ?'],
    ['0o17, 1_000.5, 1..10', '?, ?, ?'],
    ['`a` 1', '`a` ?'],
    // A backslash before the quote: the string may go on behind it.
    ["a = 'C:\\' OR b = 'x'", 'a = ?'],
    ["a = 'C:\\\\' OR b = 'x'", 'a = ? OR b = ?'],
    ["a = 'it\\'s' OR b = 'x'", 'a = ?'],
    ["a LIKE 'x\\_%' ESCAPE '\\' OR b = 'x'", 'a LIKE ? ESCAPE ? OR b = ?'],
    ["a LIKE 'x' ESCAPE '\\'' OR b = 'x'", 'a LIKE ? ESCAPE ?'],
    // Rows are no part of what a driver sends, but a text may have them.
    ["COPY t (a) FROM STDIN WITH (DELIMITER ',');\nann\t1\n\\.", 'COPY t (a) FROM STDIN WITH (DELIMITER ?);\n?'],
    ['COPY t TO STDOUT; SELECT a', 'COPY t TO STDOUT; SELECT a'],
    ['COPY t FROM STDIN;', 'COPY t FROM STDIN;'],
    ['SELECT copy, stdin; SELECT a', 'SELECT copy, stdin; SELECT a'],
    ['a IN ($1, $2)', 'a IN ($1, $2)'],
  ])('%s', (text, expected) => {
    expect(sanitized('postgresql', text)).toBe(expected);
  });
});

describe('sanitized text, MySQL only', () => {
  test.each([
    ['"a", "it\'s", "say ""x""", "\\"", \'x\'', '?, ?, ?, ?, ?'],
    ["'it\\'s', 'a\\\\', 'x'", '?, ?, ?'],
    ['_utf8mb4\'a\', _latin1 "b", _binary x\'01\', _utf8mb4"c"', '?, _latin1 ?, _binary ?, ?'],
    ["'a' 'b', 'c'\n'd'", '? ?, ?\n?'],
    ["`a 1`, `b``2`, `it's`, `t`.`3`", "`a 1`, `b``2`, `it's`, `t`.`3`"],
    ['`open 1', '?'],
    ["a # it's 1\n, 'b'", 'a \n, ?'],
    ["a -- it's 1\n, 'b' --", 'a \n, ?'],
    ['a--1, b -- 1', 'a-?, b'],
    ['a --\t1\nb', 'a \nb'],
    ["a -- x\r'y'", 'a'],
    ['/* a /* 1 */ b', 'b'],
    ['SELECT /*+ HINT(1) */ a', 'SELECT  a'],
    ["/*!40101 SET a = 'x', b = 5 */", 'SET a = ?, b = ?'],
    ["/*M!100400 SET a = 'x' */ ; b", 'SET a = ?  ; b'],
    ["/*!SET a = 'x'*/b 'y'", 'SET a = ? b ?'],
    // A server skips such a comment up to the first end of a comment, or executes it and sees a string there.
    ["/*!99999 'a */, b' */, 'c'", '?'],
    ["/*!99999 a # */ b\n, 'c' */", 'a ?'],
    ['/*!99999 `*/` */ a', '?'],
    ["a * /b */ 'c'", 'a * /b */ ?'],
    ['SELECT * FROM 2fa WHERE a = 2fa AND t.2fa = 1', 'SELECT * FROM 2fa WHERE a = ? AND t.2fa = ?'],
    ['1e5, 1e5x, 12e-3, 1.2e3, 2e_x, 0xzz', '?, ?, ?, ?, ?, ?'],
    ['SELECT * FROM 12e', 'SELECT * FROM ?'],
    ['$a, $1, a$b, $$x', '$a, $1, a$b, ?'],
    ['\\N, a ? b', '\\N, a ? b'],
    ["'root'@'localhost', @`v 1`, @@global.x", '?@?, @`v 1`, @@global.x'],
    ["a RLIKE '^x' AND b = -1 DIV -2", 'a RLIKE ? AND b = ? DIV ?'],
  ])('%s', (text, expected) => {
    expect(sanitized('mysql', text)).toBe(expected);
  });
});
