import { expect, it } from 'vitest';
import { countsOf, lossLine } from '../../src/export/losses';

it('names reasons with their counts', () => {
  expect(countsOf({})).toBe('');
  expect(countsOf({ queue_full: 12, exit_timeout: 2 })).toBe('queue_full 12, exit_timeout 2');
});

it('is one line for all exporters', () => {
  expect(
    lossLine([
      { to: 'to http://a/', counts: { queue_full: 12, exit_timeout: 2 } },
      { to: 'by ./mine.js', counts: { export_failed: 1 } },
      { to: '', counts: { tail_overflow: 3 } },
    ]),
  ).toBe(
    '14 spans were not delivered to http://a/ before the process ended (queue_full 12, exit_timeout 2); ' +
      '1 span was not delivered by ./mine.js before the process ended (export_failed 1); ' +
      '3 spans were not delivered before the process ended (tail_overflow 3)',
  );
});

it('says no more than it has to of spans that were left', () => {
  expect(lossLine([{ to: 'to http://a/', counts: { exit_timeout: 1 } }])).toBe(
    '1 span was not delivered to http://a/ before the process ended',
  );
});
