import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isAtLeast, testPackage } from '../support/packages';
import { root, runApp } from '../support/run-app';
import { expectTree } from '../support/tree';

const FIXTURE = 'test/e2e/fixtures/api-versions-app/app.cjs';

/** Each minor version, and two copies in one process: both orders, since each asks for its own minor or a later one. */
const VERSIONS = [
  ['1.0.4'],
  ['1.1.0'],
  ['1.2.0'],
  ['1.3.0'],
  ['1.4.1'],
  ['1.5.0'],
  ['1.6.0'],
  ['1.7.0'],
  ['1.8.0'],
  ['1.9.1'],
  ['1.10.0'],
  ['1.0.4', '1.10.0'],
  ['1.10.0', '1.4.1'],
];

describe('@opentelemetry/api', () => {
  it.each(VERSIONS)('%s, %s: manual spans are part of the automatic trace', async (...versions) => {
    const folders = await Promise.all(
      versions.filter(Boolean).map((version) => testPackage(`@opentelemetry/api@${version}`)),
    );
    const { stdout, stderr, code, spans } = await runApp(FIXTURE, { env: { APIS: folders.join(',') } });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const [seen, logged] = stdout.split('\n');
    expect(seen).toBe('[true,"value",true,true,true,true,"user=u1",true,true,true] true');
    // Metrics came with 1.3, and the application's own registration counts.
    const metrics = isAtLeast(versions[0]!, '1.3') ? ['metrics true true'] : [];
    expect(JSON.parse(logged!)).toEqual(metrics);
    expectTree(spans, {
      name: 'root',
      scope: 'cases',
      children: [
        {
          name: 'GET',
          kind: 'CLIENT',
          children: [
            {
              name: 'GET',
              kind: 'SERVER',
              children: [
                {
                  name: 'handler',
                  kind: 'INTERNAL',
                  exactAttributes: true,
                  attributes: { a: 1 },
                  status: { code: 'ERROR', message: 'on purpose' },
                  events: [{ name: 'exception', attributes: { 'exception.message': 'on purpose' } }],
                  children: [
                    { name: 'by the other copy', scope: 'cases' },
                    { name: 'GET', kind: 'CLIENT', children: [{ name: 'GET', kind: 'SERVER' }] },
                  ],
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it.each(['1.9.1', '1.10.0'])("%s in an ES module: metrics and diag stay the application's", async (version) => {
    const folder = await testPackage(`@opentelemetry/api@${version}`);
    const app = join(folder, 'app.mjs');
    copyFileSync(join(root, 'test/e2e/fixtures/api-versions-app/app.mjs'), app);
    const { stdout, stderr, code, spans } = await runApp(app);
    expect({ stdout, code }).toEqual({ stdout: 'true true true false\ntrue false\n', code: 0 });
    // The CommonJS copies can be asked who registers, so there is a line about the SDK that is not used.
    expect(stderr.split('\n').filter(Boolean).length).toBeLessThanOrEqual(1);
    expect(spans.map(({ name }) => name)).toEqual(['manual']);
  });
});
