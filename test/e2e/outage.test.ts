import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../export/support';
import { type OtlpReceiver, startReceiver } from '../support/otlp-receiver';
import { nodeBinary, type RunningApp, startApp } from '../support/run-app';

// What becomes of spans while the back end is away, or refuses requests: every one is delivered once, or counted.

const APP = 'test/e2e/fixtures/outage/app.cjs';

/** Small, so that an outage of a moment is a long one. */
const SMALL_QUEUE = {
  OTEL_BSP_MAX_QUEUE_SIZE: '40',
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '10',
  OTEL_BSP_SCHEDULE_DELAY: '50',
  OTEL_EXPORTER_OTLP_TIMEOUT: '200',
};

let folder: string;
let spool: string;
const receivers: OtlpReceiver[] = [];
const apps: RunningApp[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-outage-'));
  spool = join(folder, 'spool');
});
afterEach(async () => {
  for (const { child } of apps.splice(0)) child.kill('SIGKILL');
  for (const receiver of receivers.splice(0)) await receiver.close();
  rmSync(folder, { recursive: true, force: true });
});

async function receive(port?: number): Promise<OtlpReceiver> {
  const receiver = await startReceiver(port === undefined ? {} : { port });
  receivers.push(receiver);
  return receiver;
}

/** A port that nobody listens on, for a collector that comes later. */
async function closedPort(): Promise<number> {
  const { port, close } = await startReceiver();
  await close();
  return port;
}

async function start(
  port: number,
  env: Record<string, string> = {},
  preload: 'import' | 'none' = 'import',
  node?: string,
) {
  const app = await startApp(APP, {
    ipc: true,
    preload,
    ...(node !== undefined && { node }),
    receiver: false,
    anyConventions: true,
    env: { ...SMALL_QUEUE, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_SERVICE_NAME: 'shop', ...env },
  });
  apps.push(app);
  await until(() => app.messages.length === 1, 'the application');
  return {
    app,
    /** Makes spans; resolves with the exporter's counts. */
    async make(message: object): Promise<any> {
      const before = app.messages.length;
      app.child.send(message);
      await until(() => app.messages.length > before, 'an answer');
      return app.messages.at(-1);
    },
    async finish(message: object) {
      app.child.send(message);
      return app.done;
    },
  };
}

const withSpool = (changes: Record<string, string> = {}): Record<string, string> => ({
  HOOKLINE_SPOOL_PATH: spool,
  ...changes,
});

