import { describe, expect, it } from 'vitest';
import { parseTraceState } from '../../src/propagation/trace-state';

const members = (count: number): string => Array.from({ length: count }, (_, i) => `k${i}=${i}`).join(',');

describe('a list that is valid under level 2', () => {
  it.each<[string, string | string[], Record<string, string>]>([
    ['one member', 'foo=1', { foo: '1' }],
    ['several', 'foo=1,bar=2', { foo: '1', bar: '2' }],
    ['spaces and tabs around', ' foo=1 \t , \t bar=2, \t baz=3\t', { foo: '1', bar: '2', baz: '3' }],
    ['empty members', 'foo=1,, ,\t,bar=2,', { foo: '1', bar: '2' }],
    ['several headers', ['foo=1,bar=2', 'rojo=1', ''], { foo: '1', bar: '2', rojo: '1' }],
    ['key foo@', 'foo@=1', { 'foo@': '1' }],
    ['key foo@@bar', 'foo@@bar=1,bar@foo@=2', { 'foo@@bar': '1', 'bar@foo@': '2' }],
    ['key with a long vendor', 't@vvvvvvvvvvvvvvv=1', { 't@vvvvvvvvvvvvvvv': '1' }],
    ['key that starts with a digit', '0a=1', { '0a': '1' }],
    ['every character of a key', 'a0_-*/@z=1', { 'a0_-*/@z': '1' }],
    ['a key of 256', `${'z'.repeat(256)}=1`, { ['z'.repeat(256)]: '1' }],
    ['a value of 256', `a=${'~'.repeat(256)}`, { a: '~'.repeat(256) }],
    ['spaces in a value', 'a= b  c', { a: ' b  c' }],
    ['ends of the value range', 'a=!+-<>~', { a: '!+-<>~' }],
  ])('%s', (_name, header, expected) => {
    const state = parseTraceState(header);
    for (const [key, value] of Object.entries(expected)) expect(state?.get(key)).toBe(value);
    // As it came, but for tabs.
    const sent = typeof header === 'string' ? header : header.filter(Boolean).join(',');
    expect(state?.serialize()).toBe(sent.replaceAll('\t', ' '));
  });

  it('has at most 32 members', () => {
    expect(parseTraceState(members(32))?.get('k31')).toBe('31');
    expect(parseTraceState(`,${members(32)},,`)?.get('k31')).toBe('31');
  });
});

describe('a list that is dropped whole', () => {
  it.each<[string, unknown]>([
    ['none', undefined],
    ['empty', ''],
    ['empty members only', ' ,, \t'],
    ['no headers', []],
    ['empty headers', ['', '']],
    ['a header of another type', ['a=1', 7]],
    ['another type', 7],
    ['no equals sign', 'foo=1,bar'],
    ['two equals signs', 'foo==1'],
    ['an equals sign in the value', 'foo=1=2'],
    ['an empty value', 'foo=1,bar='],
    ['a value of spaces', 'foo=1,bar=  '],
    ['an empty key', 'foo=1,=2'],
    ['key @foo', '@foo=1,bar=2'],
    ['key @', '@=1'],
    ['key in capitals', 'FOO=1'],
    ['key with a dot', 'foo.bar=1'],
    ['key with a space', 'foo =1'],
    ['key outside ASCII', 'é=1'],
    ['a key of 257', `${'z'.repeat(257)}=1`],
    ['a value of 257', `a=${'v'.repeat(257)}`],
    ['a tab in a value', 'a=b\tc'],
    ['a line end in a value', 'a=b\r\nc'],
    ['a value outside ASCII', 'a=é'],
    ['delete in a value', 'a=\u007f'],
    ['a duplicate key', 'foo=1,bar=2,foo=3'],
    ['a duplicate key in two headers', ['foo=1', 'foo=1']],
    ['33 members', members(33)],
    ['33 members in two headers', [members(32), 'z=1']],
  ])('%s', (_name, header) => {
    expect(parseTraceState(header as string)).toBeUndefined();
  });

  it('more than 8192 characters', () => {
    const list = (count: number): string =>
      Array.from(
        { length: count },
        (_, i) => `${`k${String(i).padStart(2, '0')}`.padEnd(15, 'k')}=${'v'.repeat(256)}`,
      ).join(',');
    const longest = `${list(29)},z=${'v'.repeat(255)},y=${'v'.repeat(8192 - 29 * 273 - 2 - 256 - 2)}`;
    expect(longest).toHaveLength(8192);
    expect(parseTraceState(longest)).toBeDefined();
    expect(parseTraceState(`${longest}v`)).toBeUndefined();
    expect(parseTraceState([longest, 'x=1'])).toBeUndefined();
  });
});

describe('TraceState', () => {
  const state = parseTraceState('foo=1, bar=2')!;

  it('puts what is set in front and changes nothing itself', () => {
    expect(state.set('baz', '3').serialize()).toBe('baz=3,foo=1,bar=2');
    expect(state.set('bar', '3').serialize()).toBe('bar=3,foo=1');
    expect(state.unset('foo').serialize()).toBe('bar=2');
    expect(state.unset('none')).toBe(state);
    expect(state.serialize()).toBe('foo=1, bar=2');
    expect(state.get('none')).toBeUndefined();
  });

  it('refuses an invalid member', () => {
    for (const [key, value] of [
      ['Foo', '1'],
      ['a', ''],
      ['a', 'b,c'],
      ['a', 'b\nc'],
      ['', '1'],
      ['a', 'b '],
    ] as const) {
      expect(state.set(key, value)).toBe(state);
    }
    expect(state.set(7 as never, {} as never)).toBe(state);
  });

  it('drops the last of 33 members', () => {
    const full = parseTraceState(members(32))!.set('new', '1');
    expect(full.get('new')).toBe('1');
    expect(full.get('k30')).toBe('30');
    expect(full.get('k31')).toBeUndefined();
  });

  it('knows no member from a prototype', () => {
    expect(state.get('constructor')).toBeUndefined();
    expect(parseTraceState('__proto__=1')).toBeUndefined();
  });
});
