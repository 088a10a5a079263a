import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BackEnd, startBackEnd } from '../support/back-end';
import { type Block, runBlock, withHost } from '../support/back-ends-page';
import { createCertificate } from '../support/certificate';
import { decodeTraceRequest } from '../support/otlp-decode';
import { decodeTraceJson } from '../support/otlp-json';
import { type OtlpReceiver, type ReceivedSpan, startReceiver } from '../support/otlp-receiver';
import { isAtLeast, nodeVersion, testPackage, writeFolder } from '../support/packages';
import { runBare, runWith, SPANS } from './exporters-support';

/** Decoded payloads are compared, not typed. */
type Json = any;

const API = '@opentelemetry/api@1.9.1';

/** Takes the same spans from the same process, so ids and times can be compared. */
let ours: OtlpReceiver;
beforeAll(async () => {
  ours = await startReceiver();
});
afterAll(() => ours.close());

/** Runs the application with two exporters: the one of a block of docs/back-ends.md, and our own beside it. */
async function runBoth(
  { packages, env }: Block,
  versions: readonly [string, ...string[]],
  environment: Record<string, string>,
  moreOptions?: object,
) {
  const [first] = versions;
  expect(packages.map((name) => (name === first ? first : `${name}${first.slice(first.lastIndexOf('@'))}`))).toEqual([
    first,
  ]);
  const { OTEL_TRACES_EXPORTER: exporter = '', HOOKLINE_EXPORTER_OPTIONS: given } = env;
  const options = moreOptions && { [exporter]: { ...(given && JSON.parse(given)[exporter]), ...moreOptions } };
  ours.clear();
  const result = await runWith(versions, {
    OTEL_EXPORTER_OTLP_ENDPOINT: ours.url,
    ...env,
    OTEL_TRACES_EXPORTER: `${exporter},otlp`,
    ...(options && { HOOKLINE_EXPORTER_OPTIONS: JSON.stringify(options) }),
    ...environment,
  });
  expect({ code: result.code, stdout: result.stdout }).toEqual(await runBare());
  // Also no span of the exporters' own requests.
  expect(ours.spans).toHaveLength(SPANS);
  return result;
}

interface Identity {
  trace: string;
  id: string;
  parent: string | undefined;
  name: string;
}

const identityOf = ({ traceId, spanId, parentSpanId, name }: ReceivedSpan): Identity => ({
  trace: traceId,
  id: spanId,
  parent: parentSpanId,
  name,
});

const sorted = <Item extends { id: string }>(items: readonly Item[]): Item[] =>
  [...items].sort((a, b) => a.id.localeCompare(b.id));

const nanoseconds = ({ seconds = 0, nanos = 0 }: Json): bigint => BigInt(seconds) * 1_000_000_000n + BigInt(nanos);

