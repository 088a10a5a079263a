import { describe, expect, it } from 'vitest';
import { runApp } from '../support/run-app';

// Exporters in a list: what one of them does is its own affair, and its losses are told as its own.

const FOLDER = 'test/e2e/fixtures/isolation';
const SPANS = ['span-0', 'span-1', 'span-2', 'span-3', 'span-4'];

interface Misbehaviour {
  /** What its line on stderr says; `undefined`: it succeeds after all. */
  readonly said: string | undefined;
  readonly stats: object;
}

const LOST = { exported: 0, dropped: { export_failed: 5 } };

const MISBEHAVIOURS: Record<string, Misbehaviour> = {
  throws: { said: 'thrown by export', stats: LOST },
  rejects: { said: 'rejected by export', stats: LOST },
  hangs: { said: 'no answer within 300 ms', stats: LOST },
  twice: { said: undefined, stats: { exported: 5, dropped: {} } },
  'late-throw': { said: 'it gave no reason', stats: LOST },
  constructor: { said: 'thrown by the constructor', stats: LOST },
  factory: { said: 'rejected by the factory', stats: LOST },
};

function run(bad: string, args: string[] = []) {
  return runApp(`${FOLDER}/app.cjs`, {
    args,
    anyConventions: true,
    env: {
      OTEL_TRACES_EXPORTER: `./${FOLDER}/${bad}.cjs,otlp`,
      OTEL_BSP_EXPORT_TIMEOUT: '300',
    },
  });
}

describe('one exporter of a list that', () => {
  it.each(Object.entries(MISBEHAVIOURS))('%s keeps nothing from the other', async (bad, { said, stats }) => {
    const { stdout, stderr, code, spans } = await run(bad);
    expect(code).toBe(0);
    expect(spans.map(({ name }) => name).sort()).toEqual(SPANS);
    const name = `./${FOLDER}/${bad}.cjs`;
    const exporters = JSON.parse(stdout);
    expect(exporters).toMatchObject({ [name]: stats, otlp: { exported: 5, dropped: {} } });
    const lines = stderr.split('\n').filter((line) => line !== '');
    if (said === undefined) {
      expect(lines).toEqual([]);
      return;
    }
    expect(lines.filter((line) => line.includes(said))).toHaveLength(1);
    expect(lines.at(-1)).toBe(
      `hookline: 5 spans were not delivered by ${name} before the process ended (export_failed 5)`,
    );
  });

  it('never comes up does not hold the end of the process', async () => {
    const { stdout, stderr, code, spans } = await run('never');
    expect(code).toBe(0);
    expect(spans.map(({ name }) => name).sort()).toEqual(SPANS);
    expect(JSON.parse(stdout)).toMatchObject({ otlp: { exported: 5 } });
    expect(stderr).toMatch(/^hookline: 5 spans were not delivered by .*never\.cjs before the process ended\n$/);
  });

  it.each(['hangs', 'twice', 'constructor'])(
    '%s, at process.exit: the other delivers, and the loss is told',
    async (bad) => {
      const { stderr, code, spans } = await run(bad, ['exit']);
      expect(code).toBe(0);
      expect(spans.map(({ name }) => name).sort()).toEqual(SPANS);
      // An exporter of somebody else's needs the event loop, which has stopped.
      expect(stderr).toBe(`hookline: 5 spans were not delivered by ./${FOLDER}/${bad}.cjs before the process ended\n`);
    },
  );
});
