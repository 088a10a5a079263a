import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TextMapPropagator } from '@opentelemetry/api';
import { beforeAll, describe, expect, it } from 'vitest';
import { createPropagator } from '../../src/propagation/composite';
import { loadPropagator } from '../../src/propagation/load';
import { ROOT_CONTEXT, type TraceContext } from '../../src/trace/context';
import { testPackage, writeFolder } from '../support/packages';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
/** The lower half of TRACE, and SPAN, in decimal. */
const TRACE_DECIMAL = '9532127138774266268';
const SPAN_DECIMAL = '13235353014750950193';

type Headers = Record<string, string | readonly string[]>;

function extract(name: string, headers: Headers): TraceContext {
  return loadPropagator(name).extract(ROOT_CONTEXT, (field) => headers[field]);
}

function inject(name: string, context: TraceContext): Record<string, string> {
  const headers: Record<string, string> = {};
  loadPropagator(name).inject(context, (field, value) => {
    headers[field] = value;
  });
  return headers;
}

/** `trace-span-sampled`, or nothing. */
function told({ identity }: TraceContext): string | undefined {
  return identity && `${identity.traceId}-${identity.spanId}-${identity.sampled ? 1 : 0}`;
}

const FULL = `${TRACE}-${SPAN}`;
const SHORT = `0000000000000000${TRACE.slice(16)}-${SPAN}`;

