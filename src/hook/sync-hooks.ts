/**
 * Whether `module.registerHooks` accepts the absent source that CommonJS files have by default: earlier releases that
 * have it do not (nodejs/node#59929).
 */
export function supportsSyncHooks(): boolean {
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number);
  if (major === 22) return minor > 22 || (minor === 22 && patch >= 3);
  if (major === 24) return minor > 11 || (minor === 11 && patch >= 1);
  return major === 25 ? minor >= 1 : major > 25;
}
