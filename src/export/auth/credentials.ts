import type { AwsKeys } from './sigv4';

/** Who gives out credentials; src/lazy/credentials.ts asks them. */
export type CredentialSource = 'aws' | 'google' | 'azure';

/** Plain data, so that it crosses threads. */
export interface Credentials {
  /** For `google` and `azure`, in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For `aws`. */
  readonly keys?: AwsKeys;
  /** By the clock, in milliseconds; `undefined` where they do not expire. */
  readonly expiresAtMs?: number | undefined;
}

export type Obtained = Credentials | { readonly problem: string; readonly final: boolean };

/** What src/lazy/credentials.ts is given as `workerData`. */
export interface CredentialsJob {
  readonly hookline: 'credentials';
  readonly source: CredentialSource;
  /** Where its package is looked for. */
  readonly folders: readonly string[];
  /** Int32Array of one: 0 while it works, then the bytes of the answer, which follow as JSON of an `Obtained`. */
  readonly shared: SharedArrayBuffer;
}

/** A token of Google with its headers takes 2 KiB, one of Entra with many groups up to 16. */
export const MAX_ANSWER_BYTES = 64 * 1024;

/** How the credentials of a source are asked for: once for each call. */
export interface PendingCredentials {
  /** Never rejects. */
  readonly result: Promise<Obtained>;
  /** Blocks for at most `budgetMs`; `undefined` when there is no answer by then. */
  waitSync(budgetMs: number): Obtained | undefined;
  /** Gives it up. */
  cancel(): void;
}
