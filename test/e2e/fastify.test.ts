import { describeRoutes } from '../support/routes';

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
