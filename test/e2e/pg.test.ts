import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { type Comparison, expectSameAsBare } from '../support/compare';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { isAtLeast, testPackage } from '../support/packages';
import { type RunResult, runApp } from '../support/run-app';
import { postgresDatabase } from '../support/servers';
import { anyPort, type ExpectedSpan, expectTree, Matcher } from '../support/tree';
import { testedVersions } from '../support/versions';

const FIXTURE = 'test/e2e/fixtures/pg-cases/app.mjs';
const WAIT = 'hookline.db.client.connection.wait_time';

const anyWait = new Matcher('a time in seconds', (value) => typeof value === 'number' && value > 0 && value < 20);
const longWait = new Matcher('at least 50 ms', (value) => typeof value === 'number' && value >= 0.05 && value < 20);

let url: URL;
beforeAll(async () => {
  url = new URL(await postgresDatabase());
});

/** A statement's span with all its attributes; `failure`: SQLSTATE or error type, and the description. */
function statement(
  text: string | undefined,
  summary: string | undefined,
  more: Record<string, unknown> = {},
  failure?: [type: string, message: string | undefined],
): ExpectedSpan {
  const database = url.pathname.slice(1);
  const isSqlState = failure !== undefined && /^[0-9A-Z]{5}$/.test(failure[0]) && /\d/.test(failure[0]);
  const attributes: Record<string, unknown> = {
    'db.system.name': 'postgresql',
    'db.namespace': database,
    'server.address': url.hostname,
    'server.port': Number(url.port),
    ...(text !== undefined && { 'db.query.text': text }),
    ...(summary !== undefined && { 'db.query.summary': summary }),
    ...(failure && { 'error.type': failure[0] }),
    ...(isSqlState && { 'db.response.status_code': failure[0] }),
    ...more,
  };
  return {
    name: summary ?? String(attributes['db.namespace']),
    kind: 'CLIENT',
    scope: 'hookline/pg',
    exactAttributes: true,
    attributes,
    events: [],
    status: failure === undefined ? 'UNSET' : { code: 'ERROR', message: failure[1] },
  };
}

/** The longest of some spans, in nanoseconds. */
const longest = (spans: readonly ReceivedSpan[]) =>
  Math.max(...spans.map(({ startTimeUnixNano, endTimeUnixNano }) => Number(endTimeUnixNano - startTimeUnixNano)));

const mark = (name: string): ExpectedSpan => ({ name, kind: 'INTERNAL' });

interface Cases {
  outcome(name: string): any;
  expectCase(name: string, ...expected: ExpectedSpan[]): void;
  spansOf(name: string): ReceivedSpan[];
}

function casesOf(run: () => RunResult): Cases {
  const spansOf = (name: string) => spansOfCase(run().spans, name);
  return {
    outcome: (name) => outcomeOf(run().stdout, name),
    spansOf,
    expectCase: (name, ...expected) => expectTree(spansOf(name), expected),
  };
}

