import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { valid } from 'semver';
import { describe, expect, it, onTestFinished } from 'vitest';
import { definitions } from '../instrumentations/index';
import {
  causeOf,
  count,
  differences,
  type Outcome,
  ownLines,
  PROCESS,
  parseOutput,
  parseReport,
  type Tests,
} from '../scripts/suites/results.mjs';
import { filesOf, nodeEntry, TABLE } from '../scripts/suites/table.mjs';
import { parseTap } from '../scripts/suites/tap.mjs';
import { root } from './support/run-app';

const tests = (outcomes: Record<string, Outcome>): Tests =>
  new Map(Object.entries(outcomes).map(([name, outcome]) => [name, { outcome }]));

describe('parseReport', () => {
  it('reads tests by name, numbers names that come again, and passes over half a line', () => {
    const lines = [
      '{"name":"a > b","outcome":"passed"}',
      'printed by somebody else',
      '{"name":"a > b","outcome":"failed","why":"1 == 2"}',
      '{"name":"c","outcome":"skipped"}',
      '{"name":"d","outco',
    ];
    expect([...parseReport(lines.join('\n'))]).toEqual([
      ['a > b', { outcome: 'passed' }],
      ['a > b #2', { outcome: 'failed', why: '1 == 2' }],
      ['c', { outcome: 'skipped' }],
    ]);
    expect(parseReport('').size).toBe(0);
  });
});

describe('parseOutput', () => {
  it('finds names by patterns, whatever the colours', () => {
    const output = '\u001b[32m  one ✔\u001b[39m\nnoise\n  two FAILED!\n  one ✔\n';
    expect([...parseOutput(output, { passed: /^ {2}(\S.*) ✔$/, failed: /^ {2}(\S.*) FAILED!$/ })]).toEqual([
      ['one', { outcome: 'passed' }],
      ['two', { outcome: 'failed' }],
      ['one #2', { outcome: 'passed' }],
    ]);
  });

  it('tells our own lines from those of the tests', () => {
    expect(ownLines('hookline: one\nsays hookline: two\n\u001b[31mhookline: three\u001b[39m')).toEqual([
      'hookline: one',
      'hookline: three',
    ]);
  });
});

describe('differences', () => {
  it('finds other outcomes, and tests and files that only one run has', () => {
    const bare = new Map([
      ['same.js', tests({ a: 'passed', b: 'failed', [PROCESS]: 'failed' })],
      ['other.js', tests({ a: 'passed', gone: 'passed', skipped: 'skipped' })],
      ['only-bare.js', tests({ a: 'passed' })],
    ]);
    const traced = new Map([
      ['same.js', tests({ a: 'passed', b: 'failed', [PROCESS]: 'failed' })],
      ['other.js', tests({ a: 'failed', new: 'passed', skipped: 'skipped' })],
    ]);
    traced.get('other.js')!.get('a')!.why = '1 == 2';
    expect(differences(bare, traced)).toEqual([
      { file: 'other.js', name: 'a', bare: 'passed', traced: 'failed', why: '1 == 2' },
      { file: 'other.js', name: 'gone', bare: 'passed', traced: 'missing' },
      { file: 'other.js', name: 'new', bare: 'missing', traced: 'passed' },
      { file: 'only-bare.js', name: 'a', bare: 'passed', traced: 'missing' },
    ]);
    expect(differences(bare, bare)).toEqual([]);
  });
});

describe('causeOf', () => {
  const passed: Outcome[] = ['passed', 'passed', 'passed'];
  const failed: Outcome[] = ['failed', 'failed', 'failed'];
  const once: Outcome[] = ['passed', 'failed', 'passed'];
  const difference = { bare: 'passed', traced: 'failed' } as const;

  it('calls flaky what differs without us too, or does not happen again', () => {
    expect(causeOf(difference, { bare: once, empty: passed, traced: failed, silent: failed })).toBe('flaky');
    expect(causeOf(difference, { bare: passed, empty: passed, traced: passed, silent: passed })).toBe('flaky');
  });

  it('takes what happens under us now and then, and never without, for ours', () => {
    expect(causeOf(difference, { bare: passed, empty: passed, traced: once, silent: failed })).toBe('agent');
    expect(causeOf(difference, { bare: passed, empty: once, traced: failed, silent: failed })).toBe('agent');
  });

  it('knows what any preload does, and what only trace headers do', () => {
    expect(causeOf(difference, { bare: passed, empty: failed, traced: failed, silent: failed })).toBe('preload');
    expect(causeOf(difference, { bare: passed, empty: passed, traced: failed, silent: passed })).toBe('headers');
    expect(causeOf(difference, { bare: passed, empty: passed, traced: failed, silent: once })).toBe('agent');
  });

  it('is the same for what fails bare and passes under us', () => {
    const other = { bare: 'failed', traced: 'passed' } as const;
    expect(causeOf(other, { bare: failed, empty: failed, traced: passed, silent: passed })).toBe('agent');
    expect(causeOf(other, { bare: once, empty: failed, traced: passed, silent: passed })).toBe('flaky');
  });
});

