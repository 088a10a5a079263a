import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ReceivedSpan } from '../support/otlp-receiver';
import { testPackage, writeFolder } from '../support/packages';
import { runApp } from '../support/run-app';

// Limits of spans, events and links: what a collector decodes of one span that is over all of them.

const APP = `
const { trace } = require('@opentelemetry/api');
const context = (n) => ({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: '00f067aa0ba902b' + n, traceFlags: 1 });
const span = trace.getTracer('test').startSpan('all', {
  attributes: { a: 1, b: 2, c: 3 },
  links: [1, 2].map((n) => ({ context: context(n), attributes: { a: n, b: 'abcdef', c: 3 } })),
});
span.setAttributes({ d: 4, a: 10 }).setAttribute('e', 5);
for (const name of ['first', 'second', 'third']) span.addEvent(name, { a: 'abcdef', b: 2, c: 3 });
span.addLink({ context: context(3), attributes: { a: 3, b: 2, c: 3 } });
span.end();
const values = trace.getTracer('test').startSpan('values', {
  attributes: {
    text: 'abcdef', list: ['abcdef', 'ab', 7], map: { deep: { k: 'abcdef' }, list: ['abcdef'] }, pair: 'ab\\u{1f600}', number: 1234567,
  },
});
values.recordException(new TypeError('abcdef'));
values.end();
`;

let app: string;

beforeAll(async () => {
  const api = join(await testPackage('@opentelemetry/api@1.10.0'), 'node_modules', '@opentelemetry/api');
  app = APP.replace("'@opentelemetry/api'", JSON.stringify(api));
});

async function run(env: Record<string, string>): Promise<{ all: ReceivedSpan; values: ReceivedSpan }> {
  const folder = writeFolder({ 'app.cjs': app });
  const { spans, stderr, code } = await runApp(join(folder, 'app.cjs'), { cwd: folder, env });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  const find = (name: string): ReceivedSpan => spans.find((span) => span.name === name) as ReceivedSpan;
  return { all: find('all'), values: find('values') };
}

/** What is there, and how much was left out. */
const summary = ({ all }: { all: ReceivedSpan }) => ({
  attributes: [Object.keys(all.attributes).join(''), all.droppedAttributesCount],
  events: [all.events.map(({ name }) => name).join(), all.droppedEventsCount],
  inEvent: [Object.keys(all.events[0]?.attributes ?? {}).join(''), all.events[0]?.droppedAttributesCount],
  links: [all.links.length, all.droppedLinksCount],
  inLink: [Object.keys(all.links[0]?.attributes ?? {}).join(''), all.links[0]?.droppedAttributesCount],
});

const WHOLE = {
  ...{ attributes: ['abcde', 0], events: ['first,second,third', 0], inEvent: ['abc', 0], links: [3, 0] },
  inLink: ['abc', 0],
};
const NO_ITEM = ['', undefined];

describe('limits', () => {
  it('leave a usual span as it is', async () => expect(summary(await run({}))).toEqual(WHOLE));

  it.each([
    [{ OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '4' }, { attributes: ['abcd', 1] }],
    [{ OTEL_ATTRIBUTE_COUNT_LIMIT: '2' }, { attributes: ['ab', 3] }],
    [{ OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '4', OTEL_ATTRIBUTE_COUNT_LIMIT: '2' }, { attributes: ['abcd', 1] }],
    [{ OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: '0' }, { attributes: ['', 6] }],
    [{ OTEL_SPAN_EVENT_COUNT_LIMIT: '2' }, { events: ['second,third', 1] }],
    [{ OTEL_SPAN_EVENT_COUNT_LIMIT: '0' }, { events: ['', 3], inEvent: NO_ITEM }],
    [{ OTEL_SPAN_LINK_COUNT_LIMIT: '1' }, { links: [1, 2] }],
    [{ OTEL_SPAN_LINK_COUNT_LIMIT: '0' }, { links: [0, 3], inLink: NO_ITEM }],
    [{ OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '2' }, { inEvent: ['ab', 1] }],
    [{ OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT: '1' }, { inEvent: ['a', 2] }],
    [{ OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '2', OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT: '1' }, { inEvent: ['ab', 1] }],
    [{ OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: '0' }, { inEvent: ['', 3] }],
    [{ OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: '2' }, { inLink: ['ab', 1] }],
    [{ OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT: '1' }, { inLink: ['a', 2] }],
    [{ OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: '2', OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT: '1' }, { inLink: ['ab', 1] }],
  ])('%j', async (env: Record<string, string>, changes: object) => {
    expect(summary(await run(env))).toEqual({ ...WHOLE, ...changes });
  });

  it.each([
    [{ OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: '3', OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '5' }],
    [{ OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '3' }],
  ])('%j cuts texts wherever they are, and counts none as dropped', async (env: Record<string, string>) => {
    const { all, values } = await run(env);
    expect(values.attributes).toEqual({
      text: 'abc',
      list: ['abc', 'ab', 7],
      map: { deep: { k: 'abc' }, list: ['abc'] },
      // Half of a character is none.
      pair: 'ab',
      number: 1234567,
    });
    expect(values.droppedAttributesCount).toBe(0);
    expect(values.events[0]?.attributes).toEqual({
      ...{ 'exception.type': 'Typ', 'exception.message': 'abc', 'exception.stacktrace': 'Typ' },
    });
    expect(all.events[0]?.attributes).toMatchObject({ a: 'abc' });
    expect(all.links[0]?.attributes).toMatchObject({ b: 'abc' });
  });
});
