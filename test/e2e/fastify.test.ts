import { expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { describeRoutes, routesFolder } from '../support/routes';
import { newestVersion } from '../support/versions';

describeRoutes({
  name: 'fastify',
  answers: (version) => ({
    regexp: { route: '/codes/:code(^\\d+$)' },
    // Routes for HEAD came later.
    ...(version === '3.0.0' && { head: { route: undefined, status: 404 } }),
  }),
  spans: {
    handlers: {
      root: `SERVER GET /
  INTERNAL handler /`,
      param: `SERVER GET /users/:id
  INTERNAL handler /users/:id`,
      early: 'SERVER GET /early/:id',
      throws: `SERVER GET /throws/:id [ERROR]
  INTERNAL handler /throws/:id [ERROR]`,
    },
    all: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL onRequest everything
  INTERNAL preHandler withCallback
  INTERNAL handler /api/v1/items/:item`,
      early: `SERVER GET /early/:id
  INTERNAL onRequest everything`,
      rejects: `SERVER GET /rejects/:id [ERROR]
  INTERNAL onRequest everything
  INTERNAL preHandler withCallback
  INTERNAL handler /rejects/:id [ERROR]`,
      nowhere: `SERVER GET
  INTERNAL onRequest everything
  INTERNAL preHandler withCallback`,
    },
  },
});

it('names requests of HTTP/2', async () => {
  const cwd = await routesFolder(newestVersion('fastify').packages);
  const { traced } = await expectSameAsBare('test/e2e/fixtures/routes/over-http2.cjs', {
    cwd,
    preloads: ['require'],
    env: { HOOKLINE_EXIT_TIMEOUT: '20000' },
  });
  const served = traced.require!.spans.filter(({ kind }) => kind === 'SERVER');
  expect(served.map(({ name, scope, status, events }) => [name, scope.name, status.message, events.length])).toEqual([
    ['GET /users/:id', 'hookline/http2', undefined, 0],
    ['GET /throws/:id', 'hookline/http2', 'thrown on purpose', 1],
    ['GET', 'hookline/http2', undefined, 0],
  ]);
});
