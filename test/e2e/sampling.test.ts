import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { writeFolder } from '../support/packages';
import { type RunOptions, type RunResult, runApp, startApp } from '../support/run-app';

// Samplers and tail sampling in real processes: what is chosen by a variable, and what arrives.

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

/**
 * A server that is asked for each of PATHS, one after the other, by a client that is not traced: a socket. Each request asks
 * /inner of a second server, by an untraced port, and notes what it was sent. `/fail` answers 500, `/slow` takes 150 ms.
 */
const APP = `
const http = require('node:http');
const net = require('node:net');
const sent = [];
const inner = http.createServer((request, response) => {
  sent.push(request.headers.traceparent ?? 'none', request.headers.tracestate ?? 'none');
  response.end();
});
const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://x');
  http.get({ port: inner.address().port, path: '/inner' }, (answer) => {
    answer.resume().on('end', () => {
      response.statusCode = pathname === '/fail' ? 500 : 200;
      setTimeout(() => response.end(), pathname === '/slow' ? 150 : 0);
    });
  });
});
const ask = (path, headers) => new Promise((resolve, reject) => {
  const socket = net.connect(server.address().port, '127.0.0.1', () => {
    const lines = Object.entries(headers).map(([name, value]) => name + ': ' + value + '\\r\\n').join('');
    socket.write('GET ' + path + ' HTTP/1.1\\r\\nHost: shop.test\\r\\nConnection: close\\r\\n' + lines + '\\r\\n');
  });
  socket.on('error', reject).on('close', resolve).resume();
});
const { paths, headers = {}, waitMs = 0, exit = false, status = false } = JSON.parse(process.env.CASE);
inner.listen(0, () => server.listen(0, async () => {
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  for (const path of paths) await ask(path, headers);
  if (status) await new Promise((resolve) => setTimeout(resolve, 300));
  const agent = globalThis[Symbol.for('hookline')];
  console.log(JSON.stringify({ sent, dropped: status ? agent.status().export.dropped : {} }));
  if (exit) process.exit(3);
  server.close();
  inner.close();
}));
`;

interface Case {
  paths: string[];
  headers?: Record<string, string>;
  waitMs?: number;
  exit?: boolean;
  status?: boolean;
}

interface Outcome extends RunResult {
  /** traceparent and tracestate of each call to /inner. */
  sent: string[];
  dropped: Record<string, number>;
  /** Paths of the server spans of the server under test, in order. */
  served: string[];
}

async function run(env: Record<string, string>, given: Case, options: RunOptions = {}): Promise<Outcome> {
  const folder = writeFolder({ 'app.cjs': APP });
  const result = await runApp(`${folder}/app.cjs`, {
    cwd: folder,
    ...options,
    env: { OTEL_SERVICE_NAME: 'shop', ...env, CASE: JSON.stringify(given) },
  });
  const { sent, dropped } = JSON.parse(result.stdout) as Pick<Outcome, 'sent' | 'dropped'>;
  const served = result.spans
    .filter(({ kind, attributes }) => kind === 'SERVER' && attributes['url.path'] !== '/inner')
    .sort((left, right) => (left.startTimeUnixNano < right.startTimeUnixNano ? -1 : 1))
    .map(({ attributes }) => String(attributes['url.path']));
  return { ...result, sent, dropped, served };
}

const times = (count: number, path: string): string[] => Array.from({ length: count }, () => path);

/** Every span's parent arrived as well, or came from outside. */
function expectWhole(spans: readonly ReceivedSpan[]): void {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  for (const { parentSpanId } of spans) {
    if (parentSpanId !== undefined && parentSpanId !== CALLER) expect(ids).toContain(parentSpanId);
  }
}

