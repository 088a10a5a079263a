import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { testPackage } from '../support/packages';
import { routesFolder } from '../support/routes';
import { testedVersions } from '../support/versions';

describe.each(testedVersions('graphql'))('graphql $label', ({ packages }) => {
  beforeAll(() => testPackage(...packages));

  it('describes the operation on the span of the server, and answers as without the agent', async () => {
    const cwd = await routesFolder(packages);
    const { traced } = await expectSameAsBare('test/e2e/fixtures/graphql-server/app.cjs', {
      cwd,
      env: { HOOKLINE_EXIT_TIMEOUT: '20000' },
    });
    for (const { spans } of [traced.import!, traced.require!]) {
      expect(
        spans.map(({ kind, name, attributes }) => [
          ...[kind, name, attributes['graphql.operation.type'], attributes['graphql.operation.name']],
        ]),
      ).toEqual([
        ['SERVER', 'POST', 'query', undefined],
        ['SERVER', 'POST', 'mutation', 'Rename'],
        ['SERVER', 'POST', 'query', 'ShowUser'],
        ['SERVER', 'POST', 'query', 'Fails'],
        // Nothing to execute.
        ['SERVER', 'POST', undefined, undefined],
      ]);
    }
  });
});
