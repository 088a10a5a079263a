import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HeadersFile, parseHeaders } from '../../../src/export/auth/headers-file';
import { forgetLoggedKeys, setLogSink } from '../../../src/log';
import { writeFolder } from '../../support/packages';

let lines: string[] = [];

beforeEach(() => {
  lines = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});
afterEach(() => setLogSink(undefined));

describe('parseHeaders', () => {
  it.each([
    ['authorization: Bearer a=b,c%20d\n', { authorization: 'Bearer a=b,c%20d' }],
    ['# a comment\r\n\r\nX-Team :  a:b \r\nx-key: 1', { 'x-team': 'a:b', 'x-key': '1' }],
    ['authorization=Bearer%20x,x-team=a=b\n', { authorization: 'Bearer x', 'x-team': 'a=b' }],
    ['x-one=1,\nx-two: 2', { 'x-one': '1', 'x-two': '2' }],
  ])('reads %j', (text, expected) => expect(parseHeaders(text)).toEqual(expected));

  it.each([
    ['', 'there are none in it'],
    ['# nothing', 'there are none in it'],
    ['x-good: 1\njust-a-secret', 'line 2 is not "name: value"'],
    ['bad name: secret', 'line 1 is not'],
    ['x-a=%E0%A4%A', 'line 1 is not'],
    ['x-a: secret\u0007', 'line 1 is not'],
    ['content-length: 5', 'line 1 is not'],
    ['x-a=1,secret', 'line 1 is not'],
  ])('refuses %j without citing it', (text, message) => {
    expect(() => parseHeaders(text)).toThrow(message);
    expect(() => parseHeaders(text)).not.toThrow(/secret/);
  });
});

describe('HeadersFile', () => {
  it('has nothing until there is a file, and then what the file says at the time', async () => {
    const folder = writeFolder({ other: 'x-key: second' });
    const path = join(folder, 'headers');
    const file = new HeadersFile(path);
    expect(await file.headers()).toEqual({ problem: expect.stringContaining('ENOENT'), final: false });
    writeFileSync(path, 'x-key: first');
    expect(file.headersSync()).toEqual({ headers: { 'x-key': 'first' } });
    expect(file.renew()).toBe(false);
    renameSync(join(folder, 'other'), path);
    expect(file.renew()).toBe(true);
    expect(await file.headers()).toEqual({ headers: { 'x-key': 'second' } });
    expect(lines).toEqual([]);
  });

  it('keeps the last good content when the file becomes bad or goes away, with one line each', async () => {
    const path = join(writeFolder({ headers: 'x-key: first' }), 'headers');
    const file = new HeadersFile(path);
    const good = { headers: { 'x-key': 'first' } };
    expect(await file.headers()).toEqual(good);
    writeFileSync(path, 'no colon but a secret');
    for (let i = 0; i < 3; i++) expect(await file.headers()).toEqual(good);
    rmSync(path);
    for (let i = 0; i < 3; i++) expect(await file.headers()).toEqual(good);
    expect(lines).toEqual([
      `hookline: cannot read headers from HOOKLINE_OTLP_HEADERS_FILE, ${path}: line 1 is not "name: value"; what it held before is used\n`,
      `hookline: cannot read headers from HOOKLINE_OTLP_HEADERS_FILE, ${path}: ENOENT; what it held before is used\n`,
    ]);
    writeFileSync(path, 'x-key: third one');
    expect(await file.headers()).toEqual({ headers: { 'x-key': 'third one' } });
  });

  it('is not read when it is too large', async () => {
    const path = join(writeFolder({ headers: `x-key: ${'a'.repeat(70_000)}` }), 'headers');
    expect(await new HeadersFile(path).headers()).toEqual({
      problem: expect.stringContaining('more than 65536 bytes'),
      final: false,
    });
  });
});
