import { spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { type OtlpReceiver, type ReceivedSpan, startReceiver } from '../support/otlp-receiver';
import { isAtLeast, nodeVersion, testPackage, writeFolder } from '../support/packages';
import { permissionFlags } from '../support/permission';
import { nodeBinary, root, runApp } from '../support/run-app';
import { expectTree } from '../support/tree';

const APP = 'test/e2e/fixtures/environments/app.cjs';
const WORKER = 'test/e2e/fixtures/environments/worker.cjs';

/** Two calls of the server to itself. */
function expectSpans(spans: readonly ReceivedSpan[] | undefined): void {
  const call = { name: 'GET', kind: 'CLIENT' as const, children: [{ name: 'GET', kind: 'SERVER' as const }] };
  expectTree(spans ?? [], [call, call]);
}

describe('flags of Node', () => {
  const flags = [
    ['--frozen-intrinsics'],
    ['--disallow-code-generation-from-strings'],
    ['--disable-proto=throw'],
    ['--disable-proto=delete'],
    ['--throw-deprecation'],
    ['--pending-deprecation'],
    ['--max-old-space-size=64'],
    ['--no-opt', '--max-lazy'],
    ['--preserve-symlinks', '--preserve-symlinks-main'],
    ['--unhandled-rejections=warn'],
    ...(isAtLeast(nodeVersion, '20.0.0') ? [['--no-network-family-autoselection']] : []),
    ...(permissionFlags ? [permissionFlags, [...permissionFlags, '--allow-worker']] : []),
  ];
  it.each(flags.map((list) => [list.join(' '), list] as const))('%s', async (_, list) => {
    const { traced } = await expectSameAsBare(APP, { execArgv: [...list] });
    for (const { spans } of Object.values(traced)) expectSpans(spans);
  });
});

/** What a crash prints of where it came from has frames of the agent in it. */
const withoutFrames = (text: string): string => text.replace(/^ {2,}at .*\n/gm, '');

describe('rejections that nobody handles', () => {
  const modes = ['strict', 'warn', 'none', 'throw', 'warn-with-error-code'];
  it.each(modes)('--unhandled-rejections=%s', async (mode) => {
    for (const from of ['fetch', 'http', 'late']) {
      const { bare } = await expectSameAsBare('test/e2e/fixtures/environments/rejections.cjs', {
        execArgv: [`--unhandled-rejections=${mode}`],
        args: [from],
        preloads: ['import'],
        normalise: (text) => withoutFrames(text).replace(/(localPort|remotePort|bytesWritten): \d+|:\d{4,5}\b/g, 'N'),
      });
      expect(bare.stdout).toContain('exit');
    }
  });
});

it('references to functions that were taken before the agent started', async () => {
  const before = join(root, 'test/e2e/fixtures/environments/taken-before.cjs');
  const { bare } = await expectSameAsBare('test/e2e/fixtures/environments/uses-taken.cjs', {
    preloads: [],
    execArgv: ['--require', before],
  });
  const { stdout, stderr, code, spans } = await runApp('test/e2e/fixtures/environments/uses-taken.cjs', {
    preload: 'none',
    execArgv: ['--require', before, '--require', join(root, 'dist/register.js')],
  });
  expect({ stdout, stderr, code }).toEqual({ stdout: bare.stdout, stderr: bare.stderr, code: 0 });
  // Servers are observed on their prototype, which these functions reach too; clients only where Node publishes each request.
  expect(spans.filter(({ kind }) => kind === 'SERVER').map(({ attributes }) => attributes['url.path'])).toEqual([
    '/got',
    '/requested',
  ]);
  const clients = spans.filter(({ kind }) => kind === 'CLIENT').map(({ name }) => name);
  expect(clients).toEqual(isAtLeast(nodeVersion, '22.12.0') ? ['GET', 'PUT'] : []);
});

it.each([
  ['import', ['--import', pathToFileURL(join(root, 'register.mjs')).href]],
  ['require', ['--require', join(root, 'dist/register.js')]],
])('what was loaded before the agent is said at info level: --%s', async (_, ours) => {
  const packages = await testPackage('express@5.3.0', 'pg@8.23.1');
  const before = join(root, 'test/e2e/fixtures/environments/taken-before.cjs');
  const run = (theirs: string[]) =>
    runApp(undefined, {
      preload: 'none',
      receiver: false,
      execArgv: [...theirs, ...ours, '-e', ''],
      env: { OTEL_LOG_LEVEL: 'info' },
    });
  const line = /^hookline: loaded before the agent: (.*); what was taken from them until now may stay untraced\n/gm;
  const { stderr } = await run(['--require', before, '--require', join(packages, 'node_modules/pg')]);
  const names = [...stderr.matchAll(line)].map(([, list]) => list?.split(', ') ?? []);
  expect(names).toHaveLength(1);
  expect(names[0]).toEqual(expect.arrayContaining(['http', 'pg', 'pg-pool']));
  expect((await run([])).stderr).not.toMatch(line);
});

describe('surroundings', () => {
  it('no home, no folder for temporary files, a working directory that cannot be written to', async () => {
    const cwd = writeFolder({ 'package.json': '{"name":"readonly"}' });
    chmodSync(cwd, 0o555);
    const missing = join(cwd, 'missing');
    const env = { HOME: missing, TMPDIR: missing, TEMP: missing, TMP: missing, XDG_CACHE_HOME: missing };
    const { traced } = await expectSameAsBare(join(root, APP), { cwd, env });
    for (const { spans } of Object.values(traced)) expectSpans(spans);
  });

  it('a worker with little memory', async () => {
    const { traced } = await expectSameAsBare(WORKER);
    for (const { spans } of Object.values(traced)) expectSpans(spans);
  });

  it.each([
    ['standard error', '2>&-'],
    ['standard output', '1>&-'],
    ['everything', '0<&- 1>&- 2>&-'],
  ])('%s is closed', async (_, redirections) => {
    const receiver = await startReceiver();
    try {
      // The collector refuses as well, so that there is something to be said.
      const refusing = { OTEL_TRACES_EXPORTER: 'otlp,./missing.cjs', OTEL_LOG_LEVEL: 'debug' };
      const bare = await inShell(redirections, undefined, {});
      const traced = await inShell(redirections, receiver, refusing);
      expect(traced).toEqual(bare);
      expect(traced.code).toBe(0);
      await receiver.settled();
      expectSpans(receiver.spans);
    } finally {
      await receiver.close();
    }
  });
});

/** Runs the application with descriptors closed, which no option of `spawn` does. */
function inShell(redirections: string, receiver: OtlpReceiver | undefined, env: Record<string, string>) {
  const preload = receiver === undefined ? '' : `--import '${pathToFileURL(join(root, 'register.mjs')).href}'`;
  const child = spawn('/bin/sh', ['-c', `exec '${nodeBinary}' ${preload} '${join(root, APP)}' ${redirections}`], {
    env: {
      PATH: process.env['PATH'],
      ...(receiver && { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '50' }),
      ...env,
    },
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.resume();
  return new Promise<{ stdout: string; code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ stdout, code, signal }));
  });
}

it('another loader that compiles on the fly, in either order', async () => {
  const packages = await testPackage('esbuild-register@3.6.0', 'esbuild@0.25.0');
  const folder = writeFolder({
    'main.ts': "import { length } from './lib';\nconst sum: number = length + 1;\nconsole.log(sum);\n",
    'lib.ts': "import http from 'node:http';\nexport const length: number = http.STATUS_CODES[200]!.length;\n",
  });
  const loader = ['--require', join(packages, 'node_modules/esbuild-register')];
  const { traced } = await expectSameAsBare(join(folder, 'main.ts'), { execArgv: loader, preloads: ['require'] });
  expect(traced.require?.stdout).toBe('3\n');
  // NODE_OPTIONS come before the flags of the command.
  await expectSameAsBare(join(folder, 'main.ts'), { execArgv: loader, preloads: ['node-options-require'] });
});
