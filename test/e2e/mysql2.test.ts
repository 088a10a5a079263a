import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { type Comparison, expectSameAsBare } from '../support/compare';
import { isAtLeast, testPackage } from '../support/packages';
import { runApp } from '../support/run-app';
import { mysqlDatabase } from '../support/servers';
import { type ExpectedSpan, expectTree, Matcher, matching } from '../support/tree';
import { testedVersions } from '../support/versions';

const waited = new Matcher('seconds', (value) => typeof value === 'number' && value > 0 && value < 30);
const WAIT = 'hookline.db.client.connection.wait_time';

describe.each(testedVersions('mysql2'))('mysql2 $label', ({ version, packages }) => {
  let url: string;
  let database: string;
  let address: string;
  let port: number;
  let runs: Comparison;
  let env: Record<string, string>;

  beforeAll(async () => {
    url = await mysqlDatabase();
    const parsed = new URL(url);
    database = parsed.pathname.slice(1);
    address = parsed.hostname;
    port = Number(parsed.port);
    env = { MYSQL2: await testPackage(...packages), MYSQL2_VERSION: version, MYSQL2_URL: url };
    runs = await expectSameAsBare('test/e2e/fixtures/mysql2-cases/app.cjs', { env, preloads: ['import'] });
  });

  const spansOf = (name: string) => spansOfCase(runs.traced.import!.spans, name);
  const outcome = (name: string) => outcomeOf(runs.traced.import!.stdout, name);
  const expectCase = (name: string, expected: ExpectedSpan[]) =>
    expectTree(spansOf(name), expected, { exactAttributes: true });

  const marked = (name: string): ExpectedSpan => ({ name: `mark ${name}`, kind: 'INTERNAL', attributes: {} });

  function statement(summary: string, text: string, more: Record<string, unknown> = {}): ExpectedSpan {
    return {
      name: summary,
      kind: 'CLIENT',
      scope: 'hookline/mysql2',
      status: 'UNSET',
      attributes: {
        'db.system.name': 'mysql',
        'db.namespace': database,
        'db.query.text': text,
        'db.query.summary': summary,
        'server.address': address,
        'server.port': port,
        ...more,
      },
    };
  }

  function failed(span: ExpectedSpan, code: string, message: string | undefined): ExpectedSpan {
    const isNumber = /^\d+$/.test(code);
    const attributes = {
      ...span.attributes,
      'error.type': code,
      ...(isNumber && { 'db.response.status_code': code }),
    };
    return { ...span, attributes, status: { code: 'ERROR', message } };
  }

  const byId = (more?: Record<string, unknown>) =>
    statement('SELECT items', 'SELECT name FROM items WHERE id = ?', more);
  const missing = (text = 'SELECT * FROM missing_table') =>
    failed(statement('SELECT missing_table', text), '1146', `Table '${database}.missing_table' doesn't exist`);
  const select = (more?: Record<string, unknown>) => statement('SELECT', 'SELECT ?', more);
  const waiting = { [WAIT]: waited };

  it('MY1: mysql2/promise and .promise() make the spans of what they call, and their promises are their own', () => {
    expectCase('MY1 promise', [
      byId(),
      marked('promise'),
      byId(),
      missing(),
      statement('START TRANSACTION', 'START TRANSACTION'),
      statement('COMMIT', 'COMMIT'),
      byId(),
    ]);
    expectCase('MY1 .promise()', outcome('MY1 .promise()') === 'not yet' ? [] : [select(), select()]);
    expectCase('unhandled rejections', [missing(), missing(), select()]);
    expect(outcome('unhandled rejections')).toHaveLength(2);
    expectCase('microtask order', [select(), select()]);
  });

  it('MY2: query and execute make one span each, preparing included', () => {
    expectCase('query callback', [
      statement('SELECT items', 'SELECT name FROM items WHERE name = ?'),
      marked('callback'),
    ]);
    expectCase('query values', [byId()]);
    expectCase('MY2 execute', [byId(), marked('execute'), byId()]);
  });

  it('MY3: pools, their connections and clusters', () => {
    expectCase('MY3 pool', [
      byId(),
      marked('pool query'),
      byId(),
      marked('pool execute'),
      byId(),
      statement('SELECT items', 'SELECT id FROM items WHERE id = ?'),
      marked('result'),
      missing(),
      missing(),
    ]);
    expectCase('MY3 first connection', [byId(waiting)]);
    expectCase('MY3 checked out', [marked('got it'), byId(waiting), byId()]);
    expectCase('MY3 promise pool', [byId(waiting), byId(), select()]);
    const cluster = [marked('cluster connection'), byId(outcome('MY3 cluster').length > 1 ? {} : waiting)];
    if (outcome('MY3 cluster').length > 1) {
      cluster.unshift(byId(waiting), marked('cluster'), byId(waiting));
    }
    expectCase('MY3 cluster', cluster);
    expectCase('MY3 promise cluster', outcome('MY3 promise cluster') === 'not yet' ? [] : [byId(waiting), byId()]);
    expectCase('fail-over', outcome('fail-over') === 'not yet' ? [] : [byId(waiting)]);
  });

  it('MY6: emitters and streams, with and without values', () => {
    const results = (count: number) => Array.from({ length: count }, () => marked('result'));
    expectCase('MY6 emitter', [statement('SELECT items', 'SELECT id FROM items ORDER BY id'), ...results(3)]);
    expectCase('MY6 emitter error', [missing('SELECT id FROM missing_table'), marked('error')]);
    expectCase('MY6 execute emitter', [
      statement('SELECT items', 'SELECT id FROM items WHERE id < ?'),
      ...results(2),
      missing('SELECT id FROM missing_table'),
      marked('error'),
    ]);
    expectCase('MY6 stream', [
      statement('SELECT items', 'SELECT id FROM items'),
      statement('SELECT items', 'SELECT id FROM items WHERE id > ?'),
      marked('stream'),
      marked('stream'),
    ]);
    expectCase('MY6 stream error', [missing('SELECT id FROM missing_table'), marked('stream error')]);
  });

  it('MY7: options and Query instances are read and left alone', () => {
    expectCase('MY7 options', [byId()]);
    expect(outcome('MY7 options').keys).toEqual(['sql', 'values']);
    expectCase('MY7 Query instance', [byId()]);
    expect(outcome('MY7 Query instance')).toMatchObject({ same: true, callback: true });
  });

  it('MY8: failures carry the number of the error, and callbacks get what they always got', () => {
    const [query, execute] = outcome('MY8 errors');
    expect([query.count, query.times, query.self, execute.count]).toEqual([1, 1, 'command', 1]);
    expectCase('MY8 errors', [
      missing(),
      marked('query'),
      missing(),
      marked('execute'),
      failed(statement('INSERT items', 'INSERT INTO items VALUES (?, ?)'), '1062', "Duplicate entry '?'"),
      failed(
        statement('SELECT', 'SELECT ?'),
        '1064',
        "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server version for the right syntax to use near '?' at line 1",
      ),
    ]);
  });

  it('MY9: calls in the queue of a pool or a connection keep their caller', () => {
    const spans = spansOf('MY9 busy pool');
    for (let id = 0; id < 50; id++) {
      const request = spans.find(({ name }) => name === `request ${id}`)!;
      const own = spans.filter(({ parentSpanId }) => parentSpanId === request.spanId).map(({ name }) => name);
      expect(own.sort(), request.name).toEqual(['SELECT', 'SELECT', `mark ${id}`, `mark ${id}`]);
    }
    expect(spans.filter(({ attributes }) => attributes[WAIT] !== undefined).length).toBeGreaterThan(90);
    expectCase(
      'queue of a connection',
      [1, 2, 3].map((id) => ({
        name: `queued ${id}`,
        attributes: {},
        children: [statement('SELECT', 'SELECT SLEEP(?)'), marked('result'), marked(`end ${id}`)],
      })),
    );
  });

  it('MY10: literals are masked where there are no values', () => {
    const masked = statement('SELECT', 'SELECT ?, ?');
    expectCase('MY10 literals', [masked, masked, masked]);
    expectCase('load data', [
      statement('LOAD DATA loaded', 'LOAD DATA LOCAL INFILE ? INTO TABLE loaded FIELDS TERMINATED BY ?'),
      marked('factory'),
      marked('loaded'),
    ]);
    const exported = JSON.stringify(
      runs.traced.import!.spans.map(({ name, attributes, status }) => [name, attributes, status]),
    );
    expect(exported).toContain('SELECT ?, ?');
    expect(exported).not.toMatch(/secret|471108154711/);
  });

  it('prepared statements make a span per execution, and none for preparing', () => {
    expectCase('prepare', [marked('prepared'), byId(), marked('statement'), byId(), byId(), marked('result')]);
  });

  it('transactions, procedures and several statements in one text', () => {
    expectCase('transaction', [
      statement('START TRANSACTION', 'START TRANSACTION'),
      statement('UPDATE items', 'UPDATE items SET name = ? WHERE id = ?'),
      statement('ROLLBACK', 'ROLLBACK'),
      statement('START TRANSACTION', 'START TRANSACTION'),
      statement('COMMIT', 'COMMIT'),
    ]);
    expectCase('multiple statements', [
      statement('SELECT SELECT items', 'SELECT ?; SELECT id FROM items WHERE id = ?'),
    ]);
    expectCase('call a procedure', [statement('CALL both_names', 'CALL both_names()')]);
  });

  it('named placeholders and other ways to give and get values', () => {
    const named = statement('SELECT items', 'SELECT name FROM items WHERE id = :id');
    expectCase('named placeholders', [named, named]);
    expectCase('rows as arrays and casts', [
      statement('SELECT items', 'SELECT id, name FROM items'),
      statement('SELECT items', 'SELECT id FROM items'),
      statement('INSERT loaded', 'INSERT INTO loaded SET ?'),
    ]);
    const long = spansOf('long text')[0]!.attributes['db.query.text'];
    expect(long).toMatch(/^SELECT \? AS a \/\* x+$/);
    expect(long).toHaveLength(8192);
    const { 'db.query.summary': _none, 'db.query.text': _neither, ...attributes } = select().attributes!;
    expectCase('empty text', [failed({ ...select(), name: database, attributes }, '1065', 'Query was empty')]);
  });

  it('connections: ping makes no span, changeUser changes the namespace, ports are numbers', () => {
    expectCase('ping', [marked('ping')]);
    expectCase('change user', [
      marked('changed'),
      statement('SELECT', 'SELECT ? + ?', { 'db.namespace': 'information_schema' }),
    ]);
    expectCase('port as text', [select()]);
    expectCase('uri', [select()]);
    const { 'server.port': _port, ...local } = select({ 'server.address': matching(/^\/.+sock/) }).attributes!;
    const [asked, own] = spansOf('socket path');
    expect(asked!.attributes['db.query.text']).toBe('SELECT @@socket AS path');
    // Where the server is on this machine.
    if (outcome('socket path') !== 'none')
      expectTree([own!], [{ ...select(), attributes: local }], { exactAttributes: true });
  });

  it('a pool that has no connection to give makes one failed span', () => {
    const spans = spansOf('pool failures').filter(({ scope }) => scope.name === 'hookline/mysql2');
    // Several start within one tick: their order says nothing.
    const outcomes = spans.map(({ status, attributes }) => attributes['error.type'] ?? status.code).sort();
    const calls = (count: number, name: string) => Array<string>(count).fill(name);
    expect(outcomes).toEqual(['1045', ...calls(2, 'ECONNREFUSED'), ...calls(4, 'Error'), ...calls(5, 'UNSET')]);
    expect(spans.map(({ status }) => status.message).sort()).toEqual([
      "Access denied for user '?' (using password: YES)",
      'No connections available.',
      'Pool is closed.',
      ...calls(2, 'Queue limit reached.'),
      ...calls(2, 'connect ECONNREFUSED 127.0.0.1:1'),
      ...spans.filter(({ status }) => status.code === 'UNSET').map(() => undefined),
    ]);
    expect(spans[0]!.attributes['server.port']).toBe(1);
  });

  it('commands that lose their connection end with its error', () => {
    const lost = (name: string) =>
      spansOf(name)
        .filter(({ attributes }) => String(attributes['db.query.text']) !== 'KILL ?')
        .map(({ name: own, attributes }) => attributes['error.type'] ?? own);
    const errors = lost('lost connection');
    expect(errors.sort()).toEqual([...Array(5).fill('PROTOCOL_CONNECTION_LOST'), 'SELECT', 'mark lost']);
    expect(lost('lost emitter').sort()).toEqual(['PROTOCOL_CONNECTION_LOST', 'SELECT']);
  });

  it('commands that the application leaves behind end without an error', () => {
    expectCase('destroyed', [select(), statement('SELECT', 'SELECT SLEEP(?)'), select()]);
    const closed = failed(select(), 'Error', "Can't add new command when connection is in closed state");
    expectCase('closed connection', [closed, closed, closed]);
  });

  it('wrong arguments fail as they always did', () => {
    const spans = spansOf('bad arguments');
    expect(spans.map(({ status }) => status.code)).toEqual(Array(isAtLeast(version, '3.0') ? 6 : 5).fill('ERROR'));
    expect(new Set(spans.map(({ attributes }) => attributes['error.type']))).toEqual(new Set(['TypeError', 'Error']));
  });

  it('a query that times out fails then', () => {
    const span = failed(
      statement('SELECT', 'SELECT SLEEP(?)'),
      'PROTOCOL_SEQUENCE_TIMEOUT',
      'Query inactivity timeout',
    );
    expectCase('timeout', outcome('timeout') === 'not yet' ? [] : [select(), span, marked('timeout')]);
  });

  it('a server of its own makes no spans', () => {
    const [span, ...others] = spansOf('own server');
    expect(others).toEqual([]);
    expect(span).toMatchObject({ kind: 'CLIENT', status: { code: 'UNSET' } });
  });

  it('connecting and pinging outside of any span makes none', () => {
    const roots = runs.traced.import!.spans.filter(
      ({ scope, parentSpanId }) => scope.name === 'hookline/mysql2' && parentSpanId === undefined,
    );
    // The three statements that set the application up.
    expect(roots).toHaveLength(3);
  });

  it('MY4: imported as an ES module, the same', async () => {
    const { stdout, spans } = await runApp('test/e2e/fixtures/mysql2-cases/app.mjs', { env });
    expect(stdout).toBe(runs.bare.stdout);
    const names = (list: typeof spans) => list.map(({ name }) => name).sort();
    expect(names(spans)).toEqual(names(runs.traced.import!.spans));
  });

  it('options: values, plain texts and trace comments', async () => {
    const { bare, traced } = await expectSameAsBare('test/e2e/fixtures/mysql2-options/app.cjs', {
      env: {
        ...env,
        OTEL_INSTRUMENTATION_MYSQL2_CAPTURE_QUERY_PARAMETERS: 'true',
        OTEL_INSTRUMENTATION_MYSQL2_QUERY_SANITIZATION: 'never',
        OTEL_INSTRUMENTATION_MYSQL2_SQLCOMMENTER: 'true',
        OTEL_INSTRUMENTATION_HTTP_SERVER_IGNORE_PATHS: '/health',
      },
      preloads: ['import'],
      normalise: (text) => text.replaceAll(/ \/\*traceparent='[^']*'\*\//g, ''),
    });
    const { stdout, spans } = traced.import!;
    expect(bare.stdout).not.toContain('traceparent');
    const own = spans.filter(({ scope }) => scope.name === 'hookline/mysql2');
    const comments = stdout.split('\n').filter((line) => line.includes('CONNECTION_ID() /*traceparent'));
    const seen = own.filter(({ spanId, traceId }) =>
      comments.some((line) => line.includes(`00-${traceId}-${spanId}-`)),
    );
    // Every query form has the comment of its own span, and no execute has one.
    expect(comments).toHaveLength(6);
    expect(seen).toHaveLength(6);
    expect(stdout).toMatch(/^execute .*ID = CONNECTION_ID\(\)$/m);
    const parameters = own.flatMap(({ attributes }) =>
      Object.entries(attributes).filter(([key]) => key.startsWith('db.query.parameter.')),
    );
    expect(parameters).toEqual([
      ['db.query.parameter.0', 'a'],
      ['db.query.parameter.1', '5'],
      ['db.query.parameter.2', 'NULL'],
      ['db.query.parameter.name', 'b'],
      ['db.query.parameter.0', 'c'],
    ]);
    expect(own.some(({ attributes }) => attributes['db.query.text'] === "SELECT 'plain'")).toBe(true);
    const error = own.find(({ attributes }) => attributes['db.query.text'] === 'wrong')!;
    expect(error.status.message).toContain("near 'wrong /*traceparent=");
    // HS14: nothing below an ignored request.
    expect(own.some(({ attributes }) => String(attributes['db.query.text']).includes('health'))).toBe(false);
    expect(stdout).toContain('health');
  });

  it('MY5: many executions neither wrap again nor keep anything', async () => {
    for (const collector of [true, false]) {
      const { stdout, code } = await runApp('test/e2e/fixtures/mysql2-many/app.cjs', {
        env: {
          ...env,
          COUNT: '20000',
          ...(!collector && { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', HOOKLINE_EXIT_TIMEOUT: '0' }),
        },
        execArgv: ['--expose-gc'],
      });
      expect(code).toBe(0);
      const { grownBytes, stackDepth, wrapped } = JSON.parse(stdout) as Record<string, number>;
      expect(stackDepth).toBeLessThan(60);
      expect(wrapped).toBe(0);
      // The queue of spans to be sent is full at either point.
      expect(grownBytes).toBeLessThan(4 * 1024 * 1024);
    }
  });

  it('an instrumentation that fails inside leaves the application alone', async () => {
    const { traced } = await expectSameAsBare('test/e2e/fixtures/mysql2-odd/app.cjs', {
      env,
      preloads: ['import'],
      normalise: (text) => text.replace(/^hookline: mysql2 instrumentation switched off after 5 .*\n/, ''),
    });
    const { stdout, stderr, spans } = traced.import!;
    expect(stdout).toContain('done');
    expect(stderr).toContain('not for you');
    expect(spans.map(({ name }) => name)).toEqual(['SELECT']);
  });
});

describe('what is built on mysql2', () => {
  it('is traced like its statements', async () => {
    const { bare, traced } = await expectSameAsBare('test/e2e/fixtures/mysql2-libraries/app.cjs', {
      env: {
        MYSQL2: await testPackage(
          'mysql2@3.24.5',
          'knex@3.3.0',
          'sequelize@6.37.8',
          'drizzle-orm@0.45.4',
          'typeorm@1.1.1',
        ),
        MYSQL2_URL: await mysqlDatabase(),
      },
      preloads: ['import'],
    });
    expect(bare.code).toBe(0);
    const { spans } = traced.import!;
    const textsOf = (name: string) =>
      spansOfCase(spans, name).map((span) => span.attributes['db.query.text'] ?? span.name);
    const byId = 'SELECT name FROM people WHERE id = ?';
    expect(textsOf('knex')).toEqual([
      'select version() as version',
      'select * from `people` where `name` = ?',
      'BEGIN;',
      'insert into `people` (`name`) values (?)',
      'COMMIT;',
      'after',
    ]);
    // It puts the values into the text by itself.
    expect(textsOf('sequelize')).toEqual([byId, 'after']);
    expect(textsOf('drizzle')).toEqual([byId, 'after']);
    expect(textsOf('typeorm')).toEqual([byId, 'after']);
  });
});