const files = (): string[] => readdirSync(spool).sort();
const named = (receiver: OtlpReceiver): string[] => receiver.spans.map(({ name }) => name).sort();
const names = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}-${i}`).sort();
const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((a, b) => a + b, 0);

/** The status once `condition` holds. */
async function statusWhen(process: { make(message: object): Promise<any> }, condition: (status: any) => boolean) {
  let status = await process.make({});
  const deadlineMs = performance.now() + 20_000;
  while (!condition(status)) {
    if (performance.now() > deadlineMs) throw new Error(`timed out at ${JSON.stringify(status)}`);
    status = await process.make({});
  }
  return status;
}

describe('a collector that is away, without a spool', () => {
  it('gets the oldest when it comes back; the rest is counted and said', async () => {
    const port = await closedPort();
    const process = await start(port);
    await process.make({ spans: 100, prefix: 'a' });
    const receiver = await receive(port);
    await receiver.waitForSpans(40);
    const { stderr, code } = await process.finish({ spans: 1, prefix: 'late', end: true });
    expect(code).toBe(0);
    expect(named(receiver)).toEqual([...names(40, 'a'), 'late-0'].sort());
    const lines = stderr.trimEnd().split('\n');
    expect(lines.filter((line) => line.includes('dropping spans (queue_full'))).toHaveLength(1);
    expect(lines.filter((line) => line.includes('60 were dropped (queue_full 60)'))).toHaveLength(1);
    expect(lines.at(-1)).toBe(
      `hookline: 60 spans were not delivered to http://127.0.0.1:${port}/v1/traces before the process ended (queue_full 60)`,
    );
  });

  it('an application that ends meanwhile ends as ever, but for one line with the reasons', async () => {
    const port = await closedPort();
    const bare = await start(port, {}, 'none');
    const ended = await bare.finish({ spans: 50, exit: 3 });
    const traced = await start(port, { OTEL_BSP_SCHEDULE_DELAY: '60000' });
    const { stderr, stdout, code, signal } = await traced.finish({ spans: 50, exit: 3 });
    expect({ stdout, code, signal }).toEqual({ stdout: ended.stdout, code: ended.code, signal: ended.signal });
    expect(ended.stderr).toBe('');
    expect(stderr.split('\n').filter((line) => line.includes('before the process ended'))).toEqual([
      expect.stringMatching(/^hookline: 50 spans were not delivered to http.* \(queue_full 10, exit_timeout 40\)$/),
    ]);
  });

  it('SIGTERM after a loss: the line comes, and the signal ends the process', async () => {
    const receiver = await receive();
    receiver.replyNext({ status: 400 });
    const process = await start(receiver.port);
    await process.make({ spans: 5, prefix: 'a' });
    await statusWhen(process, ({ dropped }) => dropped.export_failed === 5);
    process.app.child.kill('SIGTERM');
    const { stderr, signal } = await process.app.done;
    expect(signal).toBe('SIGTERM');
    expect(stderr).toMatch(/5 spans were not delivered to .* before the process ended \(export_failed 5\)\n$/);
  });

  it('OTEL_LOG_LEVEL=error: nothing is said', async () => {
    const process = await start(await closedPort(), { OTEL_LOG_LEVEL: 'error' });
    const { stderr } = await process.finish({ spans: 50, exit: 0 });
    expect(stderr).toBe('');
  });

  it('nothing is said where nothing was lost, nor about what tail sampling does not keep', async () => {
    const receiver = await receive();
    const process = await start(receiver.port, { HOOKLINE_TAIL_SAMPLING: 'errors', HOOKLINE_TAIL_SAMPLING_GRACE: '0' });
    await process.make({ spans: 20 });
    await statusWhen(process, ({ dropped }) => dropped.tail_sampling === 20);
    const { stderr } = await process.finish({ exit: 0 });
    expect(stderr).toBe('');
    expect(receiver.spans).toEqual([]);
  });
});

