import { describe, expect, it } from 'vitest';
import { Glob } from '../../src/sampling/glob';
import { random } from './support';

/** The meaning of a pattern, written down as plainly as can be. */
function reference(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern[0] === '*')
    return reference(pattern.slice(1), text) || (text !== '' && reference(pattern, text.slice(1)));
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && reference(pattern.slice(1), text.slice(1));
}

describe('glob', () => {
  it.each([
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['**', 'anything', true],
    ['/api/*', '/api/', true],
    ['/api/*', '/api', false],
    ['*.js', 'app.js', true],
    ['*.js', 'app.mjs', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['*aab*', 'aaab', true],
    ['*ab?d*', 'ababcd', true],
    ['(a+)+$', '(a+)+$', true],
    ['(a+)+$', 'aaaa', false],
    ['Ä*', 'Äx', true],
  ])('%s and %s: %s', (pattern, text, expected) => {
    expect(new Glob(pattern).matches(text)).toBe(expected);
  });

  it('agrees with the plain meaning on random patterns and texts', () => {
    const next = random(1);
    const draw = (alphabet: string, max: number): string =>
      Array.from({ length: Math.floor(next() * (max + 1)) }, () => alphabet[Math.floor(next() * alphabet.length)]).join(
        '',
      );
    let matching = 0;
    for (let i = 0; i < 20_000; i++) {
      const pattern = draw('ab*?', 7);
      const text = draw('ab', 9);
      const expected = reference(pattern, text);
      if (expected) matching++;
      expect(new Glob(pattern).matches(text), `${pattern} on ${text}`).toBe(expected);
    }
    expect(matching).toBeGreaterThan(1000);
  });

  it('takes time linear in a hostile text', () => {
    const glob = new Glob(`*${'a'.repeat(500)}b*${'a*'.repeat(200)}c`);
    const time = (length: number): number => {
      const text = 'a'.repeat(length);
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        expect(glob.matches(`${text}c`)).toBe(false);
        best = Math.min(best, performance.now() - start);
      }
      return best;
    };
    time(10_000);
    // A hundred times the text; a quadratic search would take ten thousand times as long, some 20 s.
    expect(time(1_000_000)).toBeLessThan(500);
  });
});
