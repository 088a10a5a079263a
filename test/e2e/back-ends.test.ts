import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BackEnd, startBackEnd } from '../support/back-end';
import { readBlocks, runBlock, withHost } from '../support/back-ends-page';
import { createCertificate } from '../support/certificate';
import { decodeTraceRequest, type ReceivedSpan } from '../support/otlp-decode';
import { decodeTraceJson } from '../support/otlp-json';
import { testPackage, writeFolder } from '../support/packages';
import { type RunResult, root, runApp } from '../support/run-app';
import { formatTree } from '../support/tree';
import { runBare } from './exporters-support';

const MIB = 1024 * 1024;

interface Row {
  /** In docs/back-ends.md. */
  heading: string;
  /** For the placeholders. */
  values: Record<string, string>;
  grpc?: boolean;
  path: string;
  decode: Record<string, (body: Buffer) => ReceivedSpan[]>;
  /** Longest body that it takes, uncompressed. */
  maxBytes: number;
  /** Default 200. */
  status?: number;
  refuse?: (headers: IncomingHttpHeaders) => 401 | 403 | undefined;
  /** Values that are refused, and that no message may show. */
  wrong?: Record<string, string>;
  /** Packages beside the API, at the versions that are tested. */
  packages?: string[];
  /** What an operator's environment has besides. */
  environment?: () => Record<string, string>;
  /** A variable that the block uses; without it in src/config.ts the row is not run. */
  variable?: string;
}

const PROTOBUF = { 'application/x-protobuf': decodeTraceRequest };
const JSON_TOO = { ...PROTOBUF, 'application/json': decodeTraceJson };
const GRPC = { 'application/grpc': decodeTraceRequest };
const GRPC_PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

/** opentelemetry-collector, config/confighttp/README.md: `max_request_body_size`, 20 MiB. */
const COLLECTOR_HTTP = 20 * MIB;
/** opentelemetry-collector, config/configgrpc/README.md: `max_recv_msg_size_mib`, 4 MiB. */
const COLLECTOR_GRPC = 4 * MIB;

function only(name: string, value: string, status: 401 | 403 = 401): NonNullable<Row['refuse']> {
  return (headers) => (headers[name] === value ? undefined : status);
}

/** Hands out tokens as the platforms' metadata servers do. */
let metadata: Server;
const metadataAddress = (): string => `127.0.0.1:${(metadata.address() as AddressInfo).port}`;

