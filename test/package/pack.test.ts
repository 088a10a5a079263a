import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, parse } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Preload, root, runApp } from '../support/run-app';
import { expectTree } from '../support/tree';

// What a user downloads: the tarball itself, its contents, and applications traced by an installed copy of it.

const MAX_INSTALLED_BYTES = 2.5 * 1024 * 1024;
const MAX_PACKAGES = 12;

const run = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), 'hookline-pack-'));
const app = join(directory, 'app');
let tarball: string;
let files: string[];

/** npm from PATH with a clean environment: `npm test` sets variables that would steer a nested npm. */
async function npm(args: string[], cwd: string): Promise<string> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS|NODE_ENV)/i.test(name)),
  );
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  const { stdout } = await run('npm', [...args, ...quiet], { cwd, env, shell: process.platform === 'win32' });
  return stdout;
}

beforeAll(async () => {
  // No scripts: dist/ is built already, and building it again would pull it from under the other tests.
  const [packed] = JSON.parse(await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', directory], root));
  tarball = join(directory, packed.filename);
  files = packed.files.map(({ path }: { path: string }) => path).sort();

  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{ "private": true }');
  await npm(['install', '--prefer-offline', tarball], app);
}, 180_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Read when they are needed; a file of the list that is missing from the build would be missed only then. */
const LAZY = [
  'auth',
  'config',
  'credentials',
  'export',
  'foreign-loaders',
  'last-send',
  'propagation-hosts',
  'propagators',
  'proxy',
  'resource',
  'ritm',
  'samplers',
  'semver',
  'spool',
  'sql',
  'tail-sampling',
  'user',
];

describe('the tarball', () => {
  test('holds the built files, the entry points and the texts, and nothing else', () => {
    const modules = (folder: string) => readdirSync(join(root, folder)).map((file) => parse(file).name);
    const built = [
      ...['agent', 'core', 'index', 'register'].map((name) => `dist/${name}.js`),
      ...LAZY.map((name) => `dist/lazy/${name}.js`),
      'dist/lazy/append-hit.mjs',
      // The index is part of the agent.
      ...modules('instrumentations')
        .filter((name) => name !== 'index')
        .map((name) => `dist/instrumentations/${name}.js`),
    ];
    const texts = [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'docs/back-ends.md',
      'docs/performance.md',
      'docs/promises.md',
      'package.json',
    ];
    const scripts = files.filter((file) => !file.startsWith('dist/types/'));
    expect(scripts).toEqual([...built, ...texts, 'register.d.mts', 'register.mjs'].sort());

    // The public declarations and those they refer to, each of a source file that exists.
    const declarations = files.filter((file) => file.startsWith('dist/types/'));
    expect(declarations).toEqual(expect.arrayContaining(['dist/types/src/index.d.ts', 'dist/types/src/register.d.ts']));
    for (const file of declarations) {
      expect(file).toMatch(/^dist\/types\/(src|instrumentations)\/.*\.d\.ts$/);
      const source = file.slice('dist/types/'.length).replace(/\.d\.ts$/, '.ts');
      expect(readFileSync(join(root, source), 'utf8'), source).not.toBe('');
    }
  });

  test('has nothing that publint objects to', async () => {
    const bytes = readFileSync(tarball);
    const archive = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const { messages, pkg } = await publint({ pack: { tarball: archive }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg!, { color: false }))).toEqual([]);
  });

  test('has types that every module resolution finds', async () => {
    const cli = createRequire(import.meta.url).resolve('@arethetypeswrong/cli/package.json');
    const attw = join(dirname(cli), JSON.parse(readFileSync(cli, 'utf8')).bin.attw);
    const check = run(process.execPath, [attw, tarball, '--no-color', '--no-emoji']);
    const { stdout } = await check.catch((error) => expect.fail(`${error.stdout}${error.stderr}`));
    expect(stdout).toContain('No problems found');
  });
});

describe('an installed copy', () => {
  test('is small', () => {
    const modules = join(app, 'node_modules');
    let bytes = 0;
    const packages: string[] = [];
    for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      bytes += readFileSync(path).byteLength;
      const [, name] = path.match(/.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]package\.json$/) ?? [];
      if (name) packages.push(name);
    }
    expect(packages).toContain('hookline');
    expect(packages.length, packages.join(', ')).toBeLessThanOrEqual(MAX_PACKAGES);
    expect(bytes).toBeLessThanOrEqual(MAX_INSTALLED_BYTES);
  });

  const body = `
const server = http.createServer((request, response) => response.end('hello'));
server.listen(0, '127.0.0.1', () => {
  http.get({ host: '127.0.0.1', port: server.address().port, path: '/greeting' }, (response) => {
    response.setEncoding('utf8').on('data', (text) => console.log(text)).on('end', () => server.close());
  });
});
`;
  const applications = {
    'app.cjs': `const http = require('node:http');\n${body}`,
    'app.mjs': `import http from 'node:http';\n${body}`,
  };
  const preloads: Preload[] = ['import', 'require', 'node-options', 'node-options-require'];

  describe.each(Object.entries(applications))('traces %s', (file, source) => {
    test.each(preloads)('by %s', async (preload) => {
      writeFileSync(join(app, file), source);
      const specifier = { import: 'hookline/register', require: 'hookline/register' };
      const result = await runApp(join(app, file), { preload, specifier, cwd: app });
      expect(result).toMatchObject({ stdout: 'hello\n', stderr: '', code: 0 });
      expectTree(result.spans, {
        name: 'GET',
        kind: 'CLIENT',
        attributes: { 'http.request.method': 'GET', 'http.response.status_code': 200, 'server.address': '127.0.0.1' },
        children: [
          {
            name: 'GET',
            kind: 'SERVER',
            attributes: { 'http.request.method': 'GET', 'http.response.status_code': 200, 'url.path': '/greeting' },
          },
        ],
      });
    });
  });

  test('can be imported and required', async () => {
    const script = `const { createRequire } = await import('node:module');
const required = createRequire(${JSON.stringify(join(app, 'x.js'))})('hookline');
const imported = await import('hookline');
console.log(Object.keys(required).every((name) => name in imported));`;
    writeFileSync(join(app, 'entry.mjs'), script);
    const result = await runApp(join(app, 'entry.mjs'), { preload: 'none', receiver: false, cwd: app });
    expect(result).toMatchObject({ stdout: 'true\n', stderr: '', code: 0 });
  });
});
