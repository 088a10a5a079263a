import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { type Preload, type RunOptions, type RunResult, runApp } from './run-app';

export interface CompareOptions extends Omit<RunOptions, 'preload'> {
  /** Each is compared with the bare run; default `import` and `require`. */
  preloads?: Exclude<Preload, 'none'>[];
  /** Removes from standard output and standard error what differs between any two runs (times, ports). */
  normalise?: (text: string) => string;
  /**
   * Why two bare runs of this script can differ (a library that loses races against itself on a busy machine). The runs are
   * then repeated when they differ, and have to agree once; without a reason they have to agree at once.
   */
  races?: string | undefined;
  /** Asked after each run for what else is to be the same, such as what a server received from it. */
  observe?: () => unknown;
}

/** Pairs of runs of a script that names its `races`. */
const MAX_RACES = 3;

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
      observed: observe?.(),
    };
    return { result, visible };
  };
  let bare = await run('none');
  const traced: Comparison['traced'] = {};
  for (const preload of preloads) {
    let with_ = await run(preload);
    for (let again = 1; races !== undefined && again < MAX_RACES; again++) {
      if (isDeepStrictEqual(with_.visible, bare.visible)) break;
      console.log(`${fixture} is run again, with ${preload} and bare: ${races}`);
      bare = await run('none');
      with_ = await run(preload);
    }
    expect(with_.visible, `with ${preload}, compared with the bare run`).toEqual(bare.visible);
    traced[preload] = with_.result;
  }
  return { bare: bare.result, traced };
}

/** Node puts the process id in front of its warnings. */
function withoutPid(text: string): string {
  return text.replace(/\(node:\d+\)/g, '(node:PID)');
}