const ROWS: Row[] = [
  {
    heading: 'OpenTelemetry Collector',
    values: { host: 'collector' },
    path: '/v1/traces',
    decode: PROTOBUF,
    maxBytes: COLLECTOR_HTTP,
  },
  {
    heading: 'The same as JSON',
    values: { host: 'collector' },
    path: '/v1/traces',
    decode: { 'application/json': decodeTraceJson },
    maxBytes: COLLECTOR_HTTP,
  },
  {
    heading: 'The same over gRPC',
    values: { host: 'collector' },
    grpc: true,
    path: GRPC_PATH,
    decode: GRPC,
    maxBytes: COLLECTOR_GRPC,
  },
  // jaegertracing.io/docs/2: "built on OpenTelemetry Collector", whose receiver it is.
  { heading: 'Jaeger 2', values: { host: 'jaeger' }, path: '/v1/traces', decode: JSON_TOO, maxBytes: COLLECTOR_HTTP },
  // grafana.com/docs/tempo, Configuration, Distributor: `receivers` are the Collector's.
  {
    heading: 'Grafana Tempo',
    values: { host: 'tempo' },
    path: '/v1/traces',
    decode: JSON_TOO,
    maxBytes: COLLECTOR_HTTP,
  },
  {
    // grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp: user is the instance, password the token. No size is named.
    heading: 'Grafana Cloud',
    values: { zone: 'prod-eu-west-2', 'instance id': '123456', token: 'glc_eyJvIjoiMSJ9+/=' },
    path: '/otlp/v1/traces',
    decode: JSON_TOO,
    refuse: only('authorization', `Basic ${Buffer.from('123456:glc_eyJvIjoiMSJ9+/=').toString('base64')}`),
    wrong: { zone: 'prod-eu-west-2', 'instance id': '123456', token: 'glc_wrong' },
    maxBytes: COLLECTOR_HTTP,
  },
  {
    // zipkin.io/zipkin-api, POST /spans: 202. Its server (Armeria) takes 10 MiB: openzipkin/zipkin#3416.
    heading: 'Zipkin',
    values: { host: 'zipkin' },
    path: '/api/v2/spans',
    decode: { 'application/json': decodeZipkin },
    status: 202,
    maxBytes: 10 * MIB,
  },
  {
    // elastic.co/docs/reference/opentelemetry/motlp: "Authorization: ApiKey <key>"; 413 is named, its size is not.
    heading: 'Elastic',
    values: { project: 'shop-1a2b', region: 'eu-west-1.aws', key: 'S2V5OnNlY3JldA==' },
    path: '/v1/traces',
    decode: JSON_TOO,
    refuse: only('authorization', 'ApiKey S2V5OnNlY3JldA=='),
    wrong: { project: 'shop-1a2b', region: 'eu-west-1.aws', key: 'd3Jvbmc6a2V5' },
    maxBytes: COLLECTOR_HTTP,
  },
  {
    // docs.honeycomb.io/send-data/opentelemetry: the header and the endpoints; no size is named for OTLP.
    heading: 'Honeycomb',
    values: { key: 'hcaik_01' },
    path: '/v1/traces',
    decode: JSON_TOO,
    refuse: only('x-honeycomb-team', 'hcaik_01'),
    wrong: { key: 'hcaik_wrong' },
    maxBytes: COLLECTOR_HTTP,
  },
  // docs.datadoghq.com/opentelemetry/setup/otlp_ingest_in_the_agent: the Collector's receiver.
  {
    heading: 'Datadog Agent',
    values: { host: 'agent' },
    path: '/v1/traces',
    decode: JSON_TOO,
    maxBytes: COLLECTOR_HTTP,
  },
  {
    // docs.datadoghq.com/opentelemetry/setup/otlp_ingest/traces: the three headers, http/protobuf only; 403 for a wrong key or
    // site. A size per request is enforced and not named there: half of what the Collector takes.
    heading: 'Datadog without an Agent',
    values: { site: 'datadoghq.eu', key: 'dd-key-1', source: 'shop' },
    path: '/v1/traces',
    decode: PROTOBUF,
    refuse: (headers) =>
      headers['dd-api-key'] === 'dd-key-1' && headers['dd-protocol'] === 'otlp' && headers['dd-otlp-source'] === 'shop'
        ? undefined
        : 403,
    wrong: { site: 'datadoghq.eu', key: 'dd-key-wrong', source: 'shop' },
    maxBytes: COLLECTOR_HTTP / 2,
  },
  {
    // docs.aws.amazon.com, CloudWatch-OTLPEndpoint: Signature Version 4 for `xray`, at most 5 MB.
    heading: 'AWS X-Ray',
    values: { region: 'eu-west-1' },
    path: '/v1/traces',
    decode: JSON_TOO,
    refuse: ({ authorization = '', 'x-amz-date': date }) =>
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/xray\/aws4_request, ?SignedHeaders=/.test(
        authorization,
      ) && date !== undefined
        ? undefined
        : 403,
    // The region is in the endpoint's name, which is another one here.
    environment: () => ({
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'not-to-be-seen',
      AWS_REGION: 'eu-west-1',
    }),
    maxBytes: 5_000_000,
    variable: 'HOOKLINE_OTLP_AUTH',
  },
  {
    // docs.cloud.google.com/stackdriver/docs/reference/telemetry: a bearer token; no size is named.
    heading: 'Google Cloud',
    values: { project: 'shop-1' },
    path: '/v1/traces',
    decode: JSON_TOO,
    refuse: only('authorization', 'Bearer from-metadata'),
    packages: ['google-auth-library@10.5.0'],
    environment: () => ({ GCE_METADATA_HOST: metadataAddress(), METADATA_SERVER_DETECTION: 'assume-present' }),
    maxBytes: COLLECTOR_HTTP,
    variable: 'HOOKLINE_OTLP_AUTH',
  },
  {
    // learn.microsoft.com/azure/azure-monitor, "OpenTelemetry Protocol ingestion": a bearer token; no size is named.
    heading: 'Azure Monitor',
    values: { 'collection endpoint': 'shop.eastus-1.ingest.monitor.azure.com', rule: 'dcr-1' },
    path: '/datacollectionRules/dcr-1/streams/Microsoft-OTLP-Traces/otlp/v1/traces',
    decode: PROTOBUF,
    refuse: only('authorization', 'Bearer from-metadata'),
    packages: ['@azure/identity@4.10.0'],
    environment: () => ({ IDENTITY_ENDPOINT: `http://${metadataAddress()}/msi`, IDENTITY_HEADER: 'x' }),
    maxBytes: COLLECTOR_HTTP,
    variable: 'HOOKLINE_OTLP_AUTH',
  },
];

