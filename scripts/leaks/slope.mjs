/**
 * By how much the second number of samples grows with the first: the median of the slopes between all pairs (Theil-Sen). What
 * a single look at the heap happens to find, such as code that was just compiled, does not move it.
 * @param {[number, number][]} samples
 */
export function slopeOf(samples) {
  const slopes = [];
  for (const [at, [x, y]] of samples.entries()) {
    for (const [otherX, otherY] of samples.slice(at + 1)) slopes.push((otherY - y) / (otherX - x));
  }
  return median(slopes);
}

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
