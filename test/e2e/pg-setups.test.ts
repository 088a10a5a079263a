import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { expectSameAsBare } from '../support/compare';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { testPackage, writeFolder } from '../support/packages';
import { type Preload, type RunResult, runApp } from '../support/run-app';
import { postgresDatabase } from '../support/servers';
import { expectTree, toTree } from '../support/tree';

const NEWEST = ['pg@8.23.1', 'pg-pool@3.14.0', 'pg-cursor@2.22.0', 'pg-query-stream@4.17.0', 'pg-copy-streams@7.0.0'];

let url: string;
let folder: string;
beforeAll(async () => {
  url = await postgresDatabase();
  folder = await testPackage(...(NEWEST as [string, ...string[]]));
});

const select = (name: string) => ({
  name,
  kind: 'CLIENT' as const,
  scope: 'hookline/pg',
  status: 'UNSET' as const,
});

/** An application of its own that finds the packages of `packages` in its `node_modules`. */
function appOn(packages: string, file: string, source: string): string {
  const app = writeFolder({ [file]: source });
  symlinkSync(join(packages, 'node_modules'), join(app, 'node_modules'));
  return join(app, file);
}

describe('PG8: how pg gets into an application', () => {
  const uses = `
    const config = { connectionString: process.env.DATABASE_URL, max: 1 };
    const client = new Client(config);
    await client.connect();
    await client.query('SELECT 1');
    await client.end();
    for (const pool of [new Pool(config), new pg.Pool(config), new PgPool({ ...config, Client })]) {
      await pool.query('SELECT * FROM (VALUES (2)) v');
      await pool.end();
    }
    console.log(pg.Pool === Pool, pg.Client === Client, Object.keys(pg).length);`;
  const esModule = `import pg, { Client, Pool } from 'pg';\nimport PgPool from 'pg-pool';\n${uses}`;
  const dynamic = `const { default: pg, Client, Pool } = await import('pg');
    const { default: PgPool } = await import('pg-pool');\n${uses}`;
  const commonJs = `const pg = require('pg');\nconst { Client, Pool } = pg;\nconst PgPool = require('pg-pool');
    (async () => {${uses}})();`;

  it.each([
    ['import', 'app.mjs', 'import', esModule],
    ['import', 'app.mjs', 'require', esModule],
    ['import()', 'app.mjs', 'import', dynamic],
    ['require', 'app.cjs', 'import', commonJs],
    ['require', 'app.cjs', 'require', commonJs],
  ] as const)('%s in %s, preloaded with %s', async (_how, file, preload: Preload, source) => {
    const { spans, stdout } = await runApp(appOn(folder, file, source), { env: { DATABASE_URL: url }, preload });
    expect(stdout).toMatch(/^true true \d+\n$/);
    expectTree(spans, [select('SELECT'), ...Array(3).fill(select('SELECT'))]);
  });
});

describe.each(['2.0.0', '2.0.10'])('pg-pool %s by itself', (version) => {
  it('has the callers of its statements', async () => {
    const packages = await testPackage(`pg-pool@${version}`, 'pg@8.23.1');
    const app = appOn(
      packages,
      'app.mjs',
      `import { trace } from ${JSON.stringify(import.meta.resolve('@opentelemetry/api'))};
      import { Client } from 'pg';
      import PgPool from 'pg-pool';
      const pool = new PgPool({ connectionString: process.env.DATABASE_URL, max: 1, Client });
      const tracer = trace.getTracer('cases');
      const caller = (name, run) => tracer.startActiveSpan(name, async (span) => { await run(); span.end(); });
      await Promise.all([
        caller('a', () => pool.query('SELECT 1')),
        caller('b', () => new Promise((resolve) => pool.query('SELECT 2', resolve))),
        caller('c', async () => {
          const client = await pool.connect();
          await client.query('SELECT 3');
          client.release();
        }),
        caller('d', () => new Promise((resolve) => pool.connect((error, client, release) => {
          client.query('SELECT 4', () => { release(); resolve(); });
        }))),
      ]);
      await pool.end();`,
    );
    const { spans, stderr } = await runApp(app, { env: { DATABASE_URL: url } });
    expect(stderr).toBe('');
    const children = [select('SELECT')];
    expectTree(
      spans,
      ['a', 'b', 'c', 'd'].map((name) => ({ name, children })),
    );
  });
});

