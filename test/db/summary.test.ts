import { describe, expect, test } from 'vitest';
import { createQueryDescriber, type SqlDialect } from '../../src/db/query';

function summaryOf(dialect: SqlDialect, text: string, maxLength = 10_000): string {
  return createQueryDescriber({ dialect, maxLength })(text).summary;
}

describe.each<SqlDialect>(['postgresql', 'mysql'])('summary, %s', (dialect) => {
  test.each([
    // One table.
    ['SELECT * FROM wuser_table WHERE username = 1', 'SELECT wuser_table'],
    ['select a.b, c from t1', 'select t1'],
    ['SELECT 1', 'SELECT'],
    ['SELECT now()', 'SELECT'],
    ['  \n\tSELECT a\r\nFROM\tb', 'SELECT b'],
    ['SELECT * FROM table', 'SELECT table'],
    ['SELECT * FROM dbo.Table', 'SELECT dbo.Table'],
    ['SELECT * FROM a.b.c x', 'SELECT a.b.c'],
    ['SELECT * FROM größe', 'SELECT größe'],
    ['SELECT t.from FROM x', 'SELECT x'],
    ['SELECT :from, b FROM x', 'SELECT x'],
    ['SELECT * FROM t WHERE a = 1 ORDER BY b, c LIMIT 1, 2', 'SELECT t'],
    ['SELECT * FROM t GROUP BY a, b HAVING c > 1', 'SELECT t'],
    ['SELECT * FROM t FOR UPDATE', 'SELECT t'],
    ['SELECT * FROM t WHERE a IS NOT DISTINCT FROM b', 'SELECT t'],
    // Several tables.
    ['SELECT * FROM songs, artists WHERE songs.artist_id = artists.id', 'SELECT songs artists'],
    ['SELECT * FROM songs s, artists AS a', 'SELECT songs artists'],
    ['SELECT * FROM a JOIN b ON a.x = b.x LEFT OUTER JOIN c USING (id), d', 'SELECT a b c d'],
    ['SELECT * FROM a NATURAL JOIN b CROSS JOIN c', 'SELECT a b c'],
    ['SELECT * FROM (a JOIN (b CROSS JOIN c) ON f(a.x, 1) = b.x), d', 'SELECT a b c d'],
    ['SELECT * FROM (a, b)', 'SELECT a b'],
    ['SELECT * FROM t a, t b', 'SELECT t t'],
    // Functions with FROM between their parentheses.
    ['SELECT EXTRACT(YEAR FROM a), TRIM(BOTH FROM b), SUBSTRING(c FROM 2 FOR 3) FROM t', 'SELECT t'],
    ['SELECT COUNT(*), (CASE WHEN a THEN TRIM(x FROM y) END) FROM t', 'SELECT t'],
    ['SELECT * FROM f(1, a) x, t', 'SELECT f t'],
    // Subqueries and set operations.
    ['SELECT * FROM (SELECT * FROM o JOIN c ON 1 = 1)', 'SELECT SELECT o c'],
    ['SELECT * FROM ((SELECT a FROM x) UNION (SELECT b FROM y)) z, w', 'SELECT SELECT x SELECT y w'],
    ['SELECT a, (SELECT max(b) FROM c) FROM d WHERE e IN (SELECT f FROM g)', 'SELECT SELECT c d SELECT g'],
    ['SELECT * FROM t WHERE EXISTS(SELECT 1 FROM u WHERE u.id = t.id), v', 'SELECT t SELECT u'],
    ['SELECT a FROM b UNION ALL SELECT c FROM d', 'SELECT b SELECT d'],
    ['(SELECT a FROM b) UNION (SELECT c FROM d) ORDER BY e', 'SELECT b SELECT d'],
    ['SELECT * FROM (VALUES (1, 2), (3, 4)) AS v JOIN t USING (id)', 'SELECT t'],
    ['WITH a AS (SELECT x FROM b) SELECT * FROM a', 'SELECT b SELECT a'],
    ['WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n FROM a) SELECT n FROM a', 'SELECT SELECT a SELECT a'],
    ['WITH a AS (SELECT 1 FROM x), b AS (SELECT 2 FROM y) UPDATE t SET c = 1', 'SELECT x SELECT y UPDATE t'],
    // Changes of data.
    ['INSERT INTO t (a, b) VALUES (1, 2), (3, 4)', 'INSERT t'],
    ['INSERT INTO table VALUES (1)', 'INSERT table'],
    ['INSERT INTO shipping_details (a) SELECT b FROM orders', 'INSERT shipping_details SELECT orders'],
    ['INSERT INTO t WITH a AS (SELECT b FROM c) SELECT * FROM a', 'INSERT t SELECT c SELECT a'],
    ['UPDATE t AS x SET a = 1, b = 2 WHERE c = 3', 'UPDATE t'],
    ['UPDATE t SET a = (SELECT b FROM u WHERE u.c IN (1, 2)), d = 1', 'UPDATE t SELECT u'],
    ['DELETE FROM t WHERE a = 1', 'DELETE t'],
    ['DELETE FROM t USING u WHERE t.id = u.id', 'DELETE t u'],
    [
      'MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)',
      'MERGE t s',
    ],
    ['MERGE INTO t USING (SELECT * FROM s) x ON (t.id = x.id) WHEN MATCHED THEN DELETE', 'MERGE t SELECT s'],
    // Definitions.
    ['CREATE  TABLE MyTable (id int, name varchar(255))', 'CREATE TABLE MyTable'],
    ['CREATE TABLE IF NOT EXISTS t (id int REFERENCES u(id))', 'CREATE TABLE t'],
    ['CREATE TEMPORARY TABLE t AS SELECT * FROM u', 'CREATE TEMPORARY TABLE t SELECT u'],
    ['CREATE TABLE t (`update` int, delete int, replace int)', 'CREATE TABLE t'],
    ['CREATE OR REPLACE VIEW v AS SELECT * FROM t', 'CREATE OR REPLACE VIEW v SELECT t'],
    ['CREATE UNIQUE INDEX i ON t (a, b)', 'CREATE UNIQUE INDEX i'],
    ['DROP TABLE IF EXISTS a, b.c CASCADE', 'DROP TABLE a b.c'],
    ['DROP INDEX i', 'DROP INDEX i'],
    ['drop database d', 'drop database d'],
    ['ALTER TABLE t ADD COLUMN a int, DROP COLUMN b', 'ALTER TABLE t'],
    ['TRUNCATE TABLE t', 'TRUNCATE TABLE t'],
    ['TRUNCATE t', 'TRUNCATE t'],
    [
      'CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN UPDATE x SET a = 1; DELETE FROM y; END',
      'CREATE TRIGGER g',
    ],
    ['DROP TRIGGER g; SELECT 1 FROM t', 'DROP TRIGGER g SELECT t'],
    ['CREATE ROLE ann; SELECT 1', 'CREATE ROLE SELECT'],
    // Others.
    ['CALL p(1, 2)', 'CALL p'],
    ['call db.p', 'call db.p'],
    ['{ call p(1) }', 'call p'],
    ['EXPLAIN SELECT * FROM t', 'EXPLAIN SELECT t'],
    ['EXPLAIN ANALYZE DELETE FROM t', 'EXPLAIN DELETE t'],
    ['BEGIN', 'BEGIN'],
    ['START TRANSACTION READ ONLY', 'START TRANSACTION'],
    ['COMMIT', 'COMMIT'],
    ['ROLLBACK TO SAVEPOINT a1b2', 'ROLLBACK'],
    ['SAVEPOINT a1b2', 'SAVEPOINT'],
    ['RELEASE SAVEPOINT a1b2', 'RELEASE SAVEPOINT'],
    ['SET a = 1', 'SET'],
    ['SHOW TABLES FROM x', 'SHOW'],
    ['GRANT SELECT, INSERT ON t TO ann', 'GRANT'],
    ['REVOKE SELECT ON t FROM ann', 'REVOKE'],
    ['VALUES (1), (2)', 'VALUES'],
    ['TABLE t', 'TABLE t'],
    ['PREPARE p AS SELECT * FROM t', 'PREPARE SELECT t'],
    ['DEALLOCATE p', 'DEALLOCATE'],
    ['FETCH 10 FROM c', 'FETCH'],
    ['ANALYZE t', 'ANALYZE t'],
    ['LOCK TABLES a READ, b WRITE', 'LOCK TABLES a b'],
    // Several statements.
    ['START; SELECT transaction FROM t', 'START SELECT t'],
    ['SELECT 1 FROM a; DELETE FROM b;', 'SELECT a DELETE b'],
    ['BEGIN; INSERT INTO t VALUES (1); COMMIT', 'BEGIN INSERT t COMMIT'],
    [';;SELECT 1 FROM (a; UPDATE b SET c = 1', 'SELECT a UPDATE b'],
    // Comments.
    ['/* update x */ SELECT /* from y */ 1 -- from z\nFROM /* ( */ t', 'SELECT t'],
    ['SELECT * FROM a./* c */b', 'SELECT a'],
    // What is no statement.
    ['', ''],
    [' \n ', ''],
    ['-- SELECT 1', ''],
    ['/* SELECT 1 */', ''],
    [';', ''],
    ['))', ''],
    ['1234', ''],
    ["'SELECT' FROM t", ''],
    ['FROM t', ''],
    ['AND now for something completely different', ''],
    ['garbage text', 'garbage'],
    ['thiswordistoolongtobeanoperation', ''],
    ['a1b2 c3', ''],
    ['größe', ''],
    // Literals and placeholders are no targets.
    ["SELECT * FROM 'lit', t", 'SELECT t'],
    ['SELECT * FROM 123, t', 'SELECT t'],
    ['SELECT * FROM ?', 'SELECT'],
    ['SELECT * FROM :name, @name, ??', 'SELECT'],
    ['delete from 12345678', 'delete'],
    ['SELECT * FROM', 'SELECT'],
    ['SELECT * FROM WHERE a = 1', 'SELECT'],
    ['INSERT INTO', 'INSERT'],
    ['UPDATE', 'UPDATE'],
    ['CREATE', 'CREATE'],
    ['DROP TABLE', 'DROP TABLE'],
    ['DELETE (((', 'DELETE'],
  ])('%s', (text, summary) => {
    expect(summaryOf(dialect, text)).toBe(summary);
  });

  test('takes at most 255 characters and ends between names', () => {
    const names = Array.from({ length: 100 }, (_, i) => `table_${i}`);
    const summary = summaryOf(dialect, `SELECT * FROM ${names.join(', ')}`);
    const expected = ['SELECT', ...names].join(' ').slice(0, 256);
    expect(summary).toBe(expected.slice(0, expected.lastIndexOf(' ')));
    expect(summary.length).toBeGreaterThan(240);
    expect(summaryOf(dialect, `SELECT * FROM ${'x'.repeat(248)}`)).toHaveLength(255);
    expect(summaryOf(dialect, `SELECT * FROM ${'x'.repeat(249)}, y`)).toBe('SELECT');
  });

  test('leaves out a name or operation that the cut may have shortened', () => {
    const text = 'SELECT * FROM albums JOIN artists ON true';
    const summaries = Array.from(text, (_, cut) => summaryOf(dialect, text, cut));
    expect(new Set(summaries)).toEqual(new Set(['', 'SELECT', 'SELECT albums', 'SELECT albums artists']));
    expect(summaryOf(dialect, 'SELECT * FROM albums', 20)).toBe('SELECT albums');
    expect(summaryOf(dialect, 'SELECT * FROM db.albums x', 17)).toBe('SELECT');
    expect(summaryOf(dialect, 'SELECT * FROM db.albums x', 18)).toBe('SELECT');
  });

  test('skips what is nested too deeply and finds back', () => {
    const deep = `SELECT ${'('.repeat(500)}SELECT 1 FROM x${')'.repeat(500)} FROM t`;
    expect(summaryOf(dialect, deep)).toBe('SELECT SELECT x t');
  });
});

