import { expect, it } from 'vitest';
import { toHeaders } from '../../../src/export/auth/authorization';

it.each([
  [
    { Authorization: 'a', 'X-B': 'b' },
    { authorization: 'a', 'x-b': 'b' },
  ],
  [new Headers({ Authorization: 'a' }), { authorization: 'a' }],
  [new Map([['A', 'b']]), { a: 'b' }],
  [{ 'Content-Length': '5', 'Content-Type': 'text/plain', a: 'b' }, { a: 'b' }],
  [{}, {}],
  [{ a: 1 }, undefined],
  [['a'], undefined],
  ['a: b', undefined],
  [null, undefined],
  [undefined, undefined],
])('%o is %o', (value, expected) => expect(toHeaders(value)).toEqual(expected));
