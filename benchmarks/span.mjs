// How long does one span take: created, described by 8 attributes, ended and encoded?
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { local, runScript } from './lib/processes.mjs';
import { interleave } from './lib/statistics.mjs';

const CACHE = fileURLToPath(new URL('../.cache/bench', import.meta.url));

export async function run({ quick }) {
  const bundle = join(CACHE, 'span-core.cjs');
  await build({
    entryPoints: [local('lib/span-core.ts')],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node18.19',
    logLevel: 'warning',
    define: { HOOKLINE_VERSION: '"bench"' },
  });
  const count = quick ? 200_000 : 1_000_000;
  const variant = (mode) => () => runScript('apps/span.js', { args: [bundle, mode, String(count)] }).ns;
  const results = await interleave(
    { inputs: variant('inputs'), automatic: variant('automatic'), manual: variant('manual') },
    quick ? 7 : 15,
  );
  return [
    { name: 'span, as instrumentations make it', unit: 'ns CPU', base: results.inputs, agent: results.automatic },
    { name: 'span, by the OpenTelemetry API', unit: 'ns CPU', base: results.inputs, agent: results.manual },
  ].map((row) => ({ ...row, note: 'without: attributes and times alone' }));
}
