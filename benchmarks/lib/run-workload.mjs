// Measures a workload under every variant, for as many rounds as are asked for.
import { join } from 'node:path';
import { measureRound } from './workload.mjs';

/** @returns {Promise<object>} a row without its summary */
export async function runWorkload(name, workload, bench) {
  const [quick, full] = workload.counts;
  const settings = { node: bench.node, load: bench.load, receiver: bench.receiver, ...(bench.quick ? quick : full) };
  const prepared = { app: join(bench.apps, workload.app), http: workload.http, env: {} };
  const rounds = [];
  for (let round = 0; round < (bench.rounds ?? (bench.quick ? 3 : 5)); round++)
    rounds.push(await measureRound(prepared, [bench.bare, bench.hookline, ...bench.peers], settings));
  return {
    name,
    title: workload.title,
    unit: 'µs',
    compare: 'difference',
    rounds,
    target: workload.target,
    spans: workload.spans,
  };
}
