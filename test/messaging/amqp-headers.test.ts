import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { addFields, type MessageProperties, readField } from '../../src/messaging/amqp-headers';
import { testPackage } from '../support/packages';
import { testedVersions } from '../support/versions';

/** As amqplib makes them. */
const propertiesOf = (headers?: object, more: object = {}): MessageProperties => ({
  headers: Object.create(headers ?? null),
  ...more,
});
const fields = [
  ['traceparent', `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`],
  ['tracestate', 'a=1'],
  ['baggage', 'key=value'],
] as const;
const NO_LIMIT = Number.POSITIVE_INFINITY;

test('readField takes text and bytes', () => {
  const headers = { text: 'a', bytes: Buffer.from('b'), number: 1, nothing: null, table: {}, list: ['c'] };
  const read = (name: string) => readField(headers, name);
  expect(['text', 'bytes', 'number', 'nothing', 'table', 'list', 'missing'].map(read)).toEqual([
    'a',
    'b',
    ...Array(5).fill(undefined),
  ]);
  for (const none of [undefined, null, 'text', 7]) expect(readField(none, 'text')).toBeUndefined();
});

describe('addFields', () => {
  test('adds to the library’s object, in front of the application’s headers and never to them', () => {
    const own = Object.freeze({ a: 1, tracestate: 'own' });
    const properties = propertiesOf(own);
    addFields(properties, fields, NO_LIMIT, NO_LIMIT);
    expect({ ...(properties.headers as object) }).toEqual({ traceparent: fields[0][1], baggage: 'key=value' });
    expect((properties.headers as typeof own).tracestate).toBe('own');
    expect(own).toEqual({ a: 1, tracestate: 'own' });
  });

  test('runs no setters, and no traps that change anything', () => {
    const written: unknown[] = [];
    const setter = {
      set traceparent(value: unknown) {
        written.push(value);
      },
    };
    const proxy = new Proxy(
      {},
      { set: (_target, key) => written.push(key) > 0, defineProperty: () => written.push(1) > 0 },
    );
    for (const own of [setter, proxy]) {
      const properties = propertiesOf(own);
      addFields(properties, fields, NO_LIMIT, NO_LIMIT);
      expect(Object.keys(properties.headers as object)).toEqual(['traceparent', 'tracestate', 'baggage']);
    }
    expect(written).toEqual([]);
  });

  test('makes headers where there are none, and leaves alone what are none', () => {
    const none: MessageProperties = {};
    addFields(none, fields, NO_LIMIT, NO_LIMIT);
    expect(none.headers).toEqual(Object.fromEntries(fields));
    for (const headers of [null, 'text', 7]) {
      const properties: MessageProperties = { headers };
      addFields(properties, fields, NO_LIMIT, NO_LIMIT);
      expect(properties.headers).toBe(headers);
    }
    const untouched: MessageProperties = {};
    addFields(untouched, [], NO_LIMIT, NO_LIMIT);
    addFields(untouched, fields, 10, NO_LIMIT);
    expect(untouched).toEqual({});
  });

  test('gives up on headers that contain themselves', () => {
    const table: Record<string, unknown> = {};
    table['self'] = table;
    const list: unknown[] = [];
    list.push(list);
    for (const own of [table, { list }]) {
      const properties = propertiesOf(own);
      addFields(properties, fields, NO_LIMIT, 65_536);
      expect(Object.keys(properties.headers as object)).toEqual([]);
    }
  });
});

describe.each(testedVersions('amqplib').map(({ version, packages }) => [version, packages] as const))(
  'beside the encoder of amqplib %s',
  (version, packages) => {
    let encode: (type: number, channel: number, size: number, fields: object) => Buffer;
    let type: number;
    beforeAll(async () => {
      const folder = await testPackage(...packages);
      const defs = createRequire(join(folder, 'noop.js'))(join(folder, 'node_modules/amqplib/lib/defs.js'));
      encode = defs.encodeProperties;
      type = defs.BasicProperties;
    });

    const HEADERS: Record<string, object> = {
      none: {},
      text: { a: 'x'.repeat(500), b: 'ü'.repeat(500), '€': '€' },
      numbers: { a: 1, b: 2 ** 40, c: 1.5, d: -7, e: true, f: null, g: undefined },
      typed: { a: { '!': 'timestamp', value: 1 }, b: { '!': 'float', value: 1.5 } },
      nested: { a: [1, 'two', [3, { four: 'five' }]], b: { c: { d: 'e' } }, f: Buffer.alloc(300) },
    };
    const MORE = { contentType: 'text/plain', correlationId: 'c'.repeat(200), replyTo: 'r', timestamp: 1, priority: 1 };

    test.each(Object.keys(HEADERS))(
      'never makes a frame longer than allowed, and uses the room there is: %s',
      (name) => {
        const bare = encode(type, 1, 0, propertiesOf(HEADERS[name], MORE)).length + 8;
        const full = propertiesOf(HEADERS[name], MORE);
        addFields(full, fields, NO_LIMIT, NO_LIMIT);
        const length = encode(type, 1, 0, full).length + 8;
        let added = 0;
        for (let room = bare; room <= length + 120; room++) {
          const properties = propertiesOf(HEADERS[name], MORE);
          addFields(properties, fields, room, NO_LIMIT);
          expect(encode(type, 1, 0, properties).length + 8).toBeLessThanOrEqual(room);
          added = Object.keys(properties.headers as object).length;
        }
        expect(added).toBe(3);
      },
    );

    test('never fills the buffer that tables are encoded in', () => {
      const size = version === '0.5.5' ? 16_384 : 65_536;
      const bytesOf = (name: string, value: string) => 1 + name.length + 5 + value.length;
      const counts = new Set<number>();
      for (let filler = size - 300; filler < size - 20; filler++) {
        const properties = propertiesOf({ filler: 'x'.repeat(filler) });
        addFields(properties, fields, NO_LIMIT, size - 64);
        // Some versions cut what does not fit instead of throwing.
        const added = Object.entries(properties.headers as Record<string, string>);
        const bytes = added.reduce((sum, [name, value]) => sum + bytesOf(name, value), 4 + 1 + 6 + 5 + filler);
        expect(bytes).toBeLessThanOrEqual(size);
        counts.add(added.length);
      }
      expect([...counts].sort()).toEqual([0, 1, 2, 3]);
    });
  },
);
