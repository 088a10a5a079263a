import { symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsBare } from './compare';
import type { ReceivedSpan } from './otlp-receiver';
import { testPackage, writeFolder } from './packages';
import { type RunOptions, type RunResult, runApp } from './run-app';
import { formatTree } from './tree';
import { newestVersion, type TestedVersion, testedVersions } from './versions';

const { REQUESTS, randomPaths } = createRequire(import.meta.url)('../e2e/fixtures/routes/requests.cjs') as {
  REQUESTS: readonly (readonly [id: string, method: string, path: string])[];
  randomPaths(count: number): Iterable<string>;
};

const FIXTURES = 'test/e2e/fixtures/routes';
const RANDOM_PATHS = 1000;

/** What a request's server span has to say. */
interface Answer {
  /** `http.route`; `undefined`: none. */
  readonly route: string | undefined;
  readonly status: number;
  /** Message of the error that the framework answered; only there when it is one of the server's. */
  readonly error?: string;
}

/** As most frameworks write it. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  root: { route: '/', status: 200 },
  param: { route: '/users/:id', status: 200 },
  head: { route: '/users/:id', status: 200 },
  create: { route: '/users', status: 200 },
  params: { route: '/users/:id/posts/:post', status: 200 },
  mounted: { route: '/api/v1/items/:item', status: 200 },
  'mounted-root': { route: '/api/v1', status: 200 },
  app: { route: '/admin/stats', status: 200 },
  wildcard: { route: '/files/*', status: 200 },
  regexp: { route: '/codes/:code(\\d+)', status: 200 },
  either: { route: '/colors/:name', status: 200 },
  or: { route: '/colours/:name', status: 200 },
  early: { route: '/early/:id', status: 401 },
  throws: { route: '/throws/:id', status: 500, error: 'thrown on purpose' },
  rejects: { route: '/rejects/:id', status: 500, error: 'rejected on purpose' },
  refused: { route: '/refused/:id', status: 403 },
  nowhere: { route: undefined, status: 404 },
  'mounted-nowhere': { route: undefined, status: 404 },
  'other-method': { route: undefined, status: 404 },
};

type Spans = Readonly<Record<'handlers' | 'all', Readonly<Record<string, string>>>>;

export interface Framework {
  /** As test/versions.json and the fixture call it. */
  readonly name: string;
  /** Where its routes are written otherwise. */
  answers?(version: string): Readonly<Record<string, Partial<Answer>>>;
  /** By request: the spans below the server's with `_SPANS=handlers` and `_SPANS=all`, as `formatTree` writes them. */
  readonly spans?: Spans | ((version: string) => Spans);
  /** Default: CommonJS and ES modules. */
  entries?(version: string): readonly ('app.cjs' | 'app.mjs')[];
  /** Default: `name`. */
  readonly fixture?: string;
  /** Of a run with all paths, where it takes longer than others; see `RunOptions`. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Makes what the fixture needs, and says in the environment where it is. */
  prepare?(tested: TestedVersion): Promise<Readonly<Record<string, string>>>;
}