describe('options', () => {
  const run = (env: Record<string, string>) =>
    runApp('test/e2e/fixtures/pg-options/app.cjs', { env: { PG: folder, DATABASE_URL: url, ...env } });
  const textOf = ({ spans }: RunResult, name: string) => spansOfCase(spans, name)[0]!.attributes['db.query.text'];
  const parametersOf = (span: ReceivedSpan) =>
    Object.fromEntries(Object.entries(span.attributes).filter(([key]) => key.startsWith('db.query.parameter.')));

  it('by default the server gets the text as it is', async () => {
    const { stdout } = await run({});
    expect(outcomeOf(stdout, 'plain')).toBe("SELECT current_query() AS text, 'secret-a' AS more");
    expect(stdout).not.toContain('traceparent');
  });

  it('sqlcommenter: the trace context is in the text, but not in prepared statements and objects of the application', async () => {
    const { stdout, spans } = await run({ OTEL_INSTRUMENTATION_PG_SQLCOMMENTER: 'true' });
    const comment = (name: string) => {
      const [span] = spansOfCase(spans, name);
      return `/*traceparent='00-${span!.traceId}-${span!.spanId}-03'*/`;
    };
    expect(outcomeOf(stdout, 'plain')).toBe(`SELECT current_query() AS text, 'secret-a' AS more ${comment('plain')}`);
    expect(outcomeOf(stdout, 'semicolon')).toBe(`SELECT current_query() AS text ${comment('semicolon')};`);
    expect(outcomeOf(stdout, 'values')).toContain(comment('values'));
    for (const name of ['named', 'named again', 'Query']) {
      expect(outcomeOf(stdout, name)).toBe('SELECT current_query() AS text');
    }
    expect(stdout).toContain("true [ 'text', 'values' ]");
    expect(JSON.stringify(spans.map(({ attributes }) => attributes))).not.toContain('traceparent');
  });

  it('parameters are recorded when asked for', async () => {
    const { spans } = await run({ OTEL_INSTRUMENTATION_PG_CAPTURE_QUERY_PARAMETERS: 'true' });
    expect(parametersOf(spansOfCase(spans, 'values')[0]!)).toEqual({
      'db.query.parameter.0': 'secret-b',
      'db.query.parameter.1': '7',
      'db.query.parameter.2': 'NULL',
      'db.query.parameter.3': '[object]',
      'db.query.parameter.4': '[binary, 5 bytes]',
      'db.query.parameter.5': '1970-01-01T00:00:00.000Z',
    });
    expect(parametersOf(spansOfCase(spans, 'plain')[0]!)).toEqual({});
  });

  it('PG12: sanitization', async () => {
    const withLiterals = "SELECT current_query() AS text, 'secret-c', $1::int";
    const without = 'SELECT current_query() AS text, ?, $1::int';
    const auto = await run({});
    expect(textOf(auto, 'plain')).toBe('SELECT current_query() AS text, ? AS more');
    expect(textOf(auto, 'literals and values')).toBe(withLiterals);
    const always = await run({ OTEL_INSTRUMENTATION_PG_QUERY_SANITIZATION: 'always' });
    expect(textOf(always, 'literals and values')).toBe(without);
    const never = await run({ OTEL_INSTRUMENTATION_PG_QUERY_SANITIZATION: 'never' });
    expect(textOf(never, 'plain')).toBe("SELECT current_query() AS text, 'secret-a' AS more");
    const failure = (result: RunResult) => result.spans.find(({ status }) => status.code === 'ERROR')!.status.message;
    expect(failure(auto)).toBe('invalid input syntax for type integer: "?"');
    expect(failure(never)).toBe('invalid input syntax for type integer: "secret-d"');
  });
});

it('knex, drizzle-orm and typeorm: their statements are children of their callers', async () => {
  const packages = await testPackage(
    'pg@8.23.1',
    'knex@3.1.0',
    'drizzle-orm@0.44.7',
    'typeorm@0.3.27',
    'reflect-metadata@0.2.2',
  );
  const { traced } = await expectSameAsBare('test/e2e/fixtures/pg-orms/app.cjs', {
    env: { PACKAGES: packages, DATABASE_URL: url },
    preloads: ['import'],
  });
  const { spans, stdout } = traced.import!;
  const namesOf = (name: string) => toTree(spansOfCase(spans, name)).map(({ span }) => span.name);
  expect(outcomeOf(stdout, 'knex')).toEqual([{ id: 1 }]);
  // The first asks the new connection for the server's version.
  expect(namesOf('knex')).toEqual([
    'select',
    'insert "albums"',
    'BEGIN',
    'update "albums"',
    'COMMIT',
    'select "albums"',
  ]);
  const [failed] = spansOfCase(spans, 'knex error');
  expect(failed).toMatchObject({ attributes: { 'error.type': '42P01' }, status: { code: 'ERROR' } });
  expect(outcomeOf(stdout, 'drizzle')).toEqual([{ id: 2, title: 'secret-c' }]);
  expect(namesOf('drizzle')).toEqual(['insert "albums"', 'select "albums"']);
  expect(outcomeOf(stdout, 'typeorm')).toEqual({ id: 1, title: 'secret-b' });
  expect(namesOf('typeorm')).toEqual(['SELECT "albums"']);
  expect(JSON.stringify(spans.map(({ attributes, status }) => [attributes, status]))).not.toContain('secret-');
});

it('what the instrumentation cannot look at passes through it', async () => {
  const { traced } = await expectSameAsBare('test/e2e/fixtures/pg-guard/app.cjs', {
    env: { PG: folder, DATABASE_URL: url },
    preloads: ['import'],
    normalise: (text) => text.replace(/^hookline: pg instrumentation switched off .*\n/m, ''),
  });
  const { spans, stderr } = traced.import!;
  expect(stderr).toContain('pg instrumentation switched off after 5 internal errors');
  // Those of the rounds before it was switched off; in the fifth there is nothing any more.
  expect(spans.map(({ name }) => name)).toEqual(Array(8).fill('SELECT'));
});

describe.each([
  ['reachable', {}],
  ['unreachable', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }],
])('memory with a collector that is %s', (_collector, env: Record<string, string>) => {
  it('stays flat over 8,000 statements', async () => {
    const { stdout } = await runApp('test/e2e/fixtures/pg-memory/app.cjs', {
      env: { PG: folder, DATABASE_URL: url, ROUNDS: '8000', OTEL_LOG_LEVEL: 'none', ...env },
      execArgv: ['--expose-gc'],
      timeoutMs: 60_000,
    });
    expect(outcomeOf(stdout, 'growth')).toBeLessThan(2_000_000);
  });
});
