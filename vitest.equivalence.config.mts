import shared from './vitest.config.mts';

/** `npm run test:equivalence`. */
export default {
  ...shared,
  test: { ...shared.test, include: ['test/e2e/equivalence.test.ts'], env: { HOOKLINE_TEST_EQUIVALENCE: 'full' } },
};