/** Run by test/e2e/exporters-vendors.test.ts. */
const EXPORTERS = [
  'The X-Ray daemon over UDP',
  'Google Cloud by its exporter',
  'Azure Application Insights by its exporter',
  'Any other',
];

const VARIABLES = readFileSync(join(root, 'src', 'config.ts'), 'utf8');
const canRun = ({ variable }: Row): boolean => variable === undefined || VARIABLES.includes(`'${variable}'`);
for (const row of ROWS) if (!canRun(row)) console.log(`${row.heading} not run: there is no ${row.variable}`);

/** Ends naturally after about 10 MB of spans, five times what one batch holds. */
const LARGE_APP = `
const tracer = require(require.resolve('@opentelemetry/api', { paths: [process.cwd()] })).trace.getTracer('large');
const attributes = Object.fromEntries(Array.from({ length: 10 }, (_, i) => ['text' + i, 'ü'.repeat(5000)]));
for (let i = 0; i < 100; i++) tracer.startSpan('span ' + i, { attributes }).end();
`;
const LARGE_SPANS = 100;

const tls = createCertificate();

async function run(
  row: Row,
  options: {
    env?: Record<string, string>;
    values?: Record<string, string> | undefined;
    app?: string;
    maxBytes?: number;
  } = {},
) {
  const { env, packages } = runBlock(row.heading, options.values ?? row.values);
  const secure = Object.values(env).some((value) => value.includes('https://'));
  const backEnd: BackEnd<ReceivedSpan> = await startBackEnd({
    ...row,
    ...(secure && { tls }),
    ...(options.maxBytes !== undefined && { maxBytes: options.maxBytes }),
  });
  const folder = writeFolder({ 'ca.pem': tls.cert, 'app.cjs': options.app ?? '' });
  for (const name of row.packages ?? []) expect(packages).toContain(name.replace(/@[\d.]+$/, ''));
  try {
    const app = options.app === undefined ? 'test/e2e/fixtures/exporters-app/app.cjs' : join(folder, 'app.cjs');
    const result: RunResult = await runApp(app, {
      cwd: await testPackage('@opentelemetry/api@1.9.1', ...(row.packages ?? [])),
      receiver: false,
      env: {
        ROUNDS: '2',
        HOOKLINE_INDEX: join(root, 'dist', 'index.js'),
        OTEL_SERVICE_NAME: 'shop',
        HOOKLINE_EXIT_TIMEOUT: '20000',
        ...(secure && { OTEL_EXPORTER_OTLP_CERTIFICATE: join(folder, 'ca.pem') }),
        ...row.environment?.(),
        ...withHost(env, backEnd.port),
        ...options.env,
      },
    });
    return { ...result, backEnd };
  } finally {
    await backEnd.close();
  }
}

const ROUND = [
  'CLIENT GET',
  'SERVER GET',
  '  CLIENT GET [ERROR]',
  '    SERVER GET [ERROR]',
  'INTERNAL order',
  '  PRODUCER pack [ERROR]',
];

beforeAll(async () => {
  const answer = { access_token: 'from-metadata', token_type: 'Bearer', expires_in: 3600 };
  metadata = createServer((request, response) => {
    response.setHeader('metadata-flavor', 'Google').setHeader('content-type', 'application/json');
    // Azure's has the time of expiry where Google's has the seconds to it.
    response.end(JSON.stringify(request.url?.startsWith('/msi') ? { ...answer, expires_on: '4102444800' } : answer));
  }).listen(0, '127.0.0.1');
  await once(metadata, 'listening');
});
afterAll(() => metadata.close());

it('every block of docs/back-ends.md is run', () => {
  expect([...readBlocks().keys()].sort()).toEqual([...ROWS.map(({ heading }) => heading), ...EXPORTERS].sort());
});

