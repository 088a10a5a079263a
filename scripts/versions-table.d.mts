export interface TestedVersion {
  /** For the names of tests: the version, as test/versions.json has it. */
  label: string;
  version: string;
  /** What `testPackage` takes: the library first, then its companions. */
  packages: [string, ...string[]];
  /** The oldest Node it runs on. */
  node: string;
}

export interface Library {
  /** In the registry. */
  name: string;
  /** semver; what the instrumentation supports. */
  range: string;
  /** Oldest first. */
  versions: TestedVersion[];
}

/** test/versions.json, by library. */
export const TABLE: Record<string, Library>;

/** True when `version` (`22.11.0`) is not older than `wanted` (`22.11`). */
export function isAtLeast(version: string, wanted: string): boolean;

/**
 * Which versions of a library a run tests, and those of them that its Node is too old for.
 * @param selection `ends` (also when empty), `newest`, `oldest`, `all`, or `library` and `library@version` separated by
 * commas: then other libraries have none
 */
export function selectVersions(
  library: string,
  selection: string | undefined,
  nodeVersion: string,
): { selected: TestedVersion[]; tooNew: TestedVersion[] };