describe('summary, PostgreSQL only', () => {
  test.each([
    ['SELECT * FROM public."Song List" s, "a""b"."c.d"', 'SELECT public."Song List" "a""b"."c.d"'],
    ['SELECT * FROM U&"d\\0061ta" WHERE 1 = 1', 'SELECT U&"d\\0061ta"'],
    ['SELECT * FROM ONLY a, LATERAL (SELECT 1 FROM b) x, LATERAL f(1)', 'SELECT a SELECT b f'],
    ['SELECT * FROM a TABLESAMPLE SYSTEM (1), generate_series(1, 10) WITH ORDINALITY g', 'SELECT a generate_series'],
    ['SELECT a, b INTO TEMP TABLE n FROM t', 'SELECT n t'],
    ['INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b RETURNING a, b', 'INSERT t'],
    ['UPDATE ONLY t SET a = f.a FROM f JOIN g USING (id) WHERE t.id = f.id', 'UPDATE t f g'],
    ['DELETE FROM ONLY t USING a JOIN b USING (id), c WHERE t.id = a.id', 'DELETE t a b c'],
    ['WITH d AS (DELETE FROM t RETURNING *) INSERT INTO log SELECT * FROM d', 'DELETE t INSERT log SELECT d'],
    ['CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t USING gin (a)', 'CREATE INDEX i'],
    ['CREATE INDEX ON t (a)', 'CREATE INDEX t'],
    ['CREATE MATERIALIZED VIEW v AS SELECT 1 FROM t', 'CREATE MATERIALIZED VIEW v SELECT t'],
    ['REFRESH MATERIALIZED VIEW CONCURRENTLY v', 'REFRESH MATERIALIZED VIEW v'],
    ['CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 FROM t; $$ LANGUAGE sql', 'CREATE FUNCTION f'],
    ['CREATE POLICY p ON t FOR SELECT USING (a = 1)', 'CREATE POLICY p'],
    ['ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO ann', 'ALTER'],
    ['TRUNCATE ONLY a, b RESTART IDENTITY', 'TRUNCATE a b'],
    ['COPY t (a, b) FROM STDIN', 'COPY t'],
    ['COPY t FROM STDIN;\nann\tmiller', 'COPY t'],
    ['COPY (SELECT * FROM t) TO STDOUT', 'COPY SELECT t'],
    ['EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM t', 'EXPLAIN SELECT t'],
    ['VACUUM (FULL, ANALYZE) t', 'VACUUM t'],
    ['VACUUM FULL t (a, b), u', 'VACUUM t u'],
    ['REINDEX (VERBOSE) TABLE CONCURRENTLY t', 'REINDEX TABLE t'],
    ['LOCK TABLE ONLY a, b IN ACCESS EXCLUSIVE MODE', 'LOCK TABLE a b'],
    ['DO $$ BEGIN PERFORM 1 FROM t; END $$', 'DO'],
    ['LISTEN channel_1', 'LISTEN'],
    ["NOTIFY channel_1, 'x'", 'NOTIFY'],
    ['DECLARE c CURSOR FOR SELECT * FROM t', 'DECLARE SELECT t'],
    ['SELECT /* a /* b */ FROM x */ 1 FROM t', 'SELECT t'],
    ['SELECT $$ FROM x $$, $1 FROM t', 'SELECT t'],
    ['SELECT * FROM $1, t', 'SELECT t'],
    ['SELECT * FROM "open, t', 'SELECT'],
    ['SELECT * FROM 2fa', 'SELECT'],
  ])('%s', (text, summary) => {
    expect(summaryOf('postgresql', text)).toBe(summary);
  });
});

