import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  BatchSpanProcessor,
  type Sender,
  type SendOutcome,
  type SyncOutcome,
  untracedTimer,
} from '../../src/export/processor';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { BATCH, type Decoded, decode, makeResource, startSpan, until } from './support';

interface Call {
  readonly names: string[];
  answer(outcome: SendOutcome): void;
}

const SENT: SendOutcome = { kind: 'sent', rejectedSpans: 0 };

/** Answers at once with `outcome`, or, while that is undefined, when the test says so. */
class FakeSender implements Sender {
  readonly calls: Call[] = [];
  /** Not their contents, which may be others by now. */
  readonly requests: Buffer[] = [];
  outcome: SendOutcome | undefined = SENT;
  handedOver = false;
  aborted = 0;
  closed = 0;
  concurrent = 0;
  maxConcurrent = 0;
  sync: string[][] = [];
  /** Of the requests of `send`. */
  readonly resources: Decoded[] = [];
  syncOutcome: SyncOutcome = 'sent';
  budgetMs = 0;

  send(request: Buffer): Promise<SendOutcome> {
    this.concurrent++;
    this.maxConcurrent = Math.max(this.maxConcurrent, this.concurrent);
    this.requests.push(request);
    return new Promise((resolve) => {
      const answer = (outcome: SendOutcome): void => {
        this.concurrent--;
        resolve(outcome);
      };
      this.calls.push({ names: namesOf(request), answer });
      this.resources.push(resourceOf(request));
      if (this.outcome !== undefined) answer(this.outcome);
    });
  }

  abort(): void {
    this.aborted++;
  }

  sendSync(requests: readonly Buffer[], budgetMs: number): SyncOutcome[] {
    this.budgetMs = budgetMs;
    this.sync.push(requests.flatMap(namesOf));
    return requests.map(() => this.syncOutcome);
  }

  close(): void {
    this.closed++;
  }
}

function namesOf(request: Buffer): string[] {
  const { resourceSpans } = decode('ExportTraceServiceRequest', request);
  return resourceSpans.flatMap(({ scopeSpans }: Decoded) =>
    scopeSpans.flatMap(({ spans }: Decoded) => spans.map(({ name }: Decoded) => name)),
  );
}

function resourceOf(request: Buffer): Decoded {
  const { resourceSpans } = decode('ExportTraceServiceRequest', request);
  return Object.fromEntries(
    resourceSpans[0].resource.attributes.map(({ key, value }: Decoded) => [key, Object.values(value)[0]]),
  );
}

function setUp(batch = {}): {
  sender: FakeSender;
  processor: BatchSpanProcessor;
  end: (...names: string[]) => void;
  pending: string[];
} {
  const sender = new FakeSender();
  const pending: string[] = [];
  const processor = new BatchSpanProcessor({ ...BATCH, ...batch }, sender, {
    onQueued: () => pending.push('queued'),
    onDrained: () => pending.push('drained'),
  });
  const end = (...names: string[]): void => {
    for (const name of names) startSpan({ name, processor }).end();
  };
  return { sender, processor, end, pending };
}

let lines: string[] = [];
beforeEach(() => {
  lines = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});
afterEach(() => setLogSink(undefined));

describe('when batches are sent', () => {
  it('the timer sends what has ended; nothing is read or sent before', async () => {
    let reads = 0;
    const resource = makeResource();
    const watched = Object.defineProperty({ ...resource }, 'attributes', {
      get: () => {
        reads++;
        return resource.attributes;
      },
    });
    const { sender, processor } = setUp({ scheduleDelayMs: 30 });
    startSpan({ name: 'a', processor, resource: watched }).end();
    startSpan({ name: 'b', processor, resource: watched }).end();
    expect(reads).toBe(0);
    expect(sender.calls).toHaveLength(0);
    expect(processor.stats()).toEqual({ queued: 2, inFlight: 0, exported: 0, dropped: {} });
    await until(() => processor.stats().exported === 2);
    expect(sender.calls.map(({ names }) => names)).toEqual([['a', 'b']]);
  });

  it('a full batch goes at once, but not on the stack of the span that filled it', async () => {
    const { sender, end } = setUp({ maxExportBatchSize: 2 });
    end('a', 'b', 'c');
    expect(sender.calls).toHaveLength(0);
    await until(() => sender.calls.length === 1);
    expect(sender.calls[0]?.names).toEqual(['a', 'b']);
  });

  it('one at a time, the next one follows at once', async () => {
    const { sender, end, processor } = setUp({ maxExportBatchSize: 1 });
    sender.outcome = undefined;
    end('a', 'b', 'c');
    await until(() => sender.calls.length === 1);
    expect(processor.stats()).toMatchObject({ queued: 2, inFlight: 1 });
    sender.calls[0]?.answer(SENT);
    await until(() => sender.calls.length === 2);
    sender.calls[1]?.answer(SENT);
    await until(() => sender.calls.length === 3);
    sender.calls[2]?.answer(SENT);
    await until(() => processor.stats().exported === 3);
    expect(sender.calls.map(({ names }) => names)).toEqual([['a'], ['b'], ['c']]);
    expect(sender.maxConcurrent).toBe(1);
  });

  it('a batch that fills while another is in flight does not wait for the timer', async () => {
    const { sender, end } = setUp({ maxExportBatchSize: 1 });
    sender.outcome = undefined;
    end('a');
    await until(() => sender.calls.length === 1);
    end('b');
    sender.calls[0]?.answer(SENT);
    await until(() => sender.calls.length === 2);
    expect(sender.calls[1]?.names).toEqual(['b']);
  });
});

