/** What aborting is called: Node and fetch, undici, axios. */
const ABORT_CODES: ReadonlySet<unknown> = new Set(['ABORT_ERR', 'UND_ERR_ABORTED', 'ERR_CANCELED']);

/**
 * Whether an error says by itself that somebody aborted. `AbortSignal.timeout` does not count: a timeout is a failure,
 * and Node wraps it as the cause of an AbortError.
 */
export function isAbort(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { name, code, cause } = error as { name?: unknown; code?: unknown; cause?: { name?: unknown } };
  return (name === 'AbortError' || ABORT_CODES.has(code)) && cause?.name !== 'TimeoutError';
}

/**
 * Whether the reason that an application gave a request up with is a purpose and no failure (conventions: a request that
 * the caller cancelled has no error). Any value may be the reason, and what fails by itself has a code or says that it
 * timed out.
 */
export function isPurpose(reason: unknown): boolean {
  if (typeof reason !== 'object' || reason === null) return true;
  if (isAbort(reason)) return true;
  const { name, code, cause } = reason as { name?: unknown; code?: unknown; cause?: { name?: unknown } };
  return name !== 'TimeoutError' && cause?.name !== 'TimeoutError' && typeof code !== 'string';
}