describe('a collector that answers otherwise', () => {
  it('503 for a while: every span once', async () => {
    const receiver = await receive();
    receiver.replyNext({ status: 503 }, { status: 503 });
    const process = await start(receiver.port, { OTEL_EXPORTER_OTLP_TIMEOUT: '5000' });
    await process.make({ spans: 35, prefix: 'a' });
    await receiver.waitForSpans(35);
    const { stderr } = await process.finish({ end: true });
    expect(named(receiver)).toEqual(names(35, 'a'));
    expect(stderr).toBe('');
  });

  it('413 above a size: parts of each batch, and only the giant is lost', async () => {
    const receiver = await receive();
    receiver.replyAlways(({ bytes }) => ({ status: bytes.length > 5_000 ? 413 : 200 }));
    const process = await start(receiver.port, {
      OTEL_BSP_MAX_QUEUE_SIZE: '500',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '100',
    });
    await process.make({ spans: 60, prefix: 'a', bytes: 200 });
    await process.make({ spans: 1, prefix: 'giant', bytes: 10_000 });
    await process.make({ spans: 60, prefix: 'b', bytes: 200 });
    await receiver.waitForSpans(120);
    const { dropped, exported } = await statusWhen(process, ({ queued, inFlight }) => queued + inFlight === 0);
    expect({ dropped, exported }).toEqual({ dropped: { too_large: 1 }, exported: 120 });
    const { stderr } = await process.finish({ end: true });
    expect(named(receiver)).toEqual([...names(60, 'a'), ...names(60, 'b')].sort());
    expect(stderr).toMatch(/ 1 span was not delivered to .* \(too_large 1\)\n$/);
  });

  it('413 at the very end: the last batch goes in parts as well', async () => {
    const receiver = await receive();
    receiver.replyAlways(({ bytes }) => ({ status: bytes.length > 5_000 ? 413 : 200 }));
    const process = await start(receiver.port, { OTEL_BSP_SCHEDULE_DELAY: '60000', HOOKLINE_EXIT_TIMEOUT: '20000' });
    const { stderr, code } = await process.finish({ spans: 39, prefix: 'a', bytes: 300, exit: 5 });
    expect({ stderr, code }).toEqual({ stderr: '', code: 5 });
    await receiver.settled();
    expect(named(receiver)).toEqual(names(39, 'a'));
  });

  it('HOOKLINE_OTLP_MAX_REQUEST_BYTES and _MAX_SPAN_BYTES: no request is larger, as protobuf or JSON', async () => {
    const sizes: number[] = [];
    const got: string[] = [];
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      sizes.push(body.length);
      for (const { scopeSpans } of JSON.parse(body.toString()).resourceSpans)
        for (const { spans } of scopeSpans) for (const { name } of spans) got.push(name);
      response.end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const limits = { HOOKLINE_OTLP_MAX_REQUEST_BYTES: '6000', HOOKLINE_OTLP_MAX_SPAN_BYTES: '1000' };
    const { port } = server.address() as AddressInfo;
    const json = await start(port, { ...limits, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
    const receiver = await receive();
    const binary = await start(receiver.port, limits);
    try {
      for (const process of [json, binary]) {
        await process.make({ spans: 30, prefix: 'a', bytes: 400 });
        await process.make({ spans: 3, prefix: 'giant', bytes: 1_000 });
        await statusWhen(process, ({ exported }) => exported === 30);
        const { stderr } = await process.finish({ end: true });
        expect(stderr).toMatch(/ 3 spans were not delivered to .* \(too_large 3\)\n$/);
      }
      expect(got.sort()).toEqual(names(30, 'a'));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(6_000);
      expect(named(receiver)).toEqual(names(30, 'a'));
      expect(Math.max(...receiver.requests.map(({ bytes }) => bytes.length))).toBeLessThanOrEqual(6_000);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('with a spool', () => {
  it('nothing is lost while the collector is away, and it gets all of it when it is back', async () => {
    const port = await closedPort();
    const process = await start(port, withSpool());
    for (const prefix of ['a', 'b', 'c', 'd']) {
      await process.make({ spans: 20, prefix });
      await statusWhen(process, ({ queued }) => queued <= 20);
    }
    expect((await process.make({})).dropped).toEqual({});
    const receiver = await receive(port);
    await receiver.waitForSpans(80);
    const status = await statusWhen(process, ({ spool }) => spool.bytes === 0);
    expect(status.exported + status.spool.replayed).toBe(80);
    const { stderr } = await process.finish({ end: true });
    expect(named(receiver)).toEqual(['a', 'b', 'c', 'd'].flatMap((prefix) => names(20, prefix)).sort());
    expect(files()).toEqual([]);
    expect(stderr).not.toContain('not delivered');
  });

  it('process.exit with the collector away: the next start delivers the last spans', async () => {
    const port = await closedPort();
    const first = await start(port, withSpool({ OTEL_BSP_SCHEDULE_DELAY: '60000' }));
    const { stderr, code } = await first.finish({ spans: 30, prefix: 'a', exit: 4 });
    expect({ stderr, code }).toEqual({ stderr: '', code: 4 });
    expect(files()).toHaveLength(1);
    expect(statSync(join(spool, files()[0] as string)).mode & 0o777).toBe(0o600);
    const receiver = await receive(port);
    const second = await start(port, withSpool());
    await second.make({ spans: 1, prefix: 'b' });
    await receiver.waitForSpans(31);
    await statusWhen(second, ({ spool }) => spool.replayed === 30);
    expect(named(receiver)).toEqual([...names(30, 'a'), 'b-0'].sort());
    expect(receiver.spans.find(({ name }) => name === 'a-0')?.resource['process.pid']).toBe(first.app.child.pid);
    expect(files()).toEqual([]);
    expect((await second.finish({ end: true })).stderr).toBe('');
  });

  it('a process that ends at once delivers them too', async () => {
    const port = await closedPort();
    const env = withSpool({ OTEL_BSP_SCHEDULE_DELAY: '60000' });
    await (await start(port, env)).finish({ spans: 30, prefix: 'a', exit: 0 });
    const receiver = await receive(port);
    const { stderr, code } = await (await start(port, env)).finish({ spans: 1, prefix: 'b', exit: 2 });
    expect({ stderr, code }).toEqual({ stderr: '', code: 2 });
    await receiver.settled();
    expect(named(receiver)).toEqual([...names(30, 'a'), 'b-0'].sort());
    expect(files()).toEqual([]);
  });

  it('two processes share one: each delivers its own, and one of them what a third has left', async () => {
    const port = await closedPort();
    const third = await start(port, withSpool());
    await third.finish({ spans: 10, prefix: 'left', exit: 0 });
    const [first, second] = await Promise.all([start(port, withSpool()), start(port, withSpool())]);
    for (const [process, prefix] of [[first, 'a'] as const, [second, 'b'] as const]) {
      await process.make({ spans: 30, prefix });
      await statusWhen(process, ({ queued }) => queued <= 10);
    }
    const receiver = await receive(port);
    await receiver.waitForSpans(70);
    for (const process of [first, second]) await statusWhen(process, ({ queued, inFlight }) => queued + inFlight === 0);
    await until(() => files().length === 0, 'an empty spool');
    const expected = [...names(30, 'a'), ...names(30, 'b'), ...names(10, 'left')].sort();
    expect(named(receiver)).toEqual(expected);
    for (const process of [first, second])
      expect((await process.finish({ end: true })).stderr).not.toContain('not delivered');
  });

  it('kill -9 and a line that was cut off: what is whole is delivered, the rest is one line', async () => {
    const port = await closedPort();
    const first = await start(port, withSpool());
    await first.make({ spans: 20, prefix: 'a' });
    await first.make({ spans: 20, prefix: 'b' });
    await statusWhen(first, ({ queued }) => queued <= 10);
    first.app.child.kill('SIGKILL');
    await first.app.done;
    const [file] = files() as [string];
    const text = readFileSync(join(spool, file), 'utf8');
    const stored = text.split('"startTimeUnixNano":').length - 1;
    expect(stored).toBeGreaterThan(0);
    const line = text.split('\n')[0] as string;
    appendFileSync(join(spool, file), line.slice(0, line.length / 2));
    writeFileSync(join(spool, 'notes.txt'), 'not ours');
    const receiver = await receive(port);
    const second = await start(port, withSpool());
    await second.make({ spans: 1, prefix: 'c' });
    await receiver.waitForSpans(stored + 1);
    const { dropped } = await statusWhen(second, ({ dropped }) => dropped.spool_corrupt > 0);
    expect(new Set(named(receiver)).size).toBe(stored + 1);
    const { stderr } = await second.finish({ end: true });
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('notes.txt');
    expect(lines[1]).toContain('ends in the middle of a line');
    expect(lines[2]).toContain(`(spool_corrupt ${dropped.spool_corrupt})`);
    expect(files()).toEqual(['notes.txt']);
  });

  it('a spool that is full: every span is delivered or counted', async () => {
    const port = await closedPort();
    const process = await start(port, withSpool({ HOOKLINE_SPOOL_MAX_BYTES: '8000' }));
    for (const prefix of ['a', 'b', 'c', 'd', 'e']) {
      await process.make({ spans: 20, prefix });
      await statusWhen(process, ({ queued }) => queued <= 20);
    }
    const bytes = files().map((file) => statSync(join(spool, file)).size);
    expect(bytes.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(8_000);
    const receiver = await receive(port);
    const status = await statusWhen(
      process,
      ({ queued, inFlight, spool }) => queued + inFlight === 0 && spool.replayed === spool.stored,
    );
    expect(status.dropped.spool_full).toBeGreaterThan(0);
    expect(status.exported + status.spool.replayed + sum(status.dropped)).toBe(100);
    expect(new Set(named(receiver)).size).toBe(receiver.spans.length);
    expect(receiver.spans).toHaveLength(100 - sum(status.dropped));
    const { stderr } = await process.finish({ end: true });
    expect(stderr).toContain('HOOKLINE_SPOOL_MAX_BYTES');
    expect(stderr).toMatch(new RegExp(`\\(spool_full ${status.dropped.spool_full}\\)\\n$`));
  });

  it.skipIf(process.platform === 'win32')('a disk that is full: one line, and what fitted is whole', async () => {
    const port = await closedPort();
    // A file of at most 16 KiB, after which each write fails in the middle of a line.
    const limited = join(folder, 'limited-node');
    writeFileSync(limited, `#!/bin/sh\nulimit -f 32\nexec "${nodeBinary}" "$@"\n`, { mode: 0o755 });
    const first = await start(port, withSpool(), 'import', limited);
    for (const prefix of ['a', 'b', 'c', 'd']) await first.make({ spans: 10, prefix, bytes: 300 });
    await statusWhen(first, ({ spool }) => spool?.stored > 0);
    const { stderr, code } = await first.finish({ spans: 10, prefix: 'e', bytes: 300, exit: 6 });
    expect(code).toBe(6);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.filter((line) => line.includes('cannot write spans to the spool'))).toHaveLength(1);
    const lost = Number(/(\d+) spans were not delivered/.exec(lines.at(-1) as string)?.[1] ?? 0);
    const receiver = await receive(port);
    const second = await start(port, withSpool());
    await second.make({ spans: 1, prefix: 'z' });
    await receiver.waitForSpans(51 - lost);
    await until(() => files().length === 0, 'an empty spool');
    expect(new Set(named(receiver)).size).toBe(51 - lost);
    expect((await second.finish({ end: true })).stderr).toBe('');
  });

  it('a path that cannot be used: one line, the application goes on, the spans are counted', async () => {
    writeFileSync(spool, 'a file');
    const process = await start(await closedPort(), withSpool());
    const { stderr, code } = await process.finish({ spans: 20, prefix: 'a', exit: 0 });
    expect(code).toBe(0);
    expect(stderr.split('\n').filter((line) => line.includes('the spool'))).toHaveLength(1);
    expect(stderr).toMatch(/20 spans were not delivered .* before the process ended\n$/);
  });

  it('a collector that comes and goes: every span arrives', async () => {
    const receiver = await receive();
    receiver.replyAlways((_request, index) => ({ status: index % 3 === 0 ? 200 : 503 }));
    const process = await start(receiver.port, withSpool({ OTEL_EXPORTER_OTLP_TIMEOUT: '100' }));
    for (let i = 0; i < 10; i++) {
      await process.make({ spans: 15, prefix: `p${i}` });
      await statusWhen(process, ({ queued }) => queued <= 20);
    }
    await receiver.waitForSpans(150, 60_000);
    const { dropped } = await statusWhen(process, ({ queued, inFlight }) => queued + inFlight === 0);
    expect(dropped).toEqual({});
    expect(named(receiver)).toEqual(
      Array.from({ length: 10 }, (_, i) => names(15, `p${i}`))
        .flat()
        .sort(),
    );
    await process.finish({ end: true });
  }, 90_000);

  it.each([
    [
      'http/json',
      'v1/traces',
      (body: any) => body.resourceSpans.flatMap((r: any) => r.scopeSpans.flatMap((s: any) => s.spans)),
    ],
    ['zipkin', 'api/v2/spans', (body: any) => body],
  ] as const)('%s: replayed as what the back end takes', async (protocol, path, spansOf) => {
    const port = await closedPort();
    const env = withSpool(
      protocol === 'zipkin'
        ? { OTEL_TRACES_EXPORTER: 'zipkin', OTEL_EXPORTER_ZIPKIN_ENDPOINT: `http://127.0.0.1:${port}/${path}` }
        : { OTEL_EXPORTER_OTLP_PROTOCOL: protocol },
    );
    await (await start(port, env)).finish({ spans: 5, prefix: 'a', exit: 0 });
    const got: string[] = [];
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      expect(request.url).toBe(`/${path}`);
      for (const { name } of spansOf(JSON.parse(body))) got.push(name);
      response.end('{}');
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    try {
      const process = await start(port, env);
      await process.make({ spans: 1, prefix: 'b' });
      await until(() => got.length === 6, 'all spans');
      expect(got.sort()).toEqual([...names(5, 'a'), 'b-0'].sort());
      await process.finish({ end: true });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
