import { beforeAll, describe, expect, it } from 'vitest';
import { LIBRARIES, type Measured, type MeasureOptions, measure, verdictOf } from '../../scripts/leaks/measure.mjs';
import { slopeOf } from '../../scripts/leaks/slope.mjs';
import { nodeBinary } from '../support/run-app';
import { amqpBroker, mysqlDatabase, postgresDatabase } from '../support/servers';

// What `npm run test:leaks` does, with a hundredth of its operations: each library's calls, those that fail, are aborted, are
// never read, never acknowledged or never ended among them, keep no more memory under the agent than without it.

const OPERATIONS = 2_000;
const POINTS = 6;
/** Of two and of three runs at a time, on a machine that others use too. */
const TIMEOUT_MS = 300_000;

const run = (library: string, options: Pick<MeasureOptions, 'mode'> & Partial<MeasureOptions>): Promise<Measured> =>
  measure(library, { operations: OPERATIONS, points: POINTS, node: nodeBinary, ...options });

describe('the harness', () => {
  it('finds growth between looks that differ', () => {
    const samples = Array.from({ length: 9 }, (_, i): [number, number] => [i * 250, 1_000_000 + i * 250 * 40]);
    samples[4]![1] += 700_000;
    samples[7]![1] -= 300_000;
    expect(slopeOf(samples)).toBeCloseTo(40, 0);
  });

  it.each(['object', 'span'] as const)(
    'finds an application that keeps one %s for each operation',
    async (plant) => {
      const options = { variants: 'ended' };
      const bare = await run('api', { ...options, mode: 'bare' });
      const up = await run('api', { ...options, mode: 'up', plant });
      expect(verdictOf({ bare, up }, OPERATIONS)).toEqual([
        expect.stringMatching(/^with the collector up, \d+\.\d+ bytes more are kept for each operation/),
      ]);
      const clean = await run('api', { ...options, mode: 'up' });
      expect(verdictOf({ bare, up: clean }, OPERATIONS)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

describe('what stays for each operation', () => {
  const urls: Record<string, string> = {};

  beforeAll(async () => {
    urls['postgres'] = await postgresDatabase();
    urls['mysql'] = await mysqlDatabase();
    urls['amqp'] = (await amqpBroker()).url;
  });

  it.each(Object.entries(LIBRARIES))(
    '%s: as much as without us',
    async (library, { service = '' }) => {
      const options = { serviceUrl: urls[service] };
      // The matrix has seven versions of Node.js to go through.
      const isMatrix = process.env.HOOKLINE_TEST_NODE !== undefined;
      const [bare, up, down] = await Promise.all([
        run(library, { ...options, mode: 'bare' }),
        run(library, { ...options, mode: 'up' }),
        isMatrix ? undefined : run(library, { ...options, mode: 'down' }),
      ]);
      expect(up.variants).toEqual(bare.variants);
      expect(verdictOf({ bare, up, ...(down && { down }) }, OPERATIONS)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
