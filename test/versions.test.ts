import { compare, minVersion, satisfies, valid } from 'semver';
import { describe, expect, it } from 'vitest';
import { selectVersions, TABLE } from '../scripts/versions-table.mjs';

describe.each(Object.entries(TABLE))('test/versions.json: %s', (_library, { name, range, versions }) => {
  it('holds exact versions within the range, oldest first, from its very beginning', () => {
    const listed = versions.map(({ version }) => version);
    expect(listed).toEqual([...new Set(listed)].sort(compare));
    expect(listed.filter((version) => !satisfies(version, range))).toEqual([]);
    expect(listed[0]).toBe(minVersion(range)?.version);
    for (const { version, packages } of versions) {
      expect(packages[0]).toBe(`${name}@${version}`);
      for (const spec of packages) expect(valid(spec.slice(spec.lastIndexOf('@') + 1)), spec).not.toBeNull();
    }
  });
});

describe('selectVersions', () => {
  const select = (selection: string | undefined, node: string, library = 'undici') => {
    const { selected, tooNew } = selectVersions(library, selection, node);
    return { selected: selected.map(({ label }) => label), tooNew: tooNew.map(({ label }) => label) };
  };
  const all = TABLE.undici!.versions.map(({ label }) => label);
  const first = all[0]!;
  const last = all.at(-1)!;

  it('takes both ends by default', () => {
    expect(select(undefined, '26.0.0')).toEqual({ selected: [first, last], tooNew: [] });
    expect(select('', '26.0.0')).toEqual(select('ends', '26.0.0'));
  });

  it('takes one end or everything', () => {
    expect(select('oldest', '26.0.0').selected).toEqual([first]);
    expect(select('newest', '26.0.0').selected).toEqual([last]);
    expect(select('all', '26.0.0')).toEqual({ selected: all, tooNew: [] });
  });

  it('takes the newest that runs where the newest does not, and says which that is', () => {
    expect(select('ends', '18.19.0')).toEqual({ selected: [first, '6.29.1'], tooNew: [last] });
    expect(select('newest', '20.18.0')).toEqual({ selected: ['6.29.1'], tooNew: [last] });
    expect(select('newest', '20.18.1')).toEqual({ selected: ['7.30.2'], tooNew: [last] });
    expect(select('all', '20.18.1')).toEqual({ selected: all.slice(0, -2), tooNew: all.slice(-2) });
  });

  it('takes named ones, and none of libraries that are not named', () => {
    expect(select('undici@6.0.0,pg', '26.0.0').selected).toEqual(['6.0.0']);
    expect(select('undici@6.0.0,undici', '26.0.0').selected).toHaveLength(all.length);
    expect(select(`pg,undici@${last}`, '18.19.0')).toEqual({ selected: [], tooNew: [last] });
    expect(select('pg', '26.0.0').selected).toEqual([]);
  });

  it('refuses what it does not know', () => {
    expect(() => select('pg@1.0.0', '26.0.0', 'pg')).toThrow(/^test\/versions\.json has no pg@1\.0\.0, only 8\.0\.3, /);
    expect(() => select('newst', '26.0.0')).toThrow(/^"newst" is neither all, ends, newest, oldest nor a library/);
    expect(() => select('all', '26.0.0', 'oracle')).toThrow(/^test\/versions\.json has no oracle, only undici, /);
  });
});
