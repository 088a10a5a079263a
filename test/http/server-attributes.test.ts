import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config';
import { serverHeaders } from '../../src/http/headers';
import { ServerConnection, type ServerRequest, serverAttributes, splitTarget } from '../../src/http/server-attributes';
import { BlockList } from '../../src/trace/attribute-block';

const { http } = loadConfig({}).config;

interface Peer {
  readonly peerAddress?: string;
  readonly peerPort?: number;
}

function attributesOf({ peerAddress, peerPort, ...own }: Partial<ServerRequest> & Peer, headers = {}) {
  return on(new ServerConnection(peerAddress, peerPort), own, headers);
}

/** One of several requests of a connection. */
function on(connection: ServerConnection, own: Partial<ServerRequest>, headers: Record<string, string> = {}) {
  const request: ServerRequest = {
    method: 'GET',
    target: '/',
    scheme: 'http',
    version: undefined,
    headers: serverHeaders((name) => headers[name]),
    ...own,
  };
  const blocks = new BlockList();
  return blocks.mergedWith(serverAttributes(request, http, connection, blocks));
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

  test('of each request of a connection are its own', () => {
    const connection = new ServerConnection('::1', 5000);
    const requests = [
      { method: 'GET', host: 'a.test', agent: 'x/1', client: undefined, version: '1.1' },
      { method: 'GET', host: 'a.test', agent: 'x/1', client: undefined, version: '1.1' },
      { method: 'POST', host: 'a.test', agent: 'x/1', client: undefined, version: '1.1' },
      { method: 'POST', host: 'b.test', agent: 'x/1', client: undefined, version: '1.1' },
      { method: 'POST', host: 'b.test', agent: 'x/1', client: '1.2.3.4', version: '1.0' },
      { method: 'POST', host: 'b.test', agent: 'y/1', client: '1.2.3.4', version: '1.0' },
      { method: 'odd', host: 'b.test', agent: 'y/1', client: '1.2.3.4', version: '1.0' },
    ];
    for (const { method, host, agent, client, version } of requests) {
      const headers = { host, 'user-agent': agent, ...(client && { 'x-forwarded-for': client }) };
      expect(on(connection, { method, version }, headers)).toEqual({
        'http.request.method': method === 'odd' ? '_OTHER' : method,
        ...(method === 'odd' && { 'http.request.method_original': method }),
        'url.scheme': 'http',
        'url.path': '/',
        'server.address': host,
        'server.port': 80,
        'client.address': client ?? '::1',
        'network.peer.address': '::1',
        'network.peer.port': 5000,
        'network.protocol.version': version,
        'user_agent.original': agent,
      });
    }
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