describe('OTEL_TRACES_SAMPLER', () => {
  test('rules: drop, keep and a bad one, which is one line', async () => {
    const rules = [
      { path: '/api/important', decision: 'keep' },
      { pathh: '/x', decision: 'keep' },
      { route: '/api/:thing', method: 'GET', host: 'shop.*', decision: 'drop' },
      { kind: 'client', decision: 'drop' },
    ];
    const { served, stderr, spans, sent } = await run(
      { OTEL_TRACES_SAMPLER: 'rules', OTEL_TRACES_SAMPLER_ARG: JSON.stringify(rules) },
      { paths: ['/api/users', '/api/important', '/api/orders?x=/api/important', '/other'] },
    );
    expect(served).toEqual(['/api/important', '/other']);
    expect(stderr).toBe(
      'hookline: OTEL_TRACES_SAMPLER_ARG: rule 2 has the unknown key "pathh", which is not one of path, route, method, ' +
        'host, name, kind, attributes, decision, ratio; skipping it\n',
    );
    expect(spans.some(({ kind }) => kind === 'CLIENT')).toBe(false);
    // What is dropped tells the next service so, and stays in one trace.
    expect(sent.filter((_, i) => i % 2 === 0)).toEqual(
      times(4, expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/) as never),
    );
  });

  test('rules in a file, and parent-based', async () => {
    const folder = writeFolder({ 'rules.json': '{"rules": [{"path": "/a", "decision": "keep"}], "default": "drop"}' });
    const env = { OTEL_TRACES_SAMPLER_ARG: `${folder}/rules.json` };
    const headers = { traceparent: `00-${TRACE}-${CALLER}-01` };
    const own = await run({ ...env, OTEL_TRACES_SAMPLER: 'rules' }, { paths: ['/a', '/b'], headers });
    expect(own.served).toEqual(['/a']);
    const followed = await run({ ...env, OTEL_TRACES_SAMPLER: 'parentbased_rules' }, { paths: ['/a', '/b'], headers });
    expect(followed.served).toEqual(['/a', '/b']);
    expect(own.stderr + followed.stderr).toBe('');
    expectWhole(followed.spans);
  });

  test('rate_limiting', async () => {
    const { served, spans, stderr } = await run(
      { OTEL_TRACES_SAMPLER: 'parentbased_rate_limiting', OTEL_TRACES_SAMPLER_ARG: '3' },
      { paths: times(40, '/x') },
    );
    expect(stderr).toBe('');
    // Three at once; a slow machine takes longer for 40 requests than a second, but not ten.
    expect(served.length).toBeGreaterThanOrEqual(3);
    expect(served.length).toBeLessThan(33);
    expectWhole(spans);
    expect(spans).toHaveLength(3 * served.length);
  });

  test('adaptive: the rare route survives the flood', async () => {
    const { served, spans } = await run(
      { OTEL_TRACES_SAMPLER: 'parentbased_adaptive', OTEL_TRACES_SAMPLER_ARG: '1' },
      { paths: [...times(100, '/users/1'), '/rare', ...times(100, '/users/2')] },
    );
    expect(served.filter((path) => path === '/rare')).toEqual(['/rare']);
    expect(served.length).toBeLessThan(60);
    expectWhole(spans);
  });

  test('consistent_probability: threshold and randomness travel in tracestate', async () => {
    const env = { OTEL_TRACES_SAMPLER: 'consistent_probability', OTEL_TRACES_SAMPLER_ARG: '0.25' };
    const from = (tracestate: string) => ({ traceparent: `00-${TRACE}-${CALLER}-00`, tracestate });
    const kept = await run(env, { paths: ['/a'], headers: from('a=b,ot=rv:c0000000000000') });
    expect(kept.sent).toEqual([
      expect.stringMatching(`^00-${TRACE}-[0-9a-f]{16}-01$`),
      'ot=th:c;rv:c0000000000000,a=b',
    ]);
    expect(kept.served).toEqual(['/a']);
    for (const { traceState } of kept.spans) expect(traceState).toBe('ot=th:c;rv:c0000000000000,a=b');
    const dropped = await run(env, { paths: ['/a'], headers: from('ot=rv:bfffffffffffff;th:c') });
    expect(dropped.sent).toEqual([expect.stringMatching(`^00-${TRACE}-[0-9a-f]{16}-00$`), 'ot=rv:bfffffffffffff']);
    expect(dropped.spans).toEqual([]);
    const root = await run({ OTEL_TRACES_SAMPLER: 'parentbased_consistent_probability' }, { paths: ['/a'] });
    expect(root.sent).toEqual([expect.stringMatching(/-03$/), 'ot=th:0']);
  });

  test('jaeger_remote: asks a back end, untraced and without keeping the process', async () => {
    const asked: string[] = [];
    const stub = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.traceparent}`);
      response.end(JSON.stringify({ strategyType: 'PROBABILISTIC', probabilisticSampling: { samplingRate: 1 } }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => stub.once('listening', resolve));
    onTestFinished(() => void stub.close());
    const endpoint = `http://127.0.0.1:${(stub.address() as AddressInfo).port}`;
    const { served, stderr, spans } = await run(
      {
        OTEL_TRACES_SAMPLER: 'parentbased_jaeger_remote',
        OTEL_TRACES_SAMPLER_ARG: `endpoint=${endpoint},pollingIntervalMs=50,initialSamplingRate=0`,
      },
      { paths: ['/a', '/b'], waitMs: 500 },
    );
    expect(stderr).toBe('');
    expect(served).toEqual(['/a', '/b']);
    expect(spans).toHaveLength(6);
    expect(asked.length).toBeGreaterThan(1);
    expect(new Set(asked)).toEqual(new Set(['/sampling?service=shop undefined']));
  });

  test('jaeger_remote: a back end that is not there is one line, and the initial rate counts', async () => {
    const { served, stderr } = await run(
      {
        OTEL_TRACES_SAMPLER: 'jaeger_remote',
        OTEL_TRACES_SAMPLER_ARG: 'endpoint=http://127.0.0.1:1,pollingIntervalMs=20,initialSamplingRate=1',
      },
      { paths: ['/a'], waitMs: 300 },
    );
    expect(served).toEqual(['/a']);
    expect(stderr).toMatch(
      /^hookline: no sampling strategies from http:\/\/127\.0\.0\.1:1\/sampling: [^\n]*ECONNREFUSED[^\n]*\n$/,
    );
  });
});

