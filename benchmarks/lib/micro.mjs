// Runs a file of micro/: each case in processes of its own, one after the other, round by round.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { local, runScript } from './processes.mjs';
import { byRound, interleave, median } from './statistics.mjs';
import { ROOT } from './variants.mjs';

const CALLS = 100_000;

/** All cases of a file. */
export async function runMicro(name, bench) {
  return withFolder(async (folder) => {
    const bundle = await bundleMicro(name, folder, ROOT);
    const micro = await load(bundle);
    const variants = {};
    for (const [key, { needs }] of Object.entries(micro.cases)) {
      const peer = bench.peers.find((variant) => variant.name === needs);
      if (needs !== undefined && peer === undefined) continue;
      variants[key] = () => measure(bundle, key, micro, bench, peer);
    }
    return byRound(await interleave(variants, { rounds: bench.rounds ?? (bench.quick ? 3 : 9) }));
  });
}

/**
 * The case of the agent, with the sources of several working trees; the benchmark itself is always this one's.
 * @param {Record<string, string>} roots by variant
 */
export async function compareMicro(name, roots, bench) {
  return withFolder(async (folder) => {
    const variants = {};
    for (const [variant, root] of Object.entries(roots)) {
      const bundle = await bundleMicro(name, join(folder, variant), root);
      const micro = await load(bundle);
      variants[variant] = () => measure(bundle, 'hookline', micro, bench);
    }
    return byRound(await interleave(variants, { rounds: bench.rounds }));
  });
}

function measure(bundle, key, micro, { quick, counts, node }, peer) {
  const windows = counts ? 1 : quick ? 8 : 15;
  const calls = counts?.operations ?? (micro.calls ?? CALLS) / (quick ? 2 : 1);
  const args = [bundle, key, String(windows), String(calls), ...(peer ? [peer.folder] : [])];
  return { samples: [median(runScript('apps/micro.js', { node, args }).windows)] };
}

async function load(bundle) {
  const loaded = await import(pathToFileURL(bundle).href);
  return loaded.default.default;
}

async function withFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'hookline-micro-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bundleMicro(name, folder, root) {
  const outfile = join(folder, `${name}.cjs`);
  await build({
    entryPoints: [local(`micro/${name}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node18.19',
    logLevel: 'silent',
    define: { HOOKLINE_VERSION: '"bench"' },
    plugins: [
      {
        name: 'sources-of',
        setup: (bundler) =>
          bundler.onResolve({ filter: /^\.\.\/\.\.\/src\// }, ({ path, kind }) =>
            bundler.resolve(`./${path.slice('../../'.length)}`, { resolveDir: root, kind }),
          ),
      },
    ],
  });
  return outfile;
}
