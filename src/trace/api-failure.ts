import { log } from '../log';

/** Says, once, that something of ours failed that the application called by the OpenTelemetry API, which never throws. */
export function noteApiFailure(error: unknown): void {
  log.internal('api-call', 'internal error behind the OpenTelemetry API; something of a span may be missing', error);
}
