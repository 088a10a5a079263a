import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Preload, root, runApp } from './support/run-app';

/** A build whose core, read with the first library, cannot be read. */
const folder = mkdtempSync(join(tmpdir(), 'hookline-broken-'));
const specifier = {
  import: pathToFileURL(join(folder, 'register.mjs')).href,
  require: join(folder, 'dist/register.js'),
};

beforeAll(() => {
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  for (const file of ['package.json', 'register.mjs']) cpSync(join(root, file), join(folder, file));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
  const core = join(folder, 'dist/core.js');
  writeFileSync(core, `throw new Error('no core');${readFileSync(core, 'utf8')}`);
  // It has to be waited for.
  writeFileSync(
    join(folder, 'own.mjs'),
    "await null;\nexport default { name: 'own', targets: [{ module: 'url', patch() {} }] };\n",
  );
  writeFileSync(
    join(folder, 'app.cjs'),
    `
const http = require('node:http');
const { trace } = require('@opentelemetry/api');
trace.getTracer('app').startActiveSpan('own', (span) => span.end());
const { instrumentations } = globalThis[Symbol.for('hookline')].status();
const { failures, firstError, off } = instrumentations.find(({ name }) => name === 'http');
console.log(JSON.stringify({ failures, off, says: firstError.includes('no core') }));
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each<[Preload, string]>([
  ['import', 'warn'],
  ['require', 'warn'],
  ['import', 'info'],
  ['require', 'info'],
])('an agent that cannot make its core lets the application run: %s, log level %s', async (preload, level) => {
  const { stdout, stderr, code } = await runApp(join(folder, 'app.cjs'), {
    preload,
    specifier,
    cwd: folder,
    env: { HOOKLINE_INSTRUMENTATIONS: './own.mjs', OTEL_LOG_LEVEL: level },
  });
  expect(stderr).toContain('instrumentation http could not be loaded: Error: no core');
  // The line at info level is what would need it.
  expect(stderr.includes('could not start, nothing is traced: Error: no core')).toBe(level === 'info');
  expect([code, JSON.parse(stdout)]).toEqual([0, { failures: 1, off: true, says: true }]);
});
