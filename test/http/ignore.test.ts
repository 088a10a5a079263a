import { expect, test } from 'vitest';
import { isIgnored } from '../../src/http/ignore';

test.each([
  ['/health', ['/health'], true],
  ['/health?deep=1', ['/health'], true],
  ['/healthy', ['/health'], false],
  ['/health/', ['/health'], false],
  ['/internal/a', ['/x', '/internal/*'], true],
  ['/internal', ['/internal/*'], false],
  ['/anything', ['*'], true],
  ['?/health', ['/health'], false],
  ['', ['/health'], false],
  [undefined, ['*'], false],
  ['/a.b', ['/a*b'], false],
  ['/health', [], false],
] as const)('%s against %j', (target, patterns, expected) => {
  expect(isIgnored(target, patterns)).toBe(expected);
});
