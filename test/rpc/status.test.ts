import { expect, test } from 'vitest';
import { decodeMessage, isServerFailure, parseTimeout, statusName } from '../../src/rpc/status';

test('codes have names, and strangers stay numbers', () => {
  expect(Array.from({ length: 18 }, (_, code) => statusName(code))).toEqual([
    'OK',
    'CANCELLED',
    'UNKNOWN',
    'INVALID_ARGUMENT',
    'DEADLINE_EXCEEDED',
    'NOT_FOUND',
    'ALREADY_EXISTS',
    'PERMISSION_DENIED',
    'RESOURCE_EXHAUSTED',
    'FAILED_PRECONDITION',
    'ABORTED',
    'OUT_OF_RANGE',
    'UNIMPLEMENTED',
    'INTERNAL',
    'UNAVAILABLE',
    'DATA_LOSS',
    'UNAUTHENTICATED',
    '17',
  ]);
  expect(statusName(-1)).toBe('-1');
});

test('six codes are failures of the server', () => {
  const failures = Array.from({ length: 18 }, (_, code) => code).filter(isServerFailure);
  expect(failures.map(statusName)).toEqual([
    'UNKNOWN',
    'DEADLINE_EXCEEDED',
    'UNIMPLEMENTED',
    'INTERNAL',
    'UNAVAILABLE',
    'DATA_LOSS',
  ]);
});

test.each(['plain', '100% of it', 'ünï cödé # ? & %41', ''])('the message %j survives the wire', (message) => {
  expect(decodeMessage(encodeURI(message))).toBe(message);
});

test('a message that nobody encoded stays as it is', () => {
  expect(decodeMessage('100% sure')).toBe('100% sure');
});

test.each([
  ['250m', 250],
  ['2S', 2000],
  ['1M', 60_000],
  ['1H', 3_600_000],
  ['1500u', 1.5],
  ['1000000n', 1],
  ['0m', 0],
])('the timeout %s is %d ms', (text, ms) => {
  expect(parseTimeout(text)).toBeCloseTo(ms, 6);
});

test.each([undefined, '', 'm', '12', '12x', '-1m', 'xm', '1234567890m', ['1m']])('%j is no timeout', (text) => {
  expect(parseTimeout(text)).toBeUndefined();
});