const READ: readonly [string, Headers, string | undefined][] = [
  ['b3', { b3: `${FULL}-1-05e3ac9a4f6e3b90` }, `${FULL}-1`],
  ['b3', { b3: `${FULL}-0` }, `${FULL}-0`],
  ['b3', { b3: `${FULL}-d` }, `${FULL}-1`],
  ['b3', { b3: FULL }, `${FULL}-0`],
  ['b3', { b3: FULL.toUpperCase() }, `${FULL}-0`],
  ['b3', { b3: `${TRACE.slice(16)}-${SPAN}-1` }, `${SHORT}-1`],
  ['b3', { b3: '0' }, undefined],
  ['b3', { b3: `${TRACE}x-${SPAN}-1` }, undefined],
  ['b3', { b3: `${TRACE}-${'0'.repeat(16)}-1` }, undefined],
  ['b3', { b3: [`${FULL}-1`, `${FULL}-0`] }, undefined],
  ['b3', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' }, `${FULL}-1`],
  ['b3', { b3: 'nonsense', 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN }, `${FULL}-0`],
  ['b3multi', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': 'True' }, `${FULL}-1`],
  ['b3multi', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-flags': '1' }, `${FULL}-1`],
  ['b3multi', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '0' }, `${FULL}-0`],
  ['b3multi', { 'x-b3-traceid': TRACE.slice(1), 'x-b3-spanid': SPAN }, undefined],
  ['b3multi', { 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' }, undefined],
  ['b3multi', { b3: `${FULL}-1` }, `${FULL}-1`],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0:01` }, `${FULL}-1`],
  ['jaeger', { 'uber-trace-id': `${TRACE}%3A${SPAN}%3a0%3A1` }, `${FULL}-1`],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0:3` }, `${FULL}-1`],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0:2` }, `${FULL}-1`],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0:0` }, `${FULL}-0`],
  ['jaeger', { 'uber-trace-id': '1:2:0:1' }, `${'1'.padStart(32, '0')}-${'2'.padStart(16, '0')}-1`],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0` }, undefined],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0:1:2` }, undefined],
  ['jaeger', { 'uber-trace-id': `${TRACE}0:${SPAN}:0:1` }, undefined],
  ['jaeger', { 'uber-trace-id': ':::' }, undefined],
  ['jaeger', { 'uber-trace-id': '%E0%A4%A' }, undefined],
  ['xray', { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${SPAN};Sampled=1` }, `${FULL}-1`],
  ['xray', { 'x-amzn-trace-id': `Sampled=0; Parent=${SPAN}; root=1-0af76519-16cd43dd8448eb211c80319c` }, `${FULL}-0`],
  ['xray', { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${SPAN}` }, `${FULL}-0`],
  ['xray', { 'x-amzn-trace-id': `Self=1;Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${SPAN};A=b` }, `${FULL}-0`],
  ['xray', { 'x-amzn-trace-id': 'Root=1-0af76519-16cd43dd8448eb211c80319c' }, undefined],
  ['xray', { 'x-amzn-trace-id': `Root=2-0af76519-16cd43dd8448eb211c80319c;Parent=${SPAN}` }, undefined],
  [
    'xray',
    { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${SPAN};${'x'.repeat(1024)}` },
    undefined,
  ],
  [
    'ottrace',
    { 'ot-tracer-traceid': TRACE.slice(16), 'ot-tracer-spanid': SPAN, 'ot-tracer-sampled': 'true' },
    `${SHORT}-1`,
  ],
  ['ottrace', { 'ot-tracer-traceid': TRACE, 'ot-tracer-spanid': SPAN, 'ot-tracer-sampled': 'false' }, `${FULL}-0`],
  ['ottrace', { 'ot-tracer-traceid': '', 'ot-tracer-spanid': SPAN }, undefined],
  [
    'datadog',
    {
      'x-datadog-trace-id': TRACE_DECIMAL,
      'x-datadog-parent-id': SPAN_DECIMAL,
      'x-datadog-sampling-priority': '2',
      'x-datadog-tags': `_dd.p.dm=-1,_dd.p.tid=${TRACE.slice(0, 16)}`,
    },
    `${FULL}-1`,
  ],
  [
    'datadog',
    { 'x-datadog-trace-id': TRACE_DECIMAL, 'x-datadog-parent-id': SPAN_DECIMAL, 'x-datadog-sampling-priority': '-1' },
    `${SHORT}-0`,
  ],
  ['datadog', { 'x-datadog-trace-id': '18446744073709551616', 'x-datadog-parent-id': SPAN_DECIMAL }, undefined],
  ['datadog', { 'x-datadog-trace-id': '0', 'x-datadog-parent-id': SPAN_DECIMAL }, undefined],
  ['datadog', { 'x-datadog-trace-id': '-1', 'x-datadog-parent-id': SPAN_DECIMAL }, undefined],
  ['datadog', { 'x-datadog-trace-id': '9'.repeat(100_000), 'x-datadog-parent-id': SPAN_DECIMAL }, undefined],
  ['gcp', { 'x-cloud-trace-context': `${TRACE}/${SPAN_DECIMAL};o=1` }, `${FULL}-1`],
  ['gcp', { 'x-cloud-trace-context': `${TRACE}/${SPAN_DECIMAL};o=3` }, `${FULL}-1`],
  ['gcp', { 'x-cloud-trace-context': `${TRACE}/${SPAN_DECIMAL};o=0` }, `${FULL}-0`],
  ['gcp', { 'x-cloud-trace-context': `${TRACE}/${SPAN_DECIMAL}` }, `${FULL}-0`],
  ['gcp', { 'x-cloud-trace-context': `${TRACE}/0;o=1` }, undefined],
  ['gcp', { 'x-cloud-trace-context': TRACE }, undefined],
];

describe('reading', () => {
  it.each(READ)('%s: %j', (name, headers, expected) => {
    expect(told(extract(name, headers))).toBe(expected);
  });

  it('leaves a context alone when there is nothing', () => {
    for (const name of ['b3', 'b3multi', 'jaeger', 'xray', 'ottrace', 'datadog', 'gcp']) {
      expect(extract(name, {})).toBe(ROOT_CONTEXT);
    }
  });

  it('never throws, whatever comes', () => {
    const fields = READ.flatMap(([, headers]) => Object.keys(headers));
    const values = READ.flatMap(([, headers]) => Object.values(headers)).flat();
    let state = 42;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state % below;
    };
    for (let i = 0; i < 20_000; i++) {
      const value = String(values[random(values.length)]);
      const at = random(value.length + 1);
      const junk = String.fromCharCode(random(0x300), random(0x80), random(0x80));
      const mangled = value.slice(0, at) + junk + value.slice(at + random(3));
      for (const name of ['b3', 'jaeger', 'xray', 'ottrace', 'datadog', 'gcp']) {
        const context = extract(name, { [fields[random(fields.length)] as string]: mangled });
        if (context.identity !== undefined) expect(told(context)).toMatch(/^[0-9a-f]{32}-[0-9a-f]{16}-[01]$/);
      }
    }
  });
});

describe('bounds', () => {
  // The longest header that is read, by what each format says of itself, and one character more.
  const datadog = (tags: string): Headers => ({
    'x-datadog-trace-id': TRACE_DECIMAL,
    'x-datadog-parent-id': SPAN_DECIMAL,
    'x-datadog-sampling-priority': '1',
    'x-datadog-tags': tags,
  });
  const tid = `_dd.p.tid=${TRACE.slice(0, 16)}`;
  const xray = `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${SPAN};Sampled=1;`;

  it.each<[string, Headers, string, Headers, string | undefined]>([
    [
      'x-datadog-tags: 512',
      datadog(`${tid},${'x'.repeat(511 - tid.length)}`),
      'datadog',
      datadog(`${tid},${'x'.repeat(512 - tid.length)}`),
      `${SHORT}-1`,
    ],
    [
      'x-amzn-trace-id: 1024',
      { 'x-amzn-trace-id': xray.padEnd(1024, 'x') },
      'xray',
      { 'x-amzn-trace-id': xray.padEnd(1025, 'x') },
      undefined,
    ],
    [
      'uber-trace-id: ids of 32 and 16',
      { 'uber-trace-id': `${TRACE}:${SPAN}:0:1` },
      'jaeger',
      { 'uber-trace-id': `${TRACE}:0${SPAN}:0:1` },
      undefined,
    ],
    [
      'uber-trace-id: flags of two digits',
      { 'uber-trace-id': `${TRACE}:${SPAN}:0:01` },
      'jaeger',
      { 'uber-trace-id': `${TRACE}:${SPAN}:0:001` },
      undefined,
    ],
    ['b3: ids of 32 and 16', { b3: `${FULL}-1` }, 'b3', { b3: `${FULL}0-1` }, undefined],
    [
      'x-cloud-trace-context: a span of 20 digits',
      { 'x-cloud-trace-context': `${TRACE}/${SPAN_DECIMAL.padStart(20, '0')};o=1` },
      'gcp',
      { 'x-cloud-trace-context': `${TRACE}/${SPAN_DECIMAL.padStart(21, '0')};o=1` },
      undefined,
    ],
    [
      'ot-tracer: ids of 32 and 16',
      { 'ot-tracer-traceid': TRACE, 'ot-tracer-spanid': SPAN, 'ot-tracer-sampled': 'true' },
      'ottrace',
      { 'ot-tracer-traceid': `0${TRACE}`, 'ot-tracer-spanid': SPAN, 'ot-tracer-sampled': 'true' },
      undefined,
    ],
  ])('%s', (_title, longest, name, tooLong, left) => {
    expect(told(extract(name, longest))).toBe(`${FULL}-1`);
    expect(told(extract(name, tooLong))).toBe(left);
  });

  it('what comes in with line ends never goes out with them', () => {
    const headers = READ.flatMap(([name, headers]) =>
      Object.entries(headers).map((entry) => [name, ...entry] as const),
    );
    for (const [name, field, value] of headers) {
      for (const junk of ['\r\nx-admin: 1', '\n', '\u0000', '\u007f', '\t']) {
        const context = extract(name, {
          ...READ.find(([other]) => other === name)?.[1],
          [field]: `${String(value)}${junk}`,
        });
        for (const text of Object.values(inject(name, context))) expect(text).toMatch(/^[\x20-\x7e]*$/);
      }
    }
  });

  it("a module's propagator sets nothing that is no header either", () => {
    const folder = writeFolder({
      'echo.cjs': `
exports.inject = (context, carrier, setter) => {
  setter.set(carrier, 'x-bad', 'a\\r\\nx-admin: 1');
  setter.set(carrier, 'X-Good', 'a b');
  setter.set(carrier, 'x-tab', 'a\\tb');
};
exports.extract = (context) => context;
exports.fields = () => ['x-bad', 'x-good', 'x-tab'];`,
    });
    expect(inject(`${folder}/echo.cjs`, ROOT_CONTEXT)).toEqual({ 'x-good': 'a b' });
  });
});

describe('writing', () => {
  const context = extract('b3', { b3: `${FULL}-1` });
  const unsampled = extract('b3', { b3: `${FULL}-0` });

  it.each([
    ['b3', { b3: `${FULL}-1` }],
    ['b3multi', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' }],
    ['jaeger', { 'uber-trace-id': `${TRACE}:${SPAN}:0:01` }],
    ['xray', { 'x-amzn-trace-id': `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${SPAN};Sampled=1` }],
    ['ottrace', { 'ot-tracer-traceid': TRACE.slice(16), 'ot-tracer-spanid': SPAN, 'ot-tracer-sampled': 'true' }],
    [
      'datadog',
      {
        'x-datadog-trace-id': TRACE_DECIMAL,
        'x-datadog-parent-id': SPAN_DECIMAL,
        'x-datadog-sampling-priority': '1',
        'x-datadog-tags': `_dd.p.tid=${TRACE.slice(0, 16)}`,
      },
    ],
    ['gcp', { 'x-cloud-trace-context': `${TRACE}/${SPAN_DECIMAL};o=1` }],
  ])('%s', (name, expected) => {
    expect(inject(name, context)).toEqual(expected);
    expect(Object.keys(expected)).toEqual(loadPropagator(name).fields.filter((field) => field in expected));
    expect(told(extract(name, inject(name, unsampled)))).toMatch(/-0$/);
    expect(inject(name, ROOT_CONTEXT)).toEqual({});
  });

  it('keeps the debug flag of b3, in both forms', () => {
    const debugged = extract('b3multi', { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-flags': '1' });
    expect(inject('b3', debugged)).toEqual({ b3: `${FULL}-d` });
    expect(inject('b3multi', debugged)).toEqual({ 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-flags': '1' });
  });

  it('survives a carrier that refuses', () => {
    loadPropagator('b3').inject(context, () => {
      throw new Error('on purpose');
    });
  });
});

describe('several at once', () => {
  const several = createPropagator(['xray', 'b3', 'tracecontext', 'baggage'], loadPropagator);
  const xray = `Root=1-${'1'.repeat(8)}-${'1'.repeat(24)};Parent=${'2'.repeat(16)};Sampled=1`;

  it('the first that finds a trace has found it, and baggage is read all the same', () => {
    const headers: Headers = { 'x-amzn-trace-id': xray, b3: `${FULL}-1`, baggage: 'a=1' };
    const context = several.extract(ROOT_CONTEXT, (field) => headers[field]);
    expect(told(context)).toBe(`${'1'.repeat(32)}-${'2'.repeat(16)}-1`);
    const sent: Record<string, string> = {};
    several.inject(context, (field, value) => {
      sent[field] = value;
    });
    expect(sent).toEqual({
      'x-amzn-trace-id': xray,
      b3: `${'1'.repeat(32)}-${'2'.repeat(16)}-1`,
      traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
      baggage: 'a=1',
    });
  });

  it('later ones are used where the first finds nothing', () => {
    const headers: Headers = { 'x-amzn-trace-id': 'Root=', traceparent: `00-${FULL}-01`, b3: 'x' };
    expect(told(several.extract(ROOT_CONTEXT, (field) => headers[field]))).toBe(`${FULL}-1`);
  });

  it('name each field once', () => {
    expect(several.fields).toEqual(['x-amzn-trace-id', 'b3', 'traceparent', 'tracestate', 'baggage']);
  });
});

describe('unmodified propagators of others', () => {
  const PACKAGES = [
    ['b3', '@opentelemetry/propagator-b3@2.9.0', 'B3Propagator'],
    ['jaeger', '@opentelemetry/propagator-jaeger@2.9.0', 'JaegerPropagator'],
    ['xray', '@opentelemetry/propagator-aws-xray@2.2.0', 'AWSXRayPropagator'],
    ['ottrace', '@opentelemetry/propagator-ot-trace@0.29.0', 'OTTracePropagator'],
  ] as const;
  const folders = new Map<string, string>();

  beforeAll(async () => {
    for (const [, spec] of PACKAGES) folders.set(spec, await testPackage(spec, '@opentelemetry/api@1.9.1'));
  });

  it.each(PACKAGES)('%s reads what ours writes, and ours reads what theirs writes', (name, spec, exportName) => {
    const path = join(folders.get(spec) as string, 'node_modules', spec.slice(0, spec.lastIndexOf('@')));
    const theirs = `${path}#${exportName}`;
    for (const state of ['1', '0']) {
      const context = extract('b3', { b3: `${FULL}-${state}` });
      const expected = name === 'ottrace' ? `${SHORT}-${state}` : `${FULL}-${state}`;
      expect(told(extract(theirs, inject(name, context)))).toBe(expected);
      expect(told(extract(name, inject(theirs, context)))).toBe(expected);
    }
    const exports = createRequire(join(path, 'noop.js'))(path) as Record<string, new () => TextMapPropagator>;
    const own = new (exports[exportName] as new () => TextMapPropagator)();
    for (const field of own.fields()) expect(loadPropagator(theirs).fields).toContain(field.toLowerCase());
  });
});
