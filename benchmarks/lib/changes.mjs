// What a change of the agent did to what it costs.
import { toRow } from './rows.mjs';
import { markdown } from './table.mjs';
import { number } from './targets.mjs';

/** How many standard errors a difference may be off by chance. */
const ERRORS = 2;

/**
 * `base` and `again` are the same build, `head` is the changed one; without `bare`, all of it is what it costs.
 * @param {(Record<'base' | 'head' | 'again', { samples: number[] }> & { bare?: { samples: number[] } })[]} rounds
 */
export function toChange(title, unit, rounds) {
  const { variants } = toRow({ rounds }, 'base');
  const { base, head, again, bare } = variants;
  const noise = Math.abs(again.difference) + ERRORS * Math.max(again.differenceError, head.differenceError);
  return {
    title,
    unit,
    /** What the base adds to the bare application. */
    cost: bare === undefined ? base.median : -bare.difference,
    change: head.difference,
    noise,
    verdict: Math.abs(head.difference) <= noise ? 'no difference' : head.difference < 0 ? 'less' : 'more',
  };
}

export function compareText(changes, base) {
  const header = ['benchmark', 'unit', `cost at ${base}`, 'change', 'of the cost', 'noise', ''];
  const lines = changes.map(({ title, unit, cost, change, noise, verdict }) => [
    title,
    unit,
    number(cost),
    `${change < 0 ? '' : '+'}${number(change)}`,
    cost > noise ? `${change < 0 ? '−' : '+'}${Math.abs((change / cost) * 100).toFixed(0)} %` : '',
    `±${number(noise)}`,
    verdict,
  ]);
  return [
    markdown([header, ...lines], (column) => column > 1 && column < header.length - 1),
    '',
    'CPU time over the bare application, or of a single part, in pairs measured one after the other. Noise: what two runs of the same build',
    'differ by, and the error of the change.',
  ].join('\n');
}
