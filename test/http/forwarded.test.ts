import { describe, expect, test } from 'vitest';
import { readForwarded } from '../../src/http/forwarded';

const none = { proto: undefined, host: undefined, client: undefined };
const read = (forwarded?: string, proto?: string, host?: string, client?: string) =>
  readForwarded(forwarded, proto, host, client);

describe('forwarded', () => {
  test.each([
    ['for=192.0.2.43', { client: '192.0.2.43' }],
    ['For="[2001:db8:cafe::17]:4711"', { client: '2001:db8:cafe::17' }],
    ['for=192.0.2.60;proto=http;by=203.0.113.43', { client: '192.0.2.60', proto: 'http' }],
    ['for=192.0.2.43, for=198.51.100.17;proto=https', { client: '192.0.2.43' }],
    ['PROTO=HTTPS ; Host = shop.test ', { proto: 'https', host: 'shop.test' }],
    ['host="shop.test:8443"; proto=wss', { host: 'shop.test:8443', proto: 'wss' }],
    ['host="a,b;c\\"d"', { host: 'a,b;c"d' }],
    ['for=1.1.1.1;for=2.2.2.2', { client: '1.1.1.1' }],
    ['for=_hidden', { client: '_hidden' }],
  ])('%s', (header, expected) => {
    expect(read(header)).toEqual({ ...none, ...expected });
  });

  test('the older headers fill what is missing', () => {
    expect(read('proto=https', 'http', 'shop.test, inner.test', '203.0.113.7:1234, 10.0.0.1')).toEqual({
      proto: 'https',
      host: 'shop.test',
      client: '203.0.113.7',
    });
    expect(read('for=unknown', undefined, undefined, '203.0.113.7').client).toBe('203.0.113.7');
    expect(read(undefined, undefined, undefined, '[::1]:80').client).toBe('::1');
  });

  test.each([
    '',
    ';',
    '=',
    'for',
    'for=',
    'for="',
    'for="\\',
    '"',
    ';;;=,,,',
    ',for=1',
    'proto=javascript',
    '\u0000=\u0000',
  ])('nothing in %j', (header) => {
    expect(read(header)).toEqual(none);
  });

  test.each(['', ' ', ',', ',,,a', 'x'.repeat(2000)])('nothing in the older headers: %#', (value) => {
    expect(read(undefined, value, value, value)).toEqual(none);
  });

  test('only the beginning of a long header is read', () => {
    expect(read(`${' '.repeat(2000)}proto=https`)).toEqual(none);
    expect(read(`proto=https;${'x='.repeat(1_000_000)}`)).toEqual({ ...none, proto: 'https' });
  });
});
