import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config';
import { ConsoleProcessor } from '../../src/export/console';
import { ExporterProcessor } from '../../src/export/exporter-processor';
import { FanOut } from '../../src/export/fan-out';
import { createProcessor, loadExporter } from '../../src/export/load';
import { BatchSpanProcessor } from '../../src/export/processor';
import { BATCH, otlpConfig, startSpan } from './support';

let folder: string;
const cwd = process.cwd();

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'hookline-load-')));
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  const body = '{ constructor() { this.id = "ID"; } export(spans, done) { done({ code: 0 }); } }';
  const classOf = (id: string): string => `class extends (class ${body.replace('ID', id)}) {}`;
  put('class.cjs', `module.exports = ${classOf('class')};`);
  put('factory.cjs', `const C = ${classOf('factory')}; module.exports = () => new C();`);
  put('async-factory.cjs', `const C = ${classOf('async')}; module.exports = async () => new C();`);
  put('instance.cjs', `const C = ${classOf('instance')}; module.exports = new C();`);
  put(
    'transpiled.cjs',
    `Object.defineProperty(exports, '__esModule', { value: true }); exports.default = ${classOf('transpiled')};`,
  );
  put('named.cjs', `exports.OtherThing = 1; exports.My = ${classOf('named')};`);
  put('only.cjs', `exports.SomeTraceExporter = ${classOf('only')}; exports.helper = () => {};`);
  put('two.cjs', `exports.AExporter = ${classOf('a')}; exports.BExporter = ${classOf('b')};`);
  put('module.mjs', `await 0; export default ${classOf('esm')}; export const Named = ${classOf('esm-named')};`);
  put('not.cjs', 'module.exports = { hello: 1 };');
  put('not-factory.cjs', 'module.exports = () => ({ hello: 1 });');
  put('throws.cjs', 'throw new Error("while loading");');
  put(
    'node_modules/esm-only/package.json',
    '{"name":"esm-only","type":"module","exports":{".":{"import":"./index.js"}}}',
  );
  put('node_modules/esm-only/index.js', `export default ${classOf('esm-only')};`);
  put('node_modules/@scope/pkg/package.json', '{"name":"@scope/pkg","main":"main.js"}');
  put('node_modules/@scope/pkg/main.js', `exports.Exp = ${classOf('scoped')};`);
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(cwd);
  rmSync(folder, { recursive: true, force: true });
});

describe('loadExporter', () => {
  it.each([
    ['./class.cjs', 'class'],
    ['./factory.cjs', 'factory'],
    ['./async-factory.cjs', 'async'],
    ['./instance.cjs', 'instance'],
    ['./transpiled.cjs', 'transpiled'],
    ['./named.cjs#My', 'named'],
    ['./only.cjs', 'only'],
    ['./two.cjs#BExporter', 'b'],
    ['./module.mjs', 'esm'],
    ['./module.mjs#Named', 'esm-named'],
    ['esm-only', 'esm-only'],
    ['@scope/pkg#Exp', 'scoped'],
  ])('%s', async (specifier, id) => {
    const exporter = await loadExporter(specifier);
    expect((exporter as unknown as { id: string }).id).toBe(id);
    expect(exporter.export).toBeTypeOf('function');
  });

  it('takes an absolute path', async () => {
    expect((await loadExporter(join(folder, 'class.cjs'))) as unknown).toMatchObject({ id: 'class' });
  });

  it('looks beside the main script after the working directory', async () => {
    const script = process.argv[1];
    process.chdir(cwd);
    process.argv[1] = join(folder, 'app.js');
    try {
      expect((await loadExporter('@scope/pkg#Exp')) as unknown).toMatchObject({ id: 'scoped' });
    } finally {
      process.chdir(folder);
      process.argv[1] = script as string;
    }
  });

  it.each([
    ['./missing.cjs', /missing\.cjs/],
    ['./named.cjs#Missing', /no export Missing/],
    ['./two.cjs', /AExporter, BExporter/],
    ['./not.cjs', /#/],
    ['./not-factory.cjs', /no export\(\) method/],
    ['./throws.cjs', /while loading/],
    ['', /empty/],
  ])('%j is an error that says why', async (specifier, message) => {
    await expect(loadExporter(specifier)).rejects.toThrow(message);
  });
});

describe('options', () => {
  it('are what an exporter is made with; without any it is made with nothing', async () => {
    writeFileSync(
      join(folder, 'options.cjs'),
      'module.exports = class { constructor(...args) { this.args = args; } export() {} };',
    );
    expect(await loadExporter('./options.cjs', { key: 1 })).toMatchObject({ args: [{ key: 1 }] });
    expect(await loadExporter('./options.cjs')).toMatchObject({ args: [] });
  });
});

describe('createProcessor', () => {
  const create = (...exporters: string[]): ReturnType<typeof createProcessor> =>
    createProcessor(
      {
        exporters,
        exitTimeoutMs: 1_000,
        exporterOptions: {},
        consoleFormat: 'tree',
        otlp: otlpConfig('http://127.0.0.1:1/v1/traces'),
        zipkin: otlpConfig('http://127.0.0.1:1/api/v2/spans'),
        file: { path: join(folder, 'traces.jsonl'), maxBytes: 1_000, maxFiles: 2 },
        batch: BATCH,
      } as unknown as Config,
      { onQueued: () => {}, onDrained: () => {} },
    );
  let processor: ReturnType<typeof createProcessor>;
  afterEach(() => processor.shutdown(0));

  it('puts nothing between a span and the only exporter', () => {
    processor = create('otlp');
    expect(processor).toBeInstanceOf(BatchSpanProcessor);
    processor = create('console');
    expect(processor).toBeInstanceOf(ConsoleProcessor);
    processor = create('zipkin');
    expect(processor).toBeInstanceOf(BatchSpanProcessor);
    processor = create('./class.cjs');
    expect(processor).toBeInstanceOf(ExporterProcessor);
  });

  it('fans out to several', async () => {
    processor = create('./class.cjs', './factory.cjs');
    expect(processor).toBeInstanceOf(FanOut);
    startSpan({ processor }).end();
    expect(await processor.flush(5_000)).toBe(true);
    expect(processor.stats().exported).toBe(2);
  });

  it('writes a file', async () => {
    processor = create('file');
    startSpan({ processor, name: 'kept' }).end();
    expect(await processor.flush(5_000)).toBe(true);
    const lines = readFileSync(join(folder, 'traces.jsonl'), 'utf8').split('\n');
    expect(lines).toEqual([expect.stringContaining('"name":"kept"'), '']);
  });

  it('takes spans without an exporter', async () => {
    processor = create();
    startSpan({ processor }).end();
    expect(processor.hasPending()).toBe(false);
    expect(await processor.flush(10)).toBe(true);
  });
});
