import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { OutgoingRequest } from '../../../src/export/auth/authorization';
import { createAuthorization } from '../../../src/export/auth/load';
import { writeFolder } from '../../support/packages';

const REQUEST: OutgoingRequest = {
  method: 'POST',
  url: 'http://c/v1/traces',
  headers: { a: '1' },
  body: Buffer.alloc(0),
};

it('adds the headers of a file and of a method, the method seeing and overriding those of the file', async () => {
  const folder = writeFolder({
    headers: 'x-team: a\nauthorization: file',
    'sync.cjs': 'module.exports = ({ headers }) => ({ authorization: Object.entries(headers).join() });',
  });
  const authorization = createAuthorization({
    method: join(folder, 'sync.cjs'),
    region: undefined,
    service: undefined,
    headersFile: join(folder, 'headers'),
  });
  const expected = { headers: { 'x-team': 'a', authorization: 'a,1,x-team,a,authorization,file' } };
  expect(authorization.headersSync(REQUEST, 100)).toEqual({
    problem: expect.stringContaining('was not loaded before the process ended'),
    final: false,
  });
  expect(await authorization.headers(REQUEST)).toEqual(expected);
  // A function that gives its headers at once is asked at the end of the process as well.
  expect(authorization.headersSync({ ...REQUEST, headers: {} }, 100)).toEqual({
    headers: { 'x-team': 'a', authorization: 'x-team,a,authorization,file' },
  });
  expect(authorization.renew()).toBe(true);
  expect(authorization.hint).toContain('HOOKLINE_OTLP_HEADERS_FILE');
});

it('stops at the first that has none', async () => {
  const authorization = createAuthorization({
    method: './never.cjs',
    region: undefined,
    service: undefined,
    headersFile: '/nowhere/headers',
  });
  expect(await authorization.headers(REQUEST)).toEqual({ problem: expect.stringContaining('ENOENT'), final: false });
  expect(authorization.headersSync(REQUEST, 100)).toMatchObject({ problem: expect.stringContaining('ENOENT') });
});

it('signs for AWS with what the environment has', async () => {
  const before = { ...process.env };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 'secret' });
  delete process.env.AWS_PROFILE;
  try {
    const options = { method: 'aws', region: 'eu-west-1', service: undefined, headersFile: undefined };
    const authorization = createAuthorization(options);
    const given = await authorization.headers(REQUEST);
    const scope = /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/xray\/aws4_request, /;
    expect(given).toMatchObject({ headers: { authorization: expect.stringMatching(scope) } });
    expect(authorization.headersSync(REQUEST, 100)).toMatchObject({
      headers: { authorization: expect.stringMatching(scope) },
    });
    // The same keys would be read again.
    expect(authorization.renew()).toBe(false);
  } finally {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});