/** The same routes written in a framework give the expected names, whatever is asked for; and what is answered stays as it is. */
export function describeRoutes(framework: Framework): void {
  const { name, fixture = name } = framework;

  describe.each(testedVersions(name))(`${fixture} $label`, (tested) => {
    // Installs what is not there yet, which may take longer than a test.
    beforeAll(() => prepare(framework, tested));

    it.each(framework.entries?.(tested.version) ?? (['app.cjs', 'app.mjs'] as const))(
      'names spans after routes and answers as without the agent: %s',
      async (entry) => {
        const options = await runOptions(framework, tested);
        const preload = entry === 'app.cjs' ? 'require' : 'import';
        const { traced } = await expectSameAsBare(`${FIXTURES}/${entry}`, {
          ...options,
          env: { ...options.env, RANDOM_PATHS: String(RANDOM_PATHS) },
          preloads: [preload],
          // Frames of ours are in the stacks that frameworks log.
          normalise: (text) =>
            text
              .replace(/^\s+at .*\n/gm, '')
              .replace(/\d+ lines matching cause stack trace/g, 'some lines')
              .replace(/ took \d+ms$/gm, ''),
        });
        const { spans, code, stderr } = traced[preload]!;
        expect(code, stderr).toBe(0);
        const own = spans.filter(({ kind }) => kind === 'SERVER');
        expect(spans.length, formatTree(spans)).toBe(own.length);
        expect(own).toHaveLength(REQUESTS.length + RANDOM_PATHS);
        const asked = own.sort(byStart).slice(0, REQUESTS.length);
        expect(seenIn(asked)).toEqual(expectedAnswers(framework, tested.version));

        const expected = new Set(asked.map((span) => span.name));
        for (const { status, route } of Object.values({ ...ANSWERS, ...framework.answers?.(tested.version) }))
          if (status !== 404 && route !== undefined) expected.add(`GET ${route}`);
        const names = new Set(own.map((span) => span.name));
        expect([...names].filter((one) => !expected.has(one))).toEqual([]);
        // A flood of 404s would prove nothing.
        expect(names.size).toBeGreaterThan(8);
        expect([...randomPaths(RANDOM_PATHS)]).toHaveLength(RANDOM_PATHS);
      },
      framework.timeoutMs === undefined ? undefined : 2 * framework.timeoutMs,
    );
  });

  describe(`${fixture}, newest`, () => {
    const newest = newestVersion(name);
    beforeAll(() => prepare(framework, newest));

    it('has the route before the handler runs', async () => {
      const result = await run(framework, newest, { SEEN: '1', REQUESTS: 'param' });
      expect(result.stdout).toMatch(/^seen GET (\S+), \1$/m);
    });

    it('is left alone when requests are not recorded', async () => {
      const result = await run(framework, newest, { OTEL_TRACES_SAMPLER: 'always_off' });
      expect(result.spans).toEqual([]);
      expect(result.code).toBe(0);
    });

    const spans = typeof framework.spans === 'function' ? framework.spans(newest.version) : framework.spans;
    if (spans !== undefined) {
      it.each(Object.entries(spans))('has spans of its %s where they are asked for', async (level, trees) => {
        const variable = `OTEL_INSTRUMENTATION_${name.toUpperCase()}_SPANS`;
        const result = await run(framework, newest, { [variable]: level, REQUESTS: Object.keys(trees).join(',') });
        const asked = REQUESTS.map(([id]) => id).filter((id) => id in trees);
        const roots = result.spans.filter(({ kind }) => kind === 'SERVER').sort(byStart);
        const outlines = roots.map((root) =>
          formatTree(result.spans.filter(({ traceId }) => traceId === root.traceId)),
        );
        expect(Object.fromEntries(asked.map((id, i) => [id, outlines[i]]))).toEqual(trees);
        for (const span of result.spans) {
          const root = roots.find(({ traceId }) => traceId === span.traceId)!;
          expect(span.endTimeUnixNano, span.name).toBeLessThanOrEqual(root.endTimeUnixNano);
        }
      });
    }
  });
}

async function run(framework: Framework, tested: TestedVersion, env: Record<string, string>): Promise<RunResult> {
  const options = await runOptions(framework, tested);
  const [entry = 'app.cjs'] = framework.entries?.(tested.version) ?? [];
  return runApp(`${FIXTURES}/${entry}`, { ...options, env: { ...options.env, ...env } });
}

async function prepare(framework: Framework, tested: TestedVersion): Promise<void> {
  await testPackage(...tested.packages);
  await framework.prepare?.(tested);
}

async function runOptions(framework: Framework, tested: TestedVersion): Promise<RunOptions> {
  const { name, fixture = name, env, timeoutMs } = framework;
  const cwd = await routesFolder(tested.packages);
  return {
    cwd,
    ...(timeoutMs !== undefined && { timeoutMs }),
    env: {
      FRAMEWORK: fixture,
      VERSION: tested.version,
      NODE_ENV: 'production',
      HOOKLINE_EXIT_TIMEOUT: '20000',
      ...env,
      ...(await framework.prepare?.(tested)),
    },
  };
}

/** A working directory in which packages are installed; for a test. */
export async function routesFolder(packages: TestedVersion['packages']): Promise<string> {
  const folder = writeFolder({
    'load.cjs': '',
    'load.mjs': 'export const load = async (name) => { const all = await import(name); return all.default ?? all; };',
  });
  symlinkSync(join(await testPackage(...packages), 'node_modules'), join(folder, 'node_modules'), 'junction');
  return folder;
}

function expectedAnswers(framework: Framework, version: string): Record<string, unknown> {
  const own = framework.answers?.(version) ?? {};
  return Object.fromEntries(
    REQUESTS.map(([id, method]) => {
      const { route, status, error } = { ...ANSWERS[id]!, ...own[id] };
      const name = route === undefined ? method : `${method} ${route}`;
      return [
        id,
        { name, route, status, error: status >= 500 ? (error ?? '') : undefined, exceptions: error ? [error] : [] },
      ];
    }),
  );
}

function seenIn(spans: readonly ReceivedSpan[]): Record<string, unknown> {
  return Object.fromEntries(
    spans.map(({ name, attributes, status, events }, i) => {
      expect(attributes['error.type']).toBe(status.code === 'ERROR' ? '500' : undefined);
      return [
        REQUESTS[i]![0],
        {
          name,
          route: attributes['http.route'],
          status: attributes['http.response.status_code'],
          error: status.code === 'ERROR' ? (status.message ?? '') : undefined,
          exceptions: events.map((event) => event.attributes['exception.message']),
        },
      ];
    }),
  );
}

function byStart(a: ReceivedSpan, b: ReceivedSpan): number {
  return a.startTimeUnixNano < b.startTimeUnixNano ? -1 : 1;
}
