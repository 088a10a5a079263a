/**
 * Neighbours on a shared machine only ever add time: the minimum is the steadiest number, the median the usual one.
 * @param {number[]} values
 */
export function summarize(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], rounds: values.length };
}

/**
 * Measures all variants once per round, so that a slow minute of the machine hits all alike.
 * @param {Record<string, () => number | Promise<number>>} variants
 * @param {number} rounds
 */
export async function interleave(variants, rounds) {
  const names = Object.keys(variants);
  const values = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Every other round the other way round: what comes second finds warm caches.
    for (const name of round % 2 === 0 ? names : [...names].reverse()) values[name].push(await variants[name]());
  }
  return Object.fromEntries(names.map((name) => [name, { ...summarize(values[name]), values: values[name] }]));
}
