import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeTraceRequest } from '../support/otlp-decode';
import { testPackage, writeFolder } from '../support/packages';
import { root, runApp } from '../support/run-app';

type Json = any;

/** The same spans in every run: one that carries everything, and its child that failed. */
const APP = `
const { context, SpanKind, trace } = require('@opentelemetry/api');
const tracer = trace.getTracer('app', '1.0.0');
const parent = tracer.startSpan('everything', { kind: SpanKind.SERVER, startTime: [1700000000, 1999] });
parent.setAttributes({ text: 'ü"', int: 5, minus: -5, big: 2 ** 53 - 1, float: 0.5, on: true, list: ['a', 'b'] });
parent.addEvent('happened', { n: 1 }, [1700000000, 5000]);
parent.addEvent('plain', [1700000000, 6000]);
parent.addLink({ context: { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 }, attributes: { l: 'x' } });
const child = tracer.startSpan(
  'call',
  { kind: SpanKind.CLIENT, startTime: [1700000000, 2000], attributes: { 'server.address': 'db.example' } },
  trace.setSpan(context.active(), parent),
);
child.setStatus({ code: 2, message: 'boom' });
child.end([1700000000, 4998]);
parent.end([1700000000, 7000]);
`;

interface Post {
  readonly url: string | undefined;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

let posts: Post[] = [];
const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const { url, headers } = request;
  posts.push({ url, contentType: headers['content-type'], authorization: headers.authorization, body });
  response.end('{}');
});
let base: string;
let api: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  api = join(await testPackage('@opentelemetry/api@1.9.1'), 'node_modules');
});
afterAll(() => server.close());

async function run(env: Record<string, string>, app = APP) {
  posts = [];
  const folder = writeFolder({
    'app.cjs': app.replace("'@opentelemetry/api'", JSON.stringify(`${api}/@opentelemetry/api`)),
  });
  const result = await runApp(`${folder}/app.cjs`, {
    cwd: folder,
    receiver: false,
    env: { OTEL_SERVICE_NAME: 'shop', ...env },
  });
  return { ...result, folder, posts };
}

/** Ids by order of appearance, keys in the order of the alphabet: both differ between runs and senders. */
function withoutIds(value: Json): Json {
  const names = new Map<string, string>();
  const visit = (item: Json, key: string): Json => {
    if (Array.isArray(item)) return item.map((inner) => visit(inner, ''));
    if (typeof item === 'object' && item !== null) {
      const keys = Object.keys(item).sort();
      return Object.fromEntries(keys.map((inner) => [inner, visit(item[inner], inner)]));
    }
    if (item === undefined || !/^(traceId|spanId|parentSpanId|id|parentId)$/.test(key)) return item;
    if (!names.has(item)) names.set(item, `id ${names.size}`);
    return names.get(item);
  };
  return visit(value, '');
}

const spansOf = (request: Json): Json[] =>
  request.resourceSpans.flatMap(({ scopeSpans }: Json) => scopeSpans.flatMap(({ spans }: Json) => spans));