describe('OTEL_TRACES_SAMPLER=xray', () => {
  /** A server that is asked for each path that comes as a message, untraced, and answers with a message. */
  const SERVED = `
const http = require('node:http');
const net = require('node:net');
const server = http.createServer((request, response) => response.end()).listen(0, '127.0.0.1', () => process.send('ready'));
process.on('message', ({ path, headers }) => {
  if (path === undefined) return server.close(() => process.disconnect());
  const socket = net.connect(server.address().port, '127.0.0.1');
  socket.write('GET ' + path + ' HTTP/1.1\\r\\nHost: shop.test\\r\\nConnection: close\\r\\n' + headers + '\\r\\n');
  socket.on('close', () => process.send(path)).resume();
});
`;
  const rule = (RuleName: string, changes: Record<string, unknown>) => ({
    SamplingRule: {
      ...{ RuleName, Priority: 10, Version: 1, ReservoirSize: 0, FixedRate: 0, ServiceName: 'shop', ServiceType: '*' },
      ...{ Host: '*', HTTPMethod: '*', URLPath: '*', ResourceARN: '*', Attributes: {}, ...changes },
    },
  });

  test('rules, reports and targets of a daemon, which is asked untraced and keeps nothing alive', async () => {
    const asked: { url: string; traceparent: string | undefined; body: any }[] = [];
    const changes = new EventEmitter();
    const daemon = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => void chunks.push(chunk));
      incoming.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString());
        asked.push({
          url: String(incoming.url),
          traceparent: incoming.headers.traceparent as string | undefined,
          body,
        });
        const target = { RuleName: 'Default', FixedRate: 1, ReservoirQuota: 0, Interval: 10 };
        response.end(
          JSON.stringify(
            incoming.url === '/GetSamplingRules'
              ? {
                  SamplingRuleRecords: [
                    rule('Default', { Priority: 10_000, ServiceName: '*' }),
                    rule('pay', { Priority: 1, URLPath: '/pay/*', FixedRate: 1 }),
                  ],
                }
              : { SamplingTargetDocuments: [{ ...target, ReservoirQuotaTTL: Date.now() / 1000 + 60 }] },
          ),
        );
        changes.emit('asked');
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => daemon.once('listening', resolve));
    onTestFinished(() => void daemon.close());
    const askedFor = async (url: string): Promise<void> => {
      while (!asked.some((request) => request.url === url)) await once(changes, 'asked');
    };
    const folder = writeFolder({ 'app.cjs': SERVED });
    const app = await startApp(`${folder}/app.cjs`, {
      cwd: folder,
      ipc: true,
      env: {
        OTEL_SERVICE_NAME: 'shop',
        OTEL_TRACES_SAMPLER: 'xray',
        OTEL_TRACES_SAMPLER_ARG: `endpoint=http://127.0.0.1:${(daemon.address() as AddressInfo).port}`,
      },
    });
    const request = async (path: string, headers = ''): Promise<void> => {
      app.child.send({ path, headers });
      expect(await once(app.child, 'message')).toEqual([path, undefined]);
    };
    expect(await once(app.child, 'message')).toEqual(['ready', undefined]);
    await askedFor('/GetSamplingRules');
    // The answer is on its way to the application: until it is there, one trace per second is kept.
    for (let i = 0; i < 20; i++) await request(`/starting/${i}`);
    await request('/pay/1');
    await request('/dropped');
    await request('/followed', `traceparent: 00-${TRACE}-${CALLER}-01\r\n`);
    await request('/pay/2', `traceparent: 00-${TRACE}-${CALLER}-00\r\n`);
    // Ten seconds later.
    await askedFor('/SamplingTargets');
    for (let i = 0; i < 20; i++) await request(`/changing/${i}`);
    await request('/kept');
    app.child.send({});
    const { stderr, spans, code } = await app.done;
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const served = spans.map(({ attributes }) => String(attributes['url.path']));
    expect(served.filter((path) => !/^.(starting|changing)/.test(path)).sort()).toEqual([
      '/followed',
      '/kept',
      '/pay/1',
    ]);
    expect(asked.every(({ traceparent }) => traceparent === undefined)).toBe(true);
    const documents = asked.find(({ url }) => url === '/SamplingTargets')?.body.SamplingStatisticsDocuments;
    expect(documents.map((document: any) => document.RuleName).sort()).toEqual(['Default', 'pay']);
    const pay = documents.find((document: any) => document.RuleName === 'pay');
    // What the caller decided is not X-Ray's to count.
    expect(pay).toMatchObject({ RequestCount: 1, SampledCount: 1, BorrowCount: 0 });
  });

  test('a daemon that is not there is one line, and the application is traced all the same', async () => {
    const { served, stderr } = await run(
      { OTEL_TRACES_SAMPLER: 'parentbased_xray', OTEL_TRACES_SAMPLER_ARG: 'endpoint=127.0.0.1:1,polling_interval=1' },
      { paths: ['/a'], waitMs: 300 },
    );
    expect(served).toEqual(['/a']);
    expect(stderr).toMatch(
      /^hookline: OTEL_TRACES_SAMPLER_ARG: polling_interval="1" is not an integer of 10 or more; using 300\nhookline: no sampling rules from http:\/\/127\.0\.0\.1:1\/GetSamplingRules: [^\n]*ECONNREFUSED[^\n]*; keeping 1 trace per second and 5 % of the rest\n$/,
    );
  });
});

