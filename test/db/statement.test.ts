import { describe, expect, it } from 'vitest';
import { createQueryDescriber } from '../../src/db/query';
import {
  addStatement,
  addTarget,
  commentFields,
  MAX_TEXT_LENGTH,
  statementName,
  statementText,
} from '../../src/db/statement';
import { BlockList } from '../../src/trace/attribute-block';

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

describe('what spans of a statement share', () => {
  it('is a block per target, each with what it leads to', () => {
    const blocks = new BlockList();
    const target = { database: 'shop', address: 'db.example', port: 5432 };
    addTarget(blocks, target, 'postgresql');
    addTarget(blocks, target, 'postgresql');
    addTarget(blocks, { ...target, database: 'other', port: undefined }, 'postgresql');
    const [first, second, third] = blocks.items;
    expect(second).toBe(first);
    expect(first?.attributes).toEqual({
      'db.system.name': 'postgresql',
      'db.namespace': 'shop',
      'server.address': 'db.example',
      'server.port': 5432,
    });
    expect(third?.attributes).toEqual({
      'db.system.name': 'postgresql',
      'db.namespace': 'other',
      'server.address': 'db.example',
    });
  });

  it.each([
    ['auto', false],
    ['auto', true],
    ['always', false],
    ['always', true],
    ['never', false],
    ['never', true],
  ] as const)('says the same as a statement that comes once, %s, with values: %s', (sanitization, hasValues) => {
    const describeNew = createQueryDescriber({ dialect: 'postgresql', maxLength: MAX_TEXT_LENGTH });
    const seen = [0, 1, 2].map(() => {
      const blocks = new BlockList();
      const attributes = {};
      addStatement(attributes, blocks, SQL, hasValues, describeNew(SQL), sanitization);
      return { count: blocks.count, attributes: blocks.mergedWith(attributes) };
    });
    expect(seen.map(({ count }) => count)).toEqual([0, 1, 1]);
    for (const { attributes } of seen) {
      expect(attributes).toEqual({
        'db.query.text': statementText(SQL, hasValues, description, sanitization),
        'db.query.summary': 'SELECT songs',
      });
    }
  });

  it('is nothing without a text', () => {
    const blocks = new BlockList();
    const attributes = {};
    addStatement(attributes, blocks, undefined, false, undefined, 'auto');
    expect(blocks.mergedWith(attributes)).toEqual({});
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
