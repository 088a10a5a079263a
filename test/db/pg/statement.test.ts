import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import type { DatabaseConfig } from '../../../src/config';
import { type Endpoint, type Statement, statementOperation } from '../../../src/db/pg/statement';
import type { Span, Tracing } from '../../../src/hook/instrumentation';
import { BlockList } from '../../../src/trace/attribute-block';

const ENDPOINT: Endpoint = { database: 'shop', address: 'db', port: 5432 };

function operationFor(pg: Partial<DatabaseConfig> = {}) {
  const config = { querySanitization: 'auto', captureQueryParameters: false, sqlCommenter: false, ...pg };
  return statementOperation({ config: { pg: config } } as unknown as Tracing);
}

function call(statement: Partial<Statement>, self: Endpoint = ENDPOINT) {
  const args: [Statement] = [
    { text: undefined, values: undefined, waitMs: undefined, editable: undefined, ...statement },
  ];
  return { self, args };
}

/** Name and attributes, in the engine's order. */
function describeCall(statement: Partial<Statement>, pg?: Partial<DatabaseConfig>, self?: Endpoint) {
  const operation = operationFor(pg);
  const made = call(statement, self);
  const blocks = new BlockList();
  return { name: operation.name(made), attributes: blocks.mergedWith(operation.attributes(made, blocks)) };
}

function failure(error: unknown, pg?: Partial<DatabaseConfig>) {
  const seen: { attributes: Attributes; status: unknown } = { attributes: {}, status: undefined };
  const span = {
    adopt: (attributes: Attributes) => Object.assign(seen.attributes, attributes),
    setStatus: (status: unknown) => {
      seen.status = status;
    },
  } as unknown as Span;
  operationFor(pg).end!(span, { error, value: undefined });
  return seen;
}

describe('the name', () => {
  it('is the summary, else the database, else the server', () => {
    expect(describeCall({ text: 'SELECT * FROM songs' }).name).toBe('SELECT songs');
    expect(describeCall({ text: '' }).name).toBe('shop');
    expect(describeCall({}).name).toBe('shop');
    expect(describeCall({}, {}, { ...ENDPOINT, database: undefined }).name).toBe('db:5432');
  });
});

describe('the text', () => {
  const textOf = (statement: Partial<Statement>, pg?: Partial<DatabaseConfig>) =>
    describeCall(statement, pg).attributes['db.query.text'];

  it('is sanitized unless values came with it', () => {
    const text = "SELECT 'a'";
    expect(textOf({ text })).toBe('SELECT ?');
    expect(textOf({ text, values: [] })).toBe('SELECT ?');
    expect(textOf({ text, values: [1] })).toBe(text);
    expect(textOf({ text, values: [1] }, { querySanitization: 'always' })).toBe('SELECT ?');
    expect(textOf({ text }, { querySanitization: 'never' })).toBe(text);
  });

  it('is bounded', () => {
    const text = `SELECT ${'x, '.repeat(100_000)}y`;
    expect(String(textOf({ text, values: [1] }))).toHaveLength(8192);
    expect(String(textOf({ text })).length).toBeLessThanOrEqual(8192);
  });

  it('is left out where there is none', () => {
    expect(textOf({})).toBeUndefined();
    expect(textOf({ text: '' })).toBeUndefined();
  });
});

it('says in seconds how long a statement waited', () => {
  const key = 'hookline.db.client.connection.wait_time';
  expect(describeCall({ waitMs: 250 }).attributes[key]).toBe(0.25);
  expect(Object.hasOwn(describeCall({}).attributes, key)).toBe(false);
});

describe('a failure', () => {
  it('of the server has its SQLSTATE, and a description without values', () => {
    const error = { code: '22P02', severity: 'ERROR', message: 'invalid input syntax for type integer: "secret"' };
    expect(failure(error)).toEqual({
      attributes: { 'db.response.status_code': '22P02' },
      status: { code: 2, message: 'invalid input syntax for type integer: "?"' },
    });
    // The engine takes the message itself.
    expect(failure(error, { querySanitization: 'never' }).status).toBeUndefined();
    expect(failure({ ...error, code: 'P0001' }).status).toEqual({ code: 2 });
  });

  it('on this side shows one line, and nothing that may be a password', () => {
    const messageOf = (message: string) => (failure(new Error(message)).status as { message?: string }).message;
    expect(messageOf('Connection terminated')).toBe('Connection terminated');
    expect(messageOf('getaddrinfo ENOTFOUND postgres://me:s3cret@db')).toBe('getaddrinfo ENOTFOUND db');
    expect(messageOf('first\nsecond')).toBe('first');
    expect(messageOf("ERROR:  syntax error\nLINE 1: SELECT 'secret")).toBeUndefined();
    expect(failure('thrown').status).toEqual({ code: 2 });
    expect(failure({}).status).toEqual({ code: 2 });
    expect(failure(undefined).status).toBeUndefined();
  });
});
