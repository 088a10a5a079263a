import { describeRoutes } from '../support/routes';

describeRoutes({
  name: 'express',
  answers: (version) => ({
    wildcard: { route: version.startsWith('4.') ? '/files/*' : '/files/*path' },
    regexp: { route: '/^\\/codes\\/(\\d+)$/' },
  }),
  spans: {
    handlers: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL handler /*rest
  INTERNAL handler /api/v1/items/:item`,
      early: `SERVER GET /early/:id
  INTERNAL handler /*rest
  INTERNAL handler /early/:id`,
      throws: `SERVER GET /throws/:id [ERROR]
  INTERNAL handler /*rest
  INTERNAL handler /throws/:id [ERROR]`,
    },
    all: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL middleware everything
  INTERNAL handler /*rest
  INTERNAL router /api
    INTERNAL middleware early
    INTERNAL router /api/v1
      INTERNAL handler /api/v1/items/:item`,
      app: `SERVER GET /admin/stats
  INTERNAL middleware everything
  INTERNAL handler /*rest
  INTERNAL router /admin
    INTERNAL handler /admin/stats`,
      rejects: `SERVER GET /rejects/:id [ERROR]
  INTERNAL middleware everything
  INTERNAL handler /*rest
  INTERNAL handler /rejects/:id [ERROR]`,
      nowhere: `SERVER GET
  INTERNAL middleware everything
  INTERNAL handler /*rest`,
    },
  },
});
