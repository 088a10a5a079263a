import { describeRoutes } from '../support/routes';

describeRoutes({
  name: 'find-my-way',
  answers: () => ({
    regexp: { route: '/codes/:code(^\\d+$)' },
    throws: { error: '' },
    rejects: { error: '' },
  }),
});
