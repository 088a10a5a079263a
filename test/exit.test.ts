import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Decoded, decode, until } from './export/support';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The Node.js that runs the tests, and every other one that was put into .cache, as `node-<version>/bin/node`. */
const binaries = [
  process.execPath,
  ...(process.env['HOOKLINE_TEST_ALL_NODES'] === '1' && existsSync(join(root, '.cache'))
    ? readdirSync(join(root, '.cache'))
        .map((name) => join(root, '.cache', name, 'bin', 'node'))
        .filter((file) => existsSync(file))
    : []),
];

interface Run {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

let folder: string;
let script: string;
let collector: Server;
let url: string;
let names: string[] = [];
let status = 200;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-exit-'));
  script = join(folder, 'endings.js');
  const shared = { bundle: true, platform: 'node', format: 'cjs', target: 'node18.19', absWorkingDir: root } as const;
  await build({ ...shared, entryPoints: ['test/fixtures/exit/endings.ts'], external: ['./auth.js'], outfile: script });
  await build({ ...shared, entryPoints: ['src/lazy/last-send.ts'], outfile: join(folder, 'last-send.js') });
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (status === 200) {
        const { resourceSpans } = decode('ExportTraceServiceRequest', Buffer.concat(chunks));
        for (const { scopeSpans } of resourceSpans) {
          for (const { spans } of scopeSpans) names.push(...spans.map(({ name }: Decoded) => name));
        }
      }
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`;
});

afterAll(() => {
  collector?.close();
  collector?.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  names = [];
  status = 200;
});

interface Options {
  node?: string;
  args?: string[];
  env?: Record<string, string>;
  /** Sent when the script says that it is ready. */
  signal?: NodeJS.Signals;
}

function run(
  how: string,
  target: string,
  { node = process.execPath, args = [], env = {}, signal }: Options = {},
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(node, [...args, script, how, target], { env: { PATH: process.env['PATH'], ...env } });
    let stdout = '';
    let stderr = '';
    const guard = setTimeout(() => child.kill('SIGKILL'), 15_000);
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      if (signal !== undefined && String(chunk).includes('ready')) child.kill(signal);
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, endedBy) => {
      clearTimeout(guard);
      resolve({ code, signal: endedBy, stdout, stderr });
    });
  });
}

describe.each(binaries)('endings on %s', (node) => {
  it.each([
    ['natural', ['first', 'in exit listener']],
    ['exit', ['first', 'in exit listener']],
    ['exitLater', ['first', 'in exit listener']],
    ['exitCode', ['first', 'in exit listener']],
    ['throw', ['first', 'in exit listener']],
    ['reject', ['first', 'in exit listener']],
  ])('%s: same outcome as bare, and every span arrives', async (how, expected) => {
    const bare = await run(how, 'bare', { node });
    const traced = await run(how, url, { node });
    expect(traced).toEqual(bare);
    expect(traced.stdout).toContain('exit listener');
    expect(names).toEqual(expected);
  });

  it.each([
    ['SIGTERM', ['first']],
    ['SIGINT', ['first']],
    ['SIGHUP', ['first']],
  ] as const)('%s without a listener ends the process by that signal', async (signal, expected) => {
    const bare = await run('signal', 'bare', { node, signal });
    const traced = await run('signal', url, { node, signal });
    expect(bare).toMatchObject({ code: null, signal });
    expect(traced).toEqual(bare);
    expect(names).toEqual(expected);
  });

  it('an application with a listener drains in its own time, and what it does then is delivered', async () => {
    const bare = await run('listener', 'bare', { node, signal: 'SIGTERM' });
    const traced = await run('listener', url, { node, signal: 'SIGTERM' });
    expect(bare.code).toBe(0);
    expect(traced).toEqual(bare);
    expect(names).toEqual(['first', 'while draining', 'in exit listener']);
  });

  it.each(['rekill'])('a process that ends itself by the signal (%s) delivers first', async (how) => {
    const bare = await run(how, 'bare', { node, signal: 'SIGTERM' });
    const traced = await run(how, url, { node, signal: 'SIGTERM' });
    expect(bare.signal).toBe('SIGTERM');
    expect(traced).toEqual(bare);
    expect(names).toEqual(['first']);
  });

  it('a signal whose last listener was removed ends the process as it would', async () => {
    const traced = await run('removed', url, { node, signal: 'SIGTERM' });
    expect(traced).toEqual(await run('removed', 'bare', { node, signal: 'SIGTERM' }));
    expect(traced.signal).toBe('SIGTERM');
  });

  it.each(['emitted', 'counts'])('nothing of it can be seen (%s)', async (how) => {
    expect(await run(how, url, { node })).toEqual(await run(how, 'bare', { node }));
  });

  it('a worker thread delivers its own spans when it exits', async () => {
    const traced = await run('worker', url, { node });
    expect(traced.stdout).toContain('worker exit 7');
    expect(names.filter((name) => name === 'first')).toHaveLength(2);
  });

  it('preloads do not run again', async () => {
    const preload = join(folder, 'preload.cjs');
    writeFileSync(preload, 'require("node:fs").writeSync(2, "preloaded\\n");');
    const hooks = join(folder, 'hooks.mjs');
    writeFileSync(hooks, 'export const resolve = (specifier, context, next) => next(specifier, context);');
    const register = join(folder, 'register.mjs');
    writeFileSync(
      register,
      'import { register } from "node:module"; register(new URL("./hooks.mjs", import.meta.url));',
    );
    const options = {
      node,
      args: ['--require', preload, '--import', register],
      env: { NODE_OPTIONS: `--require ${preload}` },
    };
    const bare = await run('exit', 'bare', options);
    const traced = await run('exit', url, options);
    expect(traced.stderr.match(/preloaded/g)).toHaveLength(bare.stderr.match(/preloaded/g)?.length ?? -1);
    expect(traced).toEqual(bare);
    expect(names).toEqual(['first', 'in exit listener']);
  });
});

/** What a process printed and how it ended, without the one line of ours that says what was lost. */
function apartFromLoss<Result extends { stderr: string }>(result: Result): Result {
  expect(result.stderr).toMatch(
    /^hookline: \d spans? (?:was|were) not delivered to http:.* before the process ended(?: \(export_failed \d\))?$/m,
  );
  return { ...result, stderr: result.stderr.replace(/^hookline: .* before the process ended.*\n/m, '') };
}

describe('collectors that are not well', () => {
  it('a collector that is not there delays the end by little and changes nothing', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(apartFromLoss(await run('exit', `http://127.0.0.1:${port}/v1/traces`))).toEqual(await run('exit', 'bare'));
  });

  it('a collector that accepts and never answers is left after the exit timeout', async () => {
    let connections = 0;
    const hole = createTcpServer((socket) => {
      connections++;
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve));
    const target = `http://127.0.0.1:${(hole.address() as AddressInfo).port}/v1/traces`;
    const startMs = performance.now();
    const traced = await run('exit', target, { env: { EXIT_TIMEOUT: '400' } });
    const tookMs = performance.now() - startMs;
    hole.close();
    expect(apartFromLoss(traced)).toEqual(await run('exit', 'bare'));
    expect(connections).toBeGreaterThan(0);
    // The guard of `run` is 15 s; without the exit timeout it would be 10 s or more.
    expect(tookMs).toBeLessThan(5_000);
  });

  it.runIf(process.platform === 'linux')(
    'a connection that never comes up is given up long before the OTLP timeout',
    async () => {
      // Blocked, so nobody accepts: with a backlog of one, the kernel answers no further connection after these.
      const listener = spawn(process.execPath, [
        '-e',
        `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
        require('node:fs').writeSync(1, String(this.address().port));
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30_000);
      });`,
      ]);
      const port = await new Promise<number>((resolve) =>
        listener.stdout.once('data', (text) => resolve(Number(text))),
      );
      const fillers = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}));
      await until(() => fillers.filter(({ connecting }) => !connecting).length >= 2, 'a full backlog');
      const startMs = performance.now();
      const traced = await run('natural', `http://127.0.0.1:${port}/v1/traces`, {
        env: { BATCH: '{"scheduleDelayMs":1}' },
      });
      const tookMs = performance.now() - startMs;
      listener.kill('SIGKILL');
      for (const filler of fillers) filler.destroy();
      expect(apartFromLoss(traced)).toEqual(await run('natural', 'bare'));
      // The OTLP timeout is 10 s.
      expect(tookMs).toBeLessThan(8_000);
    },
  );

  it('a refusing collector changes nothing', async () => {
    status = 400;
    expect(apartFromLoss(await run('throw', url))).toEqual(await run('throw', 'bare'));
  });

  it('a second request tries again after 503', async () => {
    let requests = 0;
    const flaky = createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(++requests < 3 ? 503 : 200).end());
    });
    await new Promise<void>((resolve) => flaky.listen(0, '127.0.0.1', resolve));
    await run('exit', `http://127.0.0.1:${(flaky.address() as AddressInfo).port}/v1/traces`);
    flaky.close();
    flaky.closeAllConnections();
    expect(requests).toBe(3);
  });
});

