// The command line of `npm run bench`.
import { parseArgs } from 'node:util';
import { PEERS } from './variants.mjs';

/** The newest of each line of Node.js. */
const NEWEST = { 18: '18.20.8', 20: '20.20.2', 22: '22.23.3', 24: '24.21.0', 26: '26.10.0' };

/**
 * @param {string[]} args
 * @param {{ name: string, group: string }[]} benchmarks
 */
export function parseOptions(args, benchmarks) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      peers: { type: 'string' },
      node: { type: 'string' },
      nodes: { type: 'string' },
      json: { type: 'string' },
      table: { type: 'boolean', default: false },
      readme: { type: 'boolean', default: false },
    },
  });
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    throw new Error(`--rounds is a positive number, not ${values.rounds}`);

  const peers = peersOf(values.peers ?? (values.quick ? 'otel' : 'all'));
  const unknown = positionals.filter((word) => !benchmarks.some(({ name, group }) => word === name || word === group));
  if (unknown.length > 0) {
    const names = [...new Set(benchmarks.flatMap(({ name, group }) => [group, name]))];
    throw new Error(`no benchmark is called ${unknown.join(', ')}; there are ${names.join(', ')}`);
  }
  const selected =
    positionals.length === 0
      ? benchmarks
      : benchmarks.filter(({ name, group }) => positionals.includes(name) || positionals.includes(group));
  return { ...values, rounds, peers, selected, nodes: values.nodes?.split(',').map((name) => NEWEST[name] ?? name) };
}

function peersOf(text) {
  if (text === 'all') return Object.keys(PEERS);
  if (text === 'none') return [];
  const names = text.split(',');
  const unknown = names.filter((name) => !Object.hasOwn(PEERS, name));
  if (unknown.length > 0)
    throw new Error(
      `no peer is called ${unknown.join(', ')}; there are ${Object.keys(PEERS).join(', ')}, all and none`,
    );
  return names;
}
