import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { builtNextApp } from '../support/next-app';
import { describeRoutes } from '../support/routes';
import { startApp } from '../support/run-app';
import { newestVersion } from '../support/versions';

describeRoutes({
  name: 'next',
  prepare: async (tested) => ({ APP_FOLDER: await builtNextApp(tested), NEXT_TELEMETRY_DISABLED: '1' }),
  // The same for ES modules: next is none.
  entries: () => ['app.cjs'],
  timeoutMs: 90_000,
  answers: () => ({
    param: { route: '/users/[id]' },
    head: { route: '/users/[id]' },
    params: { route: '/users/[id]/posts/[post]' },
    mounted: { route: '/api/v1/items/[item]' },
    wildcard: { route: '/files/[...path]' },
    regexp: { route: '/codes/[code]' },
    either: { route: '/colors/[name]' },
    // Rewritten by the configuration.
    or: { route: '/colors/[name]' },
    early: { route: '/early/[id]' },
    throws: { route: '/throws/[id]' },
    rejects: { route: '/rejects/[id]' },
    refused: { route: '/refused/[id]' },
    'other-method': { route: '/users/[id]', status: 200 },
  }),
  spans: (version) => ({
    handlers: {
      param: `SERVER GET /users/[id]
  INTERNAL getServerSideProps /users/[id]`,
      mounted: `SERVER GET /api/v1/items/[item]
  INTERNAL executing api route (pages) /api/v1/items/[item]`,
      app: `SERVER GET /admin/stats
  INTERNAL render route (app) /admin/stats`,
      throws: `SERVER GET /throws/[id] [ERROR]
  INTERNAL render route (app) /throws/[id] [ERROR]`,
      nowhere: 'SERVER GET',
    },
    all: {
      // What they are is up to each version.
      regexp: version.startsWith('16.')
        ? `SERVER GET /codes/[code]
  INTERNAL resolve page components
    INTERNAL load route module
  INTERNAL prepare route module
  INTERNAL load app route module
  INTERNAL executing api route (app) /codes/[code]
  INTERNAL start response`
        : `SERVER GET /codes/[code]
  INTERNAL resolve page components
  INTERNAL executing api route (app) /codes/[code]/route
  INTERNAL start response`,
    },
  }),
});

describe('next, newest', () => {
  const newest = newestVersion('next');
  let cwd: string;
  beforeAll(async () => {
    cwd = await builtNextApp(newest);
  });

  it('is traced when `next start` runs it, with errors of API routes', async () => {
    const cli = join(dirname(cwd), 'node_modules/next/dist/bin/next');
    const app = await startApp(cli, {
      cwd,
      args: ['start', '-p', '0', '-H', '127.0.0.1'],
      env: { NEXT_TELEMETRY_DISABLED: '1' },
      preload: 'node-options',
    });
    const [, origin] = await app.waitForOutput(/(http:\/\/127\.0\.0\.1:\d+)/);
    await app.waitForOutput(/Ready/);
    const statuses: number[] = [];
    for (const path of ['/api/v1/items/9', '/api/v1/items/fails', '/nowhere/5']) {
      const response = await fetch(origin + path);
      await response.arrayBuffer();
      statuses.push(response.status);
    }
    app.child.kill('SIGTERM');
    const { spans } = await app.done;
    expect(statuses).toEqual([200, 500, 404]);
    expect(spans.map(({ name, status }) => [name, status.message])).toEqual([
      ['GET /api/v1/items/[item]', undefined],
      ['GET /api/v1/items/[item]', 'failed on purpose'],
      ['GET', undefined],
    ]);
  });
});
