/**
 * The value at a share of the sorted values, between two of them where it falls there.
 * @param {readonly number[]} values at least one
 * @param {number} share from 0 to 1
 */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

/** @param {readonly number[]} values */
export function median(values) {
  return quantile(values, 0.5);
}

/** @param {readonly number[]} values */
export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Neighbours on a shared machine only ever add time: the minimum is the steadiest number, the median the usual one.
 * @param {readonly number[]} values
 */
export function summarize(values) {
  return { median: median(values), p10: quantile(values, 0.1), min: Math.min(...values) };
}

/**
 * How far the median may be off by chance: the median distance from the median, scaled to a standard error. Zero for
 * a single value, which says nothing about itself.
 * @param {readonly number[]} values
 */
export function medianError(values) {
  const middle = median(values);
  const spread = median(values.map((value) => Math.abs(value - middle)));
  // 1.4826 makes it a standard deviation where the values are normal, 1.2533 a standard error of a median.
  return (1.4826 * 1.2533 * spread) / Math.sqrt(values.length);
}

/**
 * Measures all variants once per round, so that a slow minute of the machine hits all alike. Stops early, but not
 * before `minRounds`, when `budgetMs` are used up.
 * @template Measured
 * @param {Record<string, (round: number) => Measured | Promise<Measured>>} variants
 * @param {{ rounds: number, minRounds?: number, budgetMs?: number }} limits
 * @returns {Promise<Record<string, Measured[]>>}
 */
export async function interleave(variants, { rounds, minRounds = rounds, budgetMs = Number.POSITIVE_INFINITY }) {
  const names = Object.keys(variants);
  const values = Object.fromEntries(names.map((name) => [name, []]));
  const startMs = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round >= minRounds && performance.now() - startMs > budgetMs) break;
    // Every other round the other way round: what comes second finds warm caches.
    for (const name of round % 2 === 0 ? names : [...names].reverse()) values[name].push(await variants[name](round));
  }
  return values;
}

/**
 * From one list of rounds per variant to one object of variants per round.
 * @template Measured
 * @param {Record<string, Measured[]>} lists all of one length
 */
export function byRound(lists) {
  const names = Object.keys(lists);
  return lists[names[0]].map((_, round) => Object.fromEntries(names.map((name) => [name, lists[name][round]])));
}
