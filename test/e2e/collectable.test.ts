import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf } from '../support/cases';
import { expectSameAsBare } from '../support/compare';
import { runApp } from '../support/run-app';
import { amqpBroker, mysqlDatabase, postgresDatabase } from '../support/servers';

// What a request was made of is gone when it is over, although the connection it used lives on, and a timer, a listener and a
// promise that were made in the middle of it: a context may outlive its request, and then holds nothing but ids.

const APP = 'test/e2e/fixtures/collectable/app.cjs';

/** By case: what is watched, of three operations each; spans by scope and kind, which is 1 for a server and 2 for a client. */
const WATCHED: Record<string, { things: string[]; spans: string[] }> = {
  http: {
    things: ['client request', 'client response', 'server request', 'server response'],
    spans: ['span http 1', 'span http 2'],
  },
  http2: { things: ['client stream', 'server stream'], spans: ['span http2 1', 'span http2 2'] },
  fetch: { things: ['response'], spans: ['span undici 2'] },
  undici: { things: ['answer', 'body'], spans: ['span undici 2'] },
  pg: { things: ['pool result', 'query', 'result'], spans: ['span pg 2'] },
  mysql2: { things: ['command', 'pool rows', 'rows'], spans: ['span mysql2 2'] },
  amqplib: {
    things: ['message', 'message got', 'options'],
    spans: ['span amqplib 2', 'span amqplib 3', 'span amqplib 4'],
  },
  grpc: {
    things: ['client call', 'client stream', 'metadata', 'server call', 'server stream'],
    spans: ['span grpc 1', 'span grpc 2'],
  },
  api: { things: [], spans: ['span collectable 0'] },
};

const counts = (names: string[], count: number) => Object.fromEntries(names.map((name) => [name, count]));

describe('when it is over', () => {
  let env: Record<string, string>;

  beforeAll(async () => {
    env = {
      POSTGRES_URL: await postgresDatabase(),
      MYSQL_URL: await mysqlDatabase(),
      AMQP_URL: (await amqpBroker()).url,
      // A busy machine is not what is looked at.
      HOOKLINE_EXIT_TIMEOUT: '30000',
    };
  });

  it('nothing of a request stays, with us as without', async () => {
    const { bare, traced } = await expectSameAsBare(APP, {
      execArgv: ['--expose-gc'],
      preloads: ['import'],
      env,
      // Spans are what only one of them has.
      normalise: (text) => text.replace(/,?"span [^:]+:0/g, '').replace('{,', '{'),
      timeoutMs: 120_000,
    });
    for (const [name, { things, spans }] of Object.entries(WATCHED)) {
      expect(outcomeOf(bare.stdout, name), name).toEqual(counts(things, 0));
      expect(outcomeOf(traced.import!.stdout, name), name).toEqual(counts([...things, ...spans], 0));
    }
  });

  it('an application that keeps its requests, answers and results does not keep their spans', async () => {
    const { stdout } = await runApp(APP, {
      execArgv: ['--expose-gc'],
      env: { ...env, KEEP: 'everything' },
      timeoutMs: 120_000,
    });
    for (const [name, { things, spans }] of Object.entries(WATCHED)) {
      expect(outcomeOf(stdout, name), name).toEqual({ ...counts(things, 3), ...counts(spans, 0) });
    }
  });
});
