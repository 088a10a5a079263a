// What every benchmark is given: the applications, who asks them, who receives spans, and what is compared.
import { execFileSync } from 'node:child_process';
import { prepareApps } from './apps.mjs';
import { startProcess } from './processes.mjs';
import { createServices } from './services.mjs';
import { bare, exportTo, hookline, peer } from './variants.mjs';

/**
 * @typedef {object} Bench
 * @property {string} node the binary that applications run under
 * @property {string} version of that Node.js
 * @property {boolean} quick
 * @property {number} [rounds] instead of a benchmark's own number
 * @property {{ warmUp: number, window: number, windows: number, operations: number }} [counts] instead of a benchmark's own
 * @property {string} apps folder of the applications
 * @property {object} load process that sends requests
 * @property {object} receiver process that counts spans; `env` leads agents there
 * @property {object} services what applications talk to
 * @property {import('./variants.mjs').Variant} bare
 * @property {import('./variants.mjs').Variant} hookline
 * @property {import('./variants.mjs').Variant[]} peers
 */

/**
 * @param {{ node?: string, quick?: boolean, rounds?: number, counts?: object, peers?: string[] }} options
 * @returns {Promise<Bench & { close(): Promise<void> }>}
 */
export async function openBench({ node = process.execPath, quick = false, rounds, counts, peers: names = [] }) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1);
  const peers = [];
  for (const name of names) peers.push(await peer(name, version));
  const apps = await prepareApps();
  const load = await startProcess('lib/load.mjs');
  const receiver = await startProcess('lib/receiver.mjs');
  receiver.env = exportTo(receiver.ready.url);
  const services = createServices();
  return {
    ...{ node, version, quick, rounds, counts },
    ...{ apps, load, receiver, services },
    ...{ bare: bare(), hookline: hookline(), peers },
    async close() {
      await Promise.all([load.stop(), receiver.stop(), services.close()]);
    },
  };
}
