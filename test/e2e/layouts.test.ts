import { cpSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { testLayout, testPackage, writeFolder } from '../support/packages';
import { type RunResult, root, runApp } from '../support/run-app';
import { postgresDatabase } from '../support/servers';
import { expectTree } from '../support/tree';

const PACKAGES = ['express@5.3.0', 'pg@8.23.1', 'hono@4.13.19', '@hono/node-server@2.1.9'] as const;
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

  it('ES module packages', async () => {
    for (const flag of ['import', 'require'] as const) {
      const { stdout, spans } = await runApp(join(folder, 'hono.mjs'), {
        preload: 'none',
        cwd: folder,
        env: { NODE_OPTIONS: `--no-warnings ${pnp} ${ours[flag]}` },
      });
      expect(stdout).toBe('7\n');
      expectTree(spans, { name: 'GET', kind: 'CLIENT', children: [{ name: 'GET /users/:id', kind: 'SERVER' }] });
    }
  });
});

describe('links out of node_modules', () => {
  let installed: string;
  beforeAll(async () => {
    installed = await testPackage('express@5.3.0', 'pg@8.23.1');
  });

  /** A workspace whose libraries lie beside the application, with what they need in one `node_modules` of theirs. */
  function workspace(): string {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'hookline-workspace-')));
    folders.push(folder);
    cpSync(join(installed, 'node_modules'), join(folder, 'node_modules'), { recursive: true });
    cpSync(FIXTURES, join(folder, 'packages/app'), { recursive: true });
    writeFileSync(join(folder, 'packages/app/package.json'), '{ "name": "router", "version": "2.0.0" }');
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "workspaces": ["packages/*"] }');
    for (const name of ['express', 'router', 'pg', 'pg-pool']) {
      renameSync(join(folder, 'node_modules', name), join(folder, 'packages', `lib-${name}`));
      symlinkSync(join('../packages', `lib-${name}`), join(folder, 'node_modules', name));
    }
    return folder;
  }

  it.each(['app.cjs', 'app.mjs'])('%s of a workspace, started from elsewhere', async (app) => {
    const file = join(workspace(), 'packages/app', app);
    const options = { cwd: tmpdir(), env: { DATABASE_URL: url } };
    const { traced } = await expectSameAsBare(file, options);
    for (const run of Object.values(traced)) expectTraced(run);
    const { stderr } = await runApp(file, { ...options, env: { ...options.env, OTEL_LOG_LEVEL: 'debug' } });
    expectVersions(stderr);
    // The application, which is called like a library.
    expect(stderr).not.toContain('router@2.0.0');
  });

  it('costs the files of others one look in each folder', async () => {
    const files = Object.fromEntries(
      [1, 2, 3].flatMap((folder) => [1, 2, 3].map((file) => [`src/${folder}/${file}.js`, ''])),
    );
    const count = `
      const fs = require('node:fs');
      const { existsSync, readFileSync } = fs;
      const seen = [];
      fs.existsSync = (path) => { seen.push(path); return existsSync(path); };
      fs.readFileSync = function (path) { if (/json$/.test(path)) seen.push(path); return Reflect.apply(readFileSync, this, arguments); };
      for (const file of process.argv.slice(2)) require(file);
      console.log(JSON.stringify(seen));`;
    const folder = writeFolder({ 'package.json': '{ "name": "pg" }', 'main.js': count, ...files });
    const list = Object.keys(files).map((file) => join(folder, file));
    const { stdout } = await runApp(join(folder, 'main.js'), { args: list, preload: 'require' });
    const looks = (JSON.parse(stdout) as string[]).map((path) => path.slice(folder.length + 1));
    expect(looks).toEqual([
      'src/1/package.json',
      'src/package.json',
      'package.json',
      'package.json',
      'src/2/package.json',
      'src/3/package.json',
    ]);
  });
});
