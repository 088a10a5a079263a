export interface Random {
  /** 0 and up, below the limit. */
  integer(limit: number): number;
  pick<T>(items: readonly T[]): T;
}

/** The same numbers for the same seed (mulberry32), so that a failure can be repeated. */
export function random(seed: number): Random {
  let state = seed;
  function integer(limit: number): number {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
  return { integer, pick: (items) => items[integer(items.length)]! };
}
