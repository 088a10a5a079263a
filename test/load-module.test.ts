import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadExport, loadModule, loadPlugin, parseSpecifier } from '../src/load-module';
import { writeFolder } from './support/packages';

describe('parseSpecifier', () => {
  it.each([
    ['package', 'package', undefined],
    ['@scope/package/sub#Name', '@scope/package/sub', 'Name'],
    ['./file.js', './file.js', undefined],
    ['./a#b/file.js', './a#b/file.js', undefined],
    ['./a#b/file.js#Name', './a#b/file.js', 'Name'],
  ])('%s', (specifier, path, exportName) => {
    expect(parseSpecifier(specifier)).toEqual({ path, exportName });
  });

  it('has no empty ones', () => {
    expect(() => parseSpecifier('')).toThrow('empty module specifier');
  });
});

describe('loadModule', () => {
  const folder = (): string => {
    const path = writeFolder({
      'common.cjs': 'exports.kind = "common";',
      'module.mjs': 'await 0; export const kind = "module";',
      'throws.cjs': 'throw new Error("while loading");',
      'node_modules/only-import/package.json':
        '{"name":"only-import","type":"module","exports":{".":{"import":"./index.js"}}}',
      'node_modules/only-import/index.js': 'export const kind = "only for import";',
    });
    const before = process.cwd();
    process.chdir(path);
    onTestFinished(() => process.chdir(before));
    return path;
  };

  it.each([
    ['./common.cjs', 'common'],
    ['./module.mjs', 'module'],
    ['only-import', 'only for import'],
  ])('%s from the working directory', async (path, kind) => {
    folder();
    expect(await loadModule(path)).toMatchObject({ kind });
  });

  it('an absolute path', async () => {
    expect(await loadModule(join(folder(), 'common.cjs'))).toMatchObject({ kind: 'common' });
  });

  it('rejects with what is wrong', async () => {
    folder();
    await expect(loadModule('./missing.cjs')).rejects.toThrow("Cannot find module './missing.cjs'");
    await expect(loadModule('./throws.cjs')).rejects.toThrow('while loading');
  });
});

it('loads the default export or a named one, of CommonJS and ES modules', async () => {
  const folder = writeFolder({
    'a.cjs': 'module.exports = () => 1; module.exports.named = () => 2;',
    'b.mjs': 'export default () => 3; export const named = () => 4;',
    'c.cjs': 'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = () => 5;',
  });
  const call = async (specifier: string) => ((await loadExport(join(folder, specifier))) as () => number)();
  expect(await Promise.all(['a.cjs', 'a.cjs#named', 'b.mjs', 'b.mjs#named', 'c.cjs'].map(call))).toEqual([
    1, 2, 3, 4, 5,
  ]);
  await expect(loadExport(join(folder, 'a.cjs#other'))).rejects.toThrow('it has no export other');
});

it('looks into the folders that it is given, in their order', async () => {
  const [one, two] = ['one', 'two'].map((name) =>
    writeFolder({
      'node_modules/pkg/index.js': `module.exports = '${name}';`,
      [`node_modules/only-${name}/index.js`]: `module.exports = 'only ${name}';`,
    }),
  ) as [string, string];
  expect(await loadModule('pkg', [one, two])).toBe('one');
  expect(await loadModule('pkg', [two, one])).toBe('two');
  expect(await loadModule('only-two', [one, two])).toBe('only two');
  await expect(loadModule('neither', [one, two])).rejects.toMatchObject({ code: 'MODULE_NOT_FOUND' });
});

describe('loadPlugin', () => {
  const plugin = {
    is: (value: unknown): value is { run(): string } => typeof (value as { run?: unknown } | null)?.run === 'function',
    isMeant: (name: string, value: unknown) => name.endsWith('Runner') && typeof value === 'function',
    fault: 'what it exports has no run() method',
  };
  const load = (source: string, name = '', ...args: unknown[]) =>
    loadPlugin(join(writeFolder({ 'm.cjs': source }), `m.cjs${name}`), plugin, ...args);

  it.each([
    ['an instance', 'exports.run = () => "a";', '', 'a'],
    ['a class', 'module.exports = class { constructor(o) { this.o = o; } run() { return this.o; } };', '', 'given'],
    ['a class of old', 'module.exports = function () {}; module.exports.prototype.run = () => "b";', '', 'b'],
    ['a function', 'module.exports = async (o) => ({ run: () => o });', '', 'given'],
    [
      'the only export that can be meant',
      'exports.x = 1; exports.MyRunner = class { run() { return "c"; } };',
      '',
      'c',
    ],
    ['a named export', 'exports.one = { run: () => "d" }; exports.two = {};', '#one', 'd'],
    ['one below the default export', 'exports.default = { one: { run: () => "e" } };', '#one', 'e'],
    ['a default export twice over', 'exports.default = { default: { run: () => "f" } };', '', 'f'],
  ])('takes %s', async (_, source, name, expected) => {
    expect((await load(source, name, 'given')).run()).toBe(expected);
  });

  it.each([
    ['exports.x = 1;', '', 'name the export behind a #'],
    ['exports.ARunner = class {}; exports.BRunner = class {};', '', 'name the export behind a #: ARunner, BRunner'],
    ['exports.x = 1;', '#y', 'it has no export y'],
    ['module.exports = () => 1;', '', 'what it exports has no run() method'],
    ['module.exports = () => { throw new Error("broken"); };', '', 'broken'],
  ])('%s: rejects with what is wrong', async (source, name, fault) => {
    await expect(load(source, name)).rejects.toThrow(fault);
  });
});
