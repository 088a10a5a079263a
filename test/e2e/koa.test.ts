import { describeRoutes } from '../support/routes';

/** What `router.allowedMethods()` returns is called. */
const allowed = (version: string) => (version.startsWith('3.') ? 'anonymous' : 'allowedMethods');

describeRoutes({
  name: 'koa',
  answers: (version) => ({
    wildcard: { route: version.startsWith('3.') ? '/files/*path' : '/files/(.*)' },
    regexp: { route: '/^\\/codes\\/(\\d+)$/' },
    // Older routers keep the slash at the end.
    ...(['2.0.1', '2.14.2'].includes(version) && { 'mounted-root': { route: '/api/v1/' } }),
    'other-method': { route: undefined, status: 405 },
  }),
  spans: (version) => ({
    handlers: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL handler /api/v1/items/:item`,
      throws: `SERVER GET /throws/:id [ERROR]
  INTERNAL handler /throws/:id [ERROR]`,
    },
    all: {
      mounted: `SERVER GET /api/v1/items/:item
  INTERNAL middleware everything
    INTERNAL middleware ownErrorPage
      INTERNAL router
        INTERNAL middleware ${allowed(version)}
          INTERNAL router
            INTERNAL middleware ofItems
              INTERNAL handler /api/v1/items/:item`,
      early: `SERVER GET /early/:id
  INTERNAL middleware everything
    INTERNAL middleware ownErrorPage
      INTERNAL router
        INTERNAL handler /early/:id`,
      nowhere: `SERVER GET
  INTERNAL middleware everything
    INTERNAL middleware ownErrorPage
      INTERNAL router
        INTERNAL middleware ${allowed(version)}
          INTERNAL router`,
    },
  }),
});
