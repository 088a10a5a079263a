import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BackEnd, startBackEnd } from '../support/back-end';
import { decodeTraceRequest, type ReceivedSpan } from '../support/otlp-decode';
import { decodeTraceJson } from '../support/otlp-json';
import { isAtLeast, nodeVersion, testPackage, writeFolder } from '../support/packages';
import { comparable, isVolatile, LINES, runBare, runWith, SPANS } from './exporters-support';

/** Decoded JSON is compared, not typed. */
type Json = any;

const OTLP = [
  { name: 'http', protocol: 'http/json', contentType: 'application/json', decode: decodeTraceJson },
  { name: 'proto', protocol: 'http/protobuf', contentType: 'application/x-protobuf', decode: decodeTraceRequest },
  { name: 'grpc', protocol: 'grpc', contentType: 'application/grpc', decode: decodeTraceRequest },
];

const PATHS = { http: '/v1/traces', grpc: '/opentelemetry.proto.collector.trace.v1.TraceService/Export' };

function startCollector({ protocol, contentType, decode }: (typeof OTLP)[number]): Promise<BackEnd<ReceivedSpan>> {
  const grpc = protocol === 'grpc';
  return startBackEnd({
    grpc,
    path: grpc ? PATHS.grpc : PATHS.http,
    decode: { [contentType]: decode },
    answer: protocol === 'http/json' ? '{}' : '',
  });
}

function withoutFlags(spans: ReturnType<typeof comparable>): ReturnType<typeof comparable> {
  return spans.map((span) => ({ ...span, flags: 0, links: span.links.map((link) => ({ ...link, flags: 0 })) }));
}

for (const { line, needs } of LINES) {
  if (!isAtLeast(nodeVersion, needs))
    console.log(`SDK ${line} not run: it needs Node.js ${needs}, this is ${nodeVersion}`);
}

describe.each(OTLP)('exporter-trace-otlp-$name', (form) => {
  let collector: BackEnd<ReceivedSpan>;
  let ours: ReturnType<typeof comparable>;

  beforeAll(async () => {
    const own = await startCollector(form);
    const { code, stdout, stderr } = await runWith(['@opentelemetry/api@1.9.1'], {
      OTEL_EXPORTER_OTLP_ENDPOINT: own.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: form.protocol,
    });
    expect({ code, stdout, stderr, problems: own.problems }).toEqual({
      ...(await runBare()),
      stderr: '',
      problems: [],
    });
    expect(own.items).toHaveLength(SPANS);
    ours = comparable(own.items);
    await own.close();
  });

  for (const { line, otlp, api, needs } of LINES) {
    it.runIf(isAtLeast(nodeVersion, needs))(`of SDK ${line} sends what we send`, async () => {
      collector = await startCollector(form);
      try {
        const name = `@opentelemetry/exporter-trace-otlp-${form.name}`;
        const { code, stdout, stderr } = await runWith([`${name}@${otlp}`, api], {
          OTEL_TRACES_EXPORTER: `${name}#OTLPTraceExporter`,
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        });
        expect({ code, stdout, stderr }).toEqual({ ...(await runBare()), stderr: '' });
        // The second request would hold spans of the first.
        expect(collector.requests.length).toBeGreaterThan(1);
        expect(collector.problems).toEqual([]);
        // The exporters of 1.x have no flags.
        const said = (spans: typeof ours) => (line === '1.x' ? withoutFlags(spans) : spans);
        expect(said(comparable(collector.items))).toEqual(said(ours));
      } finally {
        await collector.close();
      }
    });
  }
});

