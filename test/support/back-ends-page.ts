import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run-app';

/** A block of docs/back-ends.md, ready to run. */
export interface Block {
  /** As `npm install` has them. */
  readonly packages: readonly string[];
  /** What the shell that ran it has exported. */
  readonly env: Readonly<Record<string, string>>;
}

const START = 'node --import hookline/register app.js';

/** Headings of the page that have a block, with the block's text. */
export function readBlocks(): Map<string, string> {
  const page = readFileSync(join(root, 'docs', 'back-ends.md'), 'utf8');
  const blocks = new Map<string, string>();
  for (const section of page.split(/^##+ /m).slice(1)) {
    const heading = section.slice(0, section.indexOf('\n'));
    const [, block] = /^```sh\n([\s\S]*?)^```$/m.exec(section) ?? [];
    if (block !== undefined) blocks.set(heading, block);
  }
  return blocks;
}

/** Fills in the placeholders, of which none may be left over on either side, and lets a shell run the exports. */
export function runBlock(heading: string, values: Readonly<Record<string, string>>): Block {
  const text = readBlocks().get(heading);
  if (text === undefined) throw new Error(`docs/back-ends.md has no block under ${heading}`);
  const unused = new Set(Object.keys(values));
  const filled = text.replace(/<([a-z ]+)>/g, (_placeholder, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${heading}: nothing given for <${name}>`);
    unused.delete(name);
    return value;
  });
  if (unused.size > 0) throw new Error(`${heading} has no <${[...unused].join('>, <')}>`);

  const lines = filled.trimEnd().split('\n');
  if (lines.pop() !== START) throw new Error(`${heading} does not end in ${START}`);
  const packages = lines.flatMap((line) => /^npm install (\S+)$/.exec(line)?.[1] ?? []);
  const exports = lines.filter((line) => line.startsWith('export '));
  if (packages.length + exports.length < lines.length) throw new Error(`${heading} has lines of another kind`);
  const script = [...exports, `"${process.execPath}" -p 'JSON.stringify(process.env)'`].join('\n');
  const shell = (commands: string) =>
    JSON.parse(
      execFileSync('sh', ['-e', '-c', commands], { env: { PATH: process.env.PATH }, encoding: 'utf8' }),
    ) as Record<string, string>;
  const names = exports.map((line) => line.slice('export '.length, line.indexOf('=')));
  const all = shell(script);
  return { packages, env: Object.fromEntries(names.map((name) => [name, all[name]!])) };
}

/** The same with every URL's host and port replaced; scheme, path and all else stay. */
export function withHost(env: Readonly<Record<string, string>>, port: number): Record<string, string> {
  const replaced = Object.entries(env).map(([name, value]) => [
    name,
    value.replace(/(https?:\/\/)[^/"';]+/g, `$1127.0.0.1:${port}`),
  ]);
  return Object.fromEntries(replaced);
}
