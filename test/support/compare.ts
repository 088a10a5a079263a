import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { type Preload, type RunOptions, type RunResult, runApp } from './run-app';

export interface CompareOptions extends Omit<RunOptions, 'preload'> {
  /** Each is compared with the bare run; default `import` and `require`. */
  preloads?: Exclude<Preload, 'none'>[];
  /** Removes from standard output and standard error what differs between any two runs (times, ports). */
  normalise?: (text: string) => string;
  /**
   * Why two bare runs of this script can differ (a library that loses races against itself on a busy machine). Parts that
   * differ are then looked at again, in further pairs of runs; without a reason all has to agree at once.
   */
  races?: string | undefined;
  /** Asked after each run for what else is to be the same, such as what a server received from it. */
  observe?: () => unknown;
}

/** Pairs of runs of a script that names its `races`. */
const MAX_PAIRS = 3;

export interface Comparison {
  bare: RunResult;
  /** By preload. */
  traced: Partial<Record<Preload, RunResult>>;
}

/** Runs the same script without and with the agent; what a user or a shell can see of it has to be the same. */
export async function expectSameAsBare(fixture: string | undefined, options: CompareOptions = {}): Promise<Comparison> {
  const {
    preloads = ['import', 'require'],
    normalise = (text: string) => text,
    races,
    observe,
    ...runOptions
  } = options;
  const run = async (preload: Preload) => {
    const result = await runApp(fixture, { ...runOptions, preload, ...(preload === 'none' && { waitForSpans: 0 }) });
    const { stdout, stderr, code, signal } = result;
    const visible = {
      stdout: normalise(withoutPid(stdout)),
      stderr: normalise(withoutPid(stderr)),
      code,
      signal,
      observed: await observe?.(),
    };
    return { result, visible };
  };
  const bare = await run('none');
  const traced: Comparison['traced'] = {};
  const allBare = [bare.visible];
  for (const preload of preloads) {
    const with_ = await run(preload);
    traced[preload] = with_.result;
    if (races === undefined) {
      expect(with_.visible, `with ${preload}, compared with the bare run`).toEqual(bare.visible);
      continue;
    }
    const allTraced = [with_.visible];
    for (let pair = 1; pair < MAX_PAIRS; pair++) {
      const differing = [...disagreements(allBare, allTraced).keys()];
      if (differing.length === 0) break;
      console.log(`bare and with ${preload} again, for ${differing.slice(0, 5).join('; ')}: ${races}`);
      allBare.push((await run('none')).visible);
      const again = await run(preload);
      traced[preload] = again.result;
      allTraced.push(again.visible);
    }
    const left = [...disagreements(allBare, allTraced)];
    expect(
      Object.fromEntries(left.map(([part, [, ours]]) => [part, ours])),
      `with ${preload}, compared with the bare run`,
    ).toEqual(Object.fromEntries(left.map(([part, [theirs]]) => [part, theirs])));
  }
  return { bare: bare.result, traced };
}

interface Visible {
  stdout: string;
  stderr: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  observed: unknown;
}

/**
 * What no run with the agent had in common with any bare one, by part. A part of which even bare runs differ in the order of
 * its lines has to have the same lines.
 */
function disagreements(allBare: readonly Visible[], allTraced: readonly Visible[]): Map<string, [unknown, unknown]> {
  const bare = allBare.map(partsOf);
  const traced = allTraced.map(partsOf);
  const found = new Map<string, [unknown, unknown]>();
  for (const part of new Set([...bare, ...traced].flatMap((parts) => [...parts.keys()]))) {
    const theirs = bare.map((parts) => parts.get(part));
    const ours = traced.map((parts) => parts.get(part));
    if (theirs.some((it) => ours.some((own) => isDeepStrictEqual(own, it)))) continue;
    const racing = theirs.some((it) => !isDeepStrictEqual(it, theirs[0]));
    if (racing && theirs.some((it) => ours.some((own) => isDeepStrictEqual(sorted(own), sorted(it))))) continue;
    found.set(part, [theirs.at(-1), ours.at(-1)]);
  }
  return found;
}

/** Standard output in paragraphs, that is a line and those indented below it; what was observed in its own members. */
function partsOf({ stdout, observed, ...rest }: Visible): Map<string, unknown> {
  const parts = new Map<string, unknown>(Object.entries(rest));
  const times = new Map<string, number>();
  for (const paragraph of stdout.split(/\n(?! )/)) {
    const [title] = paragraph.split('\n', 1) as [string];
    const time = (times.get(title) ?? 0) + 1;
    times.set(title, time);
    parts.set(time === 1 ? title : `${title} (${time})`, paragraph);
  }
  const walk = (path: string, value: unknown): void => {
    // A list of text is what one connection carried, in its order.
    if (Array.isArray(value) && typeof value[0] === 'string' && path !== 'observed') parts.set(path, value.join('\n'));
    else if (typeof value !== 'object' || value === null) parts.set(path, value);
    else for (const [key, member] of Object.entries(value)) walk(`${path}.${key}`, member);
  };
  walk('observed', observed);
  return parts;
}

const sorted = (text: unknown): unknown => (typeof text === 'string' ? text.split('\n').sort() : text);

/** Node puts the process id in front of its warnings. */
export function withoutPid(text: string): string {
  return text.replace(/\(node:\d+\)/g, '(node:PID)');
}
