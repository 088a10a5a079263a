import { describe, expect, it } from 'vitest';
import { hasValues, readCall, withText } from '../../src/db/mysql2-call';

const callback = () => {};

describe('readCall', () => {
  it.each([
    [['SELECT 1'], { text: 'SELECT 1', values: undefined, callbackAt: -1 }],
    [['SELECT 1', callback], { text: 'SELECT 1', values: undefined, callbackAt: 1 }],
    [['SELECT ?', [1], callback], { text: 'SELECT ?', values: [1], callbackAt: 2 }],
    [['SELECT ?', undefined, callback], { text: 'SELECT ?', values: undefined, callbackAt: 2 }],
    // The library takes the first function, and never looks at a third argument then.
    [['SELECT ?', callback, callback], { text: 'SELECT ?', values: undefined, callbackAt: 1 }],
    [[{ sql: 'SELECT ?', values: [1] }, callback], { text: 'SELECT ?', values: [1], callbackAt: 1 }],
    [[{ sql: 'SELECT ?', values: [1] }, [2], callback], { text: 'SELECT ?', values: [2], callbackAt: 2 }],
    [[{ sql: 5 }], { text: undefined, values: undefined, callbackAt: -1 }],
    [[undefined], { text: undefined, values: undefined, callbackAt: -1 }],
    [[], { text: undefined, values: undefined, callbackAt: -1 }],
  ])('reads %o', (args, expected) => {
    expect(readCall(args as unknown[])).toEqual({ namedPlaceholders: undefined, ...expected });
  });

  it('keeps what it read before a getter threw', () => {
    const options = {
      sql: 'SELECT 1',
      get values() {
        throw new Error('no values');
      },
    };
    expect(readCall([options, callback])).toMatchObject({ text: 'SELECT 1', callbackAt: 1 });
  });
});

describe('hasValues', () => {
  it.each([[[1]], [{ a: 1 }], [0], [''], [false], [new Date(0)], [Buffer.alloc(0)]])('is true for %o', (values) => {
    expect(hasValues(values)).toBe(true);
  });

  it.each([[undefined], [null], [[]], [{}], [callback]])('is false for %o', (values) => {
    expect(hasValues(values)).toBe(false);
  });
});

describe('withText', () => {
  it('replaces a text', () => {
    expect(withText('SELECT 1', 'SELECT 2')).toBe('SELECT 2');
  });

  it('replaces the text of frozen options', () => {
    const options = Object.freeze({ sql: 'SELECT 1', rowsAsArray: true });
    expect(withText(options, 'SELECT 2')).toEqual({ sql: 'SELECT 2', rowsAsArray: true });
    expect(options.sql).toBe('SELECT 1');
  });

  it('copies frozen options, accessors and prototype included', () => {
    class Options {
      readonly values = [1];
      get sql() {
        return 'SELECT ?';
      }
    }
    const options = Object.freeze(new Options());
    const copy = withText(options, 'SELECT ? -- b') as Options;
    expect(copy.sql).toBe('SELECT ? -- b');
    expect(copy.values).toBe(options.values);
    expect(copy).toBeInstanceOf(Options);
    expect(options.sql).toBe('SELECT ?');
  });
});
