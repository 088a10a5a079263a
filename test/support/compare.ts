import { expect } from 'vitest';
import { type Preload, type RunOptions, type RunResult, runApp } from './run-app';

export interface CompareOptions extends Omit<RunOptions, 'preload'> {
  /** Each is compared with the bare run; default `import` and `require`. */
  preloads?: Exclude<Preload, 'none'>[];
  /** Removes from standard output and standard error what differs between any two runs (times, ports). */
  normalise?: (text: string) => string;
}

export interface Comparison {
  bare: RunResult;
  /** By preload. */
  traced: Partial<Record<Preload, RunResult>>;
}

/** Runs the same script without and with the agent; what a user or a shell can see of it has to be the same. */
export async function expectSameAsBare(fixture: string | undefined, options: CompareOptions = {}): Promise<Comparison> {
  const { preloads = ['import', 'require'], normalise = (text: string) => text, ...runOptions } = options;
  const visible = ({ stdout, stderr, code, signal }: RunResult) => ({
    stdout: normalise(withoutPid(stdout)),
    stderr: normalise(withoutPid(stderr)),
    code,
    signal,
  });
  const bare = await runApp(fixture, { ...runOptions, preload: 'none', waitForSpans: 0 });
  const traced: Comparison['traced'] = {};
  for (const preload of preloads) {
    const result = await runApp(fixture, { ...runOptions, preload });
    expect(visible(result), `with ${preload}, compared with the bare run`).toEqual(visible(bare));
    traced[preload] = result;
  }
  return { bare, traced };
}

/** Node puts the process id in front of its warnings. */
function withoutPid(text: string): string {
  return text.replace(/\(node:\d+\)/g, '(node:PID)');
}
