import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config';
import { type ServerRequest, serverAttributes, splitTarget } from '../../src/http/server-attributes';

const { http } = loadConfig({}).config;

function attributesOf(own: Partial<ServerRequest>, headers: Record<string, string> = {}) {
  const request: ServerRequest = {
    method: 'GET',
    target: '/',
    scheme: 'http',
    version: undefined,
    header: (name) => headers[name],
    peerAddress: undefined,
    peerPort: undefined,
    ...own,
  };
  return serverAttributes(request, http);
}

describe('server attributes', () => {
  test('nothing known', () => {
    expect(attributesOf({ method: '', target: '' })).toEqual({
      'http.request.method': '_OTHER',
      'http.request.method_original': '',
      'url.scheme': 'http',
      'url.path': '',
    });
  });

  test('everything known', () => {
    const headers = { host: 'shop.test:8080', 'user-agent': 'test/1.0' };
    const own = { target: '/a?b=1&sig=2', version: '1.1', peerAddress: '::1', peerPort: 5000 };
    expect(attributesOf(own, headers)).toEqual({
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'url.path': '/a',
      'url.query': 'b=1&sig=REDACTED',
      'server.address': 'shop.test',
      'server.port': 8080,
      'client.address': '::1',
      'network.peer.address': '::1',
      'network.peer.port': 5000,
      'network.protocol.version': '1.1',
      'user_agent.original': 'test/1.0',
    });
  });

  test.each([
    [{ forwarded: 'host=a.test', 'x-forwarded-host': 'b.test', ':authority': 'c.test', host: 'd.test' }, 'a.test'],
    [{ 'x-forwarded-host': 'b.test', ':authority': 'c.test', host: 'd.test' }, 'b.test'],
    [{ ':authority': 'c.test', host: 'd.test' }, 'c.test'],
    [{ host: 'd.test' }, 'd.test'],
    [{ host: '[::1' }, undefined],
    [{ host: `${'x'.repeat(600)}.test` }, undefined],
  ])('the server of %j', (headers, expected) => {
    expect(attributesOf({}, headers as unknown as Record<string, string>)['server.address']).toBe(expected);
  });

  test('the default port follows the scheme the client used', () => {
    expect(attributesOf({}, { host: 'a.test', 'x-forwarded-proto': 'https' })).toMatchObject({
      'url.scheme': 'https',
      'server.port': 443,
    });
  });

  test.each([
    ['/a?b', '/a', 'b', undefined],
    ['/a#b?c', '/a', '', undefined],
    ['/a?b?c', '/a', 'b?c', undefined],
    ['//', '//', '', undefined],
    ['*', '*', '', undefined],
    ['', '', '', ''],
    ['http://h:1/a?b', '/a', 'b', 'h:1'],
    ['http://h', '/', '', 'h'],
    ['http://h?b', '/', 'b', 'h'],
    ['h:443', '', '', 'h:443'],
    ['/a://b', '/a://b', '', undefined],
    ['://', '', '', '://'],
    ['/%E0%A4%A', '/%E0%A4%A', '', undefined],
  ])('target %j', (target, path, query, authority) => {
    expect(splitTarget(target)).toEqual({ path, query, authority });
  });
});
