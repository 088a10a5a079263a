// Builds what `npm pack` ships: what runs at start as one CommonJS file, what makes and carries spans as a second, each
// instrumentation as a file of its own (read when its library loads), the public entry, and the declarations of the public types.
//
//   node scripts/build.mjs               dist/
//   node scripts/build.mjs --no-types    without the declarations
//   node scripts/build.mjs --faults      .dist-faults/, where every function can be made to fail (scripts/internal-faults.mjs)
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const withFaults = process.argv.includes('--faults');
const dist = join(root, withFaults ? '.dist-faults' : 'dist');
// Built beside and moved into place, so that a process started meanwhile finds the old build or the new one.
const out = join(root, `.dist-${process.pid}`);
process.on('exit', () => rmSync(out, { recursive: true, force: true }));

const version = createRequire(import.meta.url)('../package.json').version;
const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  logLevel: 'warning',
  legalComments: 'inline',
  // Half a millisecond less to parse at start. Names stay, and lines stay short, so that stack traces say where.
  minifyWhitespace: true,
  lineLimit: 120,
  define: { HOOKLINE_VERSION: JSON.stringify(version) },
};

/** require-in-the-middle's only use of `debug` is tracing itself; the real one costs milliseconds at start. */
const withoutDebug = {
  name: 'without-debug',
  setup(bundler) {
    bundler.onResolve({ filter: /^debug$/ }, () => ({ path: 'debug', namespace: 'without-debug' }));
    bundler.onLoad({ filter: /.*/, namespace: 'without-debug' }, () => ({
      contents: 'module.exports = () => () => {};',
    }));
  },
};

/** Files outside the agent's own bundle: each is read on first use. */
const lazy = {
  name: 'lazy',
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\/(core|(lazy|instrumentations)\/[a-z0-9-]+)\.js$/ }, ({ path }) => ({
      path,
      external: true,
    }));
  },
};

/**
 * Modules with a state of their own, by the names that src/shared.ts has them under: of each there is one in the process. A
 * bundle takes those that another one has from there.
 */
const SHARED = {
  'src/log': 'log',
  'src/api': 'api',
  'src/exit': 'exit',
  'src/http/route': 'route',
  'src/propagation/trace-state': 'traceState',
  // Taken at start.
  'src/timers': 'timers',
  // Without a state, but the encoder is fastest where all blocks are of one class.
  'src/trace/attribute-block': 'attributeBlock',
  'src/trace/clock': 'clock',
  'src/trace/context': 'context',
  'src/trace/span-identity': 'identity',
};
/** What is read at start has these; src/core.ts, which is read before any other file, the rest. */
const AGENT = ['log', 'api', 'timers'];
const withShared = (names) => ({
  name: 'with-shared',
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
      const name = SHARED[relative(root, join(resolveDir, path)).replaceAll('\\', '/')];
      return names.includes(name) ? { path: name, namespace: 'shared' } : undefined;
    });
    bundler.onLoad({ filter: /.*/, namespace: 'shared' }, ({ path }) => ({
      contents: `module.exports = globalThis[Symbol.for('hookline.shared')].${path};`,
    }));
  },
});
const fromAgent = withShared(AGENT);
const fromCore = withShared(Object.values(SHARED));

/** In instrumentations, modules that are read when they are first used have a stand-in. */
const LATER = { 'src/db/query': 'src/db/query-later.ts' };
const later = {
  name: 'later',
  setup(bundler) {
    bundler.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
      const standIn = LATER[relative(root, join(resolveDir, path)).replaceAll('\\', '/')];
      return standIn === undefined ? undefined : { path: join(root, standIn) };
    });
  },
};

/**
 * The class that all CommonJS modules are of, in place of `node:module`, which has it and reads the code for source maps as
 * well: as much to read as half of the agent's.
 */
const withoutModuleApi = {
  name: 'without-module-api',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:module$/ }, () => ({ path: 'module', namespace: 'without-module-api' }));
    bundler.onLoad({ filter: /.*/, namespace: 'without-module-api' }, () => ({ contents: 'module.exports = Module;' }));
  },
};
const MODULE_CLASS =
  "'use strict';const Module = typeof module.constructor.syncBuiltinESMExports === 'function' ? module.constructor : require('node:module');";

