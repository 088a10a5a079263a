/** What a file of this folder exports: one question, and the ways to do it that are compared. */
export interface Micro {
  readonly question: string;
  /** Default: nanoseconds of CPU time per call. */
  readonly unit?: string;
  /**
   * Each makes the function that is measured. `floor` is what cannot be saved: the inputs alone, or the least that does the
   * job. `peer` loads a module that an agent brings along; a case that uses it is left out where there is none.
   */
  readonly cases: Readonly<Record<string, Case>>;
  /** Calls per window; default 100,000. */
  readonly calls?: number;
}

export interface Case {
  /** Whose package has the modules; `peer` fails without. */
  readonly needs?: 'otel';
  make(peer: Peer): Call | Promise<Call>;
}

// biome-ignore lint/suspicious/noExplicitAny: modules of packages that are no dependency of this one.
export type Peer = (specifier: string) => any;

/** Returns a number that depends on what was done, so that no compiler leaves it out. */
export type Call = (i: number) => number;