describe('summary, MySQL only', () => {
  test.each([
    ['SELECT * FROM `song list` s, `a``b`.`c.d`', 'SELECT `song list` `a``b`.`c.d`'],
    ['SELECT * FROM "ansi", t', 'SELECT t'],
    ['SELECT * FROM 2fa_tokens, db.2024_sales', 'SELECT 2fa_tokens db.2024_sales'],
    ['SELECT STRAIGHT_JOIN a FROM t STRAIGHT_JOIN u', 'SELECT t u'],
    ['SELECT * FROM t USE INDEX FOR JOIN (i), u FORCE INDEX (j)', 'SELECT t u'],
    ['SELECT a, b INTO @x, @y FROM t', 'SELECT t'],
    ["SELECT a INTO OUTFILE 'f' FROM t", 'SELECT t'],
    ['INSERT LOW_PRIORITY IGNORE INTO t SET a = 1', 'INSERT t'],
    ['INSERT t VALUES (1)', 'INSERT t'],
    ['INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a), b = 2', 'INSERT t'],
    ['REPLACE INTO t VALUES (1)', 'REPLACE t'],
    ["SELECT REPLACE(a, 'b', 'c'), INSERT(d, 1, 2, 'e') FROM t", 'SELECT t'],
    ['UPDATE LOW_PRIORITY a JOIN b ON a.id = b.id, c SET a.x = 1, b.y = 2', 'UPDATE a b c'],
    ['DELETE a, b FROM a JOIN b USING (id)', 'DELETE a b'],
    ['CREATE DEFINER = `root`@`localhost` SQL SECURITY INVOKER VIEW v AS SELECT 1 FROM t', 'CREATE VIEW v SELECT t'],
    ['CREATE FULLTEXT INDEX i ON t (a)', 'CREATE FULLTEXT INDEX i'],
    ["CREATE USER 'ann'@'%' IDENTIFIED BY 'x'", 'CREATE USER'],
    ['RENAME TABLE a TO b, c TO d', 'RENAME TABLE a c'],
    ['OPTIMIZE TABLE a, b', 'OPTIMIZE TABLE a b'],
    ['UNLOCK TABLES', 'UNLOCK TABLES'],
    ['USE db', 'USE db'],
    ['USE local', 'USE local'],
    ['INSERT IGNORE INTO local VALUES (1)', 'INSERT local'],
    ['DESCRIBE t', 'DESCRIBE t'],
    ['DESC SELECT * FROM t', 'DESC SELECT t'],
    ["LOAD DATA LOCAL INFILE 'x' REPLACE INTO TABLE t FIELDS TERMINATED BY ','", 'LOAD DATA t'],
    ['/*!40101 SET NAMES utf8 */', 'SET'],
    ['SELECT /*+ MAX_EXECUTION_TIME(1) */ a /*!50000 , b */ FROM t # FROM u', 'SELECT t'],
    ['SELECT a--1 FROM t -- FROM u', 'SELECT t'],
    ["SELECT 'it\\'s FROM x' FROM t", 'SELECT t'],
    ['SELECT $$ FROM t', 'SELECT'],
  ])('%s', (text, summary) => {
    expect(summaryOf('mysql', text)).toBe(summary);
  });
});
