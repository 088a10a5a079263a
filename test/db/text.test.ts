import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { createQueryDescriber } from '../../src/db/query';
import { cutText } from '../../src/db/text';

test.each([
  ['abc', 3, 'abc'],
  ['abc', 4, 'abc'],
  ['abc', 2, 'ab'],
  ['abc', 0, ''],
  ['abc', -1, ''],
  ['', 0, ''],
  ['a😀b', 2, 'a'],
  ['a😀b', 3, 'a😀'],
  ['😀', 1, ''],
  ['größe', 3, 'grö'],
])('cuts %j to %i units: %j', (text, maxLength, expected) => {
  expect(cutText(text, maxLength)).toBe(expected);
});

test('what is cut from a long text does not keep it in memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const describe = createQueryDescriber({ dialect: 'postgresql', maxLength: 1000 });
  const kept: string[] = [];
  const megabyte = 'x'.repeat(2 ** 20);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 100; i++) {
    const text = Buffer.from(`SELECT a_long_name_of_a_column FROM another_long_name_${i} WHERE b = '${megabyte}'`);
    const sql = text.toString('latin1');
    kept.push(cutText(sql, 1000), describe(sql).summary, describe(sql).sanitized);
  }
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 * 2 ** 20);
  expect(kept).toHaveLength(300);
});
