import { describe, expect, it } from 'vitest';
import { selectVersions } from '../../scripts/versions-table.mjs';
import { nodeVersion } from '../support/packages';
import { describeRoutes, routesFolder } from '../support/routes';
import { runApp } from '../support/run-app';
import { formatTree } from '../support/tree';

describeRoutes({
  name: 'h3',
  // The newer version is an ES module, which older Node.js cannot require.
  entries: (version) => (version.startsWith('1.') ? ['app.cjs', 'app.mjs'] : ['app.mjs']),
  answers: (version) => ({
    wildcard: { route: version.startsWith('1.') ? '/files/**:path' : '/files/**' },
    regexp: { route: '/codes/:code' },
    ...(version === '1.0.1' && { 'other-method': { route: undefined, status: 405 } }),
  }),
  spans: (version) => ({
    handlers: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL handler /api/v1/items/:item`,
      throws: `SERVER GET /throws/:id [ERROR]
  INTERNAL handler /throws/:id [ERROR]`,
    },
    all: version.startsWith('1.')
      ? {
          mounted: `SERVER GET /api/v1/items/:item
  INTERNAL middleware everything
  INTERNAL router
    INTERNAL router
      INTERNAL handler /api/v1/items/:item`,
        }
      : {
          param: `SERVER GET /users/:id
  INTERNAL middleware everything
    INTERNAL handler /users/:id`,
          nowhere: `SERVER GET
  INTERNAL middleware everything`,
        },
  }),
});

describe('h3 1, newest', () => {
  const { version, packages } = selectVersions('h3', 'all', nodeVersion).selected.findLast((one) =>
    one.version.startsWith('1.'),
  )!;

  it('has spans of handlers and middleware', async () => {
    const { spans } = await runApp('test/e2e/fixtures/routes/app.cjs', {
      cwd: await routesFolder(packages),
      env: { FRAMEWORK: 'h3', VERSION: version, OTEL_INSTRUMENTATION_H3_SPANS: 'all', REQUESTS: 'mounted,app' },
    });
    const roots = spans.filter(({ kind }) => kind === 'SERVER');
    expect(roots.map((root) => formatTree(spans.filter(({ traceId }) => traceId === root.traceId)))).toEqual([
      `SERVER GET /api/v1/items/:item
  INTERNAL middleware everything
  INTERNAL router
    INTERNAL router
      INTERNAL handler /api/v1/items/:item`,
      `SERVER GET /admin/stats
  INTERNAL middleware everything
  INTERNAL router
    INTERNAL handler /admin/**
      INTERNAL handler /admin/stats`,
    ]);
  });
});
