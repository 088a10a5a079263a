import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsBare } from '../support/compare';
import { testPackage } from '../support/packages';
import { routesFolder } from '../support/routes';
import { testedVersions } from '../support/versions';

describe.each(testedVersions('ws'))('ws $label', ({ packages }) => {
  beforeAll(() => testPackage(...packages));

  it('names an upgrade after the path that its server is made for', async () => {
    const cwd = await routesFolder(packages);
    const { traced } = await expectSameAsBare('test/e2e/fixtures/ws-server/app.cjs', {
      cwd,
      env: { HOOKLINE_EXIT_TIMEOUT: '20000' },
    });
    for (const { spans } of [traced.import!, traced.require!]) {
      expect(
        spans.map(({ name, attributes }) => [
          ...[name, attributes['http.route'], attributes['http.response.status_code'], attributes['url.path']],
        ]),
      ).toEqual([
        ['GET /chat', '/chat', 101, '/chat'],
        // A server for all paths, and a path that its server is not for.
        ['GET', undefined, 101, '/any/7'],
        ['GET', undefined, 400, '/chat/8'],
      ]);
    }
  });
});
