import { describe, expect, it } from 'vitest';
import { chooseProxy, isExempt } from '../../src/export/proxy';

const choose = (target: string, url: string, noProxy = '') =>
  chooseProxy(new URL(target), { variable: 'HTTPS_PROXY', url, noProxy });

describe('the proxy of a variable', () => {
  it.each([
    ['http://proxy:3128', false, 'proxy', 3128, 'http://proxy:3128'],
    ['http://proxy', false, 'proxy', 80, 'http://proxy'],
    ['https://proxy', true, 'proxy', 443, 'https://proxy'],
    ['HTTPS://Proxy:8443/path?query#hash', true, 'proxy', 8443, 'https://proxy:8443'],
    ['proxy:3128', false, 'proxy', 3128, 'http://proxy:3128'],
    ['proxy', false, 'proxy', 80, 'http://proxy'],
    ['10.0.0.1:3128', false, '10.0.0.1', 3128, 'http://10.0.0.1:3128'],
    ['[fd00::1]:3128', false, 'fd00::1', 3128, 'http://[fd00::1]:3128'],
    ['http://127.0.0.1:3128', false, '127.0.0.1', 3128, 'http://127.0.0.1:3128'],
  ])('%s', (url, secure, host, port, displayUrl) => {
    expect(choose('https://collector.test', url)).toEqual({
      proxy: { secure, host, port, authorization: undefined, displayUrl, variable: 'HTTPS_PROXY' },
      problem: undefined,
    });
  });

  it.each([
    ['http://user:pass@proxy:3128', 'user:pass'],
    ['user:pass@proxy:3128', 'user:pass'],
    ['http://us%20er:p%40ss%3A%25@proxy:3128', 'us er:p@ss:%'],
    ['http://user:p@ss@proxy:3128', 'user:p@ss'],
    ['http://user:100%@proxy:3128', 'user:100%'],
    ['http://user@proxy:3128', 'user:'],
    ['http://:pass@proxy:3128', ':pass'],
    ['http://user:%C3%BC@proxy:3128', 'user:ü'],
  ])('user and password of %s', (url, credentials) => {
    const { proxy } = choose('https://collector.test', url);
    expect(proxy).toMatchObject({
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      displayUrl: 'http://proxy:3128',
    });
  });

  it.each([
    'socks5://user:s3cret@proxy:1080',
    'http://user:s3cret@proxy:99999',
    'http://user:s3#cret@proxy',
    'http://',
    's3cret s3cret',
    'file:///s3cret',
    '://s3cret',
  ])('%s is reported without its value, and nothing is used', (url) => {
    const { proxy, problem } = choose('https://collector.test', url);
    expect(proxy).toBeUndefined();
    expect(problem).toMatch(/^HTTPS_PROXY is .*the http:\/\/ or https:\/\/ URL of a proxy; connecting directly$/);
    expect(problem).not.toMatch(/s3|user/);
  });

  it('is not looked at where it is not used, or not set', () => {
    const direct = { proxy: undefined, problem: undefined };
    expect(choose('http://localhost:4318', 'socks5://proxy')).toEqual(direct);
    expect(choose('http://collector.test', 'socks5://proxy', 'collector.test')).toEqual(direct);
    expect(chooseProxy(new URL('http://collector.test'), undefined)).toEqual(direct);
  });
});

describe('this machine', () => {
  it.each([
    'http://localhost:4318',
    'https://LOCALHOST',
    'http://localhost.:4318',
    'http://a.localhost',
    'http://127.0.0.1:4318',
    'http://127.9.9.9',
    'http://[::1]:4318',
    'http://[::ffff:127.0.0.1]:4318',
    'http://2130706433',
  ])('%s is never behind a proxy', (url) => {
    expect(choose(url, 'http://proxy').proxy).toBeUndefined();
  });

  it.each(['http://127.evil.test', 'http://localhost.test', 'http://notlocalhost', 'http://[::2]', 'http://128.0.0.1'])(
    '%s is another one',
    (url) => expect(choose(url, 'http://proxy').proxy).toBeDefined(),
  );
});