describe('exporter-zipkin', () => {
  const startZipkin = () =>
    startBackEnd<Json>({
      path: '/api/v2/spans',
      decode: { 'application/json': (body) => JSON.parse(body.toString('utf8')) },
      status: 202,
    });

  /**
   * What both say, in the same words. The official one has no remote endpoint, lists as `a,b`, events without their attributes,
   * no `error` for a failure without a message, the service's name as a tag once more, and no scope or one of its own.
   */
  const common = (spans: readonly Json[]) => {
    const names = new Map(spans.map(({ id, kind, name }) => [id, `${kind} ${name}`]));
    const said = ([key, value]: [string, unknown]) =>
      !isVolatile(key) &&
      !/^list$|^service\.name$|^otel\.(scope|library)\.|_args$/.test(key) &&
      `${key}${value}` !== 'error';
    return spans
      .map(({ name, kind, parentId, localEndpoint, annotations = [], tags }) => ({
        name,
        kind,
        parent: names.get(parentId) ?? parentId,
        localEndpoint,
        annotations: annotations.map(({ value }: Json) => value.replace(/^"(\w+)": .*$/, '$1')),
        tags: Object.fromEntries(Object.entries(tags).filter(said)),
      }))
      .sort((a, b) => `${a.kind}${a.name}${a.parent}`.localeCompare(`${b.kind}${b.name}${b.parent}`));
  };

  for (const { line, zipkin, api, needs } of LINES) {
    it.runIf(isAtLeast(nodeVersion, needs))(`of SDK ${line} sends what we send, where it says it at all`, async () => {
      const [theirs, ours] = await Promise.all([startZipkin(), startZipkin()]);
      const packages: [string, string] = [`@opentelemetry/exporter-zipkin@${zipkin}`, api];
      const { code, stdout, stderr } = await runWith(packages, {
        OTEL_TRACES_EXPORTER: '@opentelemetry/exporter-zipkin#ZipkinExporter',
        OTEL_EXPORTER_ZIPKIN_ENDPOINT: `${theirs.url}/api/v2/spans`,
      });
      await runWith(packages, {
        OTEL_TRACES_EXPORTER: 'zipkin',
        OTEL_EXPORTER_ZIPKIN_ENDPOINT: `${ours.url}/api/v2/spans`,
      });
      await Promise.all([theirs.close(), ours.close()]);
      expect({ code, stdout, stderr }).toEqual({ ...(await runBare()), stderr: '' });
      expect([...theirs.problems, ...ours.problems]).toEqual([]);
      expect(theirs.items).toHaveLength(SPANS);
      expect(common(theirs.items)).toEqual(common(ours.items));
    });
  }
});

describe('several at once', () => {
  const collectors: BackEnd<ReceivedSpan>[] = [];
  afterAll(() => Promise.all(collectors.map((collector) => collector.close())));

  it('are independent of each other, whatever one of them does', async () => {
    for (const form of OTLP.slice(0, 2)) collectors.push(await startCollector(form));
    const [json, binary] = collectors.slice(-2) as [BackEnd<ReceivedSpan>, BackEnd<ReceivedSpan>];
    const packages = await testPackage('@opentelemetry/exporter-trace-otlp-http@0.223.0', '@opentelemetry/api@1.9.1');
    const official = `${packages}/node_modules/@opentelemetry/exporter-trace-otlp-http#OTLPTraceExporter`;
    const folder = writeFolder({
      // Wrappers that redact do this.
      'writes.cjs': `module.exports = class { export(spans, done) {
        for (const span of spans) { span.name = 'spoilt'; span.attributes.list?.push('spoilt'); delete span.attributes.text; }
        done({ code: 0 });
      } };`,
      'throws.cjs': `module.exports = class { export() { throw new Error('no way'); } };`,
      'rejects.cjs': `module.exports = class { async export() { throw new Error('not now'); } };`,
      'never.cjs': `module.exports = class { export() {} };`,
      'no-exporter.cjs': 'module.exports = class {};',
    });
    const modules = ['writes', 'throws', 'rejects', 'never', 'no-exporter', 'missing'].map(
      (name) => `${folder}/${name}.cjs`,
    );
    const { code, stdout, stderr } = await runWith(['@opentelemetry/api@1.9.1'], {
      OTEL_TRACES_EXPORTER: [...modules, 'otlp', official].join(),
      OTEL_EXPORTER_OTLP_ENDPOINT: binary.url,
      OTEL_BSP_EXPORT_TIMEOUT: '500',
      HOOKLINE_EXPORTER_OPTIONS: JSON.stringify({ [official]: { url: `${json.url}/v1/traces` } }),
    });
    expect({ code, stdout }).toEqual(await runBare());
    expect([...json.problems, ...binary.problems]).toEqual([]);
    expect(binary.items).toHaveLength(SPANS);
    expect(comparable(json.items)).toEqual(comparable(binary.items));
    expect(JSON.stringify(comparable(json.items))).not.toContain('spoilt');
    const lines = stderr
      .trimEnd()
      .split('\n')
      .map((text) => text.replaceAll(`${folder}/`, ''));
    const lost = ['throws', 'rejects', 'never', 'no-exporter', 'missing'].map(
      (name) => `${SPANS} spans were not delivered by ${name}.cjs before the process ended (export_failed ${SPANS})`,
    );
    expect(lines.pop()).toBe(`hookline: ${lost.join('; ')}`);
    expect(lines.sort()).toEqual(
      [
        'hookline: exporter never.cjs failed: no answer within 500 ms',
        expect.stringMatching(/^hookline: exporter missing\.cjs cannot be used: Cannot find module/),
        'hookline: exporter no-exporter.cjs cannot be used: what it exports has no export() method',
        'hookline: exporter rejects.cjs failed: not now',
        'hookline: exporter throws.cjs failed: no way',
      ].sort(),
    );
  });
});
