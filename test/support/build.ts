import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** vitest's global setup: tests that start applications run the built agent, so it has to match the sources. */
export default function setup(): void {
  // For tests of single parts while the whole does not build.
  if (process.env.HOOKLINE_TEST_NO_BUILD) return;
  const bootstrap = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url));
  try {
    execFileSync(process.execPath, [bootstrap, '--build-only'], { stdio: 'inherit' });
  } catch {
    // The build has said why; its stack here would only hide that.
    throw new Error('dist/ could not be built (HOOKLINE_TEST_NO_BUILD=1 runs the tests that do not need it)');
  }
}