describe('OTLP/JSON', () => {
  it("is what the official exporter sends, and the collector's answer is read", async () => {
    const ours = await run({ OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
    expect({ code: ours.code, stderr: ours.stderr }).toEqual({ code: 0, stderr: '' });
    expect(ours.posts).toHaveLength(1);
    expect(ours.posts[0]).toMatchObject({ url: '/v1/traces', contentType: 'application/json' });
    const folder = await testPackage('@opentelemetry/exporter-trace-otlp-http@0.223.0', '@opentelemetry/api@1.9.1');
    const theirs = await run({
      OTEL_EXPORTER_OTLP_ENDPOINT: base,
      OTEL_TRACES_EXPORTER: `${folder}/node_modules/@opentelemetry/exporter-trace-otlp-http#OTLPTraceExporter`,
    });
    expect(theirs.posts).toHaveLength(1);
    const [mine, other] = [ours, theirs].map((result) => withoutIds(spansOf(JSON.parse(result.posts[0]!.body))));
    // Both forms are valid: 64-bit integers as strings, and fields that hold their default left out.
    const normalise = (list: Json[]): Json[] =>
      JSON.parse(JSON.stringify(list), (key, item) => {
        if (key === 'intValue') return String(item);
        if (/^dropped.*Count$/.test(key) && item === 0) return undefined;
        if ((key === 'events' || key === 'links') && item.length === 0) return undefined;
        if (key === 'status') return { ...(item.code ? item : {}) };
        return item;
      });
    expect(normalise(mine)).toEqual(normalise(other));
  });
});

describe('OTLP/gRPC', () => {
  let collector: any;
  let endpoint: string;
  const received: { name: string; port: string }[] = [];

  beforeAll(async () => {
    const folder = await testPackage('@grpc/grpc-js@1.14.7');
    const grpc = createRequire(join(folder, 'noop.js'))('@grpc/grpc-js');
    const bytes = (value: Buffer) => value;
    const method = {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    };
    collector = new grpc.Server({ 'grpc.max_receive_message_length': 30_000 });
    collector.addService(
      { Export: method },
      {
        Export: (call: Json, callback: (error: null, value: Buffer) => void) => {
          for (const { name } of decodeTraceRequest(call.request)) received.push({ name, port: call.getPeer() });
          callback(null, Buffer.alloc(0));
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      const done = (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error));
      collector.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), done);
    });
    endpoint = `http://localhost:${port}`;
  });
  afterAll(() => collector.forceShutdown());

  it.each([
    ['at a natural end', '', {}],
    ['at process.exit()', '\nprocess.exit(3);', {}],
    ['while the process runs', '\nsetTimeout(() => {}, 400);', { OTEL_BSP_SCHEDULE_DELAY: '10' }],
  ])('delivers %s, without any gRPC library', async (_name, end, more) => {
    received.length = 0;
    const check = '\nif (Object.keys(require.cache).some((file) => file.includes("grpc"))) console.log("loaded");';
    const { stdout, stderr, code } = await run(
      { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', ...more },
      APP + check + end,
    );
    expect({ stdout, stderr, code }).toEqual({ stdout: '', stderr: '', code: end.includes('exit') ? 3 : 0 });
    expect(received.map(({ name }) => name)).toEqual(['call', 'everything']);
  });

  it('takes a batch that is too large for it in parts, and what a spool kept', async () => {
    received.length = 0;
    const folder = writeFolder({});
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      HOOKLINE_SPOOL_PATH: `${folder}/spool`,
      OTEL_BSP_SCHEDULE_DELAY: '10',
    };
    const many = (name: string, end: string): string => `
const { trace } = require('@opentelemetry/api');
const tracer = trace.getTracer('app');
for (let i = 0; i < 60; i++) tracer.startSpan('${name}' + i, { attributes: { text: 'x'.repeat(1000) } }).end();
${end}`;
    const away = await run(
      { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:9' },
      many('kept', 'process.exit(0);'),
    );
    expect(away.stderr).toBe('');
    expect(readdirSync(`${folder}/spool`)).toHaveLength(1);
    const back = await run(env, many('fresh', 'setTimeout(() => {}, 2_000);'));
    expect(back.stderr).toBe('');
    const expected = Array.from({ length: 60 }, (_, i) => [`fresh${i}`, `kept${i}`]).flat();
    expect(received.map(({ name }) => name).sort()).toEqual(expected.sort());
    expect(readdirSync(`${folder}/spool`)).toEqual([]);
  });

  it('makes no spans of its own calls, with http2 and grpc traced', async () => {
    received.length = 0;
    const end = "\nrequire('node:http2');\nsetTimeout(() => {}, 400);";
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_BSP_SCHEDULE_DELAY: '10',
    };
    const { stderr } = await run(env, APP + end);
    expect(stderr).toBe('');
    expect(received).toHaveLength(2);
  });
});

