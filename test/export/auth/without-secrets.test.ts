import { expect, it } from 'vitest';
import { withoutSecrets } from '../../../src/export/auth/without-secrets';

it.each([
  ['getaddrinfo ENOTFOUND sts.eu-west-1.amazonaws.com', 'getaddrinfo ENOTFOUND sts.eu-west-1.amazonaws.com'],
  ['first line\n  second line\n', 'first line | second line'],
  ["Cannot find module 'x'\nRequire stack:\n- /app/noop.js", "Cannot find module 'x'"],
  ['key hunter2hunter2 is wrong', 'key REDACTED is wrong'],
  ['profile till is wrong', 'profile till is wrong'],
  [`got ${'eyJhbGciOi'.repeat(6)}.x`, 'got REDACTED.x'],
  ['many words '.repeat(100), `${'many words '.repeat(100).slice(0, 800)}…`],
])('%j becomes %j', (message, expected) => {
  const env = { AWS_SECRET_ACCESS_KEY: 'hunter2hunter2', AWS_PROFILE: 'till', MY_TOKEN: 'wrong', OTHER: 'is wrong' };
  expect(withoutSecrets(new Error(message), env)).toBe(expected);
});

it('takes whatever is thrown', () => {
  expect(withoutSecrets('text', {})).toBe('text');
  expect(withoutSecrets(undefined, {})).toBe('undefined');
});
