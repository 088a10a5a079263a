import type { SqlDialect } from '../../src/db/query';
import type { Random } from '../support/random';

// Statements are put together at random; every literal in them holds a secret. Words of secrets start with `Zq` and
// their digits are 8 and 9, and neither occurs anywhere else, so that no part of a secret can hide in what is given out.
export const SECRET = /z|[89]/i;

type Form = (random: Random) => string;

/** Characters that mean something within or around a literal. */
const NOISE = [
  '',
  '',
  ' ',
  "''",
  '""',
  '--',
  '-- ',
  '/*',
  '*/',
  '#',
  ';',
  '$',
  '$$',
  '?',
  '(',
  ')',
  ',',
  '\n',
  '`',
  'é',
];

function secret({ integer, pick }: Random): string {
  let word = 'Zq';
  for (let n = 2 + integer(4); n > 0; n--) word += pick(['z', 'Z', '8', '9', 'zq']);
  return word;
}

/** Text that a string may hold between the given quotes, in which noise is doubled or left out as needed. */
function inside(source: Random, quote: string, escapes: readonly string[]): string {
  let text = '';
  for (let n = 1 + source.integer(3); n > 0; n--) {
    const noise = source.pick([...NOISE, ...escapes]);
    text +=
      (noise.includes(quote) && noise !== quote + quote && !escapes.includes(noise) ? '' : noise) + secret(source);
  }
  return text;
}

const digits: Form = ({ integer, pick }) => {
  let text = pick(['8', '9']);
  for (let n = 1 + integer(5); n > 0; n--) text += pick(['8', '9']);
  return text;
};

const NUMBERS: Form[] = [
  digits,
  (source) => `-${digits(source)}`,
  (source) => `${digits(source)}.${digits(source)}`,
  (source) => `.${digits(source)}`,
  (source) => `${digits(source)}e-${digits(source)}`,
  (source) => `+${digits(source)}.E+${digits(source)}`,
  (source) => `0x${digits(source)}`,
  (source) => `(a)-${digits(source)}`,
  (source) => `b-${digits(source)}+${digits(source)}`,
  (source) => `c[${digits(source)}:${digits(source)}]`,
];

const COMMENTS: Form[] = [
  (source) => `/* ${secret(source)} ' " ${secret(source)} */`,
  (source) => `-- ${secret(source)} ' " /* ${secret(source)}\n`,
];

const STRINGS: Form[] = [
  (source) => `'${inside(source, "'", [])}'`,
  (source) => `DATE '${secret(source)}'`,
  (source) => `N'${inside(source, "'", [])}'`,
  (source) => `x'${digits(source)}'`,
  (source) => `b'${digits(source)}'`,
];

const BACKSLASHES = ["\\'", '\\\\', '\\n', '\\"', "\\\\\\'"];

