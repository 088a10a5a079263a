import type { Attributes } from '@opentelemetry/api';
import { expect, it } from 'vitest';
import { captureNamedParameters } from '../../src/db/parameters';

it('records values by name, without calling a getter, and not more than 64', () => {
  const attributes: Attributes = {};
  let calls = 0;
  const values = {
    id: 1,
    name: 'ada',
    get counted() {
      calls++;
      return 'secret';
    },
  };
  captureNamedParameters(attributes, values);
  expect(attributes).toEqual({
    'db.query.parameter.id': '1',
    'db.query.parameter.name': 'ada',
    'db.query.parameter.counted': 'NULL',
  });
  expect(calls).toBe(0);

  const many: Attributes = {};
  captureNamedParameters(many, Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`v${i}`, i])));
  expect(Object.keys(many)).toHaveLength(64);
});
