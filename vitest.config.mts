import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as { version: string };

export default defineConfig({
  define: { HOOKLINE_VERSION: JSON.stringify(version) },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, '.cache/**', 'dist/**'],
    globalSetup: ['test/support/build.ts', 'test/support/servers-setup.ts'],
    // Real processes per file: some tests patch builtins and touch process-wide state.
    pool: 'forks',
    // They wait for their children more than they work: vitest's one less than there are cores is one where there are two.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Most tests start child processes; on a busy shared machine one start can take seconds.
    testTimeout: 60_000,
    // A hook may be the first to need a package or a server, which are then installed and started.
    hookTimeout: 600_000,
    // Real servers, deadlines and eight versions of Node on a shared machine: failed is what fails twice in a row.
    retry: 1,
    reporters: ['default', './test/support/flaky-reporter.ts'],
  },
});
