import { beforeAll, describe, expect, test } from 'vitest';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { testPackage, writeFolder } from '../support/packages';
import { type RunOptions, type RunResult, runApp } from '../support/run-app';
import { amqpBroker } from '../support/servers';

// A job that was started in a trace: what it does belongs to that trace, what it is asked does not.

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const PARENT = `00-${TRACE}-${SPAN}-01`;

/** Changes its environment first of all, then: a call, a span of its own with a call inside, and a request from a socket. */
const JOB = `
delete process.env.TRACEPARENT;
process.env.TRACESTATE = 'late=1';
const http = require('node:http');
const net = require('node:net');
const { createRequire } = require('node:module');
const { trace, propagation, context, ROOT_CONTEXT } = createRequire(process.env.API + '/noop.js')('@opentelemetry/api');
const seen = [];
const server = http.createServer((request, response) => {
  const { traceparent, tracestate, baggage, b3 } = request.headers;
  if (request.url !== '/asked') seen.push({ traceparent, tracestate, baggage, b3 });
  response.end();
});
const get = (path) => new Promise((resolve) => {
  http.get({ port: server.address().port, path, agent: false }, (response) => response.resume().on('end', resolve));
});
server.listen(0, async () => {
  await get('/call');
  const tracer = trace.getTracer('job');
  await tracer.startActiveSpan('work', async (span) => {
    await get('/inside');
    span.end();
  });
  tracer.startSpan('own trace', { root: true }).end();
  tracer.startSpan('from the root', {}, ROOT_CONTEXT).end();
  await new Promise((resolve) => {
    const socket = net.connect(server.address().port, () => socket.end('GET /asked HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'));
    socket.resume().on('close', resolve);
  });
  console.log(JSON.stringify({
    seen,
    baggage: propagation.getActiveBaggage()?.getEntry('k')?.value,
    active: trace.getSpanContext(context.active())?.spanId,
    recording: trace.getActiveSpan()?.isRecording(),
  }));
  server.close();
});
`;

let api: string;
beforeAll(async () => {
  api = await testPackage('@opentelemetry/api@1.9.1');
}, 60_000);

interface Told {
  seen: { traceparent?: string; tracestate?: string; baggage?: string; b3?: string }[];
  baggage?: string;
  active?: string;
  recording?: boolean;
}

async function runJob(env: Record<string, string>, options: RunOptions = {}): Promise<RunResult & Told> {
  const folder = writeFolder({ 'job.cjs': JOB });
  const result = await runApp(`${folder}/job.cjs`, {
    cwd: folder,
    ...options,
    env: { API: api, OTEL_SERVICE_NAME: 'job', ...env },
  });
  return { ...result, ...(JSON.parse(result.stdout) as Told) };
}

const named = (spans: readonly ReceivedSpan[], name: string, path?: string): ReceivedSpan => {
  const found = spans.find(
    ({ name: own, kind, attributes }) =>
      own === name && (path === undefined || (kind === 'CLIENT' && String(attributes['url.full']).endsWith(path))),
  );
  if (found === undefined) throw new Error(`no span ${name} ${path ?? ''}`);
  return found;
};

/** The server span of the request that came over a socket. */
const asked = (spans: readonly ReceivedSpan[]): ReceivedSpan =>
  spans.find(({ kind, attributes }) => kind === 'SERVER' && attributes['url.path'] === '/asked')!;

