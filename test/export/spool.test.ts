import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SpoolConfig } from '../../src/config';
import type { DropReason } from '../../src/export/processor';
import { Spool } from '../../src/export/spool';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { namedRequest, namesOf } from './requests';

/** A process id that no process has: above what the kernel gives. */
const NOBODY = 2 ** 22 + 1;

let directory: string;
let lines: string[] = [];
let lost: [DropReason, number][] = [];

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'hookline-spool-')), 'spool');
  lines = [];
  lost = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});
afterEach(() => {
  setLogSink(undefined);
  rmSync(join(directory, '..'), { recursive: true, force: true });
});

function open({
  exporter = 'otlp',
  service = 'shop',
  ...config
}: Partial<SpoolConfig> & { exporter?: string; service?: string } = {}): Spool {
  const all = { directory, maxBytes: 100_000_000, maxAgeMs: 86_400_000, ...config };
  return new Spool(all, exporter, service, (reason, spans) => lost.push([reason, spans]));
}

function store(spool: Spool, ...names: string[]): string {
  return spool.store(namedRequest(names), names.length);
}

/** Takes everything out. */
async function drain(spool: Spool): Promise<string[]> {
  const names: string[] = [];
  for (let batch = await spool.next(); batch !== undefined; batch = await spool.next()) {
    names.push(...namesOf(batch.request));
    expect(namesOf(batch.request)).toHaveLength(batch.spanCount);
    batch.done();
  }
  return names;
}

const files = (): string[] => readdirSync(directory).filter((name) => name.startsWith('hookline.'));

/** As if the process that wrote the files had ended: they name another one. */
function orphan(pid = NOBODY, host?: string): void {
  for (const name of files()) {
    const parts = name.split('.');
    parts[5] = String(pid);
    parts[6] = '1';
    if (host !== undefined) parts[4] = host;
    renameSync(join(directory, name), join(directory, parts.join('.')));
  }
}

