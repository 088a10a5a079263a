import { describeRoutes } from '../support/routes';

/** An ES module: Node.js imports it. */
const entries = (version: string) => (version.startsWith('12.') ? (['app.mjs'] as const) : (['app.cjs'] as const));
const spans = {
  handlers: {
    mounted: `SERVER GET /api/v1/items/:item
  INTERNAL handler api/v1Controller.item`,
    throws: `SERVER GET /throws/:id [ERROR]
  INTERNAL handler RootController.throws [ERROR]`,
  },
  all: {
    param: `SERVER GET /users/:id
  INTERNAL handler usersController.show`,
  },
};

describeRoutes({
  name: 'nestjs',
  entries,
  spans,
  answers: (version) => ({
    wildcard: { route: version.startsWith('8.') ? '/files/*' : '/files/*path' },
    regexp: { route: version.startsWith('8.') ? '/codes/:code(\\d+)' : '/codes/:code' },
  }),
});

describeRoutes({
  name: 'nestjs',
  fixture: 'nestjs-fastify',
  entries,
  spans,
  answers: (version) => ({
    regexp: { route: '/codes/:code(^\\d+$)' },
    // fastify made routes for HEAD of its own later.
    ...(version.startsWith('8.') && { head: { route: undefined, status: 404 } }),
  }),
});
