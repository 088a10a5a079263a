import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config';
import { type ClientTarget, clientAttributes, serverOf } from '../../src/http/client-attributes';
import { BlockList } from '../../src/trace/attribute-block';

const { http } = loadConfig({}).config;

function attributesOf(own: Partial<ClientTarget>) {
  const blocks = new BlockList();
  const target = { method: 'GET', scheme: 'http', authority: 'a.test', path: '/', port: undefined, ...own };
  return blocks.mergedWith(clientAttributes(target, http, blocks));
}

describe('client attributes', () => {
  test.each<[Partial<ClientTarget>, string, string | undefined, number | undefined]>([
    [{}, 'http://a.test/', 'a.test', 80],
    [{ scheme: 'https' }, 'https://a.test/', 'a.test', 443],
    [{ authority: 'a.test:81', path: '/b?c#d' }, 'http://a.test:81/b?c#d', 'a.test', 81],
    [{ port: 82 }, 'http://a.test:82/', 'a.test', 82],
    [{ port: 80 }, 'http://a.test/', 'a.test', 80],
    [{ authority: 'a.test:81', port: 82 }, 'http://a.test:81/', 'a.test', 81],
    [{ authority: '[::1]:81' }, 'http://[::1]:81/', '::1', 81],
    [{ authority: 'ann:secret@a.test' }, 'http://a.test/', 'a.test', 80],
    [{ method: 'CONNECT', path: 'b.test:443' }, 'http://b.test:443', 'b.test', 443],
    [{ method: 'CONNECT', path: '' }, 'http://a.test', 'a.test', 80],
    [{ path: 'https://b.test/c?sig=1' }, 'https://b.test/c?sig=REDACTED', 'b.test', 443],
    [{ path: 'HTTP://ann:secret@b.test:81?c' }, 'HTTP://REDACTED:REDACTED@b.test:81?c', 'b.test', 81],
    [{ path: '/redirect?to=http://b.test' }, 'http://a.test/redirect?to=http://b.test', 'a.test', 80],
    [{ path: '?to=http://b.test' }, 'http://a.test?to=http://b.test', 'a.test', 80],
    [{ path: 'relative' }, 'http://a.test/relative', 'a.test', 80],
    [{ path: '*', method: 'OPTIONS' }, 'http://a.test', 'a.test', 80],
    [{ path: '' }, 'http://a.test', 'a.test', 80],
    [{ authority: '' }, 'http:///', undefined, undefined],
    [{ scheme: 'ws' }, 'ws://a.test/', 'a.test', undefined],
    [{ path: '/%E0%A4%A?sig=%' }, 'http://a.test/%E0%A4%A?sig=REDACTED', 'a.test', 80],
  ])('%j', (own, url, host, port) => {
    expect(attributesOf(own)).toMatchObject({ 'url.full': url });
    expect(attributesOf(own)['server.address']).toBe(host);
    expect(attributesOf(own)['server.port']).toBe(port);
    // Whom headers are withheld from is whom the span names.
    const target = { method: 'GET', scheme: 'http', authority: 'a.test', path: '/', port: undefined, ...own };
    expect(serverOf(target)).toEqual(host === undefined ? undefined : { host, port });
  });

  test('an unknown method', () => {
    expect(attributesOf({ method: 'PROPFIND' })).toMatchObject({
      'http.request.method': '_OTHER',
      'http.request.method_original': 'PROPFIND',
    });
  });
});