describe('HOOKLINE_TAIL_SAMPLING', () => {
  test('keeps what failed and what was slow, whole, and counts the rest', async () => {
    const { served, spans, stderr, dropped } = await run(
      { HOOKLINE_TAIL_SAMPLING: 'errors,slow', HOOKLINE_TAIL_SAMPLING_SLOW: '100' },
      { paths: ['/a', '/fail', '/b', '/slow', '/c'], status: true },
    );
    expect(stderr).toBe('');
    expect(served).toEqual(['/fail', '/slow']);
    expect(spans).toHaveLength(6);
    expectWhole(spans);
    expect(dropped).toEqual({ tail_sampling: 9 });
  });

  test('what it has no room for is decided by the ratio, counted, and said once', async () => {
    const env = { HOOKLINE_TAIL_SAMPLING: 'errors', HOOKLINE_TAIL_SAMPLING_MAX_SPANS: '1' };
    const given = { paths: ['/a', '/fail', '/b'], status: true };
    const none = await run({ ...env, HOOKLINE_TAIL_SAMPLING_RATIO: '0' }, given);
    const all = await run({ ...env, HOOKLINE_TAIL_SAMPLING_RATIO: '1' }, given);
    expect(none.spans).toEqual([]);
    expect(none.dropped).toEqual({ tail_overflow: 9 });
    expect(all.spans).toHaveLength(9);
    expect(all.dropped).toEqual({});
    const line = /^hookline: more traces are under way than tail sampling holds: [^\n]*MAX_SPANS\)\n/;
    for (const { stderr } of [none, all]) expect(stderr).toMatch(line);
    const loss = 'hookline: 9 spans were not delivered before the process ended (tail_overflow 9)\n';
    expect([none, all].map(({ stderr }) => stderr.replace(line, ''))).toEqual([loss, '']);
  });

  test('decides about the last spans at process.exit()', async () => {
    const { served, spans, code } = await run(
      {
        HOOKLINE_TAIL_SAMPLING: 'errors,routes',
        HOOKLINE_TAIL_SAMPLING_GRACE: '60000',
        OTEL_BSP_SCHEDULE_DELAY: '60000',
      },
      { paths: ['/a', '/a', '/fail', '/a', '/b'], exit: true },
    );
    expect(code).toBe(3);
    expect(served).toEqual(['/a', '/fail', '/b']);
    expectWhole(spans);
  });

  test('and at the natural end', async () => {
    const { served, stderr } = await run(
      { HOOKLINE_TAIL_SAMPLING: 'routes', HOOKLINE_TAIL_SAMPLING_GRACE: '60000' },
      { paths: ['/a', '/a', '/b'] },
    );
    expect(stderr).toBe('');
    expect(served).toEqual(['/a', '/b']);
  });

  test('and at SIGTERM without a handler', async () => {
    const folder = writeFolder({
      'app.cjs': `
const http = require('node:http');
const server = http.createServer((request, response) => {
  response.statusCode = 500;
  response.end();
}).listen(0, () => http.get({ port: server.address().port, path: '/fail' }, (response) => response.resume().on('end', () => {
  http.get({ port: server.address().port, path: '/open' }, (open) => open.resume().on('end', () => console.log('ready')));
})));`,
    });
    const { signal, spans } = await runApp(`${folder}/app.cjs`, {
      cwd: folder,
      env: { HOOKLINE_TAIL_SAMPLING: 'true', HOOKLINE_TAIL_SAMPLING_GRACE: '60000', OTEL_BSP_SCHEDULE_DELAY: '60000' },
      signal: { after: 'ready', name: 'SIGTERM' },
    });
    expect(signal).toBe('SIGTERM');
    expect(spans).toHaveLength(4);
  });
});

