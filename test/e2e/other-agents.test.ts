import { copyFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { withoutPid } from '../support/compare';
import { isAtLeast, nodeVersion, testPackage, writeFolder } from '../support/packages';
import { root, runApp } from '../support/run-app';
import { postgresDatabase } from '../support/servers';

const FIXTURES = join(root, 'test/e2e/fixtures/layouts');
/** The newest of each that runs on this Node.js; benchmarks/lib/variants.mjs has the same. */
const isNew = isAtLeast(nodeVersion, '22.0.0');
const OTEL = isNew
  ? (['@opentelemetry/auto-instrumentations-node@0.82.0', '@opentelemetry/api@1.10.0'] as const)
  : (['@opentelemetry/auto-instrumentations-node@0.81.2', '@opentelemetry/api@1.9.1'] as const);
const DATADOG = isNew ? 'dd-trace@6.21.0' : 'dd-trace@5.132.0';

interface Agent {
  readonly name: string;
  readonly packages: readonly [string, ...string[]];
  /** What each flag reads. */
  readonly require: string;
  readonly import: string;
  /** Our lines, by where we are. */
  readonly said: Readonly<Record<'before' | 'after', RegExp>>;
}

const BEFORE =
  /^hookline: the application started an OpenTelemetry SDK of its own; tracing stays with this agent, [^\n]*\n$/;
const AFTER =
  /^hookline: another OpenTelemetry SDK registered first \([^\n]*\) and stays in charge of trace, context, propagation\n$/;

const AGENTS: readonly Agent[] = [
  {
    name: 'OpenTelemetry',
    packages: OTEL,
    require: '@opentelemetry/auto-instrumentations-node/register',
    import: '@opentelemetry/auto-instrumentations-node/register',
    said: { before: BEFORE, after: AFTER },
  },
  {
    name: 'Datadog',
    packages: [DATADOG],
    require: 'dd-trace/init',
    import: 'dd-trace/initialize.mjs',
    // It does not register itself with the OpenTelemetry API unless it is told to.
    said: { before: /^$/, after: /^$/ },
  },
];

const ours = {
  import: ['--import', pathToFileURL(join(root, 'register.mjs')).href],
  require: ['--require', join(root, 'dist/register.js')],
};

let url: string;
let libraries: string;
beforeAll(async () => {
  url = await postgresDatabase();
  libraries = await testPackage('express@5.3.0', 'pg@8.23.1');
});

/** Older Node.js evaluates the files of several --import as they come in, and not one after the other. */
async function importsInOrder(): Promise<boolean> {
  const folder = writeFolder({
    'slow.mjs': `await new Promise((resolve) => setTimeout(resolve, 100)); console.log('slow');`,
    'fast.mjs': `console.log('fast');`,
    'app.cjs': '',
  });
  const flags = ['slow.mjs', 'fast.mjs'].flatMap((file) => ['--import', pathToFileURL(join(folder, file)).href]);
  const { stdout } = await runApp(join(folder, 'app.cjs'), { preload: 'none', receiver: false, execArgv: flags });
  return stdout === 'slow\nfast\n';
}

describe.each(AGENTS)('beside $name', ({ packages, said, ...entries }) => {
  let folder: string;
  beforeAll(async () => {
    folder = await testPackage(...packages);
  });

  it.each([
    ['require', 'app.cjs'],
    ['import', 'app.mjs'],
  ] as const)('--%s, %s: as with that agent alone, whichever is first', async (flag, file) => {
    const app = writeFolder({});
    symlinkSync(join(libraries, 'node_modules'), join(app, 'node_modules'));
    for (const name of [file, 'uses.cjs']) copyFileSync(join(FIXTURES, name), join(app, name));
    const entry = createRequire(join(folder, 'noop.js')).resolve(entries[flag]);
    const theirs = [`--${flag}`, flag === 'import' ? pathToFileURL(entry).href : entry];
    const run = (execArgv: string[]) =>
      runApp(join(app, file), {
        preload: 'none',
        execArgv,
        // Of the other agent's spans.
        anyConventions: true,
        env: {
          DATABASE_URL: url,
          EXIT_CODE: '3',
          OTEL_METRICS_EXPORTER: 'none',
          OTEL_LOGS_EXPORTER: 'none',
          OTEL_NODE_RESOURCE_DETECTORS: 'env',
          // Nobody listens there.
          DD_TRACE_AGENT_URL: 'http://127.0.0.1:9',
          DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
          DD_REMOTE_CONFIGURATION_ENABLED: 'false',
          DD_TRACE_STARTUP_LOGS: 'false',
        },
      });
    const alone = await run(theirs);
    expect(alone).toMatchObject({ stdout: '200 [{"id":7}]\ndone\n', code: 3 });
    const isOrdered = flag === 'require' || (await importsInOrder());
    const orders = { before: [...ours[flag], ...theirs], after: [...theirs, ...ours[flag]] };
    for (const order of ['before', 'after'] as const) {
      const { stdout, stderr, code, signal, spans } = await run(orders[order]);
      expect({ stdout, code, signal }).toEqual({ stdout: alone.stdout, code: 3, signal: null });
      const lines = stderr.match(/^hookline: .*\n/gm) ?? [];
      if (isOrdered) expect(lines.join('')).toMatch(said[order]);
      else expect([said.before, said.after].filter((one) => one.test(lines.join('')))).not.toEqual([]);
      expect(withoutPid(stderr.replace(/^hookline: .*\n/gm, ''))).toBe(withoutPid(alone.stderr));
      // To us, what the other agent sends is as any request of the application's.
      const own = spans.filter(({ scope, name }) => scope.name.startsWith('hookline/') && !/^(POST|PUT)$/.test(name));
      expect(own.map(({ name }) => name).sort()).toEqual(['GET', 'GET /users/:id', 'SELECT']);
    }
  });
});
