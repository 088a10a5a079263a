// Rows as Markdown.
import { judge, number, ratio, subjectOf } from './targets.mjs';

/**
 * One column per variant that any row has.
 * @param {object[]} rows
 * @param {{ name: string, title: string }[]} variants
 */
export function peersTable(rows, variants) {
  const columns = variants.filter(({ name }) => rows.some((row) => cell(row, name) !== ''));
  const header = ['benchmark', 'unit', ...columns.map(({ title }) => title), 'ratio', 'target', 'verdict'];
  const lines = rows.map((row) => {
    const { target, verdict } = judge(row);
    const share = ratio(row);
    return [
      row.title,
      row.unit,
      ...columns.map(({ name }) => cell(row, name)),
      share === undefined ? '' : share.toFixed(2),
      target,
      verdict,
    ];
  });
  return markdown([header, ...lines], (column) => column > 1 && column < header.length - 2);
}

/**
 * One column per Node.js, with what the agent costs there.
 * @param {{ node: string, rows: object[] }[]} runs
 */
export function nodesTable(runs) {
  const samples = [...new Map(runs.flatMap(({ rows }) => rows.map((row) => [row.name, row]))).values()];
  const header = ['benchmark', 'unit', 'target', ...runs.map(({ node }) => `Node ${node}`)];
  const lines = samples.map((sample) => [
    sample.title,
    sample.unit,
    // A limit that is measured too differs between them.
    sample.target?.nothing || sample.target?.asLittleAs ? '' : judge(sample).target,
    ...runs.map(({ rows }) => {
      const row = rows.find(({ name }) => name === sample.name);
      if (row === undefined) return '–';
      const share = ratio(row);
      return [cell(row, 'hookline'), share?.toFixed(2), judge(row).verdict].filter(Boolean).join(', ');
    }),
  ]);
  return markdown([header, ...lines], (column) => column > 2);
}

/** What a row says of a variant; the column of the agent has the one that the row is about, that of `bare` the floor. */
function cell(row, name) {
  const { variants, compare } = row;
  const own =
    name === 'hookline'
      ? variants[subjectOf(row)]
      : name === 'bare'
        ? (variants.bare ?? variants.floor)
        : variants[name];
  if (own === undefined) return '';
  if (compare !== 'difference' || name === 'bare') return number(own.median);
  return own.difference < 0 ? number(own.difference) : `+${number(own.difference)}`;
}

/** The first line is the header; `isNumber` says which columns are aligned to the right. */
export function markdown(lines, isNumber) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const pad = (text, column) => (isNumber(column) ? text.padStart(widths[column]) : text.padEnd(widths[column]));
  const rule = widths.map((width, column) => (isNumber(column) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [lines[0].map(pad), rule, ...lines.slice(1).map((line) => line.map(pad))]
    .map((line) => `| ${line.join(' | ')} |`)
    .join('\n');
}
