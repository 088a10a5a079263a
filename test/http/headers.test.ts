import type { Attributes } from '@opentelemetry/api';
import { describe, expect, test } from 'vitest';
import { captureHeaders, firstValue, rawHeader } from '../../src/http/headers';

describe('headers', () => {
  test.each([
    [['Host', 'a'], 'a'],
    [
      ['HOST', 'a', 'host', 'b'],
      ['a', 'b'],
    ],
    [
      ['x', '1', 'Host', 'a', 'hosts', '2', 'host', 'b', 'hOsT', 'c'],
      ['a', 'b', 'c'],
    ],
    [['x', 'host'], undefined],
    [['host'], undefined],
    [[], undefined],
  ])('of a raw list %j', (list, expected) => {
    expect(rawHeader(list, 'host')).toEqual(expected);
  });

  test('first value', () => {
    expect([firstValue('a'), firstValue(['b', 'c']), firstValue([]), firstValue(undefined)]).toEqual([
      'a',
      'b',
      undefined,
      undefined,
    ]);
  });

  test('capture as lists of strings, secrets without their value', () => {
    const given: Record<string, unknown> = {
      plain: 'a',
      number: 7,
      many: ['b', 8],
      null: null,
      authorization: 'Bearer secret',
      'set-cookie': ['a=secret', 'b=secret'],
    };
    const attributes: Attributes = {};
    captureHeaders(attributes, 'p.', [...Object.keys(given), 'absent'], (name) => given[name]);
    expect(attributes).toEqual({
      'p.plain': ['a'],
      'p.number': ['7'],
      'p.many': ['b', '8'],
      'p.authorization': ['REDACTED'],
      'p.set-cookie': ['REDACTED', 'REDACTED'],
    });
  });
});
