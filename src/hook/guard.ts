import { log } from '../log';

/** After this many errors of its own an instrumentation is switched off. */
const MAX_FAILURES = 5;

/**
 * Stands between one instrumentation's code and the application: counts what it throws, and switches it off when it
 * keeps failing. The application's own errors never come here.
 */
export class Guard {
  failures = 0;
  /** The first error, for the status. */
  firstError: string | undefined = undefined;
  off = false;

  constructor(readonly name: string) {}

  /** Takes note of an error of ours. */
  fail(error: unknown): void {
    this.failures++;
    const text = describe(error);
    this.firstError ??= text;
    log.debug(`${this.name}: ${text}`);
    if (this.failures < MAX_FAILURES || this.off) return;
    this.off = true;
    log.error(
      `${this.name} instrumentation switched off after ${MAX_FAILURES} internal errors; the first: ${this.firstError}`,
    );
  }

  run<Result>(fn: () => Result): Result | undefined {
    try {
      return this.off ? undefined : fn();
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }
}

function describe(error: unknown): string {
  try {
    return error instanceof Error ? (error.stack?.split('\n', 2).join(' ') ?? error.message) : String(error);
  } catch {
    return 'an error without a description';
  }
}
