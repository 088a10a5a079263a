import { describe, expect, test } from 'vitest';
import { defaultPort, parseAuthority, parsePort, schemeLength } from '../../src/http/authority';

describe('authority', () => {
  test.each([
    ['example.com', 'example.com', undefined],
    ['example.com:8080', 'example.com', 8080],
    ['127.0.0.1:80', '127.0.0.1', 80],
    ['[::1]', '::1', undefined],
    ['[2001:db8::7]:4711', '2001:db8::7', 4711],
    ['2001:db8::7', '2001:db8::7', undefined],
    ['ann:secret@example.com:81', 'example.com', 81],
    ['a@b@example.com', 'example.com', undefined],
    ['example.com:', 'example.com', undefined],
    ['example.com:0', 'example.com', undefined],
    ['example.com:65536', 'example.com', undefined],
    ['example.com:http', 'example.com', undefined],
    ['[::1]x', '::1', undefined],
  ])('%s', (text, host, port) => {
    expect(parseAuthority(text)).toEqual({ host, port });
  });

  test.each(['', ':80', '[', '[]', '[::1', 'x'.repeat(513)])('is none: %s', (text) => {
    expect(parseAuthority(text)).toBeUndefined();
  });

  test.each([
    ['1', 1],
    ['65535', 65535],
    ['00080', 80],
    ['', undefined],
    ['0', undefined],
    ['65536', undefined],
    ['1e3', undefined],
    ['-1', undefined],
    [' 80', undefined],
    ['\uff11', undefined],
  ])('port %j', (text, port) => {
    expect(parsePort(text)).toBe(port);
  });

  test('schemes imply a port', () => {
    expect([defaultPort('http'), defaultPort('https'), defaultPort('ws')]).toEqual([80, 443, undefined]);
  });

  test.each([
    ['http://a', 4],
    ['HTTPS://a', 5],
    ['git+ssh://a', 7],
    ['://a', 0],
    ['/a?u=http://b', 0],
    ['?u=http://b', 0],
    ['1http://a', 0],
    ['a b://c', 0],
    ['a.test:443', 0],
  ])('length of the scheme of %s', (url, length) => {
    expect(schemeLength(url)).toBe(length);
  });
});
