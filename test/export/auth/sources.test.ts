import { describe, expect, it } from 'vitest';
import { packageToInstall, SOURCES } from '../../../src/export/auth/sources';

describe('packageToInstall', () => {
  it.each([
    ['aws', 18, '@aws-sdk/credential-provider-node@3.965'],
    ['aws', 20, '@aws-sdk/credential-provider-node'],
    ['google', 20, 'google-auth-library@10'],
    ['google', 22, 'google-auth-library'],
    ['azure', 18, '@azure/identity@4.10'],
    ['azure', 20, '@azure/identity@4.12'],
    ['azure', 26, '@azure/identity'],
  ] as const)('for %s on Node.js %d is %s', (source, major, expected) => {
    expect(packageToInstall(source, major)).toBe(expected);
  });
});

describe('a source', () => {
  it('aws gives keys and when they expire', async () => {
    const identity = { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c', expiration: new Date(5), more: 1 };
    const exports = { defaultProvider: () => async () => identity };
    const keys = { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c' };
    expect(await SOURCES.aws.ask(exports)).toEqual({ keys, expiresAtMs: 5 });
  });

  it.each([
    ['an object', { Authorization: 'Bearer t', 'x-goog-user-project': 'p' }],
    ['Headers', new Headers({ authorization: 'Bearer t', 'x-goog-user-project': 'p' })],
  ])('google gives its headers from %s, and asks for the scope of the whole platform', async (_, given) => {
    const asked: unknown[] = [];
    class GoogleAuth {
      constructor(options: object) {
        asked.push(options);
      }
      async getClient() {
        return { credentials: { expiry_date: 7 }, getRequestHeaders: async () => given };
      }
    }
    const headers = { authorization: 'Bearer t', 'x-goog-user-project': 'p' };
    expect(await SOURCES.google.ask({ GoogleAuth })).toEqual({ headers, expiresAtMs: 7 });
    expect(asked).toEqual([expect.objectContaining({ scopes: ['https://www.googleapis.com/auth/cloud-platform'] })]);
  });

  it('google takes it that a token without an end lasts less than an hour, and none is an error', async () => {
    const client = (headers: object) => ({
      GoogleAuth: class {
        getClient = async () => ({ getRequestHeaders: async () => headers });
      },
    });
    const { expiresAtMs = 0 } = await SOURCES.google.ask(client({ authorization: 'Bearer t' }));
    expect(expiresAtMs - Date.now()).toBeGreaterThan(0);
    expect(expiresAtMs - Date.now()).toBeLessThan(3_600_000);
    await expect(SOURCES.google.ask(client({}))).rejects.toThrow('gave no token');
  });

  it('azure gives a bearer token, and none is an error', async () => {
    const withToken = (token: object | null) => ({
      DefaultAzureCredential: class {
        getToken = async (scope: string) => token && { ...token, scope };
      },
    });
    expect(await SOURCES.azure.ask(withToken({ token: 't', expiresOnTimestamp: 9 }))).toEqual({
      headers: { authorization: 'Bearer t' },
      expiresAtMs: 9,
    });
    await expect(SOURCES.azure.ask(withToken(null))).rejects.toThrow('gave no token');
  });
});
