// Measures a workload under every variant, for as many rounds as are asked for.
import { join } from 'node:path';
import { measureRound } from './workload.mjs';

/**
 * @param {import('../workloads.mjs').Workload} workload
 * @param {import('./variants.mjs').Variant[]} [variants]
 * @returns {Promise<Record<string, import('./workload.mjs').Measured>[]>} one per round
 */
export async function measureWorkload(workload, bench, variants = [bench.bare, bench.hookline, ...bench.peers]) {
  const lent = workload.service && (await bench.services.lend(workload.service));
  try {
    const settings = { ...bench, ...(bench.quick ? workload.counts.quick : workload.counts.full), ...bench.counts };
    const prepared = {
      app: join(bench.apps, workload.app),
      http: workload.http,
      env: { ...workload.env, ...(lent && { URL: lent.url }) },
    };
    const rounds = [];
    for (let round = 0; round < (bench.rounds ?? (bench.quick ? 1 : 5)); round++)
      rounds.push(await measureRound(prepared, variants, settings));
    return rounds;
  } finally {
    await lent?.giveBack();
  }
}

/** @returns {Promise<object>} a row without its summary */
export async function runWorkload(name, workload, bench) {
  return {
    name,
    title: workload.title,
    unit: 'µs',
    compare: 'difference',
    rounds: await measureWorkload(workload, bench),
    target: workload.target,
    spans: workload.spans,
  };
}
