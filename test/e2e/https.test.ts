import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCertificate } from '../support/certificate';
import { root } from '../support/run-app';
import { anyPort, type ExpectedSpan, expectTree, loopback, matching, withAnyPort } from '../support/tree';
import {
  clientAttributes,
  entries,
  scenario as run,
  type ScenarioOptions,
  sameAsBare,
  serverAttributes,
  unanswered,
} from './fixtures/http-entry/scenario';

const { key, cert } = createCertificate();
const env = { TLS_KEY: key, TLS_CERT: cert };
const scenario = (name: string, check: Parameters<typeof run>[2], options?: ScenarioOptions) =>
  run('http-https', name, check, { ...options, env: { ...env, ...options?.env } });

const peer = { 'network.peer.address': loopback };

/** A call and the request it became. */
function exchange(path: string, query?: string): ExpectedSpan {
  return {
    name: 'GET',
    kind: 'CLIENT',
    status: { code: 'UNSET' },
    attributes: clientAttributes(path, {
      ...peer,
      'url.full': withAnyPort(`https://localhost:*${path}${query === undefined ? '' : `?${query}`}`),
      'server.address': 'localhost',
    }),
    exactAttributes: true,
    children: [
      {
        name: 'GET',
        kind: 'SERVER',
        status: { code: 'UNSET' },
        attributes: serverAttributes({
          ...peer,
          'client.address': loopback,
          'url.scheme': 'https',
          'url.path': path,
          'url.query': query,
          'server.port': anyPort,
        }),
        exactAttributes: true,
        children: [{ name: 'handled' }],
      },
    ],
  };
}

describe('https', () => {
  it('HT1: one call makes one client and one server span', () =>
    scenario(
      'ht1',
      ({ spans }) => {
        expectTree(spans, { name: 'caller', children: [exchange('/secure', 'a=1'), { name: 'after' }] });
      },
      { entries },
    ));

  it('HT2: https is traced when it was loaded before the agent', async () => {
    const early = join(root, 'test/e2e/fixtures/http-https/early.cjs');
    const check: Parameters<typeof run>[2] = ({ spans, stdout }) => {
      expect(stdout).toBe('true\nok\nok\nHTTP/1.1 200 OK\n');
      expectTree(spans, [exchange('/'), exchange('/'), { name: 'GET', kind: 'SERVER' }]);
    };
    await scenario('ht2', check);
    // NODE_OPTIONS comes before the command line's preloads.
    await scenario(
      'ht2',
      ({ spans, ...rest }) => check({ spans, ...rest, stdout: rest.stdout.replace('false', 'true') }),
      {
        env: { EARLY: '1', NODE_OPTIONS: `--require=${JSON.stringify(early)}` },
        entries,
      },
    );
  });

  it('HT3: scheme and port are those of https without being said', () =>
    scenario('ht3', ({ spans }) => {
      const to = (url: string, host: string, port: number): ExpectedSpan => ({
        name: 'GET',
        kind: 'CLIENT',
        attributes: { 'url.full': url, 'server.address': host, 'server.port': port },
        children: [
          {
            name: 'GET',
            kind: 'SERVER',
            attributes: { 'url.scheme': 'https', 'server.address': host, 'server.port': port },
            children: [{ name: 'handled' }],
          },
        ],
      });
      expectTree(spans, [
        to('https://options.test/options', 'options.test', 443),
        to('https://url.test/url', 'url.test', 443),
        to('https://port.test:8443/port', 'port.test', 8443),
        to('https://default.test/default', 'default.test', 443),
        to('https://agent.test/agent', 'agent.test', 443),
      ]);
    }));

  it('HT4: a TLS failure is one failed span, and the same error for the caller', async () => {
    await scenario('ht4', ({ spans }) => {
      const failed = (type: string): ExpectedSpan => ({
        name: 'GET',
        kind: 'CLIENT',
        status: { code: 'ERROR', message: matching(/certificate/) },
        attributes: unanswered('/', {
          'url.full': withAnyPort('https://localhost:*/'),
          'server.address': 'localhost',
          'error.type': type,
        }),
        exactAttributes: true,
      });
      expectTree(spans, [failed('DEPTH_ZERO_SELF_SIGNED_CERT'), failed('ERR_TLS_CERT_ALTNAME_INVALID')]);
    });
    await sameAsBare('http-https', 'ht4', { env });
  });

  it('objects and functions are those of a bare run', async () => {
    await sameAsBare('http-https', 'observed', { env });
  });
});
