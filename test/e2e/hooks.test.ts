import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { isAtLeast, nodeVersion, testPackage, writeFolder } from '../support/packages';
import { type RunOptions, type RunResult, root, runApp } from '../support/run-app';

const hasRequireEsm =
  isAtLeast(nodeVersion, '22.12') || (isAtLeast(nodeVersion, '20.19') && !isAtLeast(nodeVersion, '22.0'));
const require = createRequire(import.meta.url);
const register = { mjs: pathToFileURL(join(root, 'register.mjs')).href, js: join(root, 'dist/register.js') };

/** An operator's instrumentation of a package made for these tests; each call of `plain` is a span. */
const TRACE_WIDGET = `module.exports = { name: 'widget', targets: [{ module: 'widget', versions: '^2', patch(widget, tracing) {
  tracing.span(widget, 'plain', { kind: 0, name: () => 'plain', attributes: () => ({}) }); } }] };`;
const WIDGET = "exports.plain = () => 'plain'; exports.other = function other() {};";
const manifest = (version: string, more: object = {}) =>
  JSON.stringify({ name: 'widget', version, main: 'main.js', ...more });
const widgetIn = (folder: string, version = '2.0.0') => ({
  [`${folder}/package.json`]: manifest(version),
  [`${folder}/main.js`]: WIDGET,
});
const APP = { 'trace.cjs': TRACE_WIDGET, ...widgetIn('node_modules/widget') };

function run(folder: string, file: string | undefined, options: RunOptions = {}): Promise<RunResult> {
  const env = { HOOKLINE_INSTRUMENTATIONS: join(folder, 'trace.cjs'), ...options.env };
  return runApp(file === undefined ? undefined : join(folder, file), { cwd: folder, ...options, env });
}

const names = ({ spans }: RunResult) => spans.map(({ kind, name }) => `${kind} ${name}`).sort();

/** A server that answers once for each of \`count\` requests made by \`request\`. */
const HTTP_ONCE = (from: string) => `
${from}
const server = http.createServer((_request, response) => response.end('done'));
server.listen(0, '127.0.0.1', () => {
  http.get({ host: '127.0.0.1', port: server.address().port, agent: false }, (answer) => {
    answer.resume().on('end', () => { console.log('done'); server.close(); });
  });
});`;
const ONCE = ['CLIENT GET', 'SERVER GET'];

