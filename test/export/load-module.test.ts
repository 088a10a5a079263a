import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadExport, loadModule, namedExport, parseSpecifier } from '../../src/export/load-module';
import { writeFolder } from '../support/packages';

it('takes a specifier apart', () => {
  expect(parseSpecifier('./a.js')).toEqual({ path: './a.js', exportName: undefined });
  expect(parseSpecifier('@a/b/c#d')).toEqual({ path: '@a/b/c', exportName: 'd' });
  expect(parseSpecifier('./we#ird/a.js')).toEqual({ path: './we#ird/a.js', exportName: undefined });
  expect(() => parseSpecifier('')).toThrow('empty module specifier');
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

it('finds a named export below the default one', () => {
  expect(namedExport({ default: { a: 1 } }, 'a')).toBe(1);
});
