import { RESERVED_HEADERS } from '../../config';

/** One export request as it goes out: what headers can be made of. */
export interface OutgoingRequest {
  readonly method: 'POST';
  /** Absolute, with path and query. */
  readonly url: string;
  /** Lower-case names; with `content-encoding` where there is one. */
  readonly headers: Readonly<Record<string, string>>;
  /** What is really sent, after compression. For gRPC the message without its frame. */
  readonly body: Uint8Array;
}

/** Headers for a request, or why there are none. `problem` is for people and holds no secret. */
export type Authorized =
  | { readonly headers: Readonly<Record<string, string>> }
  | {
      readonly problem: string;
      /** Nothing changes that while the process runs: a package that is missing. */
      readonly final: boolean;
    };

/** What makes export requests acceptable to a back end: HOOKLINE_OTLP_AUTH, HOOKLINE_OTLP_HEADERS_FILE. */
export interface Authorization {
  /** Never rejects. May take as long as the source of the credentials does: the caller limits its own wait. */
  headers(request: OutgoingRequest): Promise<Authorized>;
  /** For the last send of a process, blocking for at most `budgetMs`. Never throws. */
  headersSync(request: OutgoingRequest, budgetMs: number): Authorized;
  /** To be called when the back end did not accept them. True when the same request is worth another try. */
  renew(): boolean;
  /** What to look at when they are not accepted; as the end of a message, empty when there is nothing to say. */
  readonly hint: string;
}

/**
 * An object of strings as headers in lower case, without those that frame the body, which are the exporter's; `undefined` for
 * anything else.
 */
export function toHeaders(value: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  // `Headers` of fetch, and a Map.
  const entries = isIterable(value) ? [...value] : Object.entries(value);
  const headers: Record<string, string> = {};
  for (const entry of entries) {
    if (!Array.isArray(entry)) return undefined;
    const [name, text] = entry as unknown[];
    if (typeof name !== 'string' || typeof text !== 'string') return undefined;
    const key = name.toLowerCase();
    if (!RESERVED_HEADERS.has(key)) headers[key] = text;
  }
  return headers;
}

function isIterable(value: object): value is Iterable<unknown> {
  return typeof (value as { [Symbol.iterator]?: unknown })[Symbol.iterator] === 'function';
}