describe('HOOKLINE_MUTE_HEALTH_CHECKS', () => {
  const paths = ['/healthz', '/a', '/readyz?verbose', '/ping'];

  test('no spans of health checks and of what they call, which is told so', async () => {
    const { served, spans, sent, stderr } = await run({ HOOKLINE_MUTE_HEALTH_CHECKS: 'true' }, { paths });
    expect(stderr).toBe('');
    expect(served).toEqual(['/a']);
    expect(spans).toHaveLength(3);
    const [muted, , traced] = sent;
    expect(muted).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/);
    expect(traced).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-03$/);
  });

  test("a caller's trace goes on through them", async () => {
    const traceparent = `00-${TRACE}-${CALLER}-01`;
    const headers = { traceparent, tracestate: 'a=b', 'user-agent': 'kube-probe/1.30' };
    const { spans, sent } = await run({ HOOKLINE_MUTE_HEALTH_CHECKS: 'true' }, { paths: ['/custom'], headers });
    expect(sent).toEqual([traceparent, 'a=b']);
    // The second server of this process is asked by us, and not by a prober.
    expect(spans.map(({ attributes }) => attributes['url.path'])).toEqual(['/inner']);
  });

  test('are traced by default', async () => {
    expect((await run({}, { paths })).served).toEqual(['/healthz', '/a', '/readyz', '/ping']);
  });

  test('http2', async () => {
    const folder = writeFolder({
      'app.cjs': `
const http2 = require('node:http2');
const server = http2.createServer((request, response) => response.end()).listen(0, async () => {
  const session = http2.connect('http://localhost:' + server.address().port);
  for (const path of ['/healthz', '/a']) {
    await new Promise((resolve) => session.request({ ':path': path }).resume().on('close', resolve));
  }
  session.close(() => server.close());
});`,
    });
    const { spans, stderr } = await runApp(`${folder}/app.cjs`, {
      cwd: folder,
      env: { HOOKLINE_MUTE_HEALTH_CHECKS: 'true' },
    });
    expect(stderr).toBe('');
    expect(spans.filter(({ kind }) => kind === 'SERVER').map(({ attributes }) => attributes['url.path'])).toEqual([
      '/a',
    ]);
  });
});
