import { describe, expect, it } from 'vitest';
import { runApp } from '../support/run-app';
import { type ExpectedSpan, expectTree } from '../support/tree';

/** Each costs milliseconds, so the agent has to leave them to the application. */
const COSTLY = [
  'http',
  'https',
  'http2',
  'crypto',
  'zlib',
  'worker_threads',
  'perf_hooks',
  'child_process',
  'inspector',
];

const PRINT_LOADED = `
  const loaded = process.moduleLoadList.map((entry) => entry.replace('NativeModule ', ''));
  console.log(JSON.stringify(${JSON.stringify(COSTLY)}.filter((name) => loaded.includes(name))));
  console.log(JSON.stringify(Object.keys(require.cache).map((path) => path.split(/[\\\\/]/).slice(-2).join('/'))));
`;

describe.each(['import', 'require'] as const)('a start under --%s', (preload) => {
  it('loads no built-in that costs, and of the agent two files', async () => {
    const { stdout, stderr } = await runApp(undefined, { preload, execArgv: ['-e', PRINT_LOADED], receiver: false });
    const [builtins, files] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as string[]);
    const { stdout: bare } = await runApp(undefined, {
      preload: 'none',
      execArgv: ['-e', PRINT_LOADED],
      receiver: false,
    });
    expect(builtins).toEqual(JSON.parse(bare.split('\n')[0]!));
    expect(files!.sort()).toEqual(['dist/agent.js', 'dist/register.js']);
    expect(stderr).toBe('');
  });

  it('is one line when asked for: version, service, exporter, sampler, instrumentations', async () => {
    const { stdout, stderr } = await runApp(undefined, {
      preload,
      execArgv: ['-e', 'console.log(1)'],
      receiver: false,
      env: {
        OTEL_LOG_LEVEL: 'info',
        OTEL_SERVICE_NAME: 'till',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://user:secret@collector.test:4318/base?key=secret',
        OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0.25',
        OTEL_NODE_DISABLED_INSTRUMENTATIONS: 'http2',
      },
    });
    expect(stdout).toBe('1\n');
    expect(stderr).toMatch(
      /^hookline: \d+\.\d+\.\d+ on Node\.js \d+\.\d+\.\d+; service till; exporter otlp https:\/\/collector\.test:4318\/base\/v1\/traces; sampler parentbased_traceidratio 0\.25; instrumentations amqplib, connect, [a-z23, -]+, pg, restify, undici, ws\n$/,
    );
  });

  it('tells of bad values, one line each, and goes on', async () => {
    const { stdout, stderr, code } = await runApp(undefined, {
      preload,
      execArgv: ['-e', 'console.log(1)'],
      receiver: false,
      env: {
        OTEL_BSP_SCHEDULE_DELAY: 'soon',
        OTEL_TRACES_SAMPLER: 'sometimes',
        OTEL_PROPAGATORS: 'tracecontext,pigeon',
      },
    });
    expect({ stdout, code }).toEqual({ stdout: '1\n', code: 0 });
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    for (const name of ['OTEL_BSP_SCHEDULE_DELAY', 'OTEL_TRACES_SAMPLER', 'OTEL_PROPAGATORS']) {
      expect(lines.filter((line) => line.includes(name))).toHaveLength(1);
    }
  });
});

it('an application that empties require.cache gets no second agent', async () => {
  const { stderr, spans } = await runApp('test/e2e/fixtures/reload.cjs');
  expect(stderr).toBe('');
  const get = (kind: 'CLIENT' | 'SERVER', children: ExpectedSpan[] = []): ExpectedSpan => ({
    name: 'GET',
    kind,
    children,
  });
  expectTree(spans, get('CLIENT', [get('SERVER', [get('CLIENT', [get('SERVER')])])]));
});
