import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run-app';

/** Every environment variable that README.md's section Configuration names. */
export function documentedVariables(): ReadonlySet<string> {
  const [, section = ''] = readFileSync(join(root, 'README.md'), 'utf8').split('## Configuration');
  return new Set(section.match(/\b(?:(?:OTEL|HOOKLINE)_[A-Z0-9_]+[A-Z0-9]|[A-Z]+_PROXY)\b/g));
}
