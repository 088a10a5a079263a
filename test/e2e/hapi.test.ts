import { describeRoutes } from '../support/routes';

describeRoutes({
  name: 'hapi',
  answers: () => ({
    param: { route: '/users/{id}' },
    head: { route: '/users/{id}' },
    params: { route: '/users/{id}/posts/{post}' },
    mounted: { route: '/api/v1/items/{item}' },
    wildcard: { route: '/files/{path*}' },
    // It knows no regular expressions.
    regexp: { route: '/codes/{code}' },
    either: { route: '/colors/{name}' },
    or: { route: '/colours/{name}' },
    early: { route: '/early/{id}' },
    throws: { route: '/throws/{id}' },
    rejects: { route: '/rejects/{id}' },
    refused: { route: '/refused/{id}' },
  }),
  spans: {
    handlers: {
      mounted: `SERVER GET /api/v1/items/{item}
  INTERNAL handler /api/v1/items/{item}`,
      throws: `SERVER GET /throws/{id} [ERROR]
  INTERNAL handler /throws/{id} [ERROR]`,
    },
    all: {
      mounted: `SERVER GET /api/v1/items/{item}
  INTERNAL onPreAuth everything
  INTERNAL handler /api/v1/items/{item}
  INTERNAL onPreResponse`,
      early: `SERVER GET /early/{id}
  INTERNAL onPreAuth everything
  INTERNAL prerequisite
  INTERNAL onPreResponse`,
      nowhere: `SERVER GET
  INTERNAL onPreResponse`,
    },
  },
});
