import { log } from '../log';

/**
 * Says, once for each kind, that a hook of ours failed: one that watches modules load or channels publish, and so belongs to
 * no instrumentation that could be switched off. What it was called for goes on.
 */
export function noteHookFailure(what: string, error: unknown): void {
  log.internal(`hook:${what}`, `internal error in ${what}; something may stay untraced`, error);
}

/** `work` for a microtask, where what is thrown would be the application's uncaught exception. */
export function attempt(what: string, work: () => void): () => void {
  return () => {
    try {
      work();
    } catch (error) {
      noteHookFailure(what, error);
    }
  };
}
