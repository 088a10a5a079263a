import { describe, expect, it } from 'vitest';
import { isAbort, isPurpose } from '../../src/http/cancellation';

const error = (fields: object) => Object.assign(new Error('message'), fields);
const timeout = new DOMException('timed out', 'TimeoutError');

describe('isAbort', () => {
  it.each([
    [new DOMException('aborted', 'AbortError'), true],
    [error({ name: 'AbortError', code: 'ABORT_ERR' }), true],
    [error({ code: 'UND_ERR_ABORTED' }), true],
    [error({ name: 'CanceledError', code: 'ERR_CANCELED' }), true],
    [error({ name: 'AbortError', cause: timeout }), false],
    [timeout, false],
    [error({ code: 'ECONNREFUSED' }), false],
    [undefined, false],
    ['a reason', false],
  ])('%s: %s', (value, expected) => {
    expect(isAbort(value)).toBe(expected);
  });
});

describe('isPurpose', () => {
  it.each([
    [undefined, true],
    [null, true],
    ['the user left', true],
    [error({}), true],
    [new DOMException('aborted', 'AbortError'), true],
    [error({ code: 'ERR_CANCELED' }), true],
    [error({ code: 'ECONNRESET' }), false],
    [error({ code: 'ETIMEDOUT', name: 'RequestError' }), false],
    [error({ name: 'AbortError', cause: timeout }), false],
    [timeout, false],
  ])('%s: %s', (value, expected) => {
    expect(isPurpose(value)).toBe(expected);
  });
});
