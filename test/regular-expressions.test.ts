import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, parse } from 'acorn';
import { full } from 'acorn-walk';
import { checkSync } from 'recheck';
import { expect, it } from 'vitest';
import { root } from './support/run-app';

interface RegularExpression {
  readonly pattern: string;
  readonly flags: string;
  readonly file: string;
}

/** Of everything that runs in an application: what is built, not what it is built from. */
function regularExpressions(): RegularExpression[] {
  const found = new Map<string, RegularExpression>();
  const files = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => /\.m?js$/.test(name))) {
    const sourceType = file.endsWith('.mjs') ? 'module' : 'script';
    const program = parse(readFileSync(join(root, 'dist', file), 'utf8'), { ecmaVersion: 'latest', sourceType });
    full(program, (node) => {
      const { regex } = node as Node & { regex?: { pattern: string; flags: string } };
      if (regex !== undefined) found.set(`/${regex.pattern}/${regex.flags}`, { ...regex, file });
    });
  }
  return [...found.values()];
}

it('no expression takes more than linear time on any input', () => {
  const all = regularExpressions();
  expect(all.length).toBeGreaterThan(20);
  const slow = all.flatMap(({ pattern, flags, file }) => {
    const { status } = checkSync(pattern, flags);
    return status === 'safe' ? [] : [`${file}: /${pattern}/${flags} is ${status}`];
  });
  expect(slow).toEqual([]);
});