it("README's links lead to headings that are there", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const page = readFileSync(join(root, 'docs', 'back-ends.md'), 'utf8');
  const anchors = [...page.matchAll(/^##+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replace(/[^a-z0-9]+/g, '-'),
  );
  const links = [...readme.matchAll(/\(docs\/back-ends\.md#([^)]+)\)/g)].map(([, anchor]) => anchor);
  expect(links.length).toBeGreaterThan(10);
  expect(anchors).toEqual(expect.arrayContaining(links));
});

describe.each(ROWS.filter(canRun))('the block for $heading', (row) => {
  it('brings every span there', async () => {
    const { backEnd, code, stdout, stderr } = await run(row);
    expect({ code, stdout, stderr }).toEqual({ ...(await runBare()), stderr: '' });
    expect(backEnd.problems).toEqual([]);
    expect(formatTree(backEnd.items).split('\n')).toEqual([...ROUND, ...ROUND]);
  });

  it.runIf(!row.heading.startsWith('Zipkin'))('takes it compressed', async () => {
    const { backEnd, stderr } = await run(row, { env: { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' } });
    expect({ stderr, problems: backEnd.problems }).toEqual({ stderr: '', problems: [] });
    expect(formatTree(backEnd.items).split('\n')).toEqual([...ROUND, ...ROUND]);
    const header = row.grpc ? 'grpc-encoding' : 'content-encoding';
    expect(backEnd.requests.map(({ headers }) => headers[header])).toContain('gzip');
  });

  it('never sends more at once than it takes', async () => {
    const { backEnd, code, stdout, stderr } = await run(row, { app: LARGE_APP });
    expect({ code, stdout, stderr, problems: backEnd.problems }).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
      problems: [],
    });
    expect(backEnd.items).toHaveLength(LARGE_SPANS);
  });

  it.runIf(row.wrong)('with wrong credentials says so and does not show them', async () => {
    const { backEnd, code, stdout, stderr } = await run(row, { values: row.wrong });
    expect({ code, stdout }).toEqual(await runBare());
    expect(backEnd.items).toEqual([]);
    // Of the first batch, and of all when the process ended.
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(
        /^hookline: traces are dropped: https:\S+ answered 40[13] \(see OTEL_EXPORTER_OTLP_HEADERS\)$/,
      ),
      expect.stringMatching(
        /^hookline: \d+ spans were not delivered to https:\S+ before the process ended \(export_failed \d+\)$/,
      ),
      '',
    ]);
    for (const [name, value] of Object.entries(row.wrong!)) {
      if (value !== row.values[name]) expect(stderr).not.toContain(value);
    }
  });
});

it.each(['OpenTelemetry Collector', 'The same over gRPC', 'Zipkin'])('%s that takes less says so', async (heading) => {
  const row = ROWS.find((candidate) => candidate.heading === heading)!;
  const { backEnd, code, stdout, stderr } = await run(row, { maxBytes: 1000 });
  expect({ code, stdout }).toEqual(await runBare());
  expect(backEnd.requests.map(({ status }) => status)).toContain(413);
  // Down to single spans, which are counted.
  expect(stderr).toMatch(/^hookline: dropping spans \(too_large 1\): a span takes more than the back end accepts/);
  expect(stderr).toMatch(/\d+ spans were not delivered to \S+ before the process ended \(too_large \d+\)\n$/);
});

/** As far as a tree shows them; a span of no kind is INTERNAL. */
function decodeZipkin(body: Buffer): ReceivedSpan[] {
  const list = JSON.parse(body.toString('utf8')) as Record<string, any>[];
  return list.map(({ traceId, id, parentId, name, kind = 'INTERNAL', timestamp, duration, tags }) => {
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(id).toMatch(/^[0-9a-f]{16}$/);
    for (const value of Object.values(tags)) expect(typeof value).toBe('string');
    const start = BigInt(timestamp) * 1000n;
    const span = { traceId, spanId: id, parentSpanId: parentId, name, kind, startTimeUnixNano: start };
    const status = { code: tags['otel.status_code'] ?? 'UNSET' };
    return { ...span, status, endTimeUnixNano: start + BigInt(duration) * 1000n } as ReceivedSpan;
  });
}
