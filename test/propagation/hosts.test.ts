import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config';
import { parseAuthority } from '../../src/http/authority';
import { PropagationHosts } from '../../src/propagation/hosts';

function hosts(allowed?: string, excluded?: string): PropagationHosts {
  const { config, problems } = loadConfig({
    HOOKLINE_PROPAGATION_HOSTS: allowed,
    HOOKLINE_PROPAGATION_EXCLUDED_HOSTS: excluded,
  });
  expect(problems).toEqual([]);
  return new PropagationHosts(config.propagationHosts!);
}

const may = (list: PropagationHosts, authority: string): boolean => list.mayReceive(parseAuthority(authority));

describe('a pattern', () => {
  it.each([
    [
      'a.test',
      ['a.test:80', 'a.test:8080', 'A.Test:80', 'a.test.:80'],
      ['b.a.test:80', 'a.test.evil:80', 'xa.test:80'],
    ],
    ['a.test:8080', ['a.test:8080'], ['a.test:80', 'a.test']],
    ['*.a.test', ['b.a.test:80', 'c.b.A.TEST:80'], ['a.test:80', 'xa.test:80', 'b.a.test.evil:80']],
    ['*.A.test.:443', ['b.a.test:443'], ['b.a.test:80']],
    ['10.0.?.*', ['10.0.1.255:80'], ['10.0.10.1:80', '10.1.1.1:80']],
    ['a.test:80*', ['a.test:8080', 'a.test:80'], ['a.test:443']],
    ['[::1]', ['[::1]:80', '[0:0:0:0:0:0:0:1]:80', '::1'], ['[::2]:80', '1:80']],
    ['[0:0::1]:80', ['[::1]:80'], ['[::1]:81']],
    ['[FE80::*]', ['[fe80::1]:80', '[fe80::1%eth0]:80'], ['[fe81::1]:80']],
    ['bücher.example', ['xn--bcher-kva.example:80', 'BÜCHER.example:80'], ['bucher.example:80']],
    ['*.bücher.example', ['a.xn--bcher-kva.example:80'], ['xn--bcher-kva.example:80']],
    ['*', ['a.test:80', '[::1]:80'], []],
  ])('%s', (pattern, matching, others) => {
    for (const authority of matching) expect(may(hosts(pattern), authority), authority).toBe(true);
    for (const authority of others) expect(may(hosts(pattern), authority), authority).toBe(false);
    for (const authority of matching) expect(may(hosts(undefined, pattern), authority), authority).toBe(false);
    for (const authority of others) expect(may(hosts(undefined, pattern), authority), authority).toBe(true);
  });
});

describe('two lists', () => {
  it('excluded wins', () => {
    const list = hosts('*.a.test,b.test', 'secret.a.test,*:9000');
    expect(may(list, 'x.a.test:80')).toBe(true);
    expect(may(list, 'b.test:80')).toBe(true);
    expect(may(list, 'secret.a.test:80')).toBe(false);
    expect(may(list, 'b.test:9000')).toBe(false);
    expect(may(list, 'c.test:80')).toBe(false);
  });

  it('a receiver without a name is in neither', () => {
    expect(hosts('*').mayReceive(undefined)).toBe(false);
    expect(hosts(undefined, '*').mayReceive(undefined)).toBe(true);
    const endless = { host: 'a'.repeat(100_000), port: 80 };
    expect(hosts('*').mayReceive(endless)).toBe(false);
    expect(hosts(undefined, 'b').mayReceive(endless)).toBe(true);
  });

  it('answers the same however many hosts were asked for', () => {
    const list = hosts('*.a.test');
    for (let i = 0; i < 2500; i++) {
      expect(list.mayReceive({ host: `${i}.a.test`, port: 80 })).toBe(true);
      expect(list.mayReceive({ host: `${i}.b.test`, port: 80 })).toBe(false);
    }
    expect(list.mayReceive({ host: '0.a.test', port: 80 })).toBe(true);
  });
});