const ownFaults = withFaults ? [(await import('./internal-faults/probes.mjs')).probes(root)] : [];

const instrumentations = readdirSync(join(root, 'instrumentations'))
  .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
  .map((file) => join('instrumentations', file));
const lazyFiles = readdirSync(join(root, 'src', 'lazy'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => join('src', 'lazy', file));
const loaderFiles = readdirSync(join(root, 'src', 'lazy'))
  .filter((file) => file.endsWith('.mts'))
  .map((file) => join('src', 'lazy', file));

await Promise.all([
  build({
    ...shared,
    target: 'node18.19',
    entryPoints: { agent: 'src/agent.ts' },
    outdir: out,
    banner: { js: MODULE_CLASS },
    plugins: [lazy, withoutModuleApi, ...ownFaults],
  }),
  build({
    ...shared,
    target: 'node18.19',
    entryPoints: { core: 'src/core.ts' },
    outdir: out,
    plugins: [lazy, fromAgent, ...ownFaults],
  }),
  build({ ...shared, target: 'node18.19', entryPoints: { index: 'src/index.ts' }, outdir: out }),
  // Read by every Node that has --require, to say in one line that it is too old.
  build({
    ...shared,
    target: 'es2015',
    entryPoints: { register: 'src/register.ts' },
    outdir: out,
    packages: 'external',
    plugins: [
      {
        name: 'agent',
        setup: (b) => b.onResolve({ filter: /^\.\/agent\.js$/ }, ({ path }) => ({ path, external: true })),
      },
    ],
  }),
  build({ ...shared, target: 'node18.19', entryPoints: lazyFiles, outdir: join(out, 'lazy'), plugins: [withoutDebug] }),
  build({
    ...shared,
    target: 'node18.19',
    entryPoints: {
      config: 'src/config.ts',
      export: 'src/export/load.ts',
      auth: 'src/export/auth/load.ts',
      spool: 'src/export/spool.ts',
      user: 'src/hook/user.ts',
      'foreign-loaders': 'src/hook/foreign-loaders.ts',
      'propagation-hosts': 'src/propagation/hosts.ts',
      propagators: 'src/propagation/load.ts',
      proxy: 'src/export/proxy.ts',
      resource: 'src/resource/load.ts',
      samplers: 'src/sampling/load.ts',
      sql: 'src/db/query.ts',
      'tail-sampling': 'src/sampling/tail.ts',
    },
    external: ['import-in-the-middle', './spool.js', './auth.js'],
    outdir: join(out, 'lazy'),
    plugins: [fromCore, ...ownFaults],
  }),
  build({
    ...shared,
    target: 'node18.19',
    format: 'esm',
    entryPoints: loaderFiles,
    outdir: join(out, 'lazy'),
    outExtension: { '.js': '.mjs' },
  }),
  build({
    ...shared,
    target: 'node18.19',
    entryPoints: instrumentations,
    outdir: join(out, 'instrumentations'),
    external: ['../lazy/sql.js'],
    plugins: [fromCore, later, ...ownFaults],
  }),
]);

if (!withFaults && !process.argv.includes('--no-types')) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.types.json'), '--outDir', join(out, 'types')], {
    stdio: 'inherit',
  });
  keepReachable(join(out, 'types'), ['src/index.d.ts', 'src/register.d.ts']);
}
rmSync(dist, { recursive: true, force: true });
renameSync(out, dist);

/** The compiler declares whatever the entries load; packed are the declarations that those of the entries name. */
function keepReachable(folder, entries) {
  const reachable = new Set();
  const pending = entries.map((entry) => join(folder, entry));
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (reachable.has(file)) continue;
    reachable.add(file);
    const named = readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]*)['"]/g);
    for (const [, specifier] of named) {
      const target = join(dirname(file), specifier);
      pending.push(existsSync(`${target}.d.ts`) ? `${target}.d.ts` : join(target, 'index.d.ts'));
    }
  }
  for (const { parentPath, path, name } of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = join(parentPath ?? path, name);
    if (name.endsWith('.d.ts') && !reachable.has(file)) rmSync(file);
  }
}
