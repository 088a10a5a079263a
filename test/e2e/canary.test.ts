import { beforeAll, describe, expect, it } from 'vitest';
import { startReceiver } from '../support/otlp-receiver';
import { runApp } from '../support/run-app';
import { amqpBroker, mysqlDatabase, postgresDatabase } from '../support/servers';

const SECRET = 'canary7f3kq';
const FIXTURE = 'test/e2e/fixtures/canary/app.cjs';

let env: Record<string, string>;
beforeAll(async () => {
  const broker = await amqpBroker();
  env = {
    SECRET,
    POSTGRES_URL: await postgresDatabase(),
    MYSQL_URL: await mysqlDatabase(),
    AMQP_URL: broker.url,
    AMQP_PREFIX: broker.prefix,
  };
});

/** All that left the process for the collector, and all that it printed. */
async function everythingOf(more: Record<string, string> = {}) {
  const receiver = await startReceiver();
  try {
    const { stdout, stderr, code, spans } = await runApp(FIXTURE, {
      receiver,
      env: { ...env, ...more, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
      args: [`--password=${SECRET}`, '--password', SECRET],
    });
    expect(code).toBe(0);
    const sent = receiver.requests.map(
      ({ bytes, rawHeaders }) => `${rawHeaders.join('\n')}\n${bytes.toString('latin1')}`,
    );
    return { stdout, stderr, spans, sent: sent.join('\n') };
  } finally {
    await receiver.close();
  }
}

describe('a secret in all that the application hands to its libraries', () => {
  it.each([
    ['by default', {}],
    // Without gRPC's instrumentation its calls are those of HTTP/2.
    ['with gRPC as plain HTTP/2', { OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'grpc' }],
    ['with every line that can be logged', { OTEL_LOG_LEVEL: 'all' }],
  ])('is in no exported byte and no line of ours, %s', async (_, more: Record<string, string>) => {
    const { stdout, stderr, spans, sent } = await everythingOf(more);
    const { succeeded, failed } = JSON.parse(stdout) as { succeeded: number; failed: number };
    expect(succeeded).toBeGreaterThan(12);
    expect(failed).toBeGreaterThan(10);
    // Every library has made spans, failed ones among them.
    const scopes = new Set(spans.map(({ scope }) => scope.name));
    const names = [
      'amqplib',
      'http',
      'http2',
      'mysql2',
      'pg',
      'undici',
      ...('OTEL_NODE_DISABLED_INSTRUMENTATIONS' in more ? [] : ['grpc']),
    ];
    for (const name of names) expect(scopes).toContain(`hookline/${name}`);
    expect(spans.filter(({ status }) => status.code === 'ERROR').length).toBeGreaterThan(8);
    expect(sent).toContain('db.query.text');
    expect(sent).not.toContain(SECRET);
    expect(stderr).not.toContain(SECRET);
  });

  it('is found where the operator asked for it: the search works', async () => {
    const { sent } = await everythingOf({
      OTEL_INSTRUMENTATION_PG_CAPTURE_QUERY_PARAMETERS: 'true',
      OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS: 'x-own,authorization',
    });
    expect(sent.split(SECRET).length).toBeGreaterThan(5);
    expect(sent).not.toContain(`Bearer ${SECRET}`);
  });
});