describe('what is stored', () => {
  it('comes back, oldest first, and is gone when it is done', async () => {
    const spool = open();
    expect(store(spool, 'a', 'b')).toBe('stored');
    expect(store(spool, 'c')).toBe('stored');
    expect(spool.stats()).toEqual({ stored: 3, bytes: statSync(join(directory, files()[0] as string)).size });
    expect(spool.isDue()).toBe(true);
    expect(await drain(spool)).toEqual(['a', 'b', 'c']);
    expect(files()).toEqual([]);
    expect(spool.stats()).toEqual({ stored: 3, bytes: 0 });
    expect(spool.isDue()).toBe(false);
    expect(lines).toEqual([]);
  });

  it('is OTLP/JSON, a batch a line, readable by the owner only', () => {
    const spool = open();
    store(spool, 'a');
    store(spool, 'b');
    const [file] = files() as [string];
    const text = readFileSync(join(directory, file), 'utf8');
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).resourceSpans.length),
    ).toEqual([1, 1]);
    expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it('is the same until it is done', async () => {
    const spool = open();
    store(spool, 'a');
    store(spool, 'b');
    expect(namesOf((await spool.next())?.request as Buffer)).toEqual(['a']);
    const again = await spool.next();
    expect(namesOf(again?.request as Buffer)).toEqual(['a']);
    again?.done();
    expect(namesOf((await spool.next())?.request as Buffer)).toEqual(['b']);
  });

  it('comes back without waiting, in order, as much as is asked for', async () => {
    const dead = open();
    for (const name of ['a', 'b', 'c']) store(dead, name);
    orphan();
    const spool = open();
    const batches = spool.nextSync(100_000);
    expect(batches.map(({ request }) => namesOf(request).join())).toEqual(['a', 'b', 'c']);
    batches[0]?.done();
    batches[1]?.done();
    expect(spool.nextSync(1)).toHaveLength(1);
    orphan();
    expect(await drain(open())).toEqual(['c']);
    expect(open().nextSync(100_000)).toEqual([]);
    expect(lines).toEqual([]);
  });

  it('comes back without waiting up to what is damaged, which is counted once', async () => {
    const spool = open();
    for (const name of ['a', 'b', 'c']) store(spool, name);
    const path = join(directory, files()[0] as string);
    const [a, b, c] = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, `garbage\n${a}\nmore of it\n${b}\n${c}\n`);
    const batches = spool.nextSync(100_000);
    expect(batches.map(({ request }) => namesOf(request).join())).toEqual(['a']);
    for (const { done } of batches) done();
    expect(await drain(spool)).toEqual(['b', 'c']);
    expect(lost).toEqual([1, 2].map(() => ['spool_corrupt', 1]));
    expect(files()).toEqual([]);
  });

  it('goes on in a new file while an older one is read', async () => {
    const spool = open();
    store(spool, 'a');
    const first = await spool.next();
    store(spool, 'b');
    expect(files()).toHaveLength(2);
    first?.done();
    expect(await drain(spool)).toEqual(['b']);
  });

  it('is in files of limited size', async () => {
    const spool = open();
    for (let i = 0; i < 5; i++) expect(spool.store(namedRequest([`n${i}`], 400_000), 1)).toBe('stored');
    expect(files()).toHaveLength(3);
    expect(await drain(spool)).toEqual(['n0', 'n1', 'n2', 'n3', 'n4']);
  });

  it('stops at its bytes: the newest are not taken', async () => {
    const spool = open({ maxBytes: 3_000 });
    const results = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => store(spool, name));
    const taken = results.filter((result) => result === 'stored').length;
    expect(taken).toBeGreaterThan(0);
    expect(results).toEqual([...Array(taken).fill('stored'), ...Array(6 - taken).fill('full')]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('HOOKLINE_SPOOL_MAX_BYTES');
    expect(spool.stats().bytes).toBeLessThanOrEqual(3_000);
    expect(await drain(spool)).toHaveLength(taken);
    expect(store(spool, 'g')).toBe('stored');
  });

  it('counts what others have stored', () => {
    store(open(), 'a');
    const { bytes } = open().stats();
    expect(bytes).toBe(0);
    const second = open({ maxBytes: 1_000, service: 'other' });
    expect(store(second, 'b')).toBe('full');
  });
});

