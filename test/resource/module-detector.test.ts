import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { detectWithModule } from '../../src/resource/module-detector';
import { writeFolder } from '../support/packages';

/** Runs the detector that a module of this text exports. */
function detect(source: string, exportName = '', file = 'detector.cjs'): Promise<object> {
  const path = join(writeFolder({ [file]: source }), file);
  return detectWithModule(exportName === '' ? path : `${path}#${exportName}`);
}

const CLASS = `class Mine { detect() { return { attributes: { team: 'till' } }; } }`;

describe('what a module may export', () => {
  it.each([
    ['an instance', `module.exports = { detect: () => ({ attributes: { team: 'till' } }) };`],
    ['a class', `${CLASS} module.exports = Mine;`],
    [
      'an old class',
      `function Mine() {} Mine.prototype.detect = () => ({ attributes: { team: 'till' } }); module.exports = Mine;`,
    ],
    ['a factory', `${CLASS} module.exports = () => new Mine();`],
    ['an asynchronous factory', `${CLASS} module.exports = async () => new Mine();`],
    ['a default export of compiled code', `${CLASS} exports.__esModule = true; exports.default = new Mine();`],
    [
      'the one detector among other things',
      `${CLASS} exports.VERSION = '1'; exports.helper = () => 1; exports.mine = new Mine();`,
    ],
    ['one class among other things', `${CLASS} exports.VERSION = '1'; exports.Mine = Mine;`],
  ])('%s', async (_name, source) => {
    expect(await detect(source)).toEqual({ team: 'till' });
  });

  it('an ES module', async () => {
    expect(await detect(`export default ${CLASS}`, '', 'detector.mjs')).toEqual({ team: 'till' });
    expect(
      await detect(`${CLASS} export const mine = new Mine(); export const other = 1;`, 'mine', 'detector.mjs'),
    ).toEqual({
      team: 'till',
    });
  });

  it('several, of which one is named', async () => {
    const source = `${CLASS} exports.one = new Mine(); exports.two = { detect: () => ({ attributes: { two: true } }) };`;
    expect(await detect(source, 'two')).toEqual({ two: true });
    await expect(detect(source)).rejects.toThrow('name the export behind a #: one, two');
    await expect(detect(source, 'three')).rejects.toThrow('it has no export three');
  });

  it.each([
    ['module.exports = {};', 'name the export behind a #'],
    ['module.exports = null;', 'name the export behind a #'],
    ['module.exports = () => 7;', 'no detect() method'],
    ['module.exports = class { other() {} };', 'no detect() method'],
    ['throw new Error("broken");', 'broken'],
    ['module.exports = { detect() { throw new Error("broken"); } };', 'broken'],
    ['module.exports = { async detect() { throw new Error("broken"); } };', 'broken'],
    ['module.exports = { detect: () => undefined };', 'gives no resource'],
    ['module.exports = { detect: () => ({ attributes: 7 }) };', 'gives no attributes'],
  ])('and not %s', async (source, message) => {
    await expect(detect(source)).rejects.toThrow(message);
  });

  it('a file that is not there is said to be so', async () => {
    await expect(detectWithModule('./nowhere-at-all.js')).rejects.toThrow("Cannot find module './nowhere-at-all.js'");
    await expect(detectWithModule('')).rejects.toThrow('empty module specifier');
  });
});

describe('what detect() may give', () => {
  it.each([
    ['a resource', `({ attributes: { a: 1 } })`],
    ['a promise of one', `Promise.resolve({ attributes: { a: 1 } })`],
    ['values that are promises', `({ attributes: { a: Promise.resolve(1) } })`],
    [
      'attributes that come later',
      `({
        asyncAttributesPending: true,
        attributes: {},
        async waitForAsyncAttributes() { await null; this.attributes = { a: 1 }; },
      })`,
    ],
    [
      'attributes of a getter, and a schema',
      `({ schemaUrl: 'https://example.test/1', get attributes() { return { a: 1 }; } })`,
    ],
  ])('%s', async (_name, resource) => {
    expect(await detect(`module.exports = { detect: () => ${resource} };`)).toEqual({ a: 1 });
  });

  it('nothing, as detectors do where they do not apply', async () => {
    expect(await detect('module.exports = { detect: () => ({}) };')).toEqual({});
    expect(
      await detect('module.exports = { detect: () => ({ attributes: { a: Promise.resolve(undefined) } }) };'),
    ).toEqual({});
  });

  it('with values that no attribute has, of which the others are kept', async () => {
    const attributes = `{
      text: 'x', number: 1.5, yes: true, list: ['a', 'b'], flags: [true, false],
      empty: '', nothing: null, object: {}, func() {}, mixed: ['a', 1], none: [], lists: [[1]], '': 'no key',
      rejected: Promise.reject(new Error('no')), get thrown() { throw new Error('no'); },
    }`;
    expect(await detect(`module.exports = { detect: () => ({ attributes: ${attributes} }) };`)).toEqual({
      text: 'x',
      number: 1.5,
      yes: true,
      list: ['a', 'b'],
      flags: [true, false],
    });
  });

  it('is bounded', async () => {
    const source = `const attributes = { long: 'x'.repeat(1e6), ['k'.repeat(1000)]: 1, list: new Array(1e5).fill('y') };
      for (let i = 0; i < 1000; i++) attributes['key' + i] = i;
      module.exports = { detect: () => ({ attributes }) };`;
    const attributes = (await detect(source)) as { long: string; list: string[] };
    expect(Object.keys(attributes)).toHaveLength(128);
    expect(attributes.long).toHaveLength(4096);
    expect(attributes.list).toHaveLength(128);
  });
});
