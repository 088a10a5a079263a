import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { type Comparison, expectSameAsBare } from '../support/compare';
import { testPackage } from '../support/packages';
import { nodeBinary, root } from '../support/run-app';
import { postgresDatabase } from '../support/servers';
import { type ExpectedSpan, expectTree, toTree } from '../support/tree';
import { testedVersions } from '../support/versions';

const execute = promisify(execFile);

function statement(summary: string | undefined, text: string, failure?: [string, string]): ExpectedSpan {
  const isSqlState = failure !== undefined && /^\d/.test(failure[0]);
  return {
    name: summary ?? 'stand-in',
    kind: 'CLIENT',
    scope: 'hookline/pg',
    exactAttributes: true,
    attributes: {
      'db.system.name': 'postgresql',
      'db.namespace': 'stand-in',
      'server.address': '127.0.0.1',
      'server.port': 5433,
      'db.query.text': text,
      'db.query.summary': summary,
      ...(failure && { 'error.type': failure[0] }),
      ...(isSqlState && { 'db.response.status_code': failure[0] }),
    },
    status: failure === undefined ? 'UNSET' : { code: 'ERROR', message: failure[1] },
  };
}

const mark = (name: string): ExpectedSpan => ({ name, kind: 'INTERNAL' });

describe.each(testedVersions('pg'))('PG7: pg.native of pg $label over a stand-in for the addon', ({ packages }) => {
  let runs: Comparison;
  beforeAll(async () => {
    runs = await expectSameAsBare('test/e2e/fixtures/pg-native/app.cjs', {
      env: {
        PG: await testPackage(...packages),
        NODE_PATH: join(root, 'test/e2e/fixtures/pg-native/modules'),
      },
      preloads: ['import'],
    });
  });
  const expectCase = (name: string, ...expected: ExpectedSpan[]) =>
    expectTree(spansOfCase(runs.traced.import!.spans, name), expected);

  it('makes one span per statement, in the context of its caller', () => {
    expectCase('promise', statement('SELECT', 'SELECT ?'));
    expectCase('values', statement('SELECT', 'SELECT $1'));
    expectCase('named', statement('SELECT', 'SELECT $1'), statement('SELECT', 'SELECT $1'));
    expectCase('callback', statement('SELECT', 'SELECT ?'), mark('called'));
    expectCase('Query', statement('SELECT', 'SELECT ?'), mark('row'), mark('end'));
    expectCase(
      'queue',
      ...['a', 'b', 'c'].map((name) => ({ ...mark(name), children: [statement('SELECT', 'SELECT ?')] })),
    );
  });

  it('records what the server said of a failure, and no literal', () => {
    const failure: [string, string] = ['22P02', 'invalid input: "?"'];
    expect(outcomeOf(runs.bare.stdout, 'error').severity).toBe('ERROR');
    expectCase('error', statement('SELECT', 'SELECT ?::fail', failure));
    expectCase('error in callback', statement('SELECT', 'SELECT fail', failure), mark('called'));
    expectCase('Query that fails', statement('SELECT', 'SELECT fail', failure), mark('error'));
    expectCase('closed', statement('SELECT', 'SELECT ?', ['Error', 'Client was closed and is not queryable']));
  });
});

describe('PG7: pg.native over libpq', () => {
  let folder: string | undefined;
  let database: string;
  beforeAll(async () => {
    database = await postgresDatabase();
    const packages = await testPackage('pg-native@3.9.0', 'pg@8.23.1');
    folder = await buildLibpq(packages);
  });

  it('behaves as without the agent, and has the spans of the JavaScript driver', async ({ skip }) => {
    if (folder === undefined) return skip();
    const { traced } = await expectSameAsBare('test/e2e/fixtures/pg-cases/app.mjs', {
      env: { PG: folder, NATIVE: '1', DATABASE_URL: database },
      preloads: ['import'],
    });
    const { spans } = traced.import!;
    const summaries = (name: string) =>
      toTree(spansOfCase(spans, name)).map(
        ({ span: { name: own, status } }) => `${own}${status.code === 'ERROR' ? ' failed' : ''}`,
      );
    expect(summaries('PG2 string, values, callback')).toEqual(['SELECT', 'callback']);
    expect(summaries('PG2 Query')).toEqual(['SELECT', 'row', 'end']);
    expect(summaries('PG13 error')).toEqual(['SELECT missing failed', 'SELECT missing failed', 'callback']);
    expect(summaries('PG9 no query, no span')).toEqual([]);
    for (let i = 0; i < 50; i++) {
      const [caller] = spansOfCase(spans, 'PG1 busy pool').filter(({ name }) => name === `caller ${i}`);
      const own = spans.filter(({ parentSpanId, traceId }) => {
        return parentSpanId === caller!.spanId && traceId === caller!.traceId;
      });
      expect(own.map(({ name }) => name).sort()).toEqual(['SELECT', 'after']);
    }
    const exported = spans.flatMap(({ status, attributes }) => [status.message, ...Object.values(attributes)]);
    // A port, a time or the name of the test's database may hold the digits by chance.
    const isSecret = (value: unknown) =>
      typeof value === 'string' ? /secret-|s3cret|\b4711\b/.test(value) : value === 4711;
    expect(exported.filter(isSecret)).toEqual([]);
  });
});

/** Packages are installed without their scripts: the addon is built here, for the Node that runs the application. */
async function buildLibpq(packages: string): Promise<string | undefined> {
  const loads = () => execute(nodeBinary, ['-e', 'require("libpq")'], { cwd: packages });
  try {
    await loads().catch(async (error) => {
      // npm builds for the Node it runs on.
      if (nodeBinary !== process.execPath) throw error;
      await execute('npm', ['rebuild', 'libpq', '--foreground-scripts'], { cwd: packages, timeout: 180_000 });
      await loads();
    });
    return packages;
  } catch (error) {
    console.log(`pg-native: not run, libpq cannot be built here: ${String(error).split('\n', 1)[0]}`);
    return undefined;
  }
}
