// What the rounds of a benchmark come to.
import { mean, median, medianError, summarize } from './statistics.mjs';

/**
 * The row with a summary per variant. `rounds` has one object per round and variant: its `samples`, in the same order for all
 * variants, so that those of one index were taken one after the other and can be compared in pairs with those of `base`.
 */
export function toRow({ rounds, ...row }, base = 'bare') {
  const variants = {};
  const names = Object.keys(rounds[0] ?? {});
  const samplesOf = (name) => rounds.flatMap((round) => round[name].samples);
  const baseSamples = names.includes(base) ? samplesOf(base) : undefined;
  for (const name of names) {
    const samples = samplesOf(name);
    variants[name] = {
      ...summarize(samples),
      mean: mean(samples),
      ...(baseSamples !== undefined && name !== base && pairs(samples, baseSamples)),
      ...ofSpans(rounds.map((round) => round[name])),
      samples: rounds.map((round) => round[name].samples),
    };
  }
  return { ...row, variants };
}

function pairs(samples, base) {
  const differences = samples.map((sample, i) => sample - base[i]);
  return { difference: median(differences), differenceError: medianError(differences) };
}

function ofSpans(rounds) {
  if (rounds.every(({ spans }) => spans === undefined)) return {};
  const sum = (key) => rounds.reduce((total, round) => total + round[key], 0);
  const spans = sum('spans');
  const expected = Math.round(sum('expectedSpans'));
  return {
    spansPerOperation: rounds[0].spansPerOperation,
    spans,
    lostShare: expected === 0 ? 0 : Math.max(0, 1 - spans / expected),
  };
}