describe('a resource that is still being found out', () => {
  /** `answer` says that all of it is there. */
  function pendingResource() {
    let answer: () => void = () => {};
    const found = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const resource = Object.assign(makeResource(), {
      asyncAttributesPending: true,
      waitForAsyncAttributes: () => found,
    });
    return {
      resource,
      answer: () => {
        resource.attributes['cloud.region'] = 'eu';
        resource.asyncAttributesPending = false;
        answer();
      },
    };
  }

  it('is waited for before the first request, and encoded once', async () => {
    const { sender, processor } = setUp();
    const { resource, answer } = pendingResource();
    startSpan({ name: 'a', processor, resource }).end();
    const flushed = processor.flush(20_000);
    await Promise.resolve();
    expect(sender.calls).toHaveLength(0);
    expect(processor.stats()).toMatchObject({ queued: 1, inFlight: 0 });
    answer();
    expect(await flushed).toBe(true);
    expect(sender.resources).toEqual([expect.objectContaining({ 'cloud.region': 'eu' })]);
    resource.attributes['cloud.region'] = 'changed';
    startSpan({ name: 'b', processor, resource }).end();
    expect(await processor.flush(20_000)).toBe(true);
    expect(sender.resources[1]).toMatchObject({ 'cloud.region': 'eu' });
  });

  it('is not waited for at the end of the process', async () => {
    const { sender, processor } = setUp();
    const { resource, answer } = pendingResource();
    startSpan({ name: 'a', processor, resource }).end();
    const flushed = processor.flush(20_000);
    processor.flushSync(1000);
    expect(sender.sync).toEqual([['a']]);
    expect(processor.stats()).toMatchObject({ queued: 0, exported: 1 });
    // Should the process go on all the same, the rest has the whole resource.
    startSpan({ name: 'b', processor, resource }).end();
    answer();
    await flushed;
    await processor.flush(20_000);
    expect(sender.calls.map(({ names }) => names)).toEqual([['b']]);
    expect(sender.resources).toEqual([expect.objectContaining({ 'cloud.region': 'eu' })]);
  });
});

describe('what is lost', () => {
  it('the newest when the queue is full: counted, one line, and one at recovery', async () => {
    const { processor, end } = setUp({ maxQueueSize: 2 });
    end('a', 'b', 'c', 'd', 'e');
    expect(processor.stats()).toMatchObject({ queued: 2, dropped: { queue_full: 3 } });
    expect(lines.filter((line) => line.includes('queue_full'))).toHaveLength(1);
    expect(await processor.flush(1_000)).toBe(true);
    expect(lines.filter((line) => line.includes('3 were dropped'))).toHaveLength(1);
    end('f');
    expect(processor.stats().queued).toBe(1);
  });

  it('the newest when the bytes are full', () => {
    const { processor } = setUp({ maxQueueSize: 100_000 });
    const limits = { attributeValueLengthLimit: Number.POSITIVE_INFINITY };
    const text = 'x'.repeat(1024 * 1024);
    for (let i = 0; i < 40; i++) startSpan({ attributes: { text }, limits, processor }).end();
    const { queued, dropped } = processor.stats();
    expect(queued).toBe(16);
    expect(dropped).toEqual({ queue_full: 24 });
  });

  it('a span that is too large, and only that one', async () => {
    const { processor, end, sender } = setUp();
    const limits = { attributeValueLengthLimit: Number.POSITIVE_INFINITY };
    end('a');
    startSpan({ attributes: { text: 'x'.repeat(3 * 1024 * 1024) }, limits, processor }).end();
    end('b');
    await processor.flush(1_000);
    expect(sender.calls.map(({ names }) => names)).toEqual([['a', 'b']]);
    expect(processor.stats()).toMatchObject({ exported: 2, dropped: { too_large: 1 } });
  });

  it('a refused batch; the next one is sent all the same', async () => {
    const { processor, end, sender } = setUp({ maxExportBatchSize: 1 });
    sender.outcome = { kind: 'refused' };
    end('a');
    expect(await processor.flush(1_000)).toBe(false);
    sender.outcome = SENT;
    end('b');
    expect(await processor.flush(1_000)).toBe(true);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 1, dropped: { export_failed: 1 } });
  });

  it('spans that the collector rejected', async () => {
    const { processor, end, sender } = setUp();
    sender.outcome = { kind: 'sent', rejectedSpans: 2 };
    end('a', 'b', 'c');
    await processor.flush(1_000);
    expect(processor.stats()).toMatchObject({ exported: 1, dropped: { rejected: 2 } });
  });

  it('nothing for ever: a sender that rejects costs one batch', async () => {
    const { processor, end, sender } = setUp();
    const send = sender.send.bind(sender);
    sender.send = () => Promise.reject(new Error('bug'));
    end('a');
    expect(await processor.flush(1_000)).toBe(false);
    sender.send = send;
    end('b');
    expect(await processor.flush(1_000)).toBe(true);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 1, dropped: { export_failed: 1 } });
  });
});

