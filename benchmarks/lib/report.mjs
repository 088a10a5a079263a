// Results as people read them.
import { nodesTable, peersTable } from './table.mjs';
import { judge } from './targets.mjs';

/** The table of a run, and what has to be known to read it. */
export function resultText({ date, machine, mode, version, runs }) {
  const table = runs.length === 1 ? peersTable(runs[0].rows, runs[0].variants) : nodesTable(runs);
  return [
    table,
    '',
    ...legend(runs),
    '',
    `Hookline ${version}, ${machine}, ${date.slice(0, 10)}, ${mode} run.`,
    ...lost(runs),
  ].join('\n');
}

/** As README.md has it: what was run on what, the table, and how to read it. */
export function readmeText(results) {
  const { date, machine, version, runs } = results;
  const verdicts = runs.flatMap(({ rows }) => rows.map((row) => judge(row).met)).filter((met) => met !== undefined);
  const met = verdicts.filter(Boolean).length;
  const tables = runs.map(({ node, rows, variants }) =>
    [...(runs.length > 1 ? [`**Node.js ${node}**`, ''] : []), peersTable(rows, variants), ''].join('\n'),
  );
  return [
    `Hookline ${version} on Node.js ${runs.map(({ node }) => node).join(', ')}; ${machine}; ${date.slice(0, 10)}; \`npm run bench\`.`,
    '',
    ...(runs.length > 1 ? [nodesTable(runs), ''] : []),
    ...tables,
    ...legend(runs),
    '',
    `${met} of ${verdicts.length} targets are met.`,
    ...lost(runs),
  ].join('\n');
}

function legend(runs) {
  const packages = [...new Set(runs.flatMap(({ variants }) => variants.flatMap((variant) => variant.packages ?? [])))];
  return [
    'CPU time of the traced process, exporting included, as medians: of the bare application, and what each agent adds to',
    'it. Rows without a bare application have the whole, beside a floor: the least that does the job. The ratio is to',
    `OpenTelemetry with traces only.${packages.length > 0 ? ` Compared with ${packages.join(', ')}.` : ''}`,
  ];
}

/** Nobody is to win by dropping. */
function lost(runs) {
  const lines = runs.flatMap(({ node, rows, variants }) =>
    rows.flatMap((row) =>
      Object.entries(row.variants)
        .filter(([, { lostShare = 0 }]) => lostShare > 0.001)
        .map(([name, { lostShare }]) => {
          const title = variants.find((variant) => variant.name === name)?.title ?? name;
          return `${title} lost ${(lostShare * 100).toFixed(1)} % of its spans: ${row.title}, Node.js ${node}.`;
        }),
    ),
  );
  const counted = runs.some(({ rows }) =>
    rows.some((row) => Object.values(row.variants).some(({ spans }) => spans > 0)),
  );
  if (!counted) return [];
  return ['', ...(lines.length > 0 ? lines : ['All spans of all agents were exported and counted at the receiver.'])];
}
