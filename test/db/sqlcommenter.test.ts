import { expect, test } from 'vitest';
import { appendTraceComment, type CommentField } from '../../src/db/sqlcommenter';

const TRACEPARENT = '00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01';
const fields: CommentField[] = [
  ['tracestate', 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7'],
  ['traceparent', TRACEPARENT],
];

test('appends the fields, sorted and encoded', () => {
  expect(appendTraceComment('SELECT * FROM songs', fields)).toBe(
    `SELECT * FROM songs /*traceparent='${TRACEPARENT}',tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/`,
  );
  expect(fields[0]![0]).toBe('tracestate');
});

test.each([
  [[['a', '/param first']], "a='%2Fparam%20first'"],
  [[['route parameter', 'x']], "route%20parameter='x'"],
  [[['a', "FOO 'BAR"]], "a='FOO%20\\'BAR'"],
  [[["it's", 'x']], "it\\'s='x'"],
  [[['a', '%2Fparam*d']], "a='%252Fparam*d'"],
  [
    [
      ['b', '1'],
      ['a1', '2'],
      ['a', '3'],
      ['B', '4'],
    ],
    "B='4',a='3',a1='2',b='1'",
  ],
  [[['a', '*/; DROP TABLE t; /*']], "a='*%2F%3B%20DROP%20TABLE%20t%3B%20%2F*'"],
  [[['*/', 'x']], "*%2F='x'"],
  [[['!50000 x', 'y']], "%2150000%20x='y'"],
  [[['M!1', 'y']], "M%211='y'"],
  [[['+ hint', 'y']], "%2B%20hint='y'"],
  [[['a', '? :name $1 # -- \\']], "a='%3F%20%3Aname%20%241%20%23%20--%20%5C'"],
  [[['a', 'größe 😀\n']], "a='gr%C3%B6%C3%9Fe%20%F0%9F%98%80%0A'"],
] as [CommentField[], string][])('encodes %j', (pairs, comment) => {
  const sql = appendTraceComment('SELECT 1', pairs);
  expect(sql).toBe(`SELECT 1 /*${comment}*/`);
  expect(sql.indexOf('*/')).toBe(sql.length - 2);
});

test.each([
  ['SELECT 1;', "SELECT 1 /*a='1'*/;"],
  ['SELECT 1 ;\n', "SELECT 1 /*a='1'*/ ;\n"],
  ['SELECT 1; SELECT 2', "SELECT 1; SELECT 2 /*a='1'*/"],
  ['SELECT 1\n', "SELECT 1 /*a='1'*/\n"],
])('%j gets the comment before what closes it', (sql, expected) => {
  expect(appendTraceComment(sql, [['a', '1']])).toBe(expected);
});

test.each([
  '',
  ' ; ',
  'SELECT 1 /* mine */',
  '/* mine */ SELECT 1',
  'SELECT 1 -- mine',
  'SELECT /*+ HINT */ 1',
  "SELECT '--'",
  "SELECT 1 /*traceparent='x'*/",
])('%j stays as it is', (sql) => {
  expect(appendTraceComment(sql, fields)).toBe(sql);
});

test('adds nothing without fields', () => {
  expect(appendTraceComment('SELECT 1', [])).toBe('SELECT 1');
  expect(appendTraceComment('SELECT 1', [['', 'x']])).toBe('SELECT 1');
  expect(appendTraceComment('SELECT 1', [['a', '']])).toBe('SELECT 1');
  expect(
    appendTraceComment('SELECT 1', [
      ['a', '\ud800'],
      ['b', 'x'],
    ]),
  ).toBe("SELECT 1 /*b='x'*/");
});
