import { channel } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { Channels } from '../../src/hook/channels';
import { Guard } from '../../src/hook/guard';
import { createStamp } from '../../src/hook/stamp';
import { errorType } from '../../src/hook/tracing';
import { setLogSink } from '../../src/log';

afterEach(() => setLogSink(undefined));

describe('Guard', () => {
  it('switches off after five failures, with one line that names the first', () => {
    const lines: string[] = [];
    setLogSink((line) => lines.push(line));
    const guard = new Guard('pg');
    let runs = 0;
    const failing = () => {
      runs++;
      throw new Error(`failure ${runs}`);
    };
    for (let i = 0; i < 10; i++) expect(guard.run(failing)).toBeUndefined();
    expect({ runs, off: guard.off, failures: guard.failures }).toEqual({ runs: 5, off: true, failures: 5 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('pg instrumentation switched off after 5 internal errors; the first: Error: failure 1');
  });

  it('takes anything that is thrown', () => {
    setLogSink(() => {});
    const hostile = Object.defineProperty(new Error('x'), 'stack', {
      get() {
        throw new Error('from the getter');
      },
    });
    for (const thrown of [undefined, null, 'text', Object.create(null), hostile]) {
      const guard = new Guard('pg');
      for (let i = 0; i < 6; i++) guard.fail(thrown);
      expect(guard.off).toBe(true);
    }
  });
});

describe('createStamp', () => {
  it('keeps a value that nobody else sees, on frozen objects and proxies too', () => {
    const stamp = createStamp<number>();
    for (const object of [
      {},
      Object.preventExtensions({}),
      Object.freeze([]),
      () => {},
      Object.create(null),
      new Proxy({}, {}),
    ]) {
      const before = inspect(object);
      expect(stamp.get(object)).toBeUndefined();
      stamp.set(object, 1);
      stamp.set(object, 2);
      expect(stamp.get(object)).toBe(2);
      expect(inspect(object)).toBe(before);
      expect(Reflect.ownKeys(object).length).toBe(
        Reflect.ownKeys(typeof object === 'function' ? () => {} : Array.isArray(object) ? [] : {}).length,
      );
      stamp.set(object, undefined);
      expect(stamp.get(object)).toBeUndefined();
    }
  });

  it('is apart from other stamps', () => {
    const [a, b] = [createStamp<number>(), createStamp<number>()];
    const object = {};
    a.set(object, 1);
    expect(b.get(object)).toBeUndefined();
  });
});

describe('Channels', () => {
  it('delivers the message that loads an instrumentation to the listeners it adds', () => {
    const channels = new Channels();
    const seen: unknown[] = [];
    let loads = 0;
    channels.onFirst('hookline-test', () => {
      loads++;
      channels.on('hookline-test', (message) => seen.push(message));
    });
    channel('hookline-test').publish(1);
    channel('hookline-test').publish(2);
    expect({ loads, seen }).toEqual({ loads: 1, seen: [1, 2] });
  });
});

describe('errorType', () => {
  // By label: the runner's own formatting would trip over some of them.
  const errors: Record<string, [unknown, string]> = {
    'an Error': [new Error('x'), 'Error'],
    'a class of errors': [new RangeError('x'), 'RangeError'],
    'an error with a code': [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
    'an error with a number': [Object.assign(new Error('x'), { code: 42 }), 'Error'],
    'a wrapper': [
      new TypeError('fetch failed', { cause: Object.assign(new Error(), { code: 'ENOTFOUND' }) }),
      'ENOTFOUND',
    ],
    'a DOMException': [new DOMException('x', 'TimeoutError'), 'TimeoutError'],
    'an error of an own class': [new (class Mine extends Error {})(), 'Mine'],
    'a string': ['text', '_OTHER'],
    null: [null, '_OTHER'],
    'an object without prototype': [Object.create(null), '_OTHER'],
    'a getter that throws': [
      {
        get code(): never {
          throw new Error('x');
        },
      },
      '_OTHER',
    ],
  };
  it.each(Object.keys(errors))('%s', (label) => {
    const [error, expected] = errors[label]!;
    expect(errorType(error)).toBe(expected);
  });
});