describe('without workers', () => {
  it('a child process sends', async () => {
    // A worker that cannot start: the module that makes them is broken before the agent looks.
    const preload = join(folder, 'no-workers.cjs');
    writeFileSync(
      preload,
      'require("node:worker_threads").Worker = class { constructor() { throw new Error("no workers"); } };',
    );
    const traced = await run('exit', url, { args: ['--require', preload], env: { EXIT_TIMEOUT: '8000' } });
    expect(traced).toEqual(await run('exit', 'bare', { args: ['--require', preload] }));
    expect(names).toEqual(['first', 'in exit listener']);
  });

  it('nor child processes, spans are lost and the end is the same', async () => {
    const preload = join(folder, 'nothing.cjs');
    writeFileSync(
      preload,
      `require("node:worker_threads").Worker = class { constructor() { throw new Error("no workers"); } };
       require("node:child_process").spawnSync = () => { throw new Error("no processes"); };`,
    );
    expect(apartFromLoss(await run('exit', url, { args: ['--require', preload] }))).toEqual(await run('exit', 'bare'));
    expect(names).toEqual([]);
  });
});

describe('other exporters', () => {
  it('console prints at the end, on standard output', async () => {
    const traced = await run('exit', url, { env: { EXPORTERS: 'console' } });
    expect(traced.code).toBe(3);
    expect(traced.stderr).toBe('');
    expect(traced.stdout).toMatch(/first +internal/);
  });

  it('somebody else’s exporter gets its turn at a natural end', async () => {
    const file = join(folder, 'exporter.cjs');
    writeFileSync(
      file,
      `module.exports = class {
        export(spans, done) { setTimeout(() => { console.log('exported ' + spans.map((span) => span.name)); done({ code: 0 }); }, 20); }
      };`,
    );
    const traced = await run('natural', url, { env: { EXPORTERS: file } });
    expect(traced.code).toBe(0);
    expect(traced.stdout).toContain('exported first\n');
  });
});

describe('signals while nothing waits', () => {
  it('find no handle of ours: they end a process whose event loop is blocked', async () => {
    const traced = await run('blocked', url, { signal: 'SIGTERM', env: { BATCH: '{"scheduleDelayMs":5}' } });
    expect(names).toEqual(['first']);
    expect(traced).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' });
  });
});
