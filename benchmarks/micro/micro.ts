/** What a file of this folder exports: one question, and the ways to do it that are compared. */
export interface Micro {
  readonly question: string;
  /** Each makes the function that is measured; `floor` is what cannot be saved: the inputs alone, or the least that does the job. */
  readonly cases: Readonly<Record<string, Case>>;
  /** Calls per window. Default: 100,000. */
  readonly calls?: number;
}

export interface Case {
  /** Whose package has the modules that `make` asks for; the case is left out where it is not compared with. */
  readonly needs?: 'otel';
  make(peer: Peer): Call | Burst;
}

/** Loads a module that a peer brings along. */
// biome-ignore lint/suspicious/noExplicitAny: modules of packages that are no dependency of this one
export type Peer = (specifier: string) => any;

/** Returns a number that depends on what was done, so that no compiler leaves it out. */
export type Call = (i: number) => number;

/** Calls, and what has to happen after each 512 of them, which is part of what they cost. */
export interface Burst {
  readonly call: Call;
  after(): Promise<void> | void;
}
