/** Names of the gRPC status codes, by code (gRPC core, "Status codes and their use"). */
const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export const OK = 0;
export const CANCELLED = 1;
export const UNKNOWN = 2;
export const DEADLINE_EXCEEDED = 4;
export const UNIMPLEMENTED = 12;
export const INTERNAL = 13;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;
export const UNAUTHENTICATED = 16;

/** The name of a code; a code that gRPC does not know stays a number, as text. */
export function statusName(code: number): string {
  return NAMES[code] ?? String(code);
}

/** Whether a status is the server's failure and not its client's (conventions: rpc/grpc, server spans). */
export function isServerFailure(code: number): boolean {
  switch (code) {
    case UNKNOWN:
    case DEADLINE_EXCEEDED:
    case UNIMPLEMENTED:
    case INTERNAL:
    case UNAVAILABLE:
    case DATA_LOSS:
      return true;
    default:
      return false;
  }
}

/** `grpc-message` as it was before it was percent-encoded for the wire. */
export function decodeMessage(message: string): string {
  if (!message.includes('%')) return message;
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** Milliseconds by the unit of a `grpc-timeout` (gRPC over HTTP/2, "Requests"). */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** A `grpc-timeout` such as `250m` in milliseconds; `undefined` for what is none. */
export function parseTimeout(text: unknown): number | undefined {
  if (typeof text !== 'string' || text.length < 2 || text.length > 9) return undefined;
  const unit = UNITS[text.charAt(text.length - 1)];
  const amount = Number(text.slice(0, -1));
  return unit === undefined || !(amount >= 0) ? undefined : amount * unit;
}