describe('module hooks', () => {
  it('HK1: every form of import sees the instrumented function, once', async () => {
    const folder = writeFolder({
      ...APP,
      'again.mjs': "import { plain } from 'widget'; export { plain }; export { request } from 'node:http';",
      'app.mjs': `
        import byDefault, { plain } from 'widget';
        import * as namespace from 'widget';
        import { createRequire } from 'node:module';
        import http, { request, get } from 'http';
        import * as httpNamespace from 'node:http';
        const require = createRequire(import.meta.url);
        const dynamic = await import('widget');
        const forms = [byDefault.plain, plain, namespace.plain, dynamic.plain, dynamic.default.plain, require('widget').plain];
        const requests = [http.request, request, httpNamespace.request, httpNamespace.default.request,
          (await import('node:http')).request, require('http').request, require('node:http').request, process.getBuiltinModule?.('http').request ?? request];
        if (${hasRequireEsm}) {
          const again = require('./again.mjs');
          forms.push(again.plain);
          requests.push(again.request);
        } else forms.push(plain);
        for (const form of forms) form();
        console.log(forms.length, new Set(forms).size, new Set(requests).size, get === http.get, request.name, request.length, Object.keys(namespace));
      `,
    });
    const bare = await run(folder, 'app.mjs', { preload: 'none', receiver: false });
    for (const preload of ['import', 'require', 'node-options'] as const) {
      const result = await run(folder, 'app.mjs', { preload });
      expect(result).toMatchObject({ stdout: bare.stdout, stderr: bare.stderr, code: 0 });
      expect(names(result)).toEqual(Array(7).fill('INTERNAL plain'));
    }
  });

  it('HK2: packages that are no targets load byte for byte', async () => {
    const folder = writeFolder({
      ...APP,
      'node_modules/cjs/package.json': '{"name":"cjs","version":"1.0.0"}',
      'node_modules/cjs/index.js':
        "#!/usr/bin/env node\nexports.source = () => module.constructor.wrap('') + exports.source.toString(); exports.__esModule = true; exports.line = new Error().stack.split('\\n')[1]; exports.keys = Object.keys(module).sort(); exports.argumentsLength = arguments.length;",
      'node_modules/esm/package.json': '{"name":"esm","version":"1.0.0","type":"module","exports":"./main.js"}',
      'node_modules/esm/main.js':
        "export const source = () => import.meta.url; export default function named() {}; export let live = 1; export const bump = () => { live++; }; export const stack = new Error().stack.split('\\n')[1];",
      'app.mjs': `
        import * as esm from 'esm';
        import * as cjs from 'cjs';
        import { createRequire } from 'node:module';
        esm.bump();
        const require = createRequire(import.meta.url);
        const seen = (value) => Object.entries(value).map(([key, item]) => [key, String(typeof item === 'function' ? item.toString() + item.name : item)]);
        console.log(JSON.stringify([seen(esm), seen(cjs), seen(require('cjs')), Object.keys(require.cache).filter((key) => key.includes('node_modules'))]));
        console.log(cjs.default === require('cjs'), esm.source(), cjs.default.source());
      `,
    });
    await expectSameAsBare(join(folder, 'app.mjs'), {
      cwd: folder,
      env: { HOOKLINE_INSTRUMENTATIONS: join(folder, 'trace.cjs') },
    });
  });

  it('HK3, HK4: odd but legal modules start as without the agent', async () => {
    const wasm = 'new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])';
    const folder = writeFolder({
      ...APP,
      'self.mjs': "import * as self from './self.mjs'; export const a = 1; export const b = () => Object.keys(self);",
      'cycle-a.mjs': "export * from './cycle-b.mjs'; export const a = 'a';",
      'cycle-b.mjs': "export * from './cycle-a.mjs'; export const b = 'b';",
      'call.mjs': 'const make = (x) => ({ x }); export default make(import.meta.url.length > 0);',
      'string.mjs': "const it = 1; export { it as 'a string name', it as default };",
      'tla.mjs':
        "export const late = await new Promise((resolve) => setTimeout(resolve, 5, 'late')); export let changed = 1; changed++;",
      'data.json': '{"json":true,"spaced":  1}',
      'interop.cjs':
        "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = function interop() {}; exports.named = 1;",
      'throwing.cjs': "exports.half = 1; throw Object.assign(new Error('on load'), { code: 'MINE' });",
      'getter.cjs': 'module.exports = { get plain() { return 1; }, async: true }; Object.freeze(module.exports);',
      'proxy.cjs':
        "module.exports = new Proxy({}, { get(_, key) { return String(key); }, ownKeys() { return ['x']; }, getOwnPropertyDescriptor() { return { value: 1, enumerable: true, configurable: true }; } });",
      'null.cjs': 'module.exports = null;',
      'cycle-a.cjs': "exports.early = 1; exports.b = require('./cycle-b.cjs').seen; exports.late = 2;",
      'cycle-b.cjs': "exports.seen = Object.keys(require('./cycle-a.cjs'));",
      'app.mjs': `
        import { createRequire } from 'node:module';
        const require = createRequire(import.meta.url);
        const out = [];
        for (const file of ['self', 'cycle-a', 'cycle-b', 'call', 'string', 'tla']) {
          const it = await import('./' + file + '.mjs');
          out.push([file, Object.keys(it), JSON.stringify(it.default), it.b?.call?.(), it[Symbol.toStringTag], it.changed]);
        }
        for (const file of ['interop', 'throwing', 'getter', 'proxy', 'null', 'cycle-a']) {
          for (const load of [(id) => require(id), (id) => import(id)]) {
            try {
              const it = await load('./' + file + '.cjs');
              out.push([file, it === null ? null : Object.keys(it), String(it?.default)]);
            } catch (error) { out.push([file, error.code, error.message, error.stack.split('\\n')[0]]); }
          }
        }
        out.push(require('./data.json'), WebAssembly.Module.exports(new WebAssembly.Module(${wasm})).length);
        for (const missing of ['./missing.cjs', 'widget/missing', 'missing']) {
          try { require(missing); } catch (error) { out.push([error.code, error.message, error.requireStack]); }
          await import(missing).catch((error) => out.push([error.code, error.message]));
        }
        console.log(JSON.stringify(out, null, 1));
      `,
    });
    const { bare } = await expectSameAsBare(join(folder, 'app.mjs'), {
      cwd: folder,
      env: { HOOKLINE_INSTRUMENTATIONS: join(folder, 'trace.cjs') },
    });
    expect(bare.code).toBe(0);
  });

  it('HK4: native addons load as they are', async () => {
    const addon = [
      '@rolldown/binding-linux-x64-gnu',
      '@rollup/rollup-linux-x64-gnu',
      'lightningcss-linux-x64-gnu',
    ].find((name) => {
      try {
        return require.resolve(name, {
          paths: [root, join(root, 'node_modules/vitest'), join(root, 'node_modules/vite')],
        });
      } catch {
        return undefined;
      }
    });
    if (addon === undefined) {
      console.log('HK4: no native addon is installed here');
      return;
    }
    const path = require.resolve(addon, {
      paths: [root, join(root, 'node_modules/vitest'), join(root, 'node_modules/vite')],
    });
    await expectSameAsBare(undefined, { execArgv: ['-p', `Object.keys(require(${JSON.stringify(path)})).join()`] });
  });

  it('HK5: built-ins match with and without node:', async () => {
    for (const from of [
      "const http = require('http');",
      "const http = require('node:http');",
      "const http = process.mainModule.require('http');",
    ]) {
      const folder = writeFolder({ 'app.cjs': HTTP_ONCE(from) });
      expect(names(await runApp(join(folder, 'app.cjs')))).toEqual(ONCE);
    }
    for (const from of [
      "import http from 'http';",
      "import * as http from 'node:http';",
      "const http = await import('http');",
    ]) {
      const folder = writeFolder({ 'app.mjs': HTTP_ONCE(from) });
      expect(names(await runApp(join(folder, 'app.mjs')))).toEqual(ONCE);
    }
    expect(names(await runApp(undefined, { execArgv: ['-e', HTTP_ONCE("const http = require('http');")] }))).toEqual(
      ONCE,
    );
    const typed = ['--input-type=module', '-e', HTTP_ONCE("import http from 'http';")];
    expect(names(await runApp(undefined, { execArgv: typed }))).toEqual(ONCE);
  });

  describe('HK6: TypeScript', () => {
    const app = (ext: string): Record<string, string> => ({
      ...APP,
      'package.json': '{"type":"commonjs"}',
      'tsconfig.json': '{"compilerOptions":{"module":"commonjs","esModuleInterop":true,"target":"es2022"}}',
      [`app.${ext}`]:
        "import http from 'node:http';\nimport widget from 'widget';\nconst text: string = widget.plain();\ninterface Gone { x: number }\nconsole.log(text);" +
        HTTP_ONCE(''),
    });
    const expected = ['CLIENT GET', 'INTERNAL plain', 'SERVER GET'];
    const tsx = pathToFileURL(require.resolve('tsx')).href;

    it.each([
      ['tsx first, CommonJS', 'ts', ['--import', tsx, '--import', register.mjs]],
      ['tsx second, CommonJS', 'ts', ['--import', register.mjs, '--import', tsx]],
      ['tsx first, ES module', 'mts', ['--import', tsx, '--import', register.mjs]],
      ['tsx second, ES module', 'mts', ['--import', register.mjs, '--import', tsx]],
      ['tsx first, --require', 'ts', ['--import', tsx, '--require', register.js]],
    ])('%s', async (_name, extension, execArgv) => {
      const folder = writeFolder(app(extension));
      const result = await run(folder, `app.${extension}`, { preload: 'none', execArgv });
      expect(result).toMatchObject({ stdout: 'plain\ndone\n', code: 0 });
      expect(names(result)).toEqual(expected);
    });

    // With any --import, Node takes a .ts application for an ES module and does not ask ts-node: --require it is.
    it.each([
      ['first', (path: string) => ['--require', path, '--require', register.js]],
      ['second', (path: string) => ['--require', register.js, '--require', path]],
    ])('ts-node %s', async (_name, argv) => {
      const tools = await testPackage('typescript@5.9.3', 'ts-node@10.9.2');
      const folder = writeFolder(app('ts'));
      const env = { TS_NODE_COMPILER: join(tools, 'node_modules/typescript') };
      const execArgv = argv(join(tools, 'node_modules/ts-node/register/transpile-only.js'));
      const result = await run(folder, 'app.ts', { preload: 'none', execArgv, env });
      expect(result).toMatchObject({ stdout: 'plain\ndone\n', code: 0 });
      expect(names(result)).toEqual(expected);
    });

    const strips = isAtLeast(nodeVersion, '22.18');
    if (!strips) console.log(`HK6: type stripping not run, Node.js ${nodeVersion} does not have it`);
    // Before Node 22.22.3, what a CommonJS application of this kind requires is loaded past every hook under --import.
    const forms = [
      ['mts', 'import'],
      ['mts', 'require'],
      ['cts', 'require'],
      ['cts', 'import'],
    ] as const;
    const reached = forms.filter(
      ([extension, preload]) => isAtLeast(nodeVersion, '22.22.3') || `${extension} ${preload}` !== 'cts import',
    );
    if (strips && reached.length < forms.length)
      console.log('HK6: a .cts application under --import not run, before Node.js 22.22.3 its packages cannot be seen');
    it.runIf(strips).each(reached)('stripped types, %s, --%s', async (extension, preload) => {
      const source = app(extension);
      // What only erases; a .cts file has no `import` of its own.
      const file = `app.${extension}`;
      if (extension === 'cts') {
        source[file] = source[file]!.replace(/import (\w+) from ('[^']+')/g, 'const $1 = require($2)');
      }
      const folder = writeFolder(source);
      const result = await run(folder, file, { preload });
      expect(result).toMatchObject({ stdout: 'plain\ndone\n', code: 0 });
      expect(names(result)).toEqual(expected);
    });
  });

  it('HK7: symlinked layouts are traced, broken manifests do not crash', async () => {
    const folder = writeFolder({
      'trace.cjs': TRACE_WIDGET,
      ...widgetIn('node_modules/.pnpm/widget@2.0.0/node_modules/widget'),
      ...widgetIn('packages/linked/widget'),
      'linked/app.cjs': "console.log(require('widget').plain());",
      'app.cjs': "console.log(require('widget').plain());",
      'app.mjs': "import { plain } from 'widget'; console.log(plain());",
    });
    symlinkSync('.pnpm/widget@2.0.0/node_modules/widget', join(folder, 'node_modules/widget'));
    mkdirSync(join(folder, 'linked/node_modules'));
    symlinkSync('../../packages/linked/widget', join(folder, 'linked/node_modules/widget'));
    for (const file of ['app.cjs', 'app.mjs', 'linked/app.cjs']) {
      const result = await run(folder, file);
      expect(result).toMatchObject({ stdout: 'plain\n', stderr: '', code: 0 });
      // Linked from outside node_modules: nothing in its path says which package it is.
      if (!file.startsWith('linked')) expect(names(result), file).toEqual(['INTERNAL plain']);
    }

    for (const broken of [
      '{"name":"widget","version":7,"main":{}}',
      '{"name":"widget","exports":null}',
      '[]',
      undefined,
    ]) {
      const files = {
        ...(broken !== undefined && { 'node_modules/widget/package.json': broken }),
        'node_modules/widget/index.js': WIDGET,
      };
      const other = writeFolder({
        'trace.cjs': TRACE_WIDGET,
        ...files,
        'app.cjs': "try { console.log(require('widget').plain()); } catch (error) { console.log(error.code); }",
      });
      const bare = await run(other, 'app.cjs', { preload: 'none', receiver: false });
      const result = await run(other, 'app.cjs');
      expect(result).toMatchObject({ stdout: bare.stdout, code: 0 });
      // In range is what says so.
      expect(names(result), broken).toEqual([]);
    }
  });

  it.each(['with space', 'per%20cent', 'ünïcode 日本', "quote ' # ? & $HOME"])(
    'HK8: a path like "%s" works',
    async (name) => {
      const folder = writeFolder(
        {
          ...APP,
          'app.mjs': "import { plain } from 'widget'; console.log(plain());",
          'app.cjs': "console.log(require('widget').plain());",
        },
        `${name}-`,
      );
      // The agent itself too.
      cpSync(join(root, 'dist'), join(folder, 'node_modules/hookline/dist'), { recursive: true });
      cpSync(join(root, 'register.mjs'), join(folder, 'node_modules/hookline/register.mjs'));
      const specifier = {
        import: pathToFileURL(join(folder, 'node_modules/hookline/register.mjs')).href,
        require: join(folder, 'node_modules/hookline/dist/register.js'),
      };
      for (const [file, preload] of [
        ['app.mjs', 'import'],
        ['app.cjs', 'require'],
      ] as const) {
        const result = await run(folder, file, {
          specifier,
          preload,
          env: { HOOKLINE_INSTRUMENTATIONS: './trace.cjs' },
        });
        expect(result).toMatchObject({ stdout: 'plain\n', stderr: '', code: 0 });
        expect(names(result)).toEqual(['INTERNAL plain']);
      }
    },
  );

  it('HK9: nothing is printed, neither warnings nor deprecations', async () => {
    const folder = writeFolder({
      ...APP,
      'app.mjs': `import 'widget'; import 'node:http2'; import 'node:https'; await fetch('data:,x');${HTTP_ONCE("import http from 'node:http';")}`,
    });
    for (const preload of ['import', 'require', 'node-options', 'node-options-require'] as const) {
      const result = await run(folder, 'app.mjs', { preload, execArgv: ['--pending-deprecation', '--trace-warnings'] });
      expect(result).toMatchObject({ stdout: 'done\n', stderr: '', code: 0 });
    }
  });

  it('HK10: a Node that is too old gets one line and no hooks', async () => {
    const folder = writeFolder({
      'old.cjs': "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '16.20.2' } });",
      'app.cjs':
        "const { require: own, _compile } = module.constructor.prototype; console.log(_compile.toString().includes('Reflect.apply'), globalThis[Symbol.for('hookline')]?.status, require('http').request.name);",
    });
    const old = join(folder, 'old.cjs');
    for (const preload of [
      ['--require', register.js],
      ['--import', register.mjs],
      ['--require', register.js, '--import', register.mjs],
    ]) {
      const result = await runApp(join(folder, 'app.cjs'), {
        preload: 'none',
        execArgv: ['--require', old, ...preload],
      });
      expect(result).toMatchObject({ code: 0, signal: null, spans: [] });
      expect(result.stderr).toBe('hookline: Node.js 16.20.2 is too old, 18.19 or later is needed; nothing is traced\n');
      expect(result.stdout).toContain('undefined request');
    }
  });

  it('HK11: preloading twice starts once', async () => {
    const folder = writeFolder({
      ...APP,
      'app.cjs': `require('widget').plain();${HTTP_ONCE("const http = require('http');")}`,
    });
    cpSync(join(root, 'dist'), join(folder, 'copy/dist'), { recursive: true });
    cpSync(join(root, 'register.mjs'), join(folder, 'copy/register.mjs'));
    const copy = {
      mjs: pathToFileURL(join(folder, 'copy/register.mjs')).href,
      js: join(folder, 'copy/dist/register.js'),
    };
    const mixes: [string[], string?][] = [
      [['--import', register.mjs, '--import', register.mjs]],
      [['--require', register.js, '--import', register.mjs]],
      [['--require', register.js, '--require', register.js]],
      [['--require', register.js], `--import=${register.mjs}`],
      [['--import', register.mjs], `--require=${register.js}`],
      // Another copy of the same agent.
      [['--require', register.js, '--require', copy.js]],
      [['--import', copy.mjs, '--import', register.mjs]],
    ];
    for (const [execArgv, nodeOptions] of mixes) {
      const result = await run(folder, 'app.cjs', { preload: 'none', execArgv, env: { NODE_OPTIONS: nodeOptions } });
      expect(result).toMatchObject({ stdout: 'done\n', stderr: '', code: 0 });
      expect(names(result), execArgv.join(' ')).toEqual(['CLIENT GET', 'INTERNAL plain', 'SERVER GET']);
    }
  });

  it('HK12: two versions of one package are both traced', async () => {
    const folder = writeFolder({
      ...APP,
      ...widgetIn('node_modules/other/node_modules/widget', '2.9.0'),
      ...widgetIn('node_modules/old/node_modules/widget', '1.0.0'),
      'node_modules/other/index.js': "exports.plain = require('widget').plain;",
      'node_modules/old/index.js': "exports.plain = require('widget').plain;",
      'app.cjs':
        "require('widget').plain(); require('other').plain(); require('old').plain(); const { patched, skipped } = globalThis[Symbol.for('hookline')].status().instrumentations.find(({ name }) => name === 'widget'); console.log(JSON.stringify({ patched, skipped }));",
    });
    const result = await run(folder, 'app.cjs');
    expect(names(result)).toEqual(['INTERNAL plain', 'INTERNAL plain']);
    expect(JSON.parse(result.stdout)).toEqual({
      patched: ['widget@2.0.0', 'widget@2.9.0'],
      skipped: ['widget@1.0.0 (supported: ^2)'],
    });
    expect(result.stderr).toBe('hookline: widget: widget@1.0.0 is outside the supported range ^2 and stays untraced\n');
  });

  it('HK13: requiring 5000 times anew neither stacks wrappers nor keeps old copies', async () => {
    const folder = writeFolder({
      ...APP,
      'app.cjs': `
        const path = require.resolve('widget');
        const first = new WeakRef(require('widget'));
        const start = require('module').prototype.require;
        let widget;
        for (let i = 0; i < 5000; i++) {
          delete require.cache[path];
          module.children.length = 0;
          widget = require('widget');
        }
        widget.plain();
        let depth = 0;
        widget.other = () => { depth = new Error().stack.split('\\n').length; };
        Error.stackTraceLimit = 100;
        widget.other();
        console.log(start === require('module').prototype.require, depth < 30);
        setTimeout(() => { global.gc(); console.log(first.deref() === undefined); }, 10);
      `,
    });
    const result = await run(folder, 'app.cjs', { execArgv: ['--expose-gc'] });
    expect(result).toMatchObject({ stdout: 'true true\ntrue\n', stderr: '', code: 0 });
    expect(names(result)).toEqual(['INTERNAL plain']);
  });

  it('HK15: a graph of 1000 modules loads and the process ends', async () => {
    const files: Record<string, string> = { ...APP };
    for (let i = 0; i < 500; i++) {
      files[`graph/m${i}.mjs`] =
        `${i < 499 ? `import { n as below } from './m${i + 1}.mjs';` : 'const below = 0;'} export const n = below + 1;`;
      files[`graph/c${i}.cjs`] = i < 499 ? `exports.n = require('./c${i + 1}.cjs').n + 1;` : 'exports.n = 1;';
    }
    files['app.mjs'] =
      "import { n } from './graph/m0.mjs'; import { plain } from 'widget'; import cjs from './graph/c0.cjs'; console.log(n, cjs.n, plain());";
    const folder = writeFolder(files);
    const bare = await run(folder, 'app.mjs', { preload: 'none', receiver: false });
    const result = await run(folder, 'app.mjs');
    expect(result).toMatchObject({ stdout: '500 500 plain\n', stderr: '', code: 0 });
    expect(result.stdout).toBe(bare.stdout);
    expect(names(result)).toEqual(['INTERNAL plain']);
  });

  it.each([
    ['a worker thread', "const { Worker } = require('worker_threads'); new Worker(require.resolve('./child.cjs'));"],
    [
      'a worker thread of an ES module',
      "const { Worker } = require('worker_threads'); new Worker(require.resolve('./child.mjs'));",
    ],
    ['child_process.fork', "require('child_process').fork(require.resolve('./child.cjs'));"],
    ['child_process.fork of an ES module', "require('child_process').fork(require.resolve('./child.mjs'));"],
    [
      'cluster',
      "const cluster = require('cluster'); cluster.setupPrimary({ exec: require.resolve('./child.cjs') }); cluster.fork();",
    ],
  ])('%s is traced too', async (_what, code) => {
    const folder = writeFolder({
      ...APP,
      'app.cjs': code,
      'child.cjs': `require('widget').plain();${HTTP_ONCE("const http = require('http');").replace('server.close()', 'server.close(); process.disconnect?.()')}`,
      'child.mjs': `import { plain } from 'widget'; plain();${HTTP_ONCE("import http from 'http';").replace('server.close()', 'server.close(); process.disconnect?.()')}`,
    });
    for (const preload of ['import', 'require'] as const) {
      const result = await run(folder, 'app.cjs', { preload });
      expect(result).toMatchObject({ stdout: 'done\n', stderr: '', code: 0 });
      expect(names(result)).toEqual(['CLIENT GET', 'INTERNAL plain', 'SERVER GET']);
    }
  });
});

it.each(['cjs', 'mjs'])(
  "the application's own packages with names of built-ins stay as they are: %s",
  async (system) => {
    const own = {
      'package.json': '{"version":"1.0.0","main":"index.js"}',
      'index.js':
        "class Server { emit() {} }\nmodule.exports = { Server, ServerResponse: class extends Server {}, IncomingMessage: class extends Server {}, ClientRequest: class extends Server { destroy() {} }, request: () => 'own', get: () => 'own' };\n",
    };
    const packages = ['http', 'https', 'url'].flatMap((name) =>
      Object.entries(own).map(([file, text]) => [`node_modules/${name}/${file}`, text] as const),
    );
    const load = (name: string, at: string) =>
      system === 'cjs' ? `const ${name} = require('${at}/');` : `import ${name} from '${at}/index.js';`;
    const folder = writeFolder({
      ...Object.fromEntries(packages),
      [`app.${system}`]: `${load('one', 'http')}\n${load('two', 'https')}\n${load('three', 'url')}
for (const it of [one, two, three]) console.log(String(it.request), String(it.Server.prototype.emit), Object.getOwnPropertyNames(it.ClientRequest.prototype).join());\n`,
    });
    const { bare } = await expectSameAsBare(join(folder, `app.${system}`), { cwd: folder });
    expect(bare.stdout.split('\n')[0]).toBe("() => 'own' emit() {} constructor,destroy");
  },
);
