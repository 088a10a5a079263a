import semver from 'semver';
import { describe, expect, it } from 'vitest';
import { compareReleases } from '../../src/hook/version-range';

describe('compareReleases', () => {
  const ranges = ['>=8.0.3 <9', '>=0.5.6 <3', '0.5.5', '>=1.0.0 <2 || >=3.1', '<2', '>=4.6.0   <5', '1.2.3 || 1.2.5'];
  const versions = [
    '0.5.5',
    '0.5.6',
    '1.0.0',
    '1.2.3',
    '1.2.4',
    '1.99.99',
    '2.0.0',
    '3.0.9',
    '3.1.0',
    '4.5.9',
    '4.6.0',
    '8.0.3',
    '8.23.1',
    '9.0.0',
    '10.0.0',
  ];

  it('agrees with semver about releases', () => {
    for (const range of ranges)
      for (const version of versions)
        expect([range, version, compareReleases(version, range)]).toEqual([
          range,
          version,
          semver.satisfies(version, range, { includePrerelease: true }),
        ]);
  });

  it.each([
    ['1.0.0-beta.1', '>=1.0.0 <2'],
    ['1.0.0+build', '>=1.0.0 <2'],
    ['1.0.0', '^1.0.0'],
    ['1.0.0', '1.x'],
    ['1.0.0', '1.2'],
    ['1.0.0', '>=1 <=2'],
    ['1.0.0', '1.0.0 - 2.0.0'],
    ['1.0.0', ''],
    ['01.0.0 ', '>=1'],
  ])('leaves %s in %s to semver', (version, range) => expect(compareReleases(version, range)).toBeUndefined());
});
