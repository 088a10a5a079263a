import { describeRoutes } from '../support/routes';

// What router has of its own is tested with express, which is made of it.
describeRoutes({
  name: 'router',
  answers: (version) => ({
    wildcard: { route: version.startsWith('1.') ? '/files/*' : '/files/*path' },
    regexp: { route: '/^\\/codes\\/(\\d+)$/' },
  }),
});