/** What both drivers have in common. */
function describeCommon({ outcome, expectCase, spansOf }: Cases, native: boolean): void {
  it('PG2: every form of the call makes one span with the right text', () => {
    expectCase('PG2 string', statement('SELECT id FROM songs WHERE id = ?', 'SELECT songs'));
    expectCase('PG2 string, values', statement('SELECT title FROM songs WHERE id = $1', 'SELECT songs'));
    expectCase('PG2 string, callback', statement('SELECT ? AS n', 'SELECT'), mark('callback'));
    for (const form of ['string, values, callback', 'config, values, callback']) {
      expectCase(`PG2 ${form}`, statement('SELECT $1::int AS n', 'SELECT'), mark('callback'));
    }
    for (const form of ['config', 'config, values']) {
      expectCase(`PG2 ${form}`, statement('SELECT $1::int AS n', 'SELECT'));
    }
    for (const form of ['config, callback', 'callback in config']) {
      expectCase(`PG2 ${form}`, statement('SELECT ? AS n', 'SELECT'), mark('callback'));
    }
    for (const form of ['rowMode', 'no values']) expectCase(`PG2 ${form}`, statement('SELECT ? AS n', 'SELECT'));
    expectCase('PG2 class instance', statement('SELECT id FROM songs WHERE title = $1', 'SELECT songs'));
    expectCase('PG2 Query', statement('SELECT ? AS n', 'SELECT'), mark('row'), mark('end'));
    expectCase(
      'PG2 Query that fails',
      statement('SELECT nothing FROM songs', 'SELECT songs', {}, ['42703', 'column "nothing" does not exist']),
      mark('error'),
    );
  });

  it('PG3: a config that is used again stays as it is', () => {
    expect(outcome('PG3 reused config')).toEqual({
      titles: ['song 1', 'song 2', 'song 3'],
      same: true,
      inherited: true,
      symbols: 0,
    });
    const one = statement('SELECT title FROM songs WHERE id = $1', 'SELECT songs');
    expectCase('PG3 reused config', one, one, one);
  });

  it('PG4: the query object keeps its prototype and shape, and replaced functions their name and length', () => {
    // What the comparison with the bare run leaves open is that the case looked at something.
    expect(outcome('PG4 shapes')).toMatchObject({ prototype: true, constructor: true, pool: ['query', 3, 1] });
    expectCase('PG4 shapes', statement('SELECT ?', 'SELECT'), statement('SELECT ?', 'SELECT'));
  });

  it('PG6: the connect callback gets error, client and release, in its context', () => {
    expect(outcome('PG6 connect callback')).toEqual([3, 'undefined', 'function', true, null, [{ n: 14 }]]);
    expectCase(
      'PG6 connect callback',
      mark('connected'),
      statement('SELECT ? AS n', 'SELECT', { [WAIT]: anyWait }),
      mark('queried'),
    );
  });

  it('PG9: connecting and checking out make no spans', () => expectCase('PG9 no query, no span'));

  it('PG11: blanks and comments before a statement, and an empty name', () => {
    const one = statement('SELECT id FROM songs LIMIT ?', 'SELECT songs');
    expectCase('PG11 texts', one, one, one, statement('SELECT ? AS n', 'SELECT'));
  });

  it('PG12: no literal and no value is exported, also not with an error', () => {
    const failed = (text: string, code: string, message: string | undefined, summary = 'SELECT') =>
      statement(text, summary, {}, [code, message]);
    expectCase(
      'PG12 literals',
      statement('SELECT id FROM songs WHERE title = ? AND id = ?', 'SELECT songs'),
      statement('SELECT id FROM songs WHERE title = $1', 'SELECT songs'),
      failed('SELECT $1::int', '22P02', 'invalid input syntax for type integer: "?"'),
      failed('SELECT ?::int', '22P02', 'invalid input syntax for type integer: "?"'),
      failed('SELECT ?', '42601', 'unterminated quoted string at or near "?"'),
      failed('DO ?', 'P0001', undefined, 'DO'),
      failed(
        'INSERT INTO songs VALUES (?, ?)',
        '23505',
        'duplicate key value violates unique constraint "songs_pkey"',
        'INSERT songs',
      ),
    );
  });

  it('PG13: a failure is recorded, and ends with the promise', () => {
    const missing = (name: string) =>
      statement(`SELECT * FROM ${name}`, `SELECT ${name}`, {}, ['42P01', `relation "${name}" does not exist`]);
    expect(outcome('PG13 error')[0]).toEqual([true, 0]);
    expectCase('PG13 error', missing('missing'), missing('missing'), mark('callback'));
    expect(outcome('PG13 unhandled')).toEqual([
      'relation "missing1" does not exist',
      'relation "missing2" does not exist',
    ]);
    expect(longest(spansOf('PG13 duration'))).toBeGreaterThan(149e6);
  });

  it('PG14: listener counts do not grow', () => expect(outcome('PG14 listeners')[0]).toBe(true));

  it('several statements in one text, none, and a transaction', () => {
    expectCase('multiple statements', statement('SELECT ? AS x; SELECT ? AS x', 'SELECT SELECT'));
    expectCase('empty query', statement(undefined, undefined));
    expectCase(
      'transaction',
      statement('BEGIN', 'BEGIN'),
      statement('INSERT INTO songs VALUES (?, ?)', 'INSERT songs'),
      statement('ROLLBACK', 'ROLLBACK'),
    );
  });

  it('queued statements of one client belong to their callers', () => {
    const spans = spansOf('queue of one client');
    expectTree(
      spans,
      Array.from({ length: 10 }, (_, i) => ({
        ...mark(`caller ${i}`),
        children: [statement('SELECT $1::int AS n', 'SELECT'), mark('after')],
      })),
    );
  });

  it('PG1: statements of a busy pool belong to their callers, and say how long they waited', () => {
    // All but the first find the one client gone.
    const waited = statement('SELECT $1::int AS n', 'SELECT', { [WAIT]: anyWait });
    const expected = Array.from({ length: 50 }, (_, i) => ({
      ...mark(`caller ${i}`),
      children: [i === 0 ? statement('SELECT $1::int AS n', 'SELECT') : waited, mark('after')],
    }));
    expectTree(spansOf('PG1 busy pool'), expected);
  });

  it('the time that a statement waited for its connection', () => {
    const plain = statement('SELECT ?', 'SELECT');
    expectCase(
      'waiting for a client',
      statement('SELECT ? AS n', 'SELECT', { [WAIT]: longWait }),
      statement('SELECT ?', 'SELECT', { [WAIT]: longWait }),
      plain,
      plain,
    );
    expect(longest(spansOf('waiting for a client')), 'pool.query waits within its span').toBeGreaterThan(50e6);
    expectCase(
      'new connection',
      statement('SELECT ?', 'SELECT', { [WAIT]: anyWait }),
      plain,
      statement('SELECT ?', 'SELECT', {}, ['Error', 'Cannot use a pool after calling end on the pool']),
    );
  });

  it('a pool.query without a connection has a span, a pool.connect has none', () => {
    const refused = (text: string) => ({
      ...statement(text, 'SELECT', { 'db.namespace': 'nowhere', 'server.port': anyPort, [WAIT]: anyWait }, [
        native ? 'Error' : 'ECONNREFUSED',
        '',
      ]),
      status: 'ERROR' as const,
    });
    expectCase('no connection', refused('SELECT $1::int'), refused('SELECT ?'), mark('callback'));
    expectCase(
      'no free client in time',
      statement('SELECT ?', 'SELECT', { [WAIT]: longWait }, ['Error', 'timeout exceeded when trying to connect']),
    );
  });

  it('a closed client refuses statements', () => {
    const message = 'Client was closed and is not queryable';
    expectCase(
      'closed client',
      statement('SELECT ?', 'SELECT', {}, ['Error', message]),
      statement('SELECT $1::int', 'SELECT', {}, ['Error', message]),
      mark('callback'),
    );
  });

  it('PG10: the port is a number and passwords stay inside', () => {
    const one = statement('SELECT ? AS n', 'SELECT');
    expectCase('PG10 connection strings', one, one, one);
  });

  it('HS14: no spans where tracing is suppressed', () => expectCase('HS14 suppressed'));

  it('LISTEN and NOTIFY are statements, a notification is none', () => {
    expectCase(
      'notification',
      statement('LISTEN news', 'LISTEN'),
      statement('NOTIFY news, ?', 'NOTIFY'),
      ...(native ? [statement('SELECT ?', 'SELECT')] : []),
    );
  });
}

