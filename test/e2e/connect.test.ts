import { describeRoutes } from '../support/routes';

describeRoutes({
  name: 'connect',
  answers: () => ({
    root: { route: undefined },
    param: { route: '/users' },
    head: { route: '/users' },
    params: { route: '/users' },
    mounted: { route: '/api/v1/items' },
    wildcard: { route: '/files' },
    regexp: { route: '/codes' },
    either: { route: '/colors' },
    or: { route: '/colours' },
    early: { route: '/early' },
    throws: { route: '/throws' },
    rejects: { route: '/rejects' },
    refused: { route: '/refused' },
  }),
  spans: {
    handlers: {
      mounted: `SERVER GET /api/v1/items
  INTERNAL handler /api
    INTERNAL handler /api/v1
      INTERNAL handler /api/v1/items`,
      throws: `SERVER GET /throws [ERROR]
  INTERNAL handler /throws [ERROR]`,
    },
    all: {
      mounted: `SERVER GET /api/v1/items
  INTERNAL middleware everything
  INTERNAL handler /api
    INTERNAL handler /api/v1
      INTERNAL handler /api/v1/items`,
      rejects: `SERVER GET /rejects [ERROR]
  INTERNAL middleware everything
  INTERNAL handler /rejects [ERROR]`,
      nowhere: `SERVER GET
  INTERNAL middleware everything
  INTERNAL middleware anonymous`,
    },
  },
});
