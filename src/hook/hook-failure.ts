import { describeError, log } from '../log';

/**
 * Says, once for each kind, that a hook of ours failed: one that watches modules load or channels publish, and so belongs to
 * no instrumentation that could be switched off. What it was called for goes on.
 */
export function noteHookFailure(what: string, error: unknown): void {
  log.once('error', `hook:${what}`, `internal error in ${what}; something may stay untraced: ${describeError(error)}`);
}