describe('a process that was started in a trace', () => {
  test('goes on in it, and starts its own for what it is asked', async () => {
    const { spans, seen, stderr, ...told } = await runJob({ TRACEPARENT: PARENT, TRACESTATE: 'a=1', BAGGAGE: 'k=v' });
    expect(stderr).toBe('');
    expect(told).toMatchObject({ baggage: 'v', active: SPAN, recording: false });
    const call = named(spans, 'GET', '/call');
    const work = named(spans, 'work');
    const inside = named(spans, 'GET', '/inside');
    expect([call, work].map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual([
      [TRACE, SPAN],
      [TRACE, SPAN],
    ]);
    expect([inside.traceId, inside.parentSpanId]).toEqual([TRACE, work.spanId]);
    expect(seen).toEqual([
      { traceparent: `00-${TRACE}-${call.spanId}-01`, tracestate: 'a=1', baggage: 'k=v' },
      { traceparent: `00-${TRACE}-${inside.spanId}-01`, tracestate: 'a=1', baggage: 'k=v' },
    ]);
    for (const span of [asked(spans), named(spans, 'own trace'), named(spans, 'from the root')]) {
      expect(span.traceId).not.toBe(TRACE);
      expect(span.parentSpanId).toBeUndefined();
    }
  });

  test('follows its decision, as parent-based samplers do', async () => {
    const unsampled = PARENT.replace(/01$/, '00');
    const { spans, seen } = await runJob({ TRACEPARENT: unsampled });
    expect(spans.map(({ name, kind }) => `${kind} ${name}`).sort()).toEqual([
      'INTERNAL from the root',
      'INTERNAL own trace',
      // What the job asks itself carries the decision; what came over the socket has none.
      'SERVER GET',
    ]);
    for (const { traceparent } of seen) expect(traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));

    const always = await runJob({ TRACEPARENT: unsampled, OTEL_TRACES_SAMPLER: 'always_on' });
    expect(named(always.spans, 'work')).toMatchObject({ traceId: TRACE, parentSpanId: SPAN });
    // To samplers that do not follow, it is a parent in another process: theirs to decide.
    const rate = { OTEL_TRACES_SAMPLER: 'rate_limiting', OTEL_TRACES_SAMPLER_ARG: '1000' };
    expect(named((await runJob({ TRACEPARENT: unsampled, ...rate })).spans, 'work').traceId).toBe(TRACE);
  });

  test('reads what its propagators have', async () => {
    const { spans, seen } = await runJob({
      OTEL_PROPAGATORS: 'b3',
      X_B3_TRACEID: TRACE,
      X_B3_SPANID: SPAN,
      X_B3_SAMPLED: '1',
      TRACEPARENT: PARENT.replaceAll('a', 'c'),
    });
    const call = named(spans, 'GET', '/call');
    expect([call.traceId, call.parentSpanId]).toEqual([TRACE, SPAN]);
    expect(seen[0]).toEqual({ b3: `${TRACE}-${call.spanId}-1` });
  });

  test('does not when it is told so, or when what it is given is no trace', async () => {
    const off = await runJob({ TRACEPARENT: PARENT, BAGGAGE: 'k=v', HOOKLINE_ENVIRONMENT_CONTEXT: 'false' });
    expect(off.active).toBeUndefined();
    expect(off.baggage).toBeUndefined();
    const invalid = await runJob({ TRACEPARENT: `${PARENT}\r\nx-admin: 1`, TRACESTATE: 'a=1', BAGGAGE: 'a\r\nb' });
    for (const { spans, stderr } of [off, invalid]) {
      expect(stderr).toBe('');
      expect(spans.map(({ traceId }) => traceId)).not.toContain(TRACE);
      expect(named(spans, 'work').parentSpanId).toBeUndefined();
    }
    for (const { tracestate, baggage } of invalid.seen) expect([tracestate, baggage]).toEqual([undefined, undefined]);
  });

  test('says in debug what it was given', async () => {
    const { stderr } = await runJob({ TRACEPARENT: PARENT, OTEL_LOG_LEVEL: 'debug' });
    expect(stderr).toContain(`hookline: the environment names the trace ${TRACE}; continuing it\n`);
    const none = await runJob({ TRACEPARENT: 'nonsense', OTEL_LOG_LEVEL: 'debug' });
    expect(none.stderr).toContain('hookline: no valid trace in TRACEPARENT of the environment; ignoring it\n');
  });

  test('its worker threads too, as ES modules as well, and tail sampling holds what is below', async () => {
    const folder = writeFolder({
      'main.mjs': `
import http from 'node:http';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
const get = (port) => new Promise((resolve) => {
  http.get({ port, agent: false }, (response) => response.resume().on('end', resolve));
});
if (isMainThread) {
  const server = http.createServer((request, response) => response.end());
  server.listen(0, async () => {
    const { port } = server.address();
    await get(port);
    const worker = new Worker(new URL(import.meta.url), { workerData: port });
    worker.on('exit', () => server.close());
  });
} else {
  await get(workerData);
}`,
    });
    const { spans, stderr } = await runApp(`${folder}/main.mjs`, {
      cwd: folder,
      env: {
        TRACEPARENT: PARENT,
        OTEL_SERVICE_NAME: 'job',
        HOOKLINE_TAIL_SAMPLING: 'slow,ratio',
        HOOKLINE_TAIL_SAMPLING_RATIO: '1',
      },
    });
    expect(stderr).toBe('');
    const calls = spans.filter(({ kind }) => kind === 'CLIENT');
    expect(calls.map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual([
      [TRACE, SPAN],
      [TRACE, SPAN],
    ]);
  });

  test('publishes in it, and consumes what names no trace in a trace of its own', async () => {
    const broker = await amqpBroker();
    const amqplib = await testPackage('amqplib@0.10.9');
    const folder = writeFolder({
      // The second process publishes without the agent's headers: with no propagator.
      'app.cjs': `
const { createRequire } = require('node:module');
const amqp = createRequire(process.env.AMQPLIB + '/noop.js')('amqplib');
const queue = process.env.QUEUE;
(async () => {
  const connection = await amqp.connect(process.env.AMQP_URL);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue);
  if (process.env.ROLE === 'publish') {
    channel.sendToQueue(queue, Buffer.from('x'));
    await channel.waitForConfirms();
    return connection.close();
  }
  await channel.consume(queue, async (message) => {
    console.log(JSON.stringify(message.properties.headers));
    channel.ack(message);
    await channel.cancel('one');
    await channel.deleteQueue(queue);
    await connection.close();
  }, { consumerTag: 'one' });
})();`,
    });
    const run = (more: Record<string, string>): Promise<RunResult> =>
      runApp(`${folder}/app.cjs`, {
        cwd: folder,
        env: {
          ...{ AMQPLIB: amqplib, AMQP_URL: broker.url, QUEUE: `${broker.prefix}environment` },
          ...{ TRACEPARENT: PARENT, BAGGAGE: 'k=v', OTEL_SERVICE_NAME: 'job' },
          ...more,
        },
      });
    // The lists of hosts are about requests: a message goes to whoever consumes it.
    const published = await run({ ROLE: 'publish', HOOKLINE_PROPAGATION_HOSTS: 'nobody.test' });
    const [publish] = published.spans.filter(({ kind }) => kind === 'PRODUCER');
    expect([publish?.traceId, publish?.parentSpanId]).toEqual([TRACE, SPAN]);
    const named = await run({ ROLE: 'consume' });
    expect(JSON.parse(named.stdout)).toEqual({
      traceparent: `00-${TRACE}-${publish?.spanId}-01`,
      baggage: 'k=v',
    });
    expect(named.spans.find(({ kind }) => kind === 'CONSUMER')).toMatchObject({
      traceId: TRACE,
      parentSpanId: publish?.spanId,
    });

    await run({ ROLE: 'publish', OTEL_PROPAGATORS: 'none' });
    const unnamed = await run({ ROLE: 'consume' });
    expect(unnamed.stdout).toBe('{}\n');
    const consume = unnamed.spans.find(({ kind }) => kind === 'CONSUMER');
    expect(consume?.parentSpanId).toBeUndefined();
    expect(consume?.traceId).not.toBe(TRACE);
  });
});