describe('Azure Monitor', () => {
  const NEEDS = '22.0';
  const supported = isAtLeast(nodeVersion, NEEDS);
  if (!supported) console.log(`Azure Monitor not run: it needs Node.js ${NEEDS}, this is ${nodeVersion}`);

  it.runIf(supported)('gets every span once, although its exporter answers twice', async () => {
    const tls = createCertificate();
    const folder = writeFolder({ 'ca.pem': tls.cert });
    const azure: BackEnd<Json> = await startBackEnd({
      tls,
      path: '/v2.1/track',
      decode: { 'application/json': (body) => JSON.parse(body.toString('utf8')) },
      answer: '{"itemsReceived":1,"itemsAccepted":1,"errors":[]}',
    });
    const values = { key: '00000000-0000-0000-0000-000000000001', region: 'westeurope-5' };
    const block = runBlock('Azure Application Insights by its exporter', values);
    const { stderr } = await runBoth(
      { ...block, env: withHost(block.env, azure.port) },
      ['@azure/monitor-opentelemetry-exporter@1.0.0-beta.45', API],
      { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') },
      { storageDirectory: folder },
    );
    await azure.close();
    expect({ stderr, problems: azure.problems }).toEqual({ stderr: '', problems: [] });
    const spans = azure.items.filter(({ data }: Json) => /^(Request|RemoteDependency)Data$/.test(data.baseType));
    const identities = spans.map(({ tags, data }: Json) => ({
      trace: tags['ai.operation.id'],
      id: data.baseData.id,
      parent: tags['ai.operation.parentId'],
      success: data.baseData.success,
      code: data.baseData.responseCode ?? data.baseData.resultCode,
    }));
    expect(sorted(identities)).toEqual(
      sorted(
        ours.spans.map((span) => {
          const { name: _name, ...identity } = identityOf(span);
          const code = span.attributes['http.response.status_code'];
          return {
            ...identity,
            success: span.status.code !== 'ERROR',
            code: code === undefined ? expect.anything() : String(code),
          };
        }),
      ),
    );
    const order = spans.find(({ data }: Json) => data.baseData.name === 'order');
    expect(order.data.baseData.properties).toMatchObject({ text: 'ü"', int: '5', list: '["a","b"]' });
  });
});

describe('Google Cloud Trace', () => {
  it('gets every span, with credentials of the metadata server', async () => {
    const packages: [string, string] = ['@google-cloud/opentelemetry-cloud-trace-exporter@3.1.0', API];
    const name = '@google-cloud/opentelemetry-cloud-trace-exporter';
    const protos = join(await testPackage(...packages), 'node_modules', name, 'build/protos/protos.json');
    const type = protobuf.Root.fromJSON(JSON.parse(readFileSync(protos, 'utf8'))).lookupType(
      'google.devtools.cloudtrace.v2.BatchWriteSpansRequest',
    );
    const decode = (body: Buffer): Json[] =>
      type.toObject(type.decode(body), { longs: String, enums: String })['spans'];
    const tls = createCertificate();
    const folder = writeFolder({ 'ca.pem': tls.cert });
    const google = await startBackEnd<Json>({
      grpc: true,
      tls,
      path: '/google.devtools.cloudtrace.v2.TraceService/BatchWriteSpans',
      decode: { 'application/grpc': decode },
      refuse: ({ authorization }) => (authorization === 'Bearer from-metadata' ? undefined : 401),
    });
    const metadata = createServer((_request, response) => {
      response.setHeader('metadata-flavor', 'Google').setHeader('content-type', 'application/json');
      response.end('{"access_token":"from-metadata","expires_in":3600,"token_type":"Bearer"}');
    }).listen(0, '127.0.0.1');
    await once(metadata, 'listening');
    const { stderr } = await runBoth(
      runBlock('Google Cloud by its exporter', { project: 'shop-1' }),
      packages,
      {
        // Where operators point it elsewhere: the metadata server for credentials, gRPC's root certificates for the connection.
        GCE_METADATA_HOST: `127.0.0.1:${(metadata.address() as AddressInfo).port}`,
        METADATA_SERVER_DETECTION: 'assume-present',
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: join(folder, 'ca.pem'),
        NODE_OPTIONS: '--no-deprecation',
      },
      { apiEndpoint: `localhost:${google.port}` },
    );
    await google.close();
    metadata.close();
    expect({ stderr, problems: google.problems }).toEqual({ stderr: '', problems: [] });
    const theirs = google.items.map((span) => ({
      trace: span.name.split('/')[3],
      id: span.spanId,
      parent: span.parentSpanId,
      name: span.displayName.value,
      kind: span.spanKind,
      start: nanoseconds(span.startTime),
      end: nanoseconds(span.endTime),
      failed: span.status?.code === 2,
    }));
    expect(sorted(theirs)).toEqual(
      sorted(
        ours.spans.map((span) => ({
          ...identityOf(span),
          kind: span.kind,
          start: span.startTimeUnixNano,
          end: span.endTimeUnixNano,
          failed: span.status.code === 'ERROR',
        })),
      ),
    );
    const order = google.items.find(({ displayName }) => displayName.value === 'order');
    expect(order.attributes.attributeMap).toMatchObject({
      text: { stringValue: { value: 'ü"' } },
      big: { intValue: '9007199254740991' },
      on: { boolValue: true },
    });
    expect(order.links.link).toMatchObject([{ traceId: '1'.repeat(32), spanId: '2'.repeat(16) }]);
  });
});

describe('the X-Ray daemon over UDP', () => {
  it('gets the same bytes as an OTLP collector', async () => {
    const daemon = createSocket('udp4');
    const spans: ReceivedSpan[] = [];
    daemon.on('message', (packet) => {
      const [head, body = ''] = packet.toString('utf8').split('\n');
      expect(JSON.parse(head!)).toEqual({ format: 'json', version: 1 });
      expect(body.slice(0, 3)).toBe('T1S');
      spans.push(...decodeTraceRequest(Buffer.from(body.slice(3), 'base64')));
    });
    daemon.bind(0, '127.0.0.1');
    await once(daemon, 'listening');
    const block = runBlock('The X-Ray daemon over UDP', { host: '127.0.0.1' });
    const options = block.env['HOOKLINE_EXPORTER_OPTIONS']!.replace(':2000"', `:${daemon.address().port}"`);
    const { stderr } = await runBoth(block, ['@aws/aws-distro-opentelemetry-exporter-xray-udp@0.0.2', API], {
      HOOKLINE_EXPORTER_OPTIONS: options,
    });
    // Nobody acknowledges a packet.
    await expect.poll(() => spans.length, { timeout: 10_000 }).toBe(SPANS);
    daemon.close();
    expect(stderr).toBe('');
    // It is built on SDK 1.x, which has no flags.
    const said = (list: readonly ReceivedSpan[]) =>
      list.map(({ flags: _flags, spanId: id, links, ...span }) => ({
        id,
        ...span,
        links: links.map((link) => ({ ...link, flags: 0 })),
      }));
    expect(sorted(said(spans))).toEqual(sorted(said(ours.spans)));
  });
});

describe.each(['1.30.1', '2.11.0'])('Jaeger over Thrift, exporter %s', (version) => {
  it('gets every span', async () => {
    const jaeger = await startBackEnd<Json>({
      path: '/api/traces',
      decode: { 'application/x-thrift': (body) => decodeBatch(body) },
      status: 202,
    });
    const name = '@opentelemetry/exporter-jaeger';
    const env = {
      OTEL_TRACES_EXPORTER: `${name}#JaegerExporter`,
      OTEL_EXPORTER_JAEGER_ENDPOINT: `${jaeger.url}/api/traces`,
    };
    const { stderr } = await runBoth({ packages: [name], env }, [`${name}@${version}`, API], {});
    await jaeger.close();
    expect({ stderr, problems: jaeger.problems }).toEqual({ stderr: '', problems: [] });
    expect(sorted(jaeger.items)).toEqual(sorted(ours.spans.map(identityOf)));
  });
});

describe('any other exporter', () => {
  it('is installed, named and given its options', async () => {
    const tls = createCertificate();
    const folder = writeFolder({ 'ca.pem': tls.cert });
    const backEnd = await startBackEnd({
      tls,
      path: '/v1/traces',
      decode: { 'application/json': decodeTraceJson },
      answer: '{}',
    });
    const block = runBlock('Any other', { host: 'traces.example' });
    const { stderr } = await runBoth(
      { ...block, env: withHost(block.env, backEnd.port) },
      ['@opentelemetry/exporter-trace-otlp-http@0.223.0', API],
      { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') },
    );
    await backEnd.close();
    expect({ stderr, problems: backEnd.problems }).toEqual({ stderr: '', problems: [] });
    const identified = (spans: readonly ReceivedSpan[]) => sorted(spans.map((span) => ({ id: span.spanId, ...span })));
    expect(identified(backEnd.items)).toEqual(identified(ours.spans));
  });
});

/** Spans of a `jaeger.thrift` Batch in Thrift's binary protocol. */
function decodeBatch(body: Buffer): Identity[] {
  let at = 0;
  const take = (size: number): Buffer => {
    at += size;
    return body.subarray(at - size, at);
  };
  const readers: Record<number, () => Json> = {
    2: () => take(1)[0] === 1,
    3: () => take(1).readInt8(),
    4: () => take(8).readDoubleBE(),
    6: () => take(2).readInt16BE(),
    8: () => take(4).readInt32BE(),
    10: () => take(8).toString('hex'),
    11: () => take(take(4).readInt32BE()).toString('utf8'),
    12: () => {
      const struct: Record<number, Json> = {};
      for (let type = take(1)[0]!; type !== 0; type = take(1)[0]!) struct[take(2).readInt16BE()] = readers[type]!();
      return struct;
    },
    15: () => {
      const type = take(1)[0]!;
      return Array.from({ length: take(4).readInt32BE() }, () => readers[type]!());
    },
  };
  const { 1: process, 2: spans } = readers[12]!();
  expect(process[1]).toBe('shop');
  return spans.map((span: Json) => ({
    trace: `${span[2]}${span[1]}`,
    id: span[3],
    parent: /^0*$/.test(span[4]) ? undefined : span[4],
    name: span[5],
  }));
}
