/** What a span fails with when its channel or connection did: in the form in which the engine reads errors. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** AMQP's reply code or the system's, as text: codes of amqplib are numbers. */
export function failureOf(error: unknown): Failure {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return {
    code: typeof code === 'number' || typeof code === 'string' ? String(code) : 'connection-error',
    message: typeof message === 'string' ? message : 'connection closed',
  };
}
