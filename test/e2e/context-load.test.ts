import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf } from '../support/cases';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { runApp } from '../support/run-app';
import { amqpBroker, mysqlDatabase, postgresDatabase } from '../support/servers';
import { type SpanNode, toTree } from '../support/tree';

// Many requests at a time, and one connection for what all of them ask for. Every span says in its own content whose it is,
// so one in another request's tree shows also where the shape of both trees is right.

/** The matrix runs this eight times, on machines with two cores. */
const REQUESTS = process.env.HOOKLINE_TEST_NODE === undefined ? 1_000 : 250;

/** Where spans carry the id of their request; those of the application have it in their name. */
const CONTENT = [
  'db.query.text',
  'messaging.message.conversation_id',
  'rpc.request.metadata.x-id',
  'url.full',
  'url.path',
];

/** A span as one line, with `#` for the id of the request whose tree it is in; the id of another stays as it is. */
function describeSpan({ kind, name, attributes }: ReceivedSpan, id: string): string {
  const key = CONTENT.find((key) => attributes[key] !== undefined);
  const content = key === undefined ? name : String(attributes[key]);
  // `publish amq.gen-…`, `load.Load/Echo`, `SELECT`, `GET`
  const what = key?.startsWith('messaging') || key?.startsWith('rpc') ? `${name.split(' ')[0]} ` : '';
  return `${kind} ${what}${content.replace(/^http:\/\/[^/]+/, '').replace(new RegExp(`\\b${id}\\b`), '#')}`;
}

function outline({ span, children }: SpanNode, id: string, indent = ''): string {
  const below = children.map((child) => outline(child, id, `${indent}  `)).sort();
  return [`${indent}${describeSpan(span, id)}`, ...below].join('\n');
}

const served = (path: string) => `
      CLIENT /${path}/#
        SERVER /${path}/#
          INTERNAL served #`;
const called = (method: string) => `
      CLIENT load.Load/${method} #
        SERVER load.Load/${method} #
          INTERNAL served #`;
const answered = `
      INTERNAL answered #`;
const selected = `
      CLIENT SELECT ? AS #`;

/** By case, what is below the span that answers a request. */
const BELOW: Record<string, string> = {
  http: served('get') + served('post') + answered,
  fetch: served('fetch') + answered,
  undici: served('pipelined') + served('request') + served('undici') + answered,
  pg: `
      CLIENT SELECT $1::int AS #${selected.repeat(4)}${answered}`,
  mysql2: selected.repeat(5) + answered,
  grpc: called('Count') + called('Echo') + answered,
  amqplib: `${answered}
      PRODUCER publish #
        CONSUMER consume #
          CLIENT ack #
          INTERNAL asked #
          PRODUCER publish #
            CONSUMER consume #
              CLIENT ack #
              INTERNAL answered #
      PRODUCER publish #-confirmed`,
};

/** By case, how many places of the application's code look at the context that they are called in. */
const PLACES = { http: 8, fetch: 3, undici: 5, pg: 9, mysql2: 9, grpc: 6, amqplib: 4 };

describe.each(['app.cjs', 'app.mjs'])(`%s: ${REQUESTS} requests at a time, through one connection`, (file) => {
  let roots: SpanNode[];
  let stdout: string;

  beforeAll(async () => {
    const run = await runApp(`test/e2e/fixtures/context-load/${file}`, {
      env: {
        REQUESTS: String(REQUESTS),
        POSTGRES_URL: await postgresDatabase(),
        MYSQL_URL: await mysqlDatabase(),
        AMQP_URL: (await amqpBroker()).url,
        OTEL_BSP_MAX_QUEUE_SIZE: '100000',
        HOOKLINE_EXIT_TIMEOUT: '60000',
        OTEL_INSTRUMENTATION_GRPC_CLIENT_CAPTURE_REQUEST_METADATA: 'x-id',
        OTEL_INSTRUMENTATION_GRPC_SERVER_CAPTURE_REQUEST_METADATA: 'x-id',
      },
      timeoutMs: 300_000,
      // Each library's own tests check them, on fewer spans.
      anyConventions: true,
    });
    expect({ stderr: run.stderr, code: run.code }).toEqual({ stderr: '', code: 0 });
    ({ stdout } = run);
    roots = toTree(run.spans);
  });

  it('keeps as many visitors as there are requests, and one connection to where they all lead', () => {
    expect(outcomeOf(stdout, 'connections')).toEqual({ visiting: REQUESTS, kept: 1 });
  });

  it('has no span outside of a request', () => {
    const others = roots.map(({ span }) => span.name).filter((name) => !/^\w+ id\d+$/.test(name));
    expect(others).toEqual([]);
    expect(roots).toHaveLength(Object.keys(BELOW).length * REQUESTS);
  });

  describe.each(Object.entries(BELOW))('%s', (name, below) => {
    it('has every span under the one that its own content belongs to', () => {
      const outlines: Record<string, number> = {};
      for (const root of roots) {
        const [which, id = ''] = root.span.name.split(' ');
        if (which !== name) continue;
        const text = outline(root, id);
        outlines[text] = (outlines[text] ?? 0) + 1;
      }
      expect(outlines).toEqual({
        [`INTERNAL ${name} #\n  CLIENT /${name}/#\n    SERVER /${name}/#${below}`]: REQUESTS,
      });
    });

    it('calls the application in the context of the request that it is about', () => {
      const places = outcomeOf(stdout, name) as Record<string, unknown>;
      const right = Object.keys(places).map((place) => [place, { right: REQUESTS, wrong: 0 }]);
      expect(places).toEqual(Object.fromEntries(right));
      expect(right).toHaveLength(PLACES[name as keyof typeof PLACES]);
    });
  });
});
