import { beforeAll, describe, expect, it } from 'vitest';
import type { SqlDialect } from '../../src/db/query';
import { FORMS, statement } from '../db/secret-statements';
import { testPackage } from '../support/packages';
import { random } from '../support/random';
import { runApp } from '../support/run-app';
import { mysqlDatabase, postgresDatabase } from '../support/servers';
import { testedVersions } from '../support/versions';

const COUNT = 600;

/** Words of the secrets start with this; numbers among them are made of these digits, and longer than any of ours. */
const WORD = /zq/i;
const NUMBER = /[89]{3,}/;

let urls: Record<SqlDialect, string>;
beforeAll(async () => {
  urls = { postgresql: await postgresDatabase(), mysql: await mysqlDatabase() };
});

describe.each([
  ['pg', 'postgresql'],
  ['mysql2', 'mysql'],
] as const)('PG12, MY10: random statements on a real server, %s', (library, dialect) => {
  it('export no literal, neither in their texts nor in what the server says of them', async () => {
    const { packages } = testedVersions(library).at(-1)!;
    const source = random(dialect.length);
    // Most whole statements fail, and most literals alone do not.
    const statements = Array.from({ length: COUNT }, (_, i) =>
      i % 2 === 0 ? statement(dialect, source) : `SELECT ${source.pick(FORMS[dialect])(source)}`,
    );
    const { stdout, stderr, spans } = await runApp('test/e2e/fixtures/sql-secrets/app.cjs', {
      env: { PACKAGES: await testPackage(...packages), URL: urls[dialect], OTEL_BSP_MAX_QUEUE_SIZE: String(2 * COUNT) },
      stdin: JSON.stringify(statements),
    });
    expect(stderr).toBe('');
    const { done, failed } = JSON.parse(stdout) as { done: number; failed: number };
    expect(done + failed).toBe(COUNT);
    expect(Math.min(done, failed)).toBeGreaterThan(COUNT / 10);
    expect(spans).toHaveLength(COUNT);
    const database = new URL(urls[dialect]).pathname.slice(1);
    for (const { name, attributes, status, events } of spans) {
      // What else there is has digits of its own, and so has the database's name.
      const { 'db.query.text': text, 'db.query.summary': summary } = attributes;
      const shown = JSON.stringify([name, text, summary, status.message, events]).replaceAll(database, '');
      if (WORD.test(JSON.stringify(attributes)) || WORD.test(shown) || NUMBER.test(shown)) expect.fail(shown);
    }
  });
});
