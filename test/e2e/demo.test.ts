import { expect, test } from 'vitest';
import { runDemo } from './demo-support';

test('prints every trace as one tree and a summary, from any folder', async () => {
  const { code, stdout, stderr } = await runDemo({
    env: { OTEL_SDK_DISABLED: 'true', OTEL_TRACES_SAMPLER: 'always_off' },
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  // Not a terminal: no colours.
  expect(stdout).not.toContain('\u001b');
  expect(stdout.match(/^\d\. /gm)).toHaveLength(4);
  expect(stdout.match(/^ {2}(GET|POST) .* server /gm)).toHaveLength(4);
  expect(stdout).toMatch(/└─ POST \/charges +payment +server +\d{3,}\.\d ms/);
  expect(stdout).toMatch(/└─ POST \/authorizations +payment +client .* ECONNREFUSED$/m);
  expect(stdout).toMatch(/services +4 /);
  expect(stdout).toMatch(/traces +4$/m);
  expect(stdout).toMatch(/spans +25$/m);
  expect(stdout).toMatch(/errors +6 +starting in payment: POST \/authorizations, ECONNREFUSED$/m);
  expect(stdout).toMatch(/slowest +\d{3,} ms +in payment: POST \/charges$/m);
});
