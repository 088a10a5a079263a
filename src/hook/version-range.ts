/** Major, minor, patch; what is left out is 0. */
type Version = readonly [number, number, number];

/** One of `>=1.2.3`, `<2` or an exact `1.2.3`, with groups for operator and version. */
const COMPARATOR = /^(>=|<|)(\d{1,9}(?:\.\d{1,9}){0,2})$/;
const RELEASE = /^\d{1,9}\.\d{1,9}\.\d{1,9}$/;

/**
 * Whether a version lies in a range, pre-releases included. Releases and ranges of `>=`, `<` and exact versions, which all
 * instrumentations of our own have, are compared here; semver, which takes longer to read than all of them, is for the others.
 */
export function satisfies(version: string, range: string): boolean {
  return compareReleases(version, range) ?? throughSemver(version, range);
}

/** `undefined` where it takes semver to tell. */
export function compareReleases(version: string, range: string): boolean | undefined {
  if (!RELEASE.test(version)) return undefined;
  const own = parse(version);
  let isIn = false;
  for (const alternative of range.split('||')) {
    let fits = true;
    for (const comparator of alternative.trim().split(/\s+/)) {
      const [, operator, limit] = COMPARATOR.exec(comparator) ?? [];
      // A version in part alone, such as `1.2`, stands for all that begin with it.
      if (limit === undefined || (operator === '' && !RELEASE.test(limit))) return undefined;
      const order = compare(own, parse(limit));
      fits &&= operator === '>=' ? order >= 0 : operator === '<' ? order < 0 : order === 0;
    }
    isIn ||= fits;
  }
  return isIn;
}

function parse(text: string): Version {
  const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number);
  return [major, minor, patch];
}

function compare(left: Version, right: Version): number {
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

let semverSatisfies: typeof import('semver').satisfies | undefined;

function throughSemver(version: string, range: string): boolean {
  semverSatisfies ??= (require('./lazy/semver.js') as typeof import('../lazy/semver')).satisfies;
  return semverSatisfies(version, range, { includePrerelease: true });
}
