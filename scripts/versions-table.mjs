// Reads test/versions.json. By library, named as its file in test/e2e/:
//
//   package   its name in the registry
//   range     what the instrumentation supports
//   versions  oldest first: the ends of the range and both sides of every change that an instrumentation can notice
//     version   exact
//     with      specs of companions, installed together with it
//     node      the oldest Node it runs on, when that is not the oldest we support
//     why       what changed there, for readers
import { readFileSync } from 'node:fs';

/** Libraries by name, with what `testedVersions` returns for each version. */
export const TABLE = Object.fromEntries(
  Object.entries(JSON.parse(readFileSync(new URL('../test/versions.json', import.meta.url), 'utf8'))).map(
    ([library, { package: name, range, versions }]) => [
      library,
      {
        name,
        range,
        versions: versions.map(({ version, with: companions = [], node = '0.0.0' }) => ({
          label: version,
          version,
          packages: [`${name}@${version}`, ...companions],
          node,
        })),
      },
    ],
  ),
);

/** True when `version` (`22.11.0`) is not older than `wanted` (`22.11`). */
export function isAtLeast(version, wanted) {
  const own = version.split('.').map(Number);
  for (const [index, part] of wanted.split('.').map(Number).entries()) {
    const difference = (own[index] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/**
 * Which versions of a library a run tests, and those of them that its Node is too old for.
 * @param selection `ends` (default), `newest`, `oldest`, `all`, or `library` and `library@version` separated by commas
 */
export function selectVersions(library, selection, nodeVersion) {
  const entry = TABLE[library];
  if (!entry) throw new Error(`test/versions.json has no ${library}, only ${Object.keys(TABLE).join(', ')}`);
  const { versions } = entry;
  const runs = ({ node }) => isAtLeast(nodeVersion, node);
  const possible = versions.filter(runs);
  const ends = (...chosen) => {
    // The newest of all may need a newer Node; the newest that runs here stands in for it, and that is said.
    const wanted = chosen.map((at) => versions.at(at));
    return {
      selected: unique(chosen.map((at) => possible.at(at))),
      tooNew: unique(wanted).filter((one) => !runs(one)),
    };
  };
  switch (selection || 'ends') {
    case 'ends':
      return ends(0, -1);
    case 'oldest':
      return ends(0);
    case 'newest':
      return ends(-1);
    case 'all':
      return { selected: possible, tooNew: versions.filter((one) => !runs(one)) };
  }
  const named = selection.split(',').flatMap((item) => {
    const [name, version] = item.split('@');
    if (!TABLE[name])
      throw new Error(`"${item}" is neither all, ends, newest, oldest nor a library of test/versions.json`);
    if (name !== library) return [];
    if (version === undefined) return versions;
    const found = versions.find(({ label }) => label === version);
    if (!found)
      throw new Error(`test/versions.json has no ${item}, only ${versions.map(({ label }) => label).join(', ')}`);
    return [found];
  });
  return { selected: unique(named.filter(runs)), tooNew: unique(named.filter((one) => !runs(one))) };
}

function unique(values) {
  return [...new Set(values)].filter((value) => value !== undefined);
}
