import { expect, it } from 'vitest';
import { INITIAL_BYTES } from '../../src/export/proto-writer';
import { SpareMemory } from '../../src/export/spare-memory';

const KIB = 1024;

it('what was given back is taken again, once', () => {
  const memory = new SpareMemory();
  const first = memory.take(200 * KIB);
  expect(first.length).toBeGreaterThanOrEqual(200 * KIB);
  memory.give(first.subarray(0, 10));
  const second = memory.take(204 * KIB);
  expect(second.buffer).toBe(first.buffer);
  expect(second.length).toBe(first.length);
  expect(memory.take(200 * KIB).buffer).not.toBe(first.buffer);
});

it.each([
  ['too small', 100 * KIB, 200 * KIB],
  ['far larger than what is needed', 500 * KIB, 100 * KIB],
  ['larger than what is kept', 600 * KIB, 600 * KIB],
])('%s: not taken again', (_, before, bytes) => {
  const memory = new SpareMemory();
  const first = memory.take(before);
  memory.give(first);
  const second = memory.take(bytes);
  expect(second.buffer).not.toBe(first.buffer);
  expect(second.length).toBeGreaterThanOrEqual(bytes);
});

it('little is taken from what a first batch leaves', () => {
  const memory = new SpareMemory();
  const first = memory.take(INITIAL_BYTES);
  memory.give(first);
  expect(memory.take(100).buffer).toBe(first.buffer);
});
