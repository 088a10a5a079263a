// Runs a file of micro/: each case in processes of its own, one after the other, round by round.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { local, runScript } from './processes.mjs';
import { byRound, interleave, median } from './statistics.mjs';
import { ROOT } from './variants.mjs';

/** @returns {Promise<{ question: string, rounds: object[] }>} a part of a row */
export async function runMicro(name, { quick, rounds, node, peers, root = ROOT }) {
  const folder = mkdtempSync(join(tmpdir(), 'hookline-micro-'));
  try {
    const bundle = await bundleMicro(name, folder, root);
    const { default: micro } = await import(pathToFileURL(bundle).href).then((loaded) => loaded.default);
    const calls = quick ? (micro.calls ?? 100_000) / 2 : (micro.calls ?? 100_000);
    const variants = {};
    for (const [key, { needs }] of Object.entries(micro.cases)) {
      const peer = peers.find((variant) => variant.name === needs);
      if (needs !== undefined && peer === undefined) continue;
      variants[key] = () => {
        const args = [bundle, key, quick ? '8' : '15', String(calls), ...(peer ? [peer.folder] : [])];
        const { windows } = runScript('apps/micro.js', { node, args });
        return { samples: [median(windows)] };
      };
    }
    const samples = await interleave(variants, { rounds: rounds ?? (quick ? 3 : 9) });
    return { question: micro.question, rounds: byRound(samples) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `root` says whose sources are measured; the benchmark is always this working tree's. */
export async function bundleMicro(name, folder, root = ROOT) {
  const outfile = join(folder, `${name}.cjs`);
  await build({
    entryPoints: [local(`micro/${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node18.19',
    logLevel: 'warning',
    define: { HOOKLINE_VERSION: '"bench"' },
    plugins: [
      {
        name: 'sources-of',
        setup: (bundler) =>
          bundler.onResolve({ filter: /^\.\.\/\.\.\/(src|instrumentations)\// }, ({ path, kind }) =>
            bundler.resolve(`./${path.slice('../../'.length)}`, { resolveDir: root, kind }),
          ),
      },
    ],
  });
  return outfile;
}
