import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  countedInternalErrors,
  describeError,
  forgetLoggedKeys,
  isLogged,
  log,
  oneLine,
  setLogLevel,
  setLogSink,
} from '../src/log';

describe('log', () => {
  let lines: string[] = [];

  beforeEach(() => {
    lines = [];
    setLogSink((line) => void lines.push(line));
    setLogLevel('warn');
    forgetLoggedKeys();
  });

  it('counts internal errors, and writes the first of each key', () => {
    setLogLevel('none');
    log.internal('a', 'internal error in a', new Error('first'));
    setLogLevel('warn');
    log.internal('a', 'internal error in a', new Error('second'));
    log.internal('a', 'internal error in a', new Error('third'));
    log.internal('b', 'internal error in b', Object.create(null));
    expect(lines).toEqual([
      'hookline: internal error in a: second\n',
      'hookline: internal error in b: an error that cannot be described\n',
    ]);
    expect(countedInternalErrors()).toEqual({ count: 4, first: 'internal error in a: first' });
  });

  it('writes warnings and errors by default', () => {
    log.error('one');
    log.warn('two');
    log.info('three');
    log.debug('four');
    expect(lines).toEqual(['hookline: one\n', 'hookline: two\n']);
  });

  it.each([
    ['none', 0],
    ['error', 1],
    ['warn', 2],
    ['info', 3],
    ['debug', 4],
    ['verbose', 4],
    ['all', 4],
  ] as const)('at %s writes %i of the four levels', (level, count) => {
    setLogLevel(level);
    log.error('a');
    log.warn('b');
    log.info('c');
    log.debug('d');
    expect(lines).toHaveLength(count);
    expect(isLogged('debug')).toBe(count === 4);
  });

  it('keeps a message on one line and without control characters', () => {
    log.warn('a\r\nb\tc\u001b[31md\u0000\u2028e\u009b');
    expect(lines).toEqual(['hookline: a\\r\\nb\\tc[31md\\ne\n']);
  });

  it('cuts a long message', () => {
    log.warn('x'.repeat(5000));
    expect(lines[0]).toBe(`hookline: ${'x'.repeat(2000)}…\n`);
    expect(oneLine('abc', 3)).toBe('abc');
  });

  it('writes each key once, and again nothing for its other texts', () => {
    log.once('warn', 'key', 'first');
    log.once('warn', 'key', 'second');
    log.once('error', 'other', 'third');
    expect(lines).toEqual(['hookline: first\n', 'hookline: third\n']);
  });

  it('does not use up a key on a level that is not written', () => {
    log.once('debug', 'key', 'first');
    setLogLevel('debug');
    log.once('debug', 'key', 'second');
    expect(lines).toEqual(['hookline: second\n']);
  });

  it('bounds the keys it remembers, and says so once', () => {
    for (let i = 0; i < 5000; i++) log.once('warn', `key ${i}`, `text ${i}`);
    expect(lines).toHaveLength(1001);
    expect(lines[999]).toBe('hookline: text 999\n');
    expect(lines[1000]).toContain('further ones are left out');
  });

  it('adds the message of an error, and its stack at debug', () => {
    log.warn('failed', new Error('why'));
    setLogLevel('debug');
    log.warn('failed', new TypeError('why'));
    expect(lines[0]).toBe('hookline: failed: why\n');
    expect(lines[1]).toMatch(/^hookline: failed: TypeError: why\\n +at /);
  });

  it('describes whatever can be thrown', () => {
    const hostile = {
      get message(): string {
        throw new Error('getter');
      },
    };
    expect(describeError(hostile)).toBe('an error that cannot be described');
    expect(describeError(Object.create(null))).toBe('an error that cannot be described');
    expect(describeError(null)).toBe('null');
    expect(describeError('text')).toBe('text');
    expect(describeError(Symbol('s'))).toBe('Symbol(s)');
  });

  it('swallows what the sink throws', () => {
    setLogSink(() => {
      throw Object.assign(new Error('EAGAIN'), { code: 'EAGAIN' });
    });
    expect(() => log.error('lost')).not.toThrow();
  });
});

describe('log on stderr', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hookline-log-'));
  const script = join(directory, 'main.cjs');
  const { outputFiles } = buildSync({
    entryPoints: [join(import.meta.dirname, '../src/log.ts')],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
  });
  writeFileSync(join(directory, 'log.cjs'), outputFiles[0]!.text);
  writeFileSync(
    script,
    `const { log } = require('./log.cjs');
     process.on('uncaughtException', (error) => { console.log('uncaught', error.code); process.exitCode = 9; });
     process.stderr.on?.('error', (error) => console.log('stderr error', error.code));
     for (let i = 0; i < 100; i++) log.error('message ' + i);
     setTimeout(() => console.log('done'), 20);`,
  );
  afterAll(() => rmSync(directory, { recursive: true }));

  const run = (redirect: string): string =>
    execFileSync('/bin/sh', ['-c', `"$0" "$1" ${redirect}`, process.execPath, script], { encoding: 'utf8' });

  it.skipIf(process.platform === 'win32')('writes whole lines to stderr and nothing to stdout', () => {
    const out = run('2>&1');
    expect(out.split('\n').slice(0, 2)).toEqual(['hookline: message 0', 'hookline: message 1']);
    expect(run('2>/dev/null')).toBe('done\n');
  });

  it.skipIf(process.platform === 'win32')('survives a stderr that is closed', () => {
    expect(run('2>&-')).toBe('done\n');
  });

  it.skipIf(process.platform === 'win32')('survives a stderr whose reader is gone', () => {
    const out = execFileSync('/bin/sh', [
      '-c',
      '{ { sleep 0.1; "$0" "$1"; } 2>&1 1>&3 | true; } 3>&1',
      process.execPath,
      script,
    ]);
    expect(out.toString()).toBe('done\n');
  });
});
