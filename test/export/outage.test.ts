import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type BatchOptions,
  BatchSpanProcessor,
  type Sender,
  type SendOutcome,
  type SyncOutcome,
} from '../../src/export/processor';
import { openSpool } from '../../src/export/spool';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { nowMs } from '../../src/trace/clock';
import { namesOf } from './requests';
import { BATCH, startSpan, until } from './support';

vi.mock('../../src/trace/clock', { spy: true });

const SENT: SendOutcome = { kind: 'sent', rejectedSpans: 0 };
const AWAY: SendOutcome = { kind: 'unreachable', retryAfterMs: 0 };
const UNLIMITED = { attributeValueLengthLimit: Number.POSITIVE_INFINITY };

/** A back end in one object: what it takes is in `names`. */
class BackEnd implements Sender {
  readonly names: string[] = [];
  readonly sizes: number[] = [];
  maxBytes = Number.POSITIVE_INFINITY;
  away = false;
  handedOver = false;
  requests = 0;
  aborted = 0;
  readonly budgets: number[] = [];
  readonly target = 'http://back.end/';
  concurrent = 0;

  async send(request: Buffer): Promise<SendOutcome> {
    expect(++this.concurrent).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    this.concurrent--;
    return this.#take(request);
  }

  sendSync(requests: readonly Buffer[], budgetMs: number): SyncOutcome[] {
    this.budgets.push(budgetMs);
    return requests.map((request) => {
      const { kind } = this.#take(request);
      return kind === 'unreachable' ? 'lost' : kind;
    });
  }

  abort(): void {
    this.aborted++;
  }

  close(): void {}

  #take(request: Buffer): SendOutcome {
    this.requests++;
    if (this.away) return AWAY;
    if (request.length > this.maxBytes) return { kind: 'too_large' };
    this.sizes.push(request.length);
    this.names.push(...namesOf(request));
    return SENT;
  }
}

let lines: string[] = [];
let directory: string;
beforeEach(() => {
  lines = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
  directory = mkdtempSync(join(tmpdir(), 'hookline-outage-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  // The line before does not reach what is mocked with its module.
  vi.mocked(nowMs).mockReset();
  setLogSink(undefined);
  rmSync(directory, { recursive: true, force: true });
});

function setUp(batch = {}, options: BatchOptions = {}) {
  const sender = new BackEnd();
  const processor = new BatchSpanProcessor({ ...BATCH, ...batch }, sender, undefined, options);
  const end = (count: number, prefix = 's', bytes = 0): void => {
    const attributes = bytes > 0 ? { text: 'x'.repeat(bytes) } : {};
    for (let i = 0; i < count; i++)
      startSpan({ name: `${prefix}${i}`, processor, attributes, limits: UNLIMITED }).end();
  };
  return { sender, processor, end };
}

const names = (count: number, prefix = 's'): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const files = (): string[] => readdirSync(directory);

describe('a back end that takes no large requests', () => {
  it('gets each batch in parts, every span once and in order', async () => {
    const { sender, processor, end } = setUp();
    sender.maxBytes = 2_000;
    end(100);
    expect(await processor.flush(5_000)).toBe(true);
    expect(sender.names).toEqual(names(100));
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 100, dropped: {} });
    expect(lines).toEqual([]);
  });

  it('is not asked again with what it refused: the smaller size is remembered', async () => {
    const { sender, processor, end } = setUp();
    sender.maxBytes = 4_000;
    end(100);
    await processor.flush(5_000);
    const before = sender.requests;
    const accepted = sender.sizes.length;
    end(100, 't');
    await processor.flush(5_000);
    expect(sender.names).toEqual([...names(100), ...names(100, 't')]);
    // Not one of them was refused.
    expect(sender.requests - before).toBe(sender.sizes.length - accepted);
  });

  it('loses the one span that is too large, and no other', async () => {
    const { sender, processor, end } = setUp();
    sender.maxBytes = 50_000;
    end(20, 'a');
    end(1, 'giant', 100_000);
    end(20, 'b');
    expect(await processor.flush(5_000)).toBe(false);
    expect(sender.names).toEqual([...names(20, 'a'), ...names(20, 'b')]);
    expect(processor.stats()).toMatchObject({ exported: 40, dropped: { too_large: 1 } });
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('dropping spans (too_large 1)');
  });

  it('is not flooded when it takes nothing at all', async () => {
    const { sender, processor, end } = setUp();
    sender.maxBytes = 0;
    end(512);
    await processor.flush(5_000);
    expect(processor.stats()).toMatchObject({ queued: 0, exported: 0, dropped: { too_large: 512 } });
    expect(sender.requests).toBeLessThan(20);
    sender.maxBytes = Number.POSITIVE_INFINITY;
    end(512, 't');
    expect(await processor.flush(5_000)).toBe(true);
    expect(sender.names).toEqual(names(512, 't'));
  });

  it('gets parts at the end of the process too', () => {
    const { sender, processor, end } = setUp();
    sender.maxBytes = 2_000;
    end(50);
    end(1, 'giant', 10_000);
    processor.flushSync(700);
    expect([...sender.names].sort()).toEqual(names(50).sort());
    expect(processor.stats()).toMatchObject({ queued: 0, exported: 50, dropped: { too_large: 1 } });
    expect(sender.budgets[0]).toBe(700);
  });

  it('a span over the limit for single spans is not even encoded', async () => {
    const { sender, processor, end } = setUp({}, { maxSpanBytes: 1_000 });
    end(1, 'small', 100);
    end(1, 'large', 2_000);
    await processor.flush(5_000);
    expect(sender.names).toEqual(['small0']);
    expect(processor.stats().dropped).toEqual({ too_large: 1 });
    expect(lines[0]).toContain('more than 1000 bytes');
  });
});