describe('parseTap', () => {
  /** What Node's reporter says of tests in a file. */
  const report = (source: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'hookline-suites-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [file, path] = [join(folder, 'a.mjs'), join(folder, 'report')];
    writeFileSync(file, source);
    spawnSync(process.execPath, ['--test-reporter=tap', `--test-reporter-destination=${path}`, file]);
    return readFileSync(path, 'utf8');
  };
  const outcomes = (found: Tests) => [...found].map(([name, { outcome }]) => [name, outcome]);

  it('names tests with all that they are in', () => {
    const tests = parseTap(
      report(`
        import { describe, it, test } from 'node:test';
        test('one', async (t) => {
          await t.test('two', () => {});
          await t.test('two', () => { throw new Error('no'); });
        });
        describe('suite', () => { it('three', () => {}); it.skip('four'); it.todo('five'); });
      `),
    );
    expect(outcomes(tests)).toEqual([
      ['one > two', 'passed'],
      ['one > two #2', 'failed'],
      ['one', 'failed'],
      ['suite > three', 'passed'],
      ['suite > four', 'skipped'],
      ['suite > five', 'skipped'],
      ['suite', 'passed'],
    ]);
    expect(tests.get('one > two #2')?.why).toContain("error: 'no'");
  });

  it('is not misled by signs in names, reasons and errors', () => {
    const tests = parseTap(
      report(`
        import { test } from 'node:test';
        test('a # SKIP \\\\ b', () => {});
        test('skipped', { skip: 'since # TODO' }, () => {});
        test('fails', () => { throw new Error('x\\nok 3 - no test\\n  ...\\nnot ok 4 - none either'); });
      `),
    );
    expect(outcomes(tests)).toEqual([
      ['a # SKIP \\ b', 'passed'],
      ['skipped', 'skipped'],
      ['fails', 'failed'],
    ]);
  });

  it('reads as far as a process wrote', () => {
    expect(outcomes(parseTap('TAP version 13\n# Subtest: a\nok 1 - a\n  ---\n  dura'))).toEqual([['a', 'passed']]);
    expect(outcomes(parseTap('# Subtest: a\nok 1 - a\n# Subtest: b\nnot ok 2'))).toEqual([['a', 'passed']]);
    expect(parseTap('').size).toBe(0);
  });
});

describe('count', () => {
  it('gives numbers by outcome', () => {
    const run = new Map([
      ['a', tests({ a: 'passed', b: 'failed' })],
      ['b', tests({ a: 'passed', b: 'skipped' })],
    ]);
    expect(count(run)).toEqual({ passed: 2, failed: 1, skipped: 1 });
  });
});

describe('the table', () => {
  const entries = [...TABLE, nodeEntry('24.0.0')];
  const known = JSON.parse(readFileSync(join(root, 'scripts/suites/differences.json'), 'utf8')) as {
    library: string;
    file: string;
    test?: string;
    cause: string;
    reason: string;
  }[];

  it('has exact versions, and instrumentations that there are', () => {
    for (const { name, version, packages = [], scope } of entries) {
      expect(valid(version), name).not.toBeNull();
      for (const spec of packages) expect(valid(spec.slice(spec.lastIndexOf('@') + 1)), spec).not.toBeNull();
      expect(
        definitions.map((definition) => definition.name),
        name,
      ).toContain(scope);
    }
    expect(new Set(entries.map(({ name }) => name)).size).toBe(entries.length);
  });

  it('gives a reason for every file that is not run, and for every difference', () => {
    for (const { suites } of entries) {
      for (const reason of suites.flatMap(({ skip = {} }) => Object.values(skip))) expect(reason).not.toBe('');
    }
    for (const one of known) {
      expect(one.reason.length, one.file).toBeGreaterThan(10);
      expect(['headers', 'agent'], one.file).toContain(one.cause);
      expect(
        entries.some(({ name }) => name.startsWith(one.library)),
        one.library,
      ).toBe(true);
    }
  });

  it('takes the files of a suite by their paths, without those that are skipped', () => {
    const suite = {
      runner: 'script' as const,
      cwd: join(root, 'scripts'),
      files: [/^suites\/m[^/]+\.cjs$/, /^suites\/re[^/]+\.mjs$/],
      skip: { 'suites/receiver.mjs': 'for the test' },
    };
    expect(filesOf(suite)).toEqual(['suites/mocha-reporter.cjs', 'suites/results.mjs']);
  });
});
