import type { Attributes } from '@opentelemetry/api';
import { expect, it } from 'vitest';
import { captureParameters } from '../../src/db/parameters';

function capture(...values: unknown[]): Attributes {
  const attributes: Attributes = {};
  captureParameters(attributes, values);
  return attributes;
}

const one = (value: unknown) => capture(value)['db.query.parameter.0'];

it('gives each value its index', () => {
  expect(capture('a', 2, null, true)).toEqual({
    'db.query.parameter.0': 'a',
    'db.query.parameter.1': '2',
    'db.query.parameter.2': 'NULL',
    'db.query.parameter.3': 'true',
  });
});

it('writes built-in values as text', () => {
  expect(one(12n)).toBe('12');
  expect(one(undefined)).toBe('NULL');
  expect(one(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
  expect(one(new Date('no date'))).toBe('[invalid date]');
  expect(one(Buffer.alloc(5))).toBe('[binary, 5 bytes]');
  expect(one(new ArrayBuffer(3))).toBe('[binary, 3 bytes]');
  expect(one([1, ['a', null]])).toBe('{1,{a,NULL}}');
  expect(one(Symbol('s'))).toBe('[symbol]');
});

it('calls nothing of the application', () => {
  const explode = () => {
    throw new Error('called');
  };
  const value = {
    toString: explode,
    toJSON: explode,
    toPostgres: explode,
    valueOf: explode,
    [Symbol.toPrimitive]: explode,
  };
  expect(one(value)).toBe('[object]');
  class OddDate extends Date {
    override getTime = explode;
    override toISOString = explode;
  }
  expect(one(new OddDate(0))).toBe('1970-01-01T00:00:00.000Z');
  expect(one(Object.create(Date.prototype))).toBe('[object]');
});

it('is bounded', () => {
  expect(Object.keys(capture(...Array(1000).fill('x')))).toHaveLength(64);
  expect(String(one('x'.repeat(100_000)))).toHaveLength(1024);
  expect(String(one(Array(100_000).fill('y')))).toBe(`{${Array(16).fill('y').join(',')},…}`);
  const nested: unknown[] = [];
  nested.push(nested);
  expect(one(nested)).toBe('{{{[array]}}}');
});
