import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { OutgoingRequest } from '../../../src/export/auth/authorization';
import { ModuleAuthorization } from '../../../src/export/auth/module';
import { writeFolder } from '../../support/packages';

const REQUEST: OutgoingRequest = { method: 'POST', url: 'http://c/v1/traces', headers: {}, body: Buffer.alloc(0) };

const authorizationOf = (source: string) =>
  new ModuleAuthorization(join(writeFolder({ 'auth.cjs': source }), 'auth.cjs'));

it('gives what the function gives, without what frames the body', async () => {
  const authorization = authorizationOf('module.exports = () => ({ "X-Key": "a", "Content-Length": "1" });');
  expect(await authorization.headers(REQUEST)).toEqual({ headers: { 'x-key': 'a' } });
});

it('does not call a function again that has not answered', async () => {
  const authorization = authorizationOf(`
    let count = 0;
    module.exports = () => new Promise((resolve) => { globalThis.answerNow = () => resolve({ 'x-count': String(++count) }); });`);
  const first = authorization.headers(REQUEST);
  await vi.waitFor(() => expect(globalThis).toHaveProperty('answerNow'));
  const second = await authorization.headers(REQUEST);
  expect(second).toEqual({ problem: expect.stringContaining('has not answered yet'), final: false });
  (globalThis as unknown as { answerNow(): void }).answerNow();
  expect(await first).toEqual({ headers: { 'x-count': '1' } });
});

it('uses at the end of the process what a promise gave last', async () => {
  const authorization = authorizationOf('let n = 0; module.exports = async () => ({ "x-count": String(++n) });');
  expect(await authorization.headers(REQUEST)).toEqual({ headers: { 'x-count': '1' } });
  expect(authorization.headersSync(REQUEST)).toEqual({ headers: { 'x-count': '1' } });
});

it('says what the function says is wrong, without secrets of the environment', async () => {
  process.env.HOOKLINE_TEST_SECRET = 'hunter2hunter2';
  try {
    const authorization = authorizationOf('module.exports = async () => { throw new Error("bad hunter2hunter2"); };');
    const problem = expect.stringMatching(/^HOOKLINE_OTLP_AUTH=.* failed: bad REDACTED$/);
    expect(await authorization.headers(REQUEST)).toEqual({ problem, final: false });
    expect(authorization.headersSync(REQUEST)).toEqual({
      problem: expect.stringContaining('gives its headers later'),
      final: false,
    });
  } finally {
    delete process.env.HOOKLINE_TEST_SECRET;
  }
});