describe('Zipkin', () => {
  it('is what the official exporter sends', async () => {
    const ours = await run({
      OTEL_TRACES_EXPORTER: 'zipkin',
      OTEL_EXPORTER_ZIPKIN_ENDPOINT: `${base.replace('//', '//me:secret@')}/api/v2/spans`,
    });
    expect({ code: ours.code, stderr: ours.stderr }).toEqual({ code: 0, stderr: '' });
    expect(ours.posts).toHaveLength(1);
    expect(ours.posts[0]).toMatchObject({
      url: '/api/v2/spans',
      contentType: 'application/json',
      authorization: `Basic ${Buffer.from('me:secret').toString('base64')}`,
    });
    const folder = await testPackage('@opentelemetry/exporter-zipkin@2.9.0', '@opentelemetry/api@1.9.1');
    const path = `${folder}/node_modules/@opentelemetry/exporter-zipkin#ZipkinExporter`;
    const theirs = await run({
      OTEL_TRACES_EXPORTER: path,
      HOOKLINE_EXPORTER_OPTIONS: JSON.stringify({ [path]: { url: `${base}/from-options` } }),
    });
    expect(theirs.posts.map(({ url }) => url)).toEqual(['/from-options']);
    const [mine, other] = [ours, theirs].map((result) => JSON.parse(result.posts[0]!.body)) as [Json, Json];
    const call = mine.find(({ name }: Json) => name === 'call');
    expect(call).toMatchObject({
      kind: 'CLIENT',
      timestamp: 1_700_000_000_000_002,
      duration: 2,
      localEndpoint: { serviceName: 'shop' },
      remoteEndpoint: { serviceName: 'db.example' },
      tags: { error: 'boom', 'otel.status_code': 'ERROR', 'otel.scope.name': 'app' },
    });
    // The official one writes lists as \`a,b\`, events without their attributes, and no remote endpoint.
    const comparable = (list: Json[]) =>
      list.map(({ traceId, id, parentId, name, kind, localEndpoint, tags }) => {
        const { list: _list, 'otel.scope.name': _name, 'otel.scope.version': _version, ...rest } = tags;
        const own = Object.fromEntries(
          Object.entries(rest).filter(([key]) => !/^(process|host|telemetry|service|otel\.library)/.test(key)),
        );
        return { traceId, id, parentId, name, kind, localEndpoint, tags: own };
      });
    expect(withoutIds(comparable(mine))).toEqual(withoutIds(comparable(other)));
  });
});

describe('lines of OTLP/JSON', () => {
  const names = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .flatMap((line) => spansOf(JSON.parse(line)).map(({ name }: Json) => name));

  it('in a file', async () => {
    const { stderr, folder } = await run({ OTEL_TRACES_EXPORTER: 'file', HOOKLINE_FILE_PATH: 'out/%p.jsonl' });
    expect(stderr).toBe('');
    const { stdout } = await runApp(undefined, {
      preload: 'none',
      receiver: false,
      execArgv: ['-p', `require('fs').readdirSync(${JSON.stringify(join(folder, 'out'))})[0]`],
    });
    expect(stdout).toMatch(/^\d+\.jsonl\n$/);
    expect(names(readFileSync(join(folder, 'out', stdout.trim()), 'utf8'))).toEqual(['call', 'everything']);
  });

  it.each([
    { OTEL_TRACES_EXPORTER: 'otlp/stdout' },
    { OTEL_TRACES_EXPORTER: 'console', HOOKLINE_CONSOLE_FORMAT: 'json' },
  ])('on standard output with %j', async (env) => {
    const { stdout, stderr } = await run(env as Record<string, string>);
    expect(stderr).toBe('');
    expect(names(stdout)).toEqual(['call', 'everything']);
  });

  it('beside a collector, neither of which minds the other failing', async () => {
    const {
      stderr,
      posts: sent,
      folder,
    } = await run({
      OTEL_EXPORTER_OTLP_ENDPOINT: base,
      OTEL_TRACES_EXPORTER: 'otlp,file',
      HOOKLINE_FILE_PATH: 'app.cjs/impossible',
    });
    expect(sent).toHaveLength(1);
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^hookline: cannot write spans to app\.cjs\/impossible: E[A-Z]+: .*; trying again later$/),
      'hookline: 2 spans were not delivered to app.cjs/impossible before the process ended',
      '',
    ]);
    expect(readFileSync(join(folder, 'app.cjs'), 'utf8')).toContain('everything');
  });
});