describe('a collector that is not there', () => {
  it('gets the oldest spans first when it comes', async () => {
    const { processor, end, sender } = setUp({ scheduleDelayMs: 20, maxExportBatchSize: 2, maxQueueSize: 4 });
    sender.outcome = { kind: 'unreachable', retryAfterMs: 0 };
    end('a', 'b', 'c');
    await until(() => sender.calls.length >= 2);
    expect(sender.calls.every(({ names }) => names.join() === 'a,b')).toBe(true);
    end('d');
    end('e');
    expect(processor.stats().dropped).toEqual({ queue_full: 1 });
    const before = sender.calls.length;
    sender.outcome = SENT;
    await until(() => processor.stats().exported === 4);
    expect(sender.calls.slice(before).flatMap(({ names }) => names)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is left alone for as long as it asked', async () => {
    const { end, sender, processor } = setUp({ scheduleDelayMs: 5, maxExportBatchSize: 1 });
    sender.outcome = { kind: 'unreachable', retryAfterMs: 60_000 };
    end('a');
    await until(() => processor.stats().queued === 1 && sender.calls.length === 1);
    end('b', 'c');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(sender.calls).toHaveLength(1);
    expect(processor.stats().queued).toBe(3);
  });
});

describe('flush', () => {
  it('of nothing is done at once', async () => {
    const { processor, sender } = setUp();
    expect(await processor.flush(0)).toBe(true);
    expect(sender.calls).toHaveLength(0);
  });

  it('waits for the request in flight and for what has not been sent yet', async () => {
    const { processor, end, sender } = setUp({ maxExportBatchSize: 1 });
    sender.outcome = undefined;
    end('a');
    await until(() => sender.calls.length === 1);
    end('b');
    let flushed: boolean | undefined;
    const done = processor.flush(5_000).then((ok) => (flushed = ok));
    sender.calls[0]?.answer(SENT);
    await until(() => sender.calls.length === 2);
    expect(flushed).toBeUndefined();
    sender.calls[1]?.answer(SENT);
    expect(await done).toBe(true);
    expect(processor.stats().exported).toBe(2);
  });

  it('gives up in time', async () => {
    const { processor, end, sender } = setUp();
    sender.outcome = undefined;
    end('a');
    expect(await processor.flush(20)).toBe(false);
    expect(processor.stats().inFlight).toBe(1);
  });

  it('does not wait for an absent collector twice', async () => {
    const { processor, end, sender } = setUp();
    sender.outcome = { kind: 'unreachable', retryAfterMs: 0 };
    end('a');
    expect(await processor.flush(5_000)).toBe(false);
    expect(sender.calls).toHaveLength(1);
  });
});

describe('shutdown', () => {
  it('delivers, closes once, and counts what ends later without a line', async () => {
    const { processor, end, sender } = setUp();
    end('a');
    const [first, second] = await Promise.all([processor.shutdown(1_000), processor.shutdown(1_000)]);
    expect([first, second]).toEqual([true, true]);
    end('b', 'c');
    expect(sender.closed).toBe(1);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 1, dropped: { shutdown: 2 } });
    expect(lines).toEqual([]);
  });

  it('does not keep what it cannot deliver', async () => {
    const { processor, end, sender } = setUp();
    sender.outcome = { kind: 'unreachable', retryAfterMs: 0 };
    end('a');
    expect(await processor.shutdown(1_000)).toBe(false);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 0, dropped: { export_failed: 1 } });
  });
});

