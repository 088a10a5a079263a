import { cpSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { testLayout } from '../support/packages';
import { type RunResult, root, runApp } from '../support/run-app';
import { postgresDatabase } from '../support/servers';
import { expectTree } from '../support/tree';

const PACKAGES = ['express@5.3.0', 'pg@8.23.1'] as const;
const FIXTURES = join(root, 'test/e2e/fixtures/layouts');
const OUTPUT = '200 [{"id":7}]\ndone\n';
/** What is said of targets at debug level, once per copy. */
const PATCHED = ['express: patched router@2.3.0', 'pg: patched pg@8.23.1'];

let url: string;
const folders: string[] = [];
beforeAll(async () => {
  url = await postgresDatabase();
});
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A copy of an installed project with the application in it, at a path that has to be quoted and encoded. */
function projectFrom(installed: string): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'hookline läyouts 100% #')));
  folders.push(folder);
  cpSync(installed, folder, { recursive: true, verbatimSymlinks: true });
  cpSync(FIXTURES, folder, { recursive: true });
  return folder;
}

function expectTraced({ stdout, code, spans }: RunResult): void {
  expect({ stdout, code }).toEqual({ stdout: OUTPUT, code: 0 });
  const query = { name: 'SELECT', kind: 'CLIENT' as const, scope: 'hookline/pg' };
  const server = { name: 'GET /users/:id', kind: 'SERVER' as const, children: [query] };
  expectTree(spans, { name: 'GET', kind: 'CLIENT', children: [server] });
}

function expectVersions(stderr: string): void {
  for (const line of PATCHED) expect(stderr).toContain(line);
  expect(stderr).not.toMatch(/untraced|error/);
}

describe('pnpm, whose packages are links into node_modules/.pnpm', () => {
  let folder: string;
  beforeAll(async () => {
    folder = projectFrom(await testLayout('pnpm', ...PACKAGES));
  });

  it.each(['app.cjs', 'app.mjs'])('%s', async (app) => {
    const options = { cwd: folder, env: { DATABASE_URL: url } };
    const { traced } = await expectSameAsBare(join(folder, app), options);
    for (const run of Object.values(traced)) expectTraced(run);
    const env = { ...options.env, OTEL_LOG_LEVEL: 'debug' };
    expectVersions((await runApp(join(folder, app), { ...options, env })).stderr);
  });
});

describe("Yarn Plug'n'Play, whose packages are in zip files", () => {
  let folder: string;
  let pnp: string;
  beforeAll(async () => {
    folder = projectFrom(await testLayout('yarn', ...PACKAGES));
    const loader = pathToFileURL(join(folder, '.pnp.loader.mjs')).href;
    // As `yarn run` and `yarn node` set them.
    pnp = `--require ${JSON.stringify(join(folder, '.pnp.cjs'))} --experimental-loader ${loader}`;
  });

  const ours = {
    import: `--import ${pathToFileURL(join(root, 'register.mjs')).href}`,
    require: `--require ${JSON.stringify(join(root, 'dist/register.js'))}`,
  };
  describe.each(['app.cjs', 'app.mjs'])('%s', (app) => {
    it.each(['import', 'require'] as const)('--%s, before and after', async (flag) => {
      const run = (NODE_OPTIONS: string, env = {}) =>
        runApp(join(folder, app), {
          preload: 'none',
          cwd: folder,
          env: { DATABASE_URL: url, NODE_OPTIONS: `--no-warnings ${NODE_OPTIONS}`, ...env },
        });
      const empty = join(folder, 'empty.cjs');
      const nothing = `--${flag} ${flag === 'import' ? pathToFileURL(empty).href : JSON.stringify(empty)}`;
      const outputs: string[] = [];
      for (const inOrder of [(it: string) => `${it} ${pnp}`, (it: string) => `${pnp} ${it}`]) {
        const bare = await run(inOrder(nothing));
        const traced = await run(inOrder(ours[flag]), { OTEL_LOG_LEVEL: 'debug' });
        outputs.push(bare.stdout);
        const stderr = traced.stderr.replace(/^hookline: .*\n/gm, '');
        expect({ ...traced, stderr, spans: [] }).toEqual({ ...bare, spans: [] });
        // Node 20.9 cannot read ES modules' CommonJS dependencies in archives when anything at all is required before .pnp.cjs.
        if (bare.code !== 0) continue;
        expectTraced(traced);
        expectVersions(traced.stderr);
      }
      expect(outputs).toContain(OUTPUT);
    });
  });
});