describe('memory', () => {
  const INDEX = JSON.stringify(join(root, 'dist', 'index.js'));
  const READ = `
const hookline = require(${INDEX});
const names = () => hookline.finishedSpans().map(({ name, parentSpanContext }) => name + (parentSpanContext ? ' below' : ''));
console.log(JSON.stringify(names()));
hookline.finishedSpans()[0]?.attributes && (hookline.finishedSpans()[0].attributes.changed = true);
console.log(hookline.finishedSpans()[0]?.attributes.changed);
hookline.clearFinishedSpans();
console.log(JSON.stringify(names()));
console.log(JSON.stringify(hookline.status()?.export.dropped));`;

  it('keeps what ended for the tests of an application', async () => {
    const { stdout, stderr } = await run({ OTEL_TRACES_EXPORTER: 'memory' }, APP + READ);
    expect({ stdout, stderr }).toEqual({
      stdout: '["call below","everything"]\nundefined\n[]\n{}\n',
      stderr: '',
    });
  });

  it('keeps the newest of too many, beside another exporter', async () => {
    const { stdout, stderr } = await run(
      { OTEL_TRACES_EXPORTER: 'memory,file', OTEL_BSP_MAX_QUEUE_SIZE: '1', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '1' },
      APP + READ,
    );
    expect(stdout.split('\n')[0]).toBe('["everything"]');
    expect(stderr).toContain('more spans than OTEL_BSP_MAX_QUEUE_SIZE are kept in memory');
  });

  it('is empty with another exporter', async () => {
    const { stdout } = await run({ OTEL_TRACES_EXPORTER: 'none' }, APP + READ);
    expect(stdout).toBe('[]\nundefined\n[]\n{}\n');
  });
});

describe('lists of exporters', () => {
  const READ = `
const hookline = require(${JSON.stringify(join(root, 'dist', 'index.js'))});
hookline.forceFlush().then(() => console.log(hookline.finishedSpans().length));`;

  it.each([
    [
      'jaeger',
      /^hookline: OTEL_TRACES_EXPORTER: "jaeger" is not otlp, zipkin, .* a span exporter; using "otlp,memory,otlp\/stdout"\n/,
      0,
    ],
    [
      'no-such-package',
      /^hookline: exporter no-such-package cannot be used: Cannot find module 'no-such-package'\n/,
      2,
    ],
    [
      './gone.cjs#Exporter',
      /^hookline: exporter \.\/gone\.cjs#Exporter cannot be used: Cannot find module '\.\/gone\.cjs'\n/,
      2,
    ],
    ['node:path', /^hookline: exporter node:path cannot be used: name the export behind a #\n/, 2],
  ])('with the bad member %s use all others', async (bad, line, lost) => {
    const {
      code,
      stdout,
      stderr,
      posts: sent,
    } = await run(
      { OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_TRACES_EXPORTER: `otlp,${bad},memory,otlp/stdout` },
      APP + READ,
    );
    expect(stderr).toMatch(line);
    const loss = `hookline: ${lost} spans were not delivered by ${bad} before the process ended (export_failed ${lost})\n`;
    expect(stderr.replace(line, '')).toBe(lost === 0 ? '' : loss);
    expect(code).toBe(0);
    expect(sent).toHaveLength(1);
    const [lines, count] = [/^\{.*$/m.exec(stdout)?.[0], /^\d+$/m.exec(stdout)?.[0]];
    expect(spansOf(JSON.parse(lines!)).map(({ name }: Json) => name)).toEqual(['call', 'everything']);
    expect(count).toBe('2');
  });

  it.each([
    ['none', ''],
    ['none,otlp', 'hookline: OTEL_TRACES_EXPORTER names none and others; using none\n'],
  ])('%s sends nothing anywhere and leaves the application as it is', async (exporters, line) => {
    const {
      code,
      stdout,
      stderr,
      posts: sent,
    } = await run({ OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_TRACES_EXPORTER: exporters }, APP + READ);
    expect({ code, stdout, stderr, sent }).toEqual({ code: 0, stdout: '0\n', stderr: line, sent: [] });
  });
});