describe('the end of the process', () => {
  it('sends everything that is left, oldest first', async () => {
    const { processor, end, sender } = setUp({ maxExportBatchSize: 2 });
    sender.outcome = undefined;
    end('a', 'b');
    await until(() => sender.calls.length === 1);
    end('c', 'd', 'e');
    expect(processor.hasPending()).toBe(true);
    processor.flushSync(700);
    expect(sender.sync).toEqual([['a', 'b', 'c', 'd', 'e']]);
    expect(sender.budgetMs).toBe(700);
    expect(sender.aborted).toBe(1);
    expect(processor.stats()).toEqual({ queued: 0, inFlight: 0, exported: 5, dropped: {} });
    // The answer that the aborted request may still get changes nothing.
    sender.calls[0]?.answer({ kind: 'unreachable', retryAfterMs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(processor.stats().queued).toBe(0);
    expect(processor.hasPending()).toBe(false);
  });

  it('does not repeat a request that the operating system has', async () => {
    const { processor, end, sender } = setUp();
    sender.outcome = undefined;
    end('a');
    void processor.flush(10);
    await until(() => sender.calls.length === 1);
    sender.handedOver = true;
    expect(processor.hasPending()).toBe(false);
    processor.flushSync(700);
    expect(sender.sync).toEqual([]);
    expect(processor.stats().exported).toBe(1);
  });

  it('counts what did not get through', () => {
    const { processor, end, sender } = setUp();
    sender.syncOutcome = 'lost';
    end('a', 'b');
    processor.flushSync(700);
    expect(processor.stats().dropped).toEqual({ exit_timeout: 2 });
  });
});

it('says when something waits and when nothing does', async () => {
  const { processor, end, pending } = setUp();
  end('a', 'b');
  expect(pending).toEqual(['queued']);
  await processor.flush(1_000);
  await until(() => pending.length === 2);
  end('c');
  expect(pending).toEqual(['queued', 'drained', 'queued']);
});

describe('an error of its own', () => {
  const said = () => lines.filter((line) => line.includes('internal error while exporting: injected'));

  // Without the guard it is an unhandled rejection, which fails the whole file.
  it('after a batch was sent is a line, and the next batch is sent', async () => {
    const sender = new FakeSender();
    const processor = new BatchSpanProcessor({ ...BATCH, scheduleDelayMs: 5 }, sender, {
      onQueued: () => {},
      onDrained: () => {
        throw new Error('injected');
      },
    });
    startSpan({ name: 'a', processor }).end();
    await until(() => said().length === 1);
    expect(await processor.flush(1_000)).toBe(true);
    startSpan({ name: 'b', processor }).end();
    await until(() => sender.calls.length === 2);
    expect(processor.stats()).toMatchObject({ exported: 2, dropped: {} });
  });

  it('in a timer is a line', async () => {
    untracedTimer(() => {
      throw new Error('injected');
    }, 0);
    await until(() => said().length === 1);
  });
});

describe('the memory of a request', () => {
  /** Of three batches, one after the other: how many pieces of memory their requests had. */
  async function memories(outcomes: readonly SendOutcome[]): Promise<number> {
    const { sender, processor, end } = setUp();
    for (const [i, outcome] of outcomes.entries()) {
      sender.outcome = outcome;
      end(`a${i}`, `b${i}`);
      await processor.flush(1_000);
    }
    expect(sender.calls.map(({ names }) => names)).toEqual(outcomes.map((_, i) => [`a${i}`, `b${i}`]));
    return new Set(sender.requests.map(({ buffer }) => buffer)).size;
  }

  it('is used again when nobody reads it any more', async () => {
    const free: SendOutcome = { kind: 'sent', rejectedSpans: 0, isRequestFree: true };
    expect(await memories([free, free, free])).toBe(1);
  });

  it('is left alone while somebody may', async () => {
    const unknown: SendOutcome = { kind: 'sent', rejectedSpans: 0 };
    const read: SendOutcome = { ...unknown, isRequestFree: false };
    // The first of them may have what an earlier test has left.
    expect(await memories([unknown, read, unknown])).toBe(3);
    expect(await memories([{ kind: 'refused' }, { kind: 'refused' }])).toBe(2);
  });

  it('is left alone where other requests are parts of it', async () => {
    const { sender, processor, end } = setUp({ maxExportBatchSize: 8 });
    sender.outcome = undefined;
    end('a', 'b', 'c', 'd');
    const flushed = processor.flush(1_000);
    await until(() => sender.calls.length === 1, 'the batch');
    sender.outcome = { kind: 'sent', rejectedSpans: 0, isRequestFree: true };
    sender.calls[0]?.answer({ kind: 'too_large' });
    await flushed;
    // One span is not cut, whatever the size of requests that was learned.
    end('e');
    await processor.flush(1_000);
    expect(sender.calls.slice(1).flatMap(({ names }) => names)).toEqual(['a', 'b', 'c', 'd', 'e']);
    const last = sender.requests.at(-1)?.buffer;
    const before = sender.requests.slice(0, -1);
    expect(before.length).toBeGreaterThan(2);
    expect(before.filter(({ buffer }) => buffer === last)).toEqual([]);
  });
});
