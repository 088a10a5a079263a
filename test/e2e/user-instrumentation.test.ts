import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { spansOfCase } from '../support/cases';
import { writeFolder } from '../support/packages';
import { type RunOptions, type RunResult, root, runApp } from '../support/run-app';
import { type ExpectedSpan, expectTree } from '../support/tree';

const fixtures = join(root, 'test/e2e/fixtures/user-instrumentation-widget');
const fixture = (name: string) => readFileSync(join(fixtures, name), 'utf8');

function makeApp(version: string, more: Record<string, string> = {}): string {
  return writeFolder({
    'app.mjs': fixture('app.mjs').replace(
      "'@opentelemetry/api'",
      JSON.stringify(createRequire(import.meta.url).resolve('@opentelemetry/api')),
    ),
    'node_modules/widget/package.json': JSON.stringify({ name: 'widget', version, main: './lib/index.js' }),
    'node_modules/widget/lib/index.js': fixture('library.cjs'),
    'node_modules/widget/lib/inner.js': fixture('inner.cjs'),
    'widget.cjs': fixture('widget.cjs'),
    'faulty.cjs': fixture('faulty.cjs'),
    'widget.mjs': "import widget from './widget.cjs';\nawait null;\nexport default widget;\n",
    'node_modules/widget-tracing/package.json': JSON.stringify({
      name: 'widget-tracing',
      version: '1.0.0',
      main: 'w.js',
    }),
    'node_modules/widget-tracing/w.js': fixture('widget.cjs'),
    ...more,
  });
}

function run(folder: string, specifiers: string, options: RunOptions = {}): Promise<RunResult> {
  return runApp(join(folder, 'app.mjs'), {
    cwd: folder,
    ...options,
    env: { HOOKLINE_INSTRUMENTATIONS: specifiers, ...options.env },
  });
}

const internal = (name: string, size: number | undefined, more: Partial<ExpectedSpan> = {}): ExpectedSpan => ({
  name,
  kind: 'INTERNAL',
  scope: 'hookline/widget',
  status: 'UNSET',
  exactAttributes: true,
  ...more,
  attributes: { ...(size !== undefined && { 'widget.size': size }), ...more.attributes },
});

const EXPECTED: ExpectedSpan[] = [
  internal('widget plain', 1, { children: [internal('widget work', 1)] }),
  internal('widget throws', 2, {
    status: { code: 'ERROR', message: 'too wide' },
    attributes: { 'error.type': 'E_WIDE' },
  }),
  internal('widget promise', 3, { attributes: { 'widget.result': 6 }, children: [internal('widget work', 3)] }),
  internal('widget rejects', 4, {
    status: { code: 'ERROR', message: 'not wide' },
    attributes: { 'error.type': 'TypeError' },
  }),
  internal('widget callback', 5),
  { name: 'leaf' },
  internal('widget events', 6),
  // Its `end` threw, its `settle` threw: the span ends all the same.
  internal('widget unset', undefined),
  internal('widget unsettled', undefined),
  // `bind`: called later, from elsewhere.
  { name: 'leaf' },
];

describe("the operator's own instrumentations", () => {
  it.each([
    ['a CommonJS file', './widget.cjs', 'import'],
    ['a CommonJS file', './widget.cjs', 'require'],
    ['an ES module file', './widget.mjs', 'import'],
    ['a package', 'widget-tracing', 'import'],
  ] as const)('%s (%s, --%s) traces a package of theirs', async (_what, specifier, preload) => {
    const folder = makeApp('2.3.0');
    const bare = await run(folder, specifier, { preload: 'none', receiver: false });
    const { stdout, stderr, code, spans } = await run(folder, specifier, { preload });
    expect({ stdout, code }).toEqual({ stdout: bare.stdout, code: 0 });
    expect(stderr).toBe('');
    expectTree(spansOfCase(spans, 'app'), EXPECTED);
  });

  it('HK14: a version out of range is left alone and reported, in one line and in the status', async () => {
    const folder = makeApp('3.0.0', {
      'app.cjs':
        "require('widget').plain(1); console.log(JSON.stringify(globalThis[Symbol.for('hookline')].status().instrumentations.find(({ name }) => name === 'widget')))",
    });
    const { stdout, stderr, spans } = await runApp(join(folder, 'app.cjs'), {
      cwd: folder,
      env: { HOOKLINE_INSTRUMENTATIONS: './widget.cjs' },
    });
    expect(stderr.split('\n').filter((line) => line.includes('widget@3.0.0'))).toEqual([
      'hookline: widget: widget@3.0.0 is outside the supported range >=2 <3 || ^1 and stays untraced',
    ]);
    // The file without a range is traced on purpose.
    expect(spans.map(({ name }) => name)).toEqual(['widget work']);
    expect(JSON.parse(stdout)).toMatchObject({
      enabled: true,
      patched: ['widget@3.0.0'],
      skipped: ['widget@3.0.0 (supported: >=2 <3 || ^1)'],
    });
  });

  it('one that keeps failing is switched off, and the application does not notice', async () => {
    const folder = makeApp('2.3.0');
    const bare = await run(folder, '', { preload: 'none', receiver: false });
    const { stdout, stderr, code, spans } = await run(folder, './faulty.cjs');
    expect({ stdout, code }).toEqual({ stdout: bare.stdout, code: 0 });
    expect(stderr).toMatch(
      /^hookline: faulty instrumentation switched off after 5 internal errors; the first: Error: patch fails.*\n$/,
    );
    expect(spans.map(({ name }) => name).sort()).toEqual(['app', 'leaf', 'leaf']);
  });

  it.each([
    ['is missing', './nowhere.cjs', /^hookline: HOOKLINE_INSTRUMENTATIONS: cannot find "\.\/nowhere\.cjs" from .*\n$/],
    [
      'throws',
      './throws.cjs',
      /^hookline: HOOKLINE_INSTRUMENTATIONS: "\.\/throws\.cjs" could not be loaded: .*thrown.*\n$/,
    ],
    [
      'rejects',
      './throws.mjs',
      /^hookline: HOOKLINE_INSTRUMENTATIONS: "\.\/throws\.mjs" could not be loaded: .*thrown.*\n$/,
    ],
    [
      'has a syntax error',
      './syntax.cjs',
      /^hookline: HOOKLINE_INSTRUMENTATIONS: "\.\/syntax\.cjs" could not be loaded: .*\n$/,
    ],
    [
      'is none',
      './empty.cjs',
      /^hookline: HOOKLINE_INSTRUMENTATIONS: "\.\/empty\.cjs" exports no instrumentation.*\n$/,
    ],
  ])('a module that %s is one line, and the others go on', async (_what, specifier, line) => {
    const folder = makeApp('2.3.0', {
      'throws.cjs': "throw new Error('thrown');",
      'throws.mjs': "throw new Error('thrown');",
      'syntax.cjs': 'exports.name = = 1;',
      'empty.cjs': 'exports.name = 1;',
    });
    const { stderr, code, spans } = await run(folder, `${specifier},./widget.cjs`);
    expect(code).toBe(0);
    expect(stderr).toMatch(line);
    expectTree(spansOfCase(spans, 'app'), EXPECTED);
  });

  it('is switched by the same variables as the others', async () => {
    const folder = makeApp('2.3.0');
    const { spans } = await run(folder, './widget.cjs', { env: { OTEL_INSTRUMENTATION_WIDGET_ENABLED: 'false' } });
    expect(spans.map(({ name }) => name).sort()).toEqual(['app', 'leaf', 'leaf']);
  });
});
