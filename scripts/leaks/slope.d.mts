/** By how much the second numbers grow with the first: the median of the slopes between all pairs. */
export function slopeOf(samples: [number, number][]): number;