describe.each(testedVersions('pg'))('pg $label', ({ version, packages }) => {
  let runs: Comparison;
  const traced = () => runs.traced.import!;
  beforeAll(async () => {
    runs = await expectSameAsBare(FIXTURE, {
      env: { PG: await testPackage(...packages), DATABASE_URL: url.href },
      preloads: ['import'],
    });
  });
  const cases = casesOf(traced);
  const { outcome, expectCase } = cases;
  describeCommon(cases, false);

  it('arguments that no version takes throw or fail as before, with a span', () => {
    const nothing = (message: string, type = 'TypeError') => statement(undefined, undefined, {}, [type, message]);
    const noQuery = nothing('Client was passed a null or undefined query');
    expectCase(
      'bad arguments',
      noQuery,
      noQuery,
      nothing('A query must have either text or a name. Supplying neither is unsupported.', 'Error'),
      statement('SELECT $1', 'SELECT', {}, ['Error', 'Query values must be an array']),
    );
  });

  it('PG2: types', () => expectCase('PG2 types', statement('SELECT ? AS n', 'SELECT')));

  it('PG5: a cursor ends with its first rows, with the end, the close or the error', () => {
    expect(outcome('PG5 Cursor')).toEqual([true, [{ id: 6 }, { id: 7 }], [{ id: 8 }, { id: 9 }], true]);
    expectCase(
      'PG5 Cursor',
      statement('SELECT id FROM songs WHERE id > $1 ORDER BY id', 'SELECT songs'),
      mark('read'),
      mark('closed'),
    );
    expect(longest(cases.spansOf('PG5 Cursor')), 'ends with the first rows').toBeLessThan(60e6);
    expectCase('PG5 Cursor to its end', statement('SELECT id FROM songs WHERE id < ?', 'SELECT songs'));
    for (const name of ['closed unread', 'never closed']) {
      expectCase(`PG5 Cursor ${name}`, statement('SELECT id FROM songs', 'SELECT songs'));
    }
    expectCase(
      'PG5 Cursor that fails',
      statement('SELECT ? / (id - ?) FROM songs', 'SELECT songs', {}, ['22012', 'division by zero']),
      mark('failed'),
    );
  });

  it('PG5: a QueryStream ends with the end, the close or the error', () => {
    expect(outcome('PG5 QueryStream')).toEqual([true, 40]);
    expectCase(
      'PG5 QueryStream',
      statement('SELECT id FROM songs WHERE id <= $1', 'SELECT songs'),
      mark('data'),
      mark('end'),
      statement('SELECT ?', 'SELECT'),
    );
    expectCase('PG5 QueryStream destroyed', statement('SELECT id FROM songs', 'SELECT songs'));
    expectCase(
      'PG5 QueryStream that fails',
      statement('SELECT wrong FROM songs', 'SELECT songs', {}, ['42703', 'column "wrong" does not exist']),
      mark('failed'),
    );
  });

  it('PG5: Submittables of the application', () => {
    expect(outcome('PG5 Submittable').slice(0, 2)).toEqual([true, 3]);
    expectCase('PG5 Submittable', statement('SELECT id FROM songs WHERE id < ?', 'SELECT songs'), mark('ready'));
    const wrong = statement('SELECT wrong FROM songs', 'SELECT songs', {}, ['42703', 'column "wrong" does not exist']);
    expectCase('PG5 Submittable that fails', wrong, mark('failed'));
    expectCase('PG5 Submittable without a class', statement('SELECT ?', 'SELECT'));
    // 8.0 to 8.3 call the handlers from closures: the error is not seen.
    const ended = statement('SELECT wrong FROM songs', 'SELECT songs');
    expectCase('PG5 Submittable without a class that fails', isAtLeast(version, '8.4.0') ? wrong : ended);
    expectCase(
      'PG5 refused Submittables',
      statement('SELECT ?', 'SELECT', {}, ['Error', 'Client was closed and is not queryable']),
      mark('failed'),
    );
  });

  it('COPY streams', () => {
    expectCase(
      'COPY FROM',
      statement('COPY songs FROM STDIN', 'COPY songs'),
      mark('finish'),
      statement('SELECT * FROM songs WHERE id > ?', 'SELECT songs'),
    );
    expectCase(
      'COPY TO',
      statement('COPY (SELECT id FROM songs WHERE id < ? ORDER BY id) TO STDOUT', 'COPY SELECT songs'),
      mark('data'),
      statement('SELECT ?', 'SELECT'),
    );
    expectCase(
      'COPY that fails',
      statement('COPY nothing FROM STDIN', 'COPY nothing', {}, ['42P01', 'relation "nothing" does not exist']),
      statement('SELECT ?', 'SELECT'),
    );
  });

  it('statements that fail in the client', () => {
    expectCase(
      'named statement with another text',
      statement('SELECT ?', 'SELECT'),
      statement('SELECT ?', 'SELECT', {}, [
        'Error',
        "Prepared statements must be unique - 'one' was used for a different statement",
      ]),
    );
    expectCase(
      'type parser that throws',
      statement('SELECT ? AS n', 'SELECT', {}, ['Error', 'cannot be read']),
      statement('SELECT ?', 'SELECT'),
    );
    expectCase(
      'query timeout',
      statement('SELECT pg_sleep(?)', 'SELECT', {}, ['Error', 'Query read timeout']),
      statement('SELECT ?', 'SELECT', {}, ['Error', 'Query read timeout']),
    );
  });

  it('statements on a connection that is lost', () => {
    const refusal = 'Client has encountered a connection error and is not queryable';
    expectCase(
      'lost connection',
      statement('SELECT pg_backend_pid() AS pid', 'SELECT'),
      statement('SELECT pg_sleep(?)', 'SELECT', {}, ['57P01', 'terminating connection due to administrator command']),
      { name: 'SELECT', kind: 'CLIENT', status: 'ERROR' },
      statement('SELECT pg_terminate_backend($1)', 'SELECT'),
      mark('callback'),
      statement('SELECT ?', 'SELECT', {}, ['Error', refusal]),
    );
  });

  it('pipelined statements belong to their callers', () => {
    const caller = (name: string, ...children: ExpectedSpan[]) => ({ ...mark(name), children });
    expectCase(
      'pipeline',
      caller('first', statement('SELECT $1::int AS n', 'SELECT')),
      caller('second', statement('SELECT nothing', 'SELECT', {}, ['42703', 'column "nothing" does not exist'])),
      caller('third', statement('SELECT ? AS n', 'SELECT'), mark('callback')),
      caller('fourth', statement('SELECT ? AS n', 'SELECT')),
    );
  });

  it('PG7: the absence of pg-native throws nothing', () => expect(outcome('PG7 no libpq')).toBeNull());

  it('PG12: nothing of what the application kept secret is exported', () => {
    const { spans } = traced();
    expect(spans.length).toBeGreaterThan(150);
    const exported = spans.flatMap(({ name, attributes, status }) => [
      name,
      status.message,
      ...Object.values(attributes),
    ]);
    // A port, a time or the name of the test's database may hold the digits by chance.
    const isSecret = (value: unknown) =>
      typeof value === 'string' ? /secret-|s3cret|\b4711\b/.test(value) : value === 4711;
    expect(exported.filter(isSecret)).toEqual([]);
  });

  it('the application behaves the same where nothing is sampled', async () => {
    const run = await runApp(FIXTURE, {
      env: { PG: await testPackage(...packages), DATABASE_URL: url.href, OTEL_TRACES_SAMPLER: 'always_off' },
    });
    expect(run.stdout).toBe(runs.bare.stdout);
    expect(run.spans).toEqual([]);
  });
});
