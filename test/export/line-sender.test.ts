import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeResource, SpanBatch } from '../../src/export/encode';
import { LineSender } from '../../src/export/line-sender';
import { RotatingFile } from '../../src/export/rotating-file';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { makeResource, startSpan } from './support';

let folder: string;
let lines: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-file-'));
  lines = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});
afterEach(() => {
  setLogSink(undefined);
  rmSync(folder, { recursive: true, force: true });
});

function request(name: string): Buffer {
  const span = startSpan({ name });
  span.end();
  const batch = new SpanBatch();
  batch.add(span);
  return batch.toRequest(encodeResource(makeResource()));
}

describe('LineSender', () => {
  it('writes one line of OTLP/JSON per batch, with and without an event loop', async () => {
    const written: string[] = [];
    const sender = new LineSender('somewhere', (line) => written.push(line.toString()));
    expect(await sender.send(request('a'))).toEqual({ kind: 'sent', rejectedSpans: 0 });
    expect(sender.sendSync([request('b'), request('c')])).toEqual(['sent', 'sent']);
    expect(written.map((line) => /"name":"([abc])".*\n$/.exec(line)?.[1])).toEqual(['a', 'b', 'c']);
    for (const line of written) expect(line.indexOf('\n')).toBe(line.length - 1);
  });

  it('keeps a batch that could not be written for later, and says so once', async () => {
    let full = true;
    const sender = new LineSender('/full/disk', () => {
      if (full) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    });
    for (let i = 0; i < 3; i++)
      expect(await sender.send(request('a'))).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    expect(sender.sendSync([request('a')])).toEqual(['lost']);
    full = false;
    expect(await sender.send(request('a'))).toEqual({ kind: 'sent', rejectedSpans: 0 });
    expect(lines).toEqual([
      expect.stringContaining('cannot write spans to /full/disk: ENOSPC: no space left on device; trying again later'),
      expect.stringContaining('spans are written again to /full/disk'),
    ]);
  });

  it('gives up what is no batch', async () => {
    const sender = new LineSender('somewhere', () => {});
    expect(await sender.send(Buffer.from([0xff]))).toEqual({ kind: 'refused' });
  });
});

describe('RotatingFile', () => {
  const line = (text: string): Buffer => Buffer.from(`${text}\n`);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

  it('appends, makes the folder, and puts the process id where %p stands', () => {
    const file = new RotatingFile({ path: join(folder, 'sub', 'traces-%p.jsonl'), maxBytes: 100, maxFiles: 2 });
    file.append(line('one'));
    file.append(line('two'));
    expect(read(`sub/traces-${process.pid}.jsonl`)).toBe('one\ntwo\n');
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
  });

  it('keeps as many files as it may, the newest first, and never cuts a line', () => {
    const file = new RotatingFile({ path: join(folder, 't'), maxBytes: 8, maxFiles: 3 });
    for (const text of ['aaa', 'bbb', 'ccc', 'ddd', 'eee', 'fff', 'ggg', 'a line that is too long for one']) {
      file.append(line(text));
    }
    expect(readdirSync(folder).sort()).toEqual(['t', 't.1', 't.2']);
    expect([read('t'), read('t.1'), read('t.2')]).toEqual(['a line that is too long for one\n', 'ggg\n', 'eee\nfff\n']);
  });

  it('with one file, starts it anew', () => {
    const file = new RotatingFile({ path: join(folder, 't'), maxBytes: 8, maxFiles: 1 });
    for (const text of ['aaa', 'bbb', 'ccc']) file.append(line(text));
    expect(readdirSync(folder)).toEqual(['t']);
    expect(read('t')).toBe('ccc\n');
  });

  it('goes on with a file that an operator removed', () => {
    const file = new RotatingFile({ path: join(folder, 't'), maxBytes: 100, maxFiles: 2 });
    file.append(line('one'));
    rmSync(file.path);
    file.append(line('two'));
    expect(read('t')).toBe('two\n');
  });

  it('throws what the file system says', () => {
    writeFileSync(join(folder, 'not-a-folder'), '');
    const file = new RotatingFile({ path: join(folder, 'not-a-folder', 't'), maxBytes: 100, maxFiles: 2 });
    expect(() => file.append(line('one'))).toThrow(/EEXIST|ENOTDIR/);
    rmSync(join(folder, 'not-a-folder'));
    file.append(line('one'));
    expect(existsSync(file.path)).toBe(true);
    chmodSync(file.path, 0o600);
  });
});
