import { describeConnectionError } from '../log';
import type { Endpoint } from './endpoint';

/** All we want of a response is `partial_success`; a body that goes on is cut off with its connection. */
export const MAX_RESPONSE_BYTES = 64 * 1024;

/** How one try to deliver a batch came out. */
export type Attempt =
  | {
      readonly kind: 'response';
      /** Of HTTP; where a protocol has a status of its own, the one of HTTP that means the same. */
      readonly status: number;
      /** The protocol's own status, for messages. */
      readonly label?: string | undefined;
      /** As the header has it: seconds, or an HTTP date. */
      readonly retryAfter: string | undefined;
      /** `undefined` when there was none, or more of it than anybody needs. */
      readonly body: Buffer | undefined;
      /** All of the request was with the operating system when the answer came: nothing reads its bytes any more. */
      readonly isRequestFree?: boolean;
    }
  | { readonly kind: 'error'; readonly code: string; readonly message: string; readonly onReusedSocket: boolean }
  | { readonly kind: 'aborted' };

/** Carries one request at a time over one connection. Its sockets and timers never hold the process. */
export interface Transport {
  /** Never rejects; throws only before anything was sent. */
  post(endpoint: Endpoint, body: Buffer, gzip: boolean, timeoutMs: number): Promise<Attempt>;
  /** Whether requests pass through modules that are instrumented, where they would be traced themselves. */
  isVisible(endpoint: Endpoint): boolean;
  /** All bytes of the request under way are with the operating system. */
  readonly handedOver: boolean;
  /** Monotonic milliseconds when a connection was last given up that had held the process. */
  readonly connectGivenUpMs: number;
  /** Ends the request under way as aborted. */
  cancel(): void;
  close(): void;
}

/** An error for a message. */
export function describe(error: unknown): string {
  return withOpenSslReason(describeConnectionError(error));
}

/** Of OpenSSL's `<thread>:error:<number>:<library>:<function>:<reason>:<file>:…` the reason says it all. */
function withOpenSslReason(message: string): string {
  const start = message.indexOf('error:');
  if (start < 0) return message;
  const [, number = '', , , reason] = message.slice(start).split(':');
  if (!/^[0-9A-F]{8}$/.test(number) || !reason) return message;
  const words = message.slice(0, start).split(' ');
  const [thread] = words.slice(-1);
  if (thread?.endsWith(':')) words.splice(-1, 1, '');
  return words.join(' ') + reason;
}

/** TLS did not come about. */
export function isTlsFault(code: string): boolean {
  return /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|INVALID_|ERR_OSSL)/.test(code);
}

/** Errors that the next attempt, a moment later, would only repeat. */
export function isMisconfigured(code: string): boolean {
  return code.startsWith('HPE_') || code === 'PROXY_REFUSED' || isTlsFault(code);
}
