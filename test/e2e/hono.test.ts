import { describeRoutes } from '../support/routes';

describeRoutes({
  name: 'hono',
  answers: () => ({ regexp: { route: '/codes/:code{[0-9]+}' } }),
  spans: {
    handlers: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL handler /api/v1/items/:item`,
      throws: `SERVER GET /throws/:id [ERROR]
  INTERNAL handler /throws/:id [ERROR]`,
    },
    all: {
      app: `SERVER GET /admin/stats
  INTERNAL middleware everything
    INTERNAL middleware ofAdmin
      INTERNAL handler /admin/stats`,
      nowhere: `SERVER GET
  INTERNAL middleware everything`,
    },
  },
});
