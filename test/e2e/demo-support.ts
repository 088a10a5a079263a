import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { nodeBinary } from '../support/run-app';

const demo = fileURLToPath(new URL('../../examples/shop/demo.mjs', import.meta.url));
const shop = new URL('../../examples/shop/shop.mjs', import.meta.url).href;

/**
 * Runs the demo to its end, in a folder that has nothing to do with it.
 * @param options.change JavaScript that runs before and may change `services` and `visits`
 */
export function runDemo(options: { env?: Record<string, string>; change?: string } = {}): Promise<{
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}> {
  const { env, change } = options;
  const before = change && `import { services, visits } from ${JSON.stringify(shop)};\n${change}`;
  const preload = before ? ['--import', `data:text/javascript,${encodeURIComponent(before)}`] : [];
  return new Promise((resolve) => {
    execFile(
      nodeBinary,
      [...preload, demo],
      { cwd: tmpdir(), env: { ...process.env, ...env }, timeout: 50_000 },
      (error, stdout, stderr) => resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}