describe('NO_PROXY', () => {
  const hostOf = (url: string): [string, number] => {
    const { hostname, port, protocol } = new URL(url);
    return [hostname, Number(port) || (protocol === 'https:' ? 443 : 80)];
  };

  it.each([
    ['*', 'https://collector.example.com'],
    ['other.test, *', 'http://10.0.0.1'],
    ['collector.example.com', 'https://collector.example.com'],
    ['COLLECTOR.Example.com', 'https://collector.example.com'],
    ['example.com', 'https://collector.example.com'],
    ['.example.com', 'https://collector.example.com'],
    ['.example.com', 'https://example.com'],
    ['*.example.com', 'https://collector.example.com'],
    ['com', 'https://collector.example.com'],
    ['example.com.', 'https://collector.example.com'],
    ['example.com', 'https://collector.example.com.'],
    ['a.test,example.com', 'https://collector.example.com'],
    ['a.test example.com', 'https://collector.example.com'],
    [' a.test ,\t, example.com ', 'https://collector.example.com'],
    ['collector:4318', 'http://collector:4318'],
    ['collector:443', 'https://collector'],
    ['collector:80', 'http://collector'],
    ['.example.com:4318', 'http://c.example.com:4318'],
    ['10.1.2.3', 'http://10.1.2.3:4318'],
    ['10.1.2.3:4318', 'http://10.1.2.3:4318'],
    ['[::ffff:10.1.2.3]', 'http://10.1.2.3'],
    ['10.1.2.3', 'http://[::ffff:10.1.2.3]'],
    ['fd00::1', 'http://[fd00::1]:4318'],
    ['[fd00::1]', 'http://[fd00::1]:4318'],
    ['[fd00::1]:4318', 'http://[fd00::1]:4318'],
    ['FD00:0:0:0:0:0:0:1', 'http://[fd00::1]'],
    ['10.0.0.0/8', 'http://10.255.0.1'],
    ['10.1.2.3/32', 'http://10.1.2.3'],
    ['10.1.2.128/25', 'http://10.1.2.200'],
    ['10.1.2.99/24', 'http://10.1.2.3'],
    ['0.0.0.0/0', 'http://192.0.2.1'],
    ['fd00::/8', 'http://[fd12:3456::1]'],
    ['fd00:1:2:3::/63', 'http://[fd00:1:2:2::9]'],
    ['::/0', 'http://[2001:db8::1]'],
    ['::ffff:10.0.0.0/104', 'http://10.9.9.9'],
  ])('"%s" has %s', (noProxy, url) => {
    expect(isExempt(...hostOf(url), noProxy)).toBe(true);
  });

  it.each([
    ['', 'https://collector.example.com'],
    [',', 'https://collector.example.com'],
    ['.', 'https://collector.example.com'],
    ['*.', 'https://collector.example.com'],
    ['ample.com', 'https://collector.example.com'],
    ['collector.example.com.evil', 'https://collector.example.com'],
    ['other.example.com', 'https://collector.example.com'],
    ['col*', 'https://collector.example.com'],
    ['collector:4317', 'http://collector:4318'],
    ['collector:', 'http://collector:4318'],
    ['collector:x', 'http://collector:4318'],
    ['http://collector', 'http://collector'],
    ['2.3', 'http://10.1.2.3'],
    ['.1.2.3', 'http://10.1.2.3'],
    ['10.1.2', 'http://10.1.2.3'],
    ['10.1.2.300', 'http://10.1.2.3'],
    ['10.1.2.3:1', 'http://10.1.2.3:4318'],
    ['[fd00::1]:1', 'http://[fd00::1]:4318'],
    ['[fd00::1', 'http://[fd00::1]:4318'],
    ['fd00::2', 'http://[fd00::1]'],
    ['11.0.0.0/8', 'http://10.0.0.1'],
    ['10.1.2.128/25', 'http://10.1.2.100'],
    ['10.0.0.0/33', 'http://10.0.0.0'],
    ['10.0.0.0/', 'http://10.0.0.0'],
    ['10.0.0.0/-1', 'http://10.0.0.0'],
    ['10.0.0.0/8/8', 'http://10.0.0.0'],
    ['/8', 'http://10.0.0.0'],
    ['fd00::/129', 'http://[fd00::]'],
    ['fd00::/8', 'http://[fe00::1]'],
    ['10.0.0.0/8', 'http://[fd00::1]'],
    ['10.0.0.0/8', 'http://ten.test'],
    ['0.0.0.0/0', 'http://[2001:db8::1]'],
    ['1:2:3:4:5:6:7:8:9', 'http://[1:2:3:4:5:6:7:8]'],
  ])('"%s" does not have %s', (noProxy, url) => {
    expect(isExempt(...hostOf(url), noProxy)).toBe(false);
  });

  it('may be long', () => {
    const noProxy = `${'a:'.repeat(50_000)},${'['.repeat(50_000)},${'.'.repeat(50_000)},${'/'.repeat(50_000)}`;
    expect(isExempt('collector.test', 80, noProxy)).toBe(false);
    expect(isExempt('10.0.0.1', 80, noProxy)).toBe(false);
  });
});
