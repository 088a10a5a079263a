import {
  appendFileSync,
  mkdirSync,
  promises,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { SpoolConfig } from '../config';
import { log } from '../log';
import { nowMs } from '../trace/clock';
import { fromOtlpJson } from './from-otlp-json';
import { toOtlpJson } from './otlp-json';
import type { DropReason, SpanSpool, SpooledBatch, SpoolStats } from './processor';

/**
 * Batches on disk while the back end is away, as lines of OTLP/JSON (specification: OTLP file exporter).
 *
 * Several processes share one directory. Each file belongs to one of them, which its name says, and only the owner writes
 * to it, reads it and deletes it. The files of a process that is gone are claimed by renaming: of several that try, one
 * succeeds. How much of a file is delivered is a part of its name too, so that after a crash at most the batch that was
 * on its way is sent twice:
 *
 *     hookline.<exporter>.<service>.<created ms>.<host>.<pid>.<process started ms>.<sequence>.<bytes delivered>.jsonl
 */

/** A file that has grown to this size is followed by the next one; what is read at once is little more. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Larger ones are not ours, whatever their name says. */
const MAX_READ_BYTES = 64 * MAX_FILE_BYTES;

/** How often the directory is looked through for files of processes that are gone, and for its size. */
const SCAN_INTERVAL_MS = 30_000;

/** Owners say this often that they live; one that has not for STALE_MS is gone, on whichever machine it was. */
const HEARTBEAT_MS = 60_000;
const STALE_MS = 600_000;

const MIN_LOG_INTERVAL_MS = 60_000;

/** Start times of one process, as its threads compute them, differ by no more. */
const SAME_START_MS = 500;

const NAME = /^hookline\.(\w+)\.([\w%-]+)\.(\d+)\.([\w%-]+)\.(\d+)\.(\d+)\.(\w+)\.(\d+)\.jsonl$/;

/** Longest part of a name that is made of foreign text. */
const MAX_NAME_LENGTH = 60;

interface FileName {
  readonly exporter: string;
  readonly service: string;
  readonly createdMs: number;
  readonly host: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly sequence: string;
  readonly doneBytes: number;
}

/** A file that is ours to read, with what of it has not been delivered. */
interface OpenFile {
  name: FileName;
  /** The undelivered rest as it was read. */
  readonly content: Buffer;
  /** Of `content`. */
  at: number;
}

/** A batch, and where the line behind it begins. */
interface OpenBatch extends SpooledBatch {
  readonly next: number;
}

let sequence = 0;

export class Spool implements SpanSpool {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #maxAgeMs: number;
  readonly #exporter: string;
  readonly #service: string;
  readonly #host = part(hostname());
  readonly #startedMs = Math.round(Date.now() - process.uptime() * 1000);
  readonly #onLost: (reason: DropReason, spans: number) => void;
  /** Ours and complete or not, oldest first, the one being read excepted. */
  #owned: FileName[] = [];
  /** The last of `#owned` while it is appended to. */
  #writing: { readonly name: FileName; bytes: number } | undefined;
  #reading: OpenFile | undefined;
  /** Of all files of ours in the directory, whoever owns them. */
  #totalBytes = 0;
  #scannedMs = Number.NEGATIVE_INFINITY;
  #measuredMs = Number.NEGATIVE_INFINITY;
  #beatMs = nowMs();
  #storedSpans = 0;
  /** The error last reported; `undefined` while all is well. */
  #failure: string | undefined;
  /** When each kind of failure was last reported, monotonic. */
  readonly #linesMs = new Map<string, number>();

  /**
   * @param exporter whose batches these are: those of one are not for another
   * @param onLost told of spans in files that cannot be read or are too old
   */
  constructor(
    { directory, maxBytes, maxAgeMs }: SpoolConfig,
    exporter: string,
    service: string,
    onLost: (reason: DropReason, spans: number) => void,
  ) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    this.#maxAgeMs = maxAgeMs;
    this.#exporter = exporter;
    this.#service = part(service);
    this.#onLost = onLost;
  }

  stats(): SpoolStats {
    return { stored: this.#storedSpans, bytes: this.#totalBytes };
  }

  /** Appends one request as a line, synchronously. Never throws. */
  store(request: Buffer, spanCount: number): 'stored' | 'full' | 'failed' {
    try {
      const line = Buffer.concat([toOtlpJson(request), NEWLINE]);
      this.#measure();
      if (this.#totalBytes + line.length > this.#maxBytes) {
        this.#report(
          'full',
          `the spool in ${this.#directory} is full (HOOKLINE_SPOOL_MAX_BYTES): the newest are dropped`,
        );
        return 'full';
      }
      this.#append(line);
      this.#totalBytes += line.length;
      this.#storedSpans += spanCount;
      this.#failure = undefined;
      return 'stored';
    } catch (error) {
      this.#reportError('write spans to', error);
      return 'failed';
    }
  }

  /** Whether `next` may find something. */
  isDue(): boolean {
    return this.#reading !== undefined || this.#owned.length > 0 || nowMs() - this.#scannedMs >= SCAN_INTERVAL_MS;
  }

  /** The oldest batch, which stays until it is `done`; `undefined` when there is none. Never rejects. */
  async next(): Promise<SpooledBatch | undefined> {
    try {
      this.#beat();
      if (nowMs() - this.#scannedMs >= SCAN_INTERVAL_MS) await this.#scan();
      for (;;) {
        this.#reading ??= await this.#open();
        if (this.#reading === undefined) return undefined;
        const batch = this.#read(this.#reading);
        if (batch !== undefined) return batch;
        this.#finish(this.#reading);
      }
    } catch (error) {
      this.#reportError('read spans from', error);
      return undefined;
    }
  }

  nextSync(maxBytes: number): readonly SpooledBatch[] {
    const batches: SpooledBatch[] = [];
    try {
      if (nowMs() - this.#scannedMs >= SCAN_INTERVAL_MS) this.#scanSync();
      this.#reading ??= this.#openSync();
      const file = this.#reading;
      const first = file === undefined ? undefined : this.#read(file);
      if (file === undefined) return batches;
      if (first === undefined) this.#finish(file);
      let bytes = 0;
      for (let batch = first; batch !== undefined; batch = this.#batchAt(file, batch.next)) {
        batches.push(batch);
        bytes += batch.request.length;
        if (bytes >= maxBytes || batch.next >= file.content.length) break;
      }
    } catch (error) {
      // Also a line that is no batch: it is passed over, and counted, once those before it are done.
      log.debug(`the spool was not read to its end: ${String(error)}`);
    }
    return batches;
  }

  #append(line: Buffer): void {
    if (this.#writing === undefined || this.#writing.bytes + line.length > MAX_FILE_BYTES) {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      this.#writing = { name: this.#ownName(Date.now(), 0), bytes: 0 };
      this.#owned.push(this.#writing.name);
    }
    const { name, bytes } = this.#writing;
    const path = this.#path(name);
    try {
      // In one call: a line is there or it is not. Readable by the owner only: spans tell a lot.
      appendFileSync(path, line, { mode: 0o600 });
      this.#writing.bytes += line.length;
    } catch (error) {
      // A disk that filled up in the middle of the line. What was there before stays readable.
      this.#writing = undefined;
      try {
        if (bytes === 0) {
          this.#owned = this.#owned.filter((owned) => owned !== name);
          rmSync(path, { force: true });
        } else truncateSync(path, bytes);
      } catch {
        // A torn line is found out when it is read.
      }
      throw error;
    }
  }

  /** The oldest of ours, opened for reading; nothing more is written to it. */
  async #open(): Promise<OpenFile | undefined> {
    for (let name = this.#oldest(); name !== undefined; name = this.#oldest()) {
      const path = this.#path(name);
      try {
        const { size } = await promises.stat(path);
        const file = this.#opened(name, size > MAX_READ_BYTES ? undefined : await promises.readFile(path));
        if (file !== undefined) return file;
      } catch (error) {
        this.#reportUnreadable(error);
      }
    }
    return undefined;
  }

  #openSync(): OpenFile | undefined {
    for (let name = this.#oldest(); name !== undefined; name = this.#oldest()) {
      const path = this.#path(name);
      try {
        const { size } = statSync(path);
        const file = this.#opened(name, size > MAX_READ_BYTES ? undefined : readFileSync(path));
        if (file !== undefined) return file;
      } catch (error) {
        this.#reportUnreadable(error);
      }
    }
    return undefined;
  }

  /** What is stored from now on goes elsewhere: a line added while the file is read would be removed with it. */
  #oldest(): FileName | undefined {
    const name = this.#owned.shift();
    if (this.#writing?.name === name) this.#writing = undefined;
    return name;
  }

  /** `content` is `undefined` for a file that nobody should read. */
  #opened(name: FileName, content: Buffer | undefined): OpenFile | undefined {
    if (content === undefined) {
      const path = this.#path(name);
      log.once('warn', `spool-size-${path}`, `${path} is too large to be a spool of spans; it is left alone`);
      return undefined;
    }
    if (Date.now() - name.createdMs > this.#maxAgeMs) {
      this.#expire(name, content);
      return undefined;
    }
    return { name, content: content.subarray(name.doneBytes), at: 0 };
  }

  /** Removed by somebody, or claimed by a process that took us for gone: that is no news. */
  #reportUnreadable(error: unknown): void {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#reportError('read spans from', error);
  }

  #expire(name: FileName, content: Buffer): void {
    const spans = spansIn(content.toString('utf8', name.doneBytes));
    this.#onLost('spool_expired', spans);
    log.once('warn', 'spool-expired', `spans in the spool in ${this.#directory} are too old (HOOKLINE_SPOOL_MAX_AGE)`);
    this.#remove(name, content.length);
  }

  /** The next line that is a batch; `undefined` at the end. What is none is passed over. */
  #read(file: OpenFile): OpenBatch | undefined {
    while (file.at < file.content.length) {
      const { text, next, isTorn } = lineAt(file.content, file.at);
      try {
        if (text.trim() !== '') {
          const batch = this.#batchAt(file, file.at);
          if (batch.spanCount > 0) return batch;
        }
      } catch (error) {
        const what = isTorn ? 'ends in the middle of a line' : `has a line that is no OTLP/JSON (${String(error)})`;
        log.once('warn', `spool-line-${isTorn}`, `${this.#path(file.name)} ${what}; its spans are lost`);
        this.#onLost('spool_corrupt', Math.max(spansIn(text), 1));
      }
      file.at = next;
    }
    return undefined;
  }

  /** The line at `at`. Throws what is wrong with it. */
  #batchAt(file: OpenFile, at: number): OpenBatch {
    const { text, next } = lineAt(file.content, at);
    const { request, spanCount } = fromOtlpJson(text);
    return { request, spanCount, next, done: () => this.#delivered(file, next) };
  }

  /** Remembers by the file's name that it is delivered up to `to`. */
  #delivered(file: OpenFile, to: number): void {
    const before = file.name;
    const doneBytes = before.doneBytes + to - file.at;
    file.at = to;
    try {
      if (file.at >= file.content.length) {
        this.#finish(file);
        return;
      }
      const name = { ...before, doneBytes };
      renameSync(this.#path(before), this.#path(name));
      file.name = name;
    } catch (error) {
      // Claimed by a process that took us for gone: the rest is its.
      this.#reading = undefined;
      this.#reportError('keep track of spans in', error);
    }
  }

  #finish({ name, content }: OpenFile): void {
    this.#reading = undefined;
    this.#remove(name, content.length);
  }

  #remove(name: FileName, bytes: number): void {
    try {
      rmSync(this.#path(name), { force: true });
      this.#totalBytes = Math.max(this.#totalBytes - bytes, 0);
    } catch (error) {
      this.#reportError('remove delivered spans from', error);
    }
  }

  /** Claims what processes that are gone have left. */
  async #scan(): Promise<void> {
    this.#scannedMs = nowMs();
    try {
      this.#claimAbandoned(await promises.readdir(this.#directory));
    } catch (error) {
      // Made with the first batch that is stored.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  #scanSync(): void {
    this.#scannedMs = nowMs();
    try {
      this.#claimAbandoned(readdirSync(this.#directory));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  #claimAbandoned(entries: readonly string[]): void {
    let foreign: string | undefined;
    const claimed: FileName[] = [];
    for (const entry of entries) {
      const name = parseName(entry);
      if (name === undefined) {
        foreign ??= entry;
        continue;
      }
      if (name.exporter !== this.#exporter || name.service !== this.#service || this.#isOurs(name)) continue;
      if (this.#isAbandoned(name)) {
        const mine = this.#claim(name);
        if (mine !== undefined) claimed.push(mine);
      }
    }
    if (foreign !== undefined) {
      const text = `${this.#directory} holds files that are not of a spool, such as ${foreign}; they are left alone`;
      log.once('warn', 'spool-foreign', text);
    }
    if (claimed.length === 0) return;
    // What was stored meanwhile is the newest.
    this.#owned = [...claimed, ...this.#owned].sort((a, b) => a.createdMs - b.createdMs);
  }

  #isOurs({ host, pid, startedMs, sequence }: FileName): boolean {
    const known = this.#owned.some((name) => name.sequence === sequence) || this.#reading?.name.sequence === sequence;
    return known && host === this.#host && pid === process.pid && startedMs === this.#startedMs;
  }

  #isAbandoned(name: FileName): boolean {
    if (name.host === this.#host) {
      const isThisProcess = Math.abs(name.startedMs - this.#startedMs) <= SAME_START_MS;
      // The first process of a container has the same id each time.
      if (name.pid === process.pid && !isThisProcess) return true;
      if (name.pid !== process.pid && !isAlive(name.pid)) return true;
    }
    const { mtimeMs } = statSync(this.#path(name), { throwIfNoEntry: false }) ?? {};
    return mtimeMs !== undefined && Date.now() - mtimeMs > STALE_MS;
  }

  /** `undefined` when another process was faster. */
  #claim(name: FileName): FileName | undefined {
    const mine = this.#ownName(name.createdMs, name.doneBytes);
    try {
      const path = this.#path(mine);
      renameSync(this.#path(name), path);
      const now = new Date();
      // Whoever looks next must see an owner that lives.
      utimesSync(path, now, now);
      return mine;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#reportError('claim spans in', error);
      return undefined;
    }
  }

  /** Says that we live, where others cannot see it by the process's id. */
  #beat(): void {
    if (nowMs() - this.#beatMs < HEARTBEAT_MS) return;
    this.#beatMs = nowMs();
    const now = new Date();
    const names = this.#reading === undefined ? this.#owned : [...this.#owned, this.#reading.name];
    for (const name of names) {
      try {
        utimesSync(this.#path(name), now, now);
      } catch {
        // Found out when it is read.
      }
    }
  }

  /** The directory's size, asked again now and then: other processes write to it too. */
  #measure(): void {
    if (nowMs() - this.#measuredMs < SCAN_INTERVAL_MS) return;
    this.#measuredMs = nowMs();
    let total = 0;
    let entries: string[] = [];
    try {
      entries = readdirSync(this.#directory);
    } catch {
      // Not there yet; what else is wrong with it shows when the line is written.
    }
    for (const entry of entries) {
      if (NAME.test(entry)) total += statSync(join(this.#directory, entry), { throwIfNoEntry: false })?.size ?? 0;
    }
    this.#totalBytes = total;
  }

  #ownName(createdMs: number, doneBytes: number): FileName {
    sequence++;
    return {
      exporter: this.#exporter,
      service: this.#service,
      createdMs,
      host: this.#host,
      pid: process.pid,
      startedMs: this.#startedMs,
      // Threads of one process count each for itself.
      sequence: `${sequence}x${Math.random().toString(36).slice(2, 8)}`,
      doneBytes,
    };
  }

  #path(name: FileName): string {
    const { exporter, service, createdMs, host, pid, startedMs, sequence, doneBytes } = name;
    const parts = ['hookline', exporter, service, createdMs, host, pid, startedMs, sequence, doneBytes, 'jsonl'];
    return join(this.#directory, parts.join('.'));
  }

  #reportError(what: string, error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    this.#report(`${what} ${code ?? message}`, `cannot ${what} the spool in ${this.#directory}: ${message}`);
  }

  /** One line per kind of failure until it is over, and at most one a minute for one that comes and goes. */
  #report(kind: string, text: string): void {
    if (this.#failure === kind) return;
    this.#failure = kind;
    const atMs = nowMs();
    if (atMs - (this.#linesMs.get(kind) ?? Number.NEGATIVE_INFINITY) < MIN_LOG_INTERVAL_MS) return;
    this.#linesMs.set(kind, atMs);
    log.warn(text);
  }
}

const NEWLINE = Buffer.from('\n');

export function openSpool(
  config: SpoolConfig,
  exporter: string,
  service: string,
  onLost: (reason: DropReason, spans: number) => void,
): SpanSpool {
  return new Spool(config, exporter, service, onLost);
}

/** Without its line feed, which the last one of a crashed process may not have. */
function lineAt(
  content: Buffer,
  at: number,
): { readonly text: string; readonly next: number; readonly isTorn: boolean } {
  const newline = content.indexOf(0x0a, at);
  const end = newline < 0 ? content.length : newline;
  return { text: content.toString('utf8', at, end), next: newline < 0 ? end : end + 1, isTorn: newline < 0 };
}

function parseName(entry: string): FileName | undefined {
  const match = NAME.exec(entry);
  if (match === null) return undefined;
  const [, exporter = '', service = '', created, host = '', pid, started, sequence = '', done] = match;
  return {
    exporter,
    service,
    createdMs: Number(created),
    host,
    pid: Number(pid),
    startedMs: Number(started),
    sequence,
    doneBytes: Number(done),
  };
}

/** Foreign text as a part of a file's name: without dots and separators. */
function part(text: string): string {
  let result = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte);
    result += /[A-Za-z0-9_-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`;
  }
  // Long names that begin alike stay different.
  if (result.length > MAX_NAME_LENGTH) result = `${result.slice(0, MAX_NAME_LENGTH)}-${hash(text)}`;
  return result === '' ? '_' : result;
}

/** FNV-1a: nothing here needs more, and loading crypto takes milliseconds. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) value = Math.imul(value ^ byte, 0x01000193);
  return (value >>> 0).toString(36);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * Spans in a line that is not read as JSON: every span has this key, and no text can hold it, whose quotes would be
 * escaped.
 */
function spansIn(text: string): number {
  return text.match(/"startTimeUnixNano":/g)?.length ?? 0;
}
