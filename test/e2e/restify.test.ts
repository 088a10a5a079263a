import { describeRoutes } from '../support/routes';

describeRoutes({
  name: 'restify',
  answers: () => ({
    regexp: { route: '/codes/:code(^\\d+$)' },
    'other-method': { route: undefined, status: 405 },
  }),
  spans: {
    handlers: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL handler /api/v1/items/:item`,
      throws: `SERVER GET /throws/:id [ERROR]
  INTERNAL handler /throws/:id [ERROR]`,
    },
    all: {
      param: `SERVER GET /users/:id
  INTERNAL middleware before
  INTERNAL middleware everything
  INTERNAL handler /users/:id`,
      nowhere: `SERVER GET
  INTERNAL middleware before`,
    },
  },
});
