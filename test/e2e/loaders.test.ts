import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAtLeast, nodeVersion } from '../support/packages';
import { type RunOptions, root, runApp } from '../support/run-app';

let folder: string;

/** Packages of the application: one CommonJS, one ES module. */
function writePackages(base: string): void {
  const write = (path: string, text: string) => {
    mkdirSync(join(base, path, '..'), { recursive: true });
    writeFileSync(join(base, path), text);
  };
  const json = (path: string, value: object) => write(path, JSON.stringify(value));
  json('node_modules/parcel-esm/package.json', {
    name: 'parcel-esm',
    version: '2.1.0',
    type: 'module',
    exports: './index.js',
  });
  write(
    'node_modules/parcel-esm/index.js',
    "export function wrap(text) { return '<' + text + '>'; }\nexport default { wrap };\n",
  );
  json('node_modules/parcel-cjs/package.json', { name: 'parcel-cjs', version: '1.4.0', main: './lib/main' });
  write(
    'node_modules/parcel-cjs/lib/main.js',
    "exports.label = require('./label');\nexports.send = async function send(a, b) { return a + b; };\n",
  );
  write(
    'node_modules/parcel-cjs/lib/label.js',
    "exports.print = function print(to, done) { setImmediate(done, null, 'to ' + to); };\n",
  );
}

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'hookline-loaders-')));
  cpSync(join(root, 'test/e2e/fixtures/loaders-packages'), folder, { recursive: true });
  writePackages(folder);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(app: string, options: RunOptions = {}) {
  const result = await runApp(join(folder, app), {
    cwd: folder,
    ...options,
    env: { HOOKLINE_INSTRUMENTATIONS: './instrumentation.cjs', ...options.env },
  });
  return { ...result, names: result.spans.map(({ name }) => name).sort() };
}

describe('ES module packages', () => {
  it.each(['import', 'require', 'node-options'] as const)(
    'are traced through every import form under %s',
    async (preload) => {
      const { stdout, stderr, names, spans } = await run('app.mjs', { preload });
      expect(stderr).toBe('');
      expect(stdout).toBe('<abc> <de> <f>\n3 7\nnull to to\n');
      // The default export holds the function itself, which no hook of a module can reach.
      expect(names).toEqual(['print', 'send', 'send', 'wrap', 'wrap']);
      expect(spans.filter(({ name }) => name === 'wrap').map(({ attributes }) => attributes['parcel.size'])).toEqual([
        3, 2,
      ]);
    },
  );

  it('load as they are when their instrumentation is disabled', async () => {
    const { stdout, stderr, names } = await run('app.mjs', { env: { OTEL_INSTRUMENTATION_PARCEL_ENABLED: 'false' } });
    expect({ stdout, stderr, names }).toEqual({ stdout: '<abc> <de> <f>\n3 7\nnull to to\n', stderr: '', names: [] });
  });
});

describe('customisation hooks that return the source of CommonJS files', () => {
  const before = pathToFileURL(join(root, 'test/e2e/fixtures/loaders-packages/register-source-loader.mjs')).href;
  // Of the loader flags Node itself warns.
  const cases: [string, RunOptions][] = [
    ['--loader', { execArgv: ['--no-warnings', '--loader', './source-loader.mjs'] }],
    ['module.register after the agent', { execArgv: ['--no-warnings', '--import', before] }],
    [
      'module.register before the agent',
      { preload: 'none', execArgv: ['--no-warnings', '--import', before, '--import', join(root, 'register.mjs')] },
    ],
  ];
  for (const [name, options] of cases) {
    it(`leave targets traced, once: ${name}`, async () => {
      const { stdout, stderr, names } = await run('app-cjs-only.mjs', options);
      expect(stderr).toBe('');
      expect(stdout).toBe('3\nnull to to\n');
      expect(names).toEqual(['print', 'send']);
    });
  }

  it('keep what they changed in the source of a target', async () => {
    const options: RunOptions = {
      execArgv: ['--no-warnings', '--loader', './source-loader.mjs'],
      env: { SOURCE_LOADER_REPLACES: "'to '/'for '" },
    };
    const bare = await run('app-cjs-only.mjs', { ...options, preload: 'none' });
    const { stdout, stderr, names } = await run('app-cjs-only.mjs', options);
    // Node 18 ignores the source of CommonJS files.
    const word = isAtLeast(nodeVersion, '20.0.0') ? 'for' : 'to';
    expect(bare.stdout).toBe(`3\nnull ${word} to\n`);
    expect({ stdout, stderr, names }).toEqual({ stdout: bare.stdout, stderr: '', names: ['print', 'send'] });
  });
});

describe('customisation hooks that are hard on preloads', () => {
  const fixture = (name: string) => join(root, 'test/e2e/fixtures/loaders-packages', name);
  const expectSame = async (app: string, execArgv: string[], env: RunOptions['env'] = {}) => {
    const options: RunOptions = { execArgv: ['--no-warnings', ...execArgv], env };
    const bare = await run(app, { ...options, preload: 'none' });
    const { stdout, stderr, code, names } = await run(app, options);
    expect(bare.code).toBe(0);
    expect({ stdout, stderr, code }).toEqual({ stdout: bare.stdout, stderr: bare.stderr, code: 0 });
    return names;
  };

  it('may put files in the place of built-ins that only the thread of the application can evaluate', async () => {
    const register = pathToFileURL(fixture('register-builtins-loader.mjs')).href;
    expect(await expectSame('app-cjs-only.mjs', ['--import', register])).toEqual(['print', 'send']);
  });

  // Before, nothing gets at a built-in without an import.
  it.runIf(isAtLeast(nodeVersion, '20.16.0'))('may take everything for an ES module', async () => {
    await expectSame('app-esm-only.mjs', ['--loader', fixture('modules-only-loader.mjs')], {
      HOOKLINE_INSTRUMENTATIONS: '',
    });
  });
});