describe('files of a process that is gone', () => {
  it('are claimed, by one of several', async () => {
    const dead = open();
    store(dead, 'a');
    store(dead, 'b');
    orphan();
    const [first, second] = await Promise.all([drain(open()), drain(open())]);
    expect([...first, ...second].sort()).toEqual(['a', 'b']);
    expect(files()).toEqual([]);
    expect(lines).toEqual([]);
  });

  it('go on where it stopped', async () => {
    const dead = open();
    for (const name of ['a', 'b', 'c']) store(dead, name);
    (await dead.next())?.done();
    orphan();
    expect(await drain(open())).toEqual(['b', 'c']);
  });

  it('that had the same id, as in a container', async () => {
    store(open(), 'a');
    orphan(process.pid);
    expect(await drain(open())).toEqual(['a']);
  });

  it('come before what this one has stored', async () => {
    store(open(), 'old');
    orphan();
    const [name] = files() as [string];
    const parts = name.split('.');
    parts[3] = String(Number(parts[3]) - 1_000);
    renameSync(join(directory, name), join(directory, parts.join('.')));
    const spool = open();
    store(spool, 'new');
    expect(await drain(spool)).toEqual(['old', 'new']);
  });

  it('are not those of one that lives', async () => {
    store(open(), 'a');
    orphan(process.ppid);
    expect(await drain(open())).toEqual([]);
    expect(files()).toHaveLength(1);
  });

  it('are not those of another machine, until it was silent for long', async () => {
    store(open(), 'a');
    orphan(NOBODY, 'elsewhere');
    expect(hostname()).not.toBe('elsewhere');
    expect(await drain(open())).toEqual([]);
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(join(directory, files()[0] as string), old, old);
    expect(await drain(open())).toEqual(['a']);
  });

  it('are not those of another service or exporter', async () => {
    store(open({ service: 'other' }), 'a');
    store(open({ exporter: 'zipkin' }), 'b');
    const long = 'x'.repeat(100);
    store(open({ service: `${long}1` }), 'c');
    orphan();
    expect(await drain(open())).toEqual([]);
    expect(await drain(open({ service: `${long}2` }))).toEqual([]);
    expect(await drain(open({ service: `${long}1` }))).toEqual(['c']);
    expect(await drain(open({ service: 'other' }))).toEqual(['a']);
  });

  it('of a service whose name no file could have', async () => {
    const service = '../ä/b.c\u0000';
    store(open({ service }), 'a');
    expect(files()).toHaveLength(1);
    orphan();
    expect(await drain(open({ service }))).toEqual(['a']);
  });

  it('that are too old are counted and removed', async () => {
    const dead = open();
    store(dead, 'a', 'b');
    store(dead, 'c');
    orphan();
    const [name] = files() as [string];
    const parts = name.split('.');
    parts[3] = '1';
    renameSync(join(directory, name), join(directory, parts.join('.')));
    expect(await drain(open())).toEqual([]);
    expect(lost).toEqual([['spool_expired', 3]]);
    expect(files()).toEqual([]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('HOOKLINE_SPOOL_MAX_AGE');
  });
});

describe('what is damaged', () => {
  it('a line that was cut off: the others are delivered', async () => {
    const dead = open();
    store(dead, 'a');
    store(dead, 'b', 'c');
    orphan();
    const path = join(directory, files()[0] as string);
    const content = readFileSync(path);
    writeFileSync(path, content.subarray(0, content.length - 40));
    expect(await drain(open())).toEqual(['a']);
    expect(lost).toEqual([['spool_corrupt', 2]]);
    expect(files()).toEqual([]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('ends in the middle of a line');
  });

  it('lines that are something else, one line about them', async () => {
    const dead = open();
    store(dead, 'a');
    orphan();
    const path = join(directory, files()[0] as string);
    const [good] = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, `garbage with a secret\n\n{"resourceSpans":5}\n${good}\n\u0000\u0001\n{"resourceSpans":[]}\n`);
    expect(await drain(open())).toEqual(['a']);
    expect(lost).toEqual([1, 2, 3].map(() => ['spool_corrupt', 1]));
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('secret');
  });

  it('files of others are left alone, one line about them', async () => {
    const spool = open();
    store(spool, 'a');
    writeFileSync(join(directory, 'notes.txt'), 'mine');
    writeFileSync(join(directory, 'hookline.jsonl'), 'mine too');
    expect(await drain(spool)).toEqual(['a']);
    expect(readdirSync(directory).sort()).toEqual(['hookline.jsonl', 'notes.txt']);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('are left alone');
  });

  it('a file that somebody removed is no error', async () => {
    const spool = open();
    store(spool, 'a');
    for (const file of files()) rmSync(join(directory, file));
    expect(await drain(spool)).toEqual([]);
    expect(store(spool, 'b')).toBe('stored');
    expect(await drain(spool)).toEqual(['b']);
  });

  it('a path that is no directory: one line, nothing thrown', async () => {
    writeFileSync(directory, 'a file');
    const spool = open();
    expect(store(spool, 'a')).toBe('failed');
    expect(store(spool, 'b')).toBe('failed');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(directory);
    expect(await spool.next()).toBeUndefined();
    rmSync(directory);
    expect(store(spool, 'c')).toBe('stored');
  });

  it.skipIf(process.getuid?.() === 0)('a directory that cannot be written to', () => {
    store(open(), 'a');
    chmodSync(directory, 0o500);
    expect(store(open(), 'b')).toBe('failed');
    expect(lines).toHaveLength(1);
    chmodSync(directory, 0o700);
  });
});
