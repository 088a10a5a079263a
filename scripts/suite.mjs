// What the scripts that run tests many times over have in common.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Runs vitest, its output on ours.
 * @param filters what paths of test files contain
 * @returns numbers of tests; a run that failed in another way counts as one failed test, and `note` says so
 */
export function runSuite(filters, env) {
  const directory = mkdtempSync(join(tmpdir(), 'hookline-suite-'));
  const report = join(directory, 'report.json');
  try {
    const { status } = spawnSync(
      process.execPath,
      [
        join(root, 'node_modules/vitest/vitest.mjs'),
        'run',
        ...filters,
        '--reporter=dot',
        '--reporter=./test/support/flaky-reporter.ts',
        '--reporter=json',
        `--outputFile.json=${report}`,
      ],
      { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } },
    );
    if (!existsSync(report)) return { passed: 0, failed: 1, note: `the suite did not run (exit code ${status})` };
    const { numPassedTests, numFailedTests, numTotalTests } = JSON.parse(readFileSync(report, 'utf8'));
    // A file that cannot be loaded, or an error outside a test, fails the run without failing a test.
    const failed = numFailedTests || (status === 0 && numTotalTests > 0 ? 0 : 1);
    const skipped = numTotalTests - numPassedTests - numFailedTests;
    const notes = [skipped > 0 && `${skipped} skipped`, failed > numFailedTests && 'the run failed outside its tests'];
    return { passed: numPassedTests, failed, note: notes.filter(Boolean).join(', ') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Prints a table and its sum, and sets the exit code.
 * @param what of the sum: `matrix: 12 passed, 1 failed`
 * @param columns names of what stands left of the numbers
 * @param rows `{ [column], passed, failed, note? }`; no rows are a failure
 */
export function printTable(what, columns, rows) {
  const lines = [
    [...columns, 'passed', 'failed', ''],
    ...rows.map((row) => [...columns.map((column) => row[column]), row.passed, row.failed, row.note ?? '']),
  ].map((line) => line.map(String));
  const widths = columns.map((_, at) => Math.max(10, ...lines.map((line) => line[at].length)));
  console.log();
  for (const line of lines) {
    const left = columns.map((_, at) => line[at].padEnd(widths[at]));
    const [passed, failed, note] = line.slice(columns.length);
    console.log(`${left.join(' ')} ${passed.padStart(7)} ${failed.padStart(7)}  ${note}`.trimEnd());
  }
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  console.log(`${what}: ${sum('passed')} passed, ${sum('failed')} failed`);
  process.exitCode = rows.length > 0 && sum('failed') === 0 ? 0 : 1;
}
