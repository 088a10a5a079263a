import type { DropReason } from './processor';

/** Spans by the reason why they were dropped; only reasons that occurred. */
export type LossCounts = Readonly<Partial<Record<DropReason, number>>>;

/** What one exporter lost. */
export interface Loss {
  /** Whose losses these are, as a part of a sentence: `to http://…`; may be empty. */
  readonly to: string;
  readonly counts: LossCounts;
}

/** `queue_full 12, exit_timeout 2` */
export function countsOf(counts: LossCounts): string {
  return Object.entries(counts)
    .map(([reason, spans]) => `${reason} ${spans}`)
    .join(', ');
}

/** What is said at the end of a process that lost spans, for all exporters on one line. */
export function lossLine(losses: readonly Loss[]): string {
  return losses
    .map(({ to, counts }) => {
      let spans = 0;
      for (const count of Object.values(counts)) spans += count;
      const subject = spans === 1 ? '1 span was' : `${spans} spans were`;
      // Spans that were left when the process ended: that is what the sentence says by itself.
      const reasons = counts.exit_timeout === spans ? '' : ` (${countsOf(counts)})`;
      return `${subject} not delivered${to === '' ? '' : ` ${to}`} before the process ended${reasons}`;
    })
    .join('; ');
}
