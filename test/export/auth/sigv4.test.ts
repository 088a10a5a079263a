import { createHash, createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { signingScope } from '../../../src/export/auth/aws';
import { type AwsKeys, signV4 } from '../../../src/export/auth/sigv4';
import { testPackage } from '../../support/packages';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const SCOPE = { region: 'eu-west-1', service: 'xray' };
const NOW = new Date('2026-02-03T04:05:06.789Z');

class Sha256 {
  readonly #hash;

  constructor(key?: string | Uint8Array) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  }
  update(data: string | Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

/** What AWS's own signer says of the same request. */
async function oracle(url: string, headers: Record<string, string>, body: Uint8Array, credentials: AwsKeys) {
  const folder = await testPackage('@smithy/signature-v4@5.7.5');
  const { SignatureV4 } = createRequire(join(folder, 'x.js'))('@smithy/signature-v4');
  const signer = new SignatureV4({ credentials, ...SCOPE, sha256: Sha256, applyChecksum: true });
  const { protocol, hostname, pathname, searchParams } = new URL(url);
  const query: Record<string, string[]> = {};
  for (const [name, value] of searchParams) query[name] = [...(query[name] ?? []), value];
  const request = { method: 'POST', protocol, hostname, path: pathname, query, headers, body };
  const signed = await signer.sign(request, { signingDate: NOW });
  return signed.headers;
}

describe('signV4', () => {
  it.each([
    ['a plain request', 'https://xray.eu-west-1.amazonaws.com/v1/traces', {}, KEYS],
    ['a port', 'http://127.0.0.1:4318/v1/traces', {}, KEYS],
    ['a session token', 'https://xray.eu-west-1.amazonaws.com/v1/traces', {}, { ...KEYS, sessionToken: 'a+b/c==' }],
    ['gzip', 'https://xray.eu-west-1.amazonaws.com/v1/traces', { 'content-encoding': 'gzip' }, KEYS],
    ['a query', 'https://a.example/v1/traces?b=2&a=1&a=%20x%2Fy&c=%27!*()&d', {}, KEYS],
    ['an unusual path', "https://a.example/my%20base/it's/(x)/~a/v1/traces", {}, KEYS],
    ['spaces in a header', 'https://a.example/v1/traces', { 'content-type': ' a   b ' }, KEYS],
  ])("gives %s the signature of AWS's own signer", async (_, url, more, keys) => {
    const body = Buffer.from('a request');
    const headers = { 'content-type': 'application/x-protobuf', ...more };
    const added = signV4({ method: 'POST', url, headers, body }, keys, SCOPE, NOW);
    const expected = await oracle(url, { ...headers, host: new URL(url).host }, body, keys);
    expect({ ...headers, ...added }).toEqual(expected);
    expect(added['x-amz-date']).toBe('20260203T040506Z');
  });

  it('differs with every part of what is signed', () => {
    const url = 'https://xray.eu-west-1.amazonaws.com/v1/traces';
    const sign = (body: string, region: string, secret: string) =>
      signV4(
        { method: 'POST', url, headers: {}, body: Buffer.from(body) },
        { ...KEYS, secretAccessKey: secret },
        { region, service: 'xray' },
        NOW,
      )['authorization'];
    expect(new Set([sign('a', 'r', 's'), sign('b', 'r', 's'), sign('a', 'q', 's'), sign('a', 'r', 't')]).size).toBe(4);
  });

  it('signs the host that is configured', () => {
    const request = { method: 'POST' as const, url: 'http://127.0.0.1:1/v1/traces', body: Buffer.alloc(0) };
    const added = signV4({ ...request, headers: { host: 'xray.eu-west-1.amazonaws.com' } }, KEYS, SCOPE, NOW);
    expect(added['host']).toBe('xray.eu-west-1.amazonaws.com');
  });
});

describe('signingScope', () => {
  const NONE = { region: undefined, service: undefined };

  it.each([
    ['xray.eu-west-1.amazonaws.com', 'eu-west-1', 'xray'],
    ['logs.us-gov-east-1.amazonaws.com', 'us-gov-east-1', 'logs'],
    ['xray.cn-north-1.amazonaws.com.cn', 'cn-north-1', 'xray'],
    ['xray.ap-southeast-2.api.aws', 'ap-southeast-2', 'xray'],
    ['vpce-0a1-b2c.xray.eu-central-1.vpce.amazonaws.com', 'eu-central-1', 'xray'],
  ])('reads %s', (host, region, service) => {
    expect(signingScope(host, NONE, { AWS_REGION: 'other' })).toEqual({ region, service });
  });

  it('takes options first, then the host, then the environment', () => {
    const host = 'xray.eu-west-1.amazonaws.com';
    expect(signingScope(host, { region: 'r', service: 's' }, {})).toEqual({ region: 'r', service: 's' });
    expect(signingScope('gateway.test', NONE, { AWS_REGION: 'a', AWS_DEFAULT_REGION: 'b' })?.region).toBe('a');
    expect(signingScope('gateway.test', NONE, { AWS_REGION: '', AWS_DEFAULT_REGION: 'b' })).toEqual({
      region: 'b',
      service: 'xray',
    });
    expect(signingScope('gateway.test', NONE, {})).toBeUndefined();
  });
});
