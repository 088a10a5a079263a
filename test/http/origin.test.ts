import { describe, expect, it } from 'vitest';
import { Origin, OriginCache } from '../../src/http/origin';

const attributesOf = (text: string) => new Origin(text).block.attributes;

describe('an origin', () => {
  it('has the port of its scheme where it names none', () => {
    expect(attributesOf('http://a.example')).toEqual({ 'server.address': 'a.example', 'server.port': 80 });
    expect(attributesOf('https://a.example/')).toEqual({ 'server.address': 'a.example', 'server.port': 443 });
    expect(attributesOf('http://[::1]:8080')).toEqual({ 'server.address': '::1', 'server.port': 8080 });
  });

  it('shows no user and no password', () => {
    const origin = new Origin('https://me:s3@cret@a.example:8443');
    expect(origin.prefix).toBe('https://a.example:8443');
    expect(origin.block.attributes).toEqual({ 'server.address': 'a.example', 'server.port': 8443 });
  });

  it('may be anything', () => {
    for (const text of ['', 'http', '://', 'http://', 'http://@', 'http://:80', 'null', 'x'.repeat(10_000)]) {
      expect(typeof new Origin(text).prefix).toBe('string');
    }
    expect(attributesOf('http://')).toEqual({});
  });
});

describe('the origins that were seen', () => {
  it('are made once, also in turns', () => {
    const cache = new OriginCache();
    const [a, b] = [cache.get('http://a'), cache.get('http://b')];
    expect(b).not.toBe(a);
    expect([cache.get('http://a'), cache.get('http://b'), cache.get('http://b')]).toEqual([a, b, b]);
    expect(cache.get('http://a')).toBe(a);
  });

  it('are forgotten when there are many, and not kept when they are long', () => {
    const cache = new OriginCache();
    const first = cache.get('http://first');
    for (let i = 0; i < 512; i++) cache.get(`http://${i}`);
    expect(cache.get('http://first')).not.toBe(first);
    const long = `http://${'x'.repeat(300)}`;
    expect(cache.get(long)).not.toBe(cache.get(long));
  });
});
