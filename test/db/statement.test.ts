import { describe, expect, it } from 'vitest';
import { createQueryDescriber } from '../../src/db/query';
import { commentFields, MAX_TEXT_LENGTH, statementName, statementText } from '../../src/db/statement';

const SQL = "SELECT name FROM songs WHERE id = 5 AND title = 'x'";
const description = createQueryDescriber({ dialect: 'postgresql', maxLength: MAX_TEXT_LENGTH })(SQL);
const MASKED = 'SELECT name FROM songs WHERE id = ? AND title = ?';

describe('the name of a statement', () => {
  const target = { database: 'shop', address: 'db.example', port: 5432 };
  it.each([
    ['SELECT songs', target, 'SELECT songs'],
    ['', target, 'shop'],
    [undefined, { ...target, database: undefined }, 'db.example:5432'],
    [undefined, { ...target, database: undefined, port: undefined }, 'db.example'],
    [undefined, { database: undefined, address: undefined, port: 5432 }, 'postgresql'],
    [undefined, undefined, 'postgresql'],
  ])('%j at %j is %s', (summary, where, name) => expect(statementName(summary, where, 'postgresql')).toBe(name));
});

describe('the text of a statement', () => {
  it.each([
    ['auto', false, MASKED],
    ['auto', true, SQL],
    ['always', true, MASKED],
    ['never', false, SQL],
  ] as const)('%s, with values: %s', (sanitization, hasValues, shown) => {
    expect(statementText(SQL, hasValues, description, sanitization)).toBe(shown);
  });

  it('is absent when there is none, and cut when it is long', () => {
    expect(statementText(undefined, true, undefined, 'never')).toBeUndefined();
    expect(statementText('', true, undefined, 'never')).toBeUndefined();
    expect(statementText('x'.repeat(10_000), false, undefined, 'never')).toHaveLength(MAX_TEXT_LENGTH);
  });
});

it('a comment carries the trace and no baggage', () => {
  const fields = commentFields((set) => {
    set('traceparent', '00-1');
    set('baggage', 'user=me');
    set('tracestate', 'a=1');
  });
  expect(fields).toEqual([
    ['traceparent', '00-1'],
    ['tracestate', 'a=1'],
  ]);
});