describe('with a spool', () => {
  const spooled = (): BatchOptions => ({
    openSpool: (service, onLost) =>
      openSpool({ directory, maxBytes: 10_000_000, maxAgeMs: 86_400_000 }, 'otlp', service, onLost),
  });

  it('a filling queue moves to disk, and comes back when the collector does', async () => {
    const { sender, processor, end } = setUp(
      { maxQueueSize: 40, maxExportBatchSize: 10, scheduleDelayMs: 20 },
      spooled(),
    );
    sender.away = true;
    for (let round = 0; round < 10; round++) {
      end(20, `r${round}-`);
      await until(() => processor.stats().queued <= 20, 'room in the queue');
    }
    const { spool, queued, inFlight, dropped } = processor.stats();
    expect(dropped).toEqual({});
    expect((spool?.stored ?? 0) + queued + inFlight).toBe(200);
    expect(spool?.stored).toBeGreaterThan(0);
    sender.away = false;
    await until(() => sender.names.length === 200, 'all spans');
    expect([...sender.names].sort()).toEqual(
      names(10)
        .flatMap((r) => names(20, `r${r.slice(1)}-`))
        .sort(),
    );
    await until(() => files().length === 0, 'an empty spool');
    const after = processor.stats();
    expect(after.exported + (after.spool?.replayed ?? 0)).toBe(200);
    expect(lines).toEqual([]);
  });

  it('replays without a fresh span, and a fresh one does not wait for it', async () => {
    const { sender, processor, end } = setUp(
      { maxQueueSize: 20, maxExportBatchSize: 10, scheduleDelayMs: 20 },
      spooled(),
    );
    sender.away = true;
    end(20);
    await until(() => processor.stats().queued <= 5, 'the spool to be used');
    sender.away = false;
    await until(() => sender.names.length === 20, 'all spans');
    expect(processor.stats().dropped).toEqual({});
  });

  it('at the end of the process nothing is lost, and a collector known to be away is not asked', async () => {
    const { sender, processor, end } = setUp({}, spooled());
    sender.away = true;
    end(5);
    expect(await processor.flush(1_000)).toBe(false);
    end(5, 't');
    processor.flushSync(700);
    expect(sender.budgets).toEqual([]);
    expect(processor.stats()).toMatchObject({ queued: 0, exported: 0, dropped: {}, spool: { stored: 10 } });
    expect(processor.hasPending()).toBe(false);
    expect(processor.lastLosses()).toEqual([]);
  });

  it('a collector that nobody has asked yet is asked first', () => {
    const { sender, processor, end } = setUp({}, spooled());
    end(5);
    processor.flushSync(700);
    expect(sender.names).toEqual(names(5));
    expect(files()).toEqual([]);
    sender.away = true;
    end(5, 't');
    processor.flushSync(700);
    expect(processor.stats()).toMatchObject({ exported: 5, dropped: {}, spool: { stored: 5 } });
  });

  it('a process that is too short to replay anything else does so with its last send', () => {
    const first = setUp({}, spooled());
    first.sender.away = true;
    first.end(5);
    first.processor.flushSync(0);
    const { sender, processor, end } = first;
    sender.away = false;
    end(2, 'last');
    processor.flushSync(700);
    expect(sender.names).toEqual(['last0', 'last1', ...names(5)]);
    expect(files()).toEqual([]);
    expect(processor.stats()).toMatchObject({ exported: 2, dropped: {}, spool: { stored: 5, replayed: 5 } });
  });

  it('shutdown keeps what it cannot deliver', async () => {
    const { sender, processor, end } = setUp({}, spooled());
    sender.away = true;
    end(5);
    expect(await processor.shutdown(1_000)).toBe(false);
    expect(processor.stats()).toMatchObject({ queued: 0, dropped: {}, spool: { stored: 5 } });
  });

  it('what the back end refuses from the spool is counted and not kept', async () => {
    const { sender, processor, end } = setUp({ scheduleDelayMs: 20 }, spooled());
    sender.away = true;
    end(3);
    end(1, 'giant', 50_000);
    processor.flushSync(0);
    sender.away = false;
    sender.maxBytes = 10_000;
    end(1, 'fresh');
    await until(() => files().length === 0, 'an empty spool');
    await until(() => sender.names.length === 4, 'the rest');
    expect(sender.names).toEqual(['fresh0', ...names(3)]);
    expect(processor.stats()).toMatchObject({ exported: 1, dropped: { too_large: 1 }, spool: { replayed: 3 } });
  });

  it('large batches are lines of limited size', async () => {
    const { sender, processor, end } = setUp({}, spooled());
    sender.away = true;
    end(100, 's', 10_000);
    processor.flushSync(0);
    expect(processor.stats()).toMatchObject({ dropped: {}, spool: { stored: 100 } });
    sender.away = false;
    end(1, 'fresh');
    await processor.flush(1_000);
    await until(() => sender.names.length === 101, 'all spans');
    expect(Math.max(...sender.sizes)).toBeLessThanOrEqual(64 * 1024);
  });

  it('a spool that is full or cannot be used loses spans as there was none, and says so', async () => {
    const full = setUp(
      {},
      {
        openSpool: (service, onLost) => openSpool({ directory, maxBytes: 1, maxAgeMs: 1_000 }, 'otlp', service, onLost),
      },
    );
    full.sender.away = true;
    full.end(5);
    full.processor.flushSync(0);
    expect(full.processor.stats().dropped).toEqual({ spool_full: 5 });
    expect(full.processor.lastLosses()).toEqual([{ to: 'to http://back.end/', counts: { spool_full: 5 } }]);
    const broken = setUp(
      {},
      {
        openSpool: (service, onLost) =>
          openSpool({ directory: '/dev/null/spool', maxBytes: 1_000_000, maxAgeMs: 1_000 }, 'otlp', service, onLost),
      },
    );
    broken.sender.away = true;
    broken.end(5);
    broken.processor.flushSync(0);
    expect(broken.processor.stats().dropped).toEqual({ exit_timeout: 5 });
    expect(lines).toHaveLength(2);
  });

  it('a request from the spool that is on its way when the process ends stays there', async () => {
    const { sender, processor, end } = setUp({ scheduleDelayMs: 20 }, spooled());
    sender.away = true;
    end(3);
    processor.flushSync(0);
    sender.away = false;
    let started: () => void = () => {};
    const onItsWay = new Promise<void>((resolve) => (started = resolve));
    const send = sender.send.bind(sender);
    sender.send = (request) => {
      if (!namesOf(request).includes('s0')) return send(request);
      started();
      return new Promise(() => {});
    };
    end(1, 'fresh');
    await onItsWay;
    processor.flushSync(700);
    expect(sender.aborted).toBe(1);
    expect(files()).toHaveLength(1);
    expect(processor.stats()).toMatchObject({ exported: 1, dropped: {}, spool: { replayed: 0 } });
  });

  it('fresh spans that end while a replayed request fails are sent all the same', async () => {
    const { sender, processor, end } = setUp({ scheduleDelayMs: 20 }, spooled());
    sender.away = true;
    end(3);
    processor.flushSync(0);
    sender.away = false;
    const send = sender.send.bind(sender);
    let fail: ((outcome: SendOutcome) => void) | undefined;
    let failed = false;
    sender.send = (request) => {
      if (failed || !namesOf(request).includes('s0')) return send(request);
      failed = true;
      return new Promise((resolve) => (fail = resolve));
    };
    end(1, 'fresh');
    await until(() => fail !== undefined, 'the replay');
    end(1, 'during');
    // Its batch is due before the answer comes.
    await new Promise((resolve) => setTimeout(resolve, 50));
    fail?.(AWAY);
    await until(() => sender.names.length === 5, 'all spans');
    expect(sender.names).toEqual(['fresh0', 'during0', ...names(3)]);
    expect(processor.stats().dropped).toEqual({});
  });

  it('what nobody took for two minutes goes to disk, with all that waits behind it', async () => {
    const { sender, processor, end } = setUp({ maxExportBatchSize: 10, scheduleDelayMs: 20 }, spooled());
    sender.away = true;
    let aheadMs = 0;
    vi.mocked(nowMs).mockImplementation(() => performance.now() + aheadMs);
    end(25);
    await until(() => sender.requests > 0, 'a try');
    expect(processor.stats()).toMatchObject({ queued: 25, dropped: {} });
    aheadMs = 121_000;
    await until(() => processor.stats().queued === 0, 'an empty queue');
    expect(processor.stats()).toMatchObject({ exported: 0, dropped: {}, spool: { stored: 25 } });
    sender.away = false;
    await until(() => sender.names.length === 25, 'all spans');
    expect(sender.names).toEqual(names(25));
  });

  it('without one, what nobody took for two minutes is lost, and only that', async () => {
    const { sender, processor, end } = setUp({ maxExportBatchSize: 10, scheduleDelayMs: 20 });
    sender.away = true;
    let aheadMs = 0;
    vi.mocked(nowMs).mockImplementation(() => performance.now() + aheadMs);
    end(25);
    await until(() => sender.requests > 0, 'a try');
    aheadMs = 121_000;
    await until(() => processor.stats().dropped.export_failed !== undefined, 'a loss');
    expect(processor.stats()).toMatchObject({ queued: 15, dropped: { export_failed: 10 } });
  });

  it('nothing is opened before it is needed', () => {
    let opened = 0;
    const { end } = setUp(
      {},
      {
        openSpool: () => {
          opened++;
          throw new Error('not now');
        },
      },
    );
    end(5);
    expect(opened).toBe(0);
  });
});

describe('losses', () => {
  it('are told once, by reason and with whose they are', async () => {
    const { processor, end } = setUp({ maxQueueSize: 2, maxExportBatchSize: 2 });
    expect(processor.hasLosses()).toBe(false);
    end(5);
    expect(processor.hasLosses()).toBe(true);
    expect(processor.lastLosses()).toEqual([{ to: 'to http://back.end/', counts: { queue_full: 3 } }]);
    expect(processor.hasLosses()).toBe(false);
    expect(processor.lastLosses()).toEqual([]);
    await processor.flush(1_000);
    expect(lines[0]).toContain('dropping spans (queue_full 1): ');
    expect(lines[1]).toContain('spans are delivered again; 3 were dropped (queue_full 3)');
  });
});
