import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Comparison, expectSameAsBare } from '../support/compare';
import { startReceiver } from '../support/otlp-receiver';
import { permissionFlags } from '../support/permission';
import { type RunOptions, runApp } from '../support/run-app';

const FIXTURES = 'test/e2e/fixtures/endings';

/** Long enough that nothing is sent by the timer: what arrives was sent at the end. */
const ONLY_AT_THE_END = { OTEL_BSP_SCHEDULE_DELAY: '60000' };

const onReady = (name: NodeJS.Signals): RunOptions => ({ signal: { after: 'ready', name } });

interface Ending {
  options?: RunOptions;
  code?: number;
  signal?: NodeJS.Signals;
}

const ENDINGS: Record<string, Ending> = {
  natural: { code: 0 },
  'exit-now': { code: 3 },
  'exit-later': { code: 0 },
  'exit-code': { code: 7 },
  throw: { code: 1 },
  reject: { code: 1 },
  'caught-throw': { code: 0 },
  'exit-listeners': { code: 0 },
  'exit-in-rejection-handler': { code: 4 },
  'signal by SIGTERM': { options: onReady('SIGTERM'), signal: 'SIGTERM' },
  'signal by SIGINT': { options: onReady('SIGINT'), signal: 'SIGINT' },
  'signal by SIGHUP': { options: onReady('SIGHUP'), signal: 'SIGHUP' },
  'signal-graceful by SIGTERM': { options: onReady('SIGTERM'), code: 0 },
  'signal-graceful by SIGINT': { options: onReady('SIGINT'), code: 0 },
  'signal-graceful-exit by SIGTERM': { options: onReady('SIGTERM'), code: 0 },
  'signal-rekill by SIGTERM': { options: onReady('SIGTERM'), signal: 'SIGTERM' },
};

function names(comparison: Comparison): string[][] {
  return Object.values(comparison.traced).map((result) => result.spans.map(({ kind }) => kind).sort());
}

describe.each(['app.cjs', 'app.mjs'])('%s ends as without the agent and delivers its spans', (app) => {
  for (const [title, { options, code = null, signal = null }] of Object.entries(ENDINGS)) {
    it(title, async () => {
      const [ending = ''] = title.split(' ');
      const comparison = await expectSameAsBare(`${FIXTURES}/${app}`, {
        args: [ending],
        env: ONLY_AT_THE_END,
        ...options,
        // Paths and line numbers are the same in both runs; the agent's frames must not be among them.
        normalise: (text) => text,
      });
      expect(comparison.bare).toMatchObject({ code, signal });
      expect(names(comparison)).toEqual([
        ['CLIENT', 'SERVER'],
        ['CLIENT', 'SERVER'],
      ]);
    });
  }
});

describe('a collector that is no help', () => {
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  /** Accepts connections and never answers. */
  async function blackHole(): Promise<string> {
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => {}));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  for (const [title, ending, signal] of [
    ['natural end', 'natural', undefined],
    ['process.exit', 'exit-now', undefined],
    ['SIGTERM', 'signal', 'SIGTERM'],
  ] as const) {
    it(`black hole, ${title}: ends the same way, one line says what was lost`, async () => {
      const options: RunOptions = {
        args: [ending],
        receiver: false,
        env: { ...ONLY_AT_THE_END, OTEL_EXPORTER_OTLP_ENDPOINT: await blackHole(), HOOKLINE_EXIT_TIMEOUT: '400' },
        ...(signal && onReady(signal)),
      };
      const bare = await runApp(`${FIXTURES}/app.cjs`, { ...options, preload: 'none' });
      const traced = await runApp(`${FIXTURES}/app.cjs`, options);
      expect({ ...traced, stderr: '' }).toEqual({ ...bare, stderr: '' });
      expect(traced.stderr).toMatch(/^hookline: .*2 spans.*\n$/);
    });
  }

  it('refused connection: ends the same way, one line names the address', async () => {
    const receiver = await startReceiver();
    const { url } = receiver;
    await receiver.close();
    const { stderr, code } = await runApp(`${FIXTURES}/app.cjs`, {
      args: ['natural'],
      receiver: false,
      env: { ...ONLY_AT_THE_END, OTEL_EXPORTER_OTLP_ENDPOINT: url },
    });
    expect(code).toBe(0);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).toContain(`2 spans were not delivered to ${url}/v1/traces`);
  });

  it('exit with nothing to send starts nothing', async () => {
    const { stdout, stderr } = await runApp(undefined, {
      receiver: false,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: await blackHole() },
      execArgv: [
        '-e',
        "process.on('exit', () => setTimeout(() => {})); console.log(process.moduleLoadList.some((name) => /worker/.test(name) && name.startsWith('NativeModule worker_threads')))",
      ],
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'false\n', stderr: '' });
    expect(sockets).toHaveLength(0);
  });
});

describe('with an export under way', () => {
  it('SD7: every span arrives once, also those that ended during the request', async () => {
    const receiver = await startReceiver();
    receiver.replyAlways({ delayMs: 150 });
    try {
      const { spans } = await runApp(`${FIXTURES}/app.mjs`, {
        args: ['exit-later'],
        receiver,
        env: { OTEL_BSP_SCHEDULE_DELAY: '1' },
        waitForSpans: 2,
      });
      expect(spans.map(({ kind }) => kind).sort()).toEqual(['CLIENT', 'SERVER']);
    } finally {
      await receiver.close();
    }
  });
});

describe('under the permission model', () => {
  // One of the flags comes with a warning of its own.
  const execArgv = [...(permissionFlags ?? []), '--no-warnings'];

  it.runIf(permissionFlags)('without workers and child processes, a natural end still delivers', async () => {
    const { stdout, stderr, code, spans } = await runApp(`${FIXTURES}/app.cjs`, {
      args: ['natural'],
      execArgv,
      env: ONLY_AT_THE_END,
    });
    expect({ stdout, stderr, code }).toEqual({ stdout: '', stderr: '', code: 0 });
    expect(spans.map(({ kind }) => kind).sort()).toEqual(['CLIENT', 'SERVER']);
  });

  it.runIf(permissionFlags)('process.exit says what it cannot deliver', async () => {
    const { stderr, code } = await runApp(`${FIXTURES}/app.cjs`, {
      args: ['exit-now'],
      execArgv,
      env: ONLY_AT_THE_END,
    });
    expect(code).toBe(3);
    expect(stderr).toMatch(/^hookline: 2 spans were not delivered .*\n$/);
  });
});
