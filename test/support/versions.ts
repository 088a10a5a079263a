import { selectVersions, type TestedVersion } from '../../scripts/versions-table.mjs';
import { nodeVersion } from './packages';

export type { TestedVersion };

/**
 * The versions of a library that this run is to test, from test/versions.json; for `describe.each`, with
 * `testPackage(...packages)`. `HOOKLINE_TEST_VERSIONS` chooses: `ends` (default) is the oldest and the newest that run
 * on this Node, others are `newest`, `oldest`, `all` and a list such as `pg,mysql2@3.11.5`. What this Node is too old
 * for is left out, with a printed line.
 */
export function testedVersions(library: string): TestedVersion[] {
  const { selected, tooNew } = selectVersions(library, process.env.HOOKLINE_TEST_VERSIONS, nodeVersion);
  for (const { label, node } of tooNew) {
    console.log(`${library} ${label}: not run, it needs Node.js ${node} and this is ${nodeVersion}`);
  }
  return selected;
}

/** The newest version that runs on this Node, whatever this run is to test. */
export function newestVersion(library: string): TestedVersion {
  return selectVersions(library, 'newest', nodeVersion).selected[0]!;
}