export const FORMS: Record<SqlDialect, Form[]> = {
  postgresql: [
    ...STRINGS,
    ...NUMBERS,
    ...COMMENTS,
    // In MySQL these are names, and shown where a name is expected.
    (source) => `${digits(source)}_${digits(source)}`,
    (source) => `${digits(source)}${secret(source)}`,
    (source) => `E'${inside(source, "'", BACKSLASHES)}'`,
    (source) => `e'${inside(source, "'", BACKSLASHES)}'::text`,
    (source) => `E'${secret(source)}' \n '${inside(source, "'", BACKSLASHES)}'`,
    (source) => `U&'${inside(source, "'", ['\\0061'])}' UESCAPE '!'`,
    (source) => `'${secret(source)}'\n\t'${secret(source)}'`,
    (source) => `'{${secret(source)},"${secret(source)}"}'::text[]`,
    (source) => `$$${inside(source, '$$', [`'`, '"', '$'])}$$`,
    (source) => `$tag_1$${inside(source, '$tag_1$', [`'`, '"', '$$', '$tag$'])}$tag_1$`,
    (source) => `$é$ ${secret(source)} $$ ${secret(source)} ' $é$`,
    (source) => `/* ${secret(source)} /* ' */ ${secret(source)} */`,
    (source) => `--${secret(source)} '\n`,
    // Without standard_conforming_strings these are one string; with it they end at the second quote.
    (source) => `'${secret(source)}\\' ${secret(source)}'`,
    (source) => `'${secret(source)}\\''`,
    (source) => `'${secret(source)}\\\\'`,
    (source) => `'\\'' || '${secret(source)}'`,
    (source) => `'${secret(source)}\\\\\\', '${secret(source)}'`,
  ],
  mysql: [
    ...STRINGS,
    ...NUMBERS,
    ...COMMENTS,
    (source) => `'${inside(source, "'", BACKSLASHES)}'`,
    (source) => `"${inside(source, '"', BACKSLASHES)}"`,
    (source) => `_ascii'${inside(source, "'", BACKSLASHES)}'`,
    (source) => `_latin1 "${inside(source, '"', BACKSLASHES)}"`,
    (source) => `'${secret(source)}' '${secret(source)}'`,
    (source) => `# ${secret(source)} ' " /*\n`,
    (source) => `/*+ ${secret(source)} */`,
    (source) => `/*!50000 , '${inside(source, "'", BACKSLASHES)}' */`,
    (source) => `/*M!100100 AND d = ${digits(source)}*/`,
    (source) => `/*!40000 , '*/ ${secret(source)}', '${secret(source)}' */`,
    (source) => `/*! # */ '${secret(source)}'\n, '${secret(source)}' */`,
    (source) => `d--${digits(source)}`,
    (source) => `'${secret(source)}'@'${secret(source)}'`,
  ],
};

const QUOTED: Record<SqlDialect, string[]> = {
  postgresql: ['"it\'s ""a"""', '"-- b"', '"/* c"', '"$$"', '"\\"', 'U&"d\\0061"', 'e', 'x.b', 'a$$b', '$1'],
  mysql: ["`it's ``a```", '`-- b`', '`/* c`', '`"`', '`\\`', '@`a b`', 'e', 'x.b', 'a$b', '@v'],
};

const SKELETONS = [
  'SELECT 0, 1 FROM 2 WHERE a = 3 AND b IN (4, 5) OR c BETWEEN 6 AND 7',
  'SELECT * FROM 2 JOIN (SELECT 0 FROM 2 WHERE 1) t ON 3 = 4 LIMIT 5 OFFSET 6',
  'INSERT INTO 2 (a, b) VALUES (0, 1), (3, 4) ON CONFLICT DO NOTHING',
  'UPDATE 2 SET a = 0, b = f(1, 3), 2 = 4 WHERE c LIKE 5',
  'DELETE FROM 2 WHERE a = 0; SELECT 1 FROM 2',
  'CREATE TABLE 2 (a text DEFAULT 0, b varchar(1)); COMMENT ON TABLE 2 IS 3',
  'CALL 2(0, 1, 3)',
  'WITH 2 AS (SELECT 0) SELECT 1 FROM 2 WHERE EXTRACT(YEAR FROM 3) = 4',
  'SELECT 0,1,3,4 FROM 2,5,2',
  'EXPLAIN SELECT CASE WHEN 0 THEN 1 ELSE 3 END',
  'DROP TABLE 0, 2',
  'LOAD DATA INFILE 0 INTO TABLE 2 FIELDS TERMINATED BY 1',
  'ALTER USER 2 PASSWORD 0',
  'garbage 0 ( 1 ] 2 ; 3',
  '0 1 2 3',
  'COPY 2 FROM STDIN WITH (DELIMITER 0)',
  'SET 2 = 0',
  'NOTIFY 2, 0',
];

export function statement(dialect: SqlDialect, source: Random): string {
  return source.pick(SKELETONS).replaceAll(/[0-7]/g, (place) => {
    if (place === '2') return source.pick([...QUOTED[dialect], 'songs', 't1', 'é']);
    const literal = source.pick(FORMS[dialect])(source);
    return source.integer(5) === 0 ? `${source.pick(COMMENTS)(source)}${literal}` : literal;
  });
}
