import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, spansOfCase } from '../support/cases';
import { type Comparison, expectSameAsBare } from '../support/compare';
import { startReceiver } from '../support/otlp-receiver';
import { isAtLeast, testPackage, writeFolder } from '../support/packages';
import { type RunResult, runApp } from '../support/run-app';
import { amqpBroker } from '../support/servers';
import { anyPort, type ExpectedSpan, expectTree, formatTree, loopback, matching } from '../support/tree';
import { testedVersions } from '../support/versions';

type Span = Comparison['bare']['spans'][number];

const CASES = 'test/e2e/fixtures/amqplib-cases/app.mjs';
const OPTIONS = 'test/e2e/fixtures/amqplib-cases/options.mjs';

let broker: Awaited<ReturnType<typeof amqpBroker>>;
beforeAll(async () => {
  broker = await amqpBroker();
});

const named = (name: string) => broker.prefix + name;

const server = () => ({ 'server.address': new URL(broker.url).hostname, 'server.port': anyPort });
const peer = { 'network.peer.address': loopback, 'network.peer.port': anyPort };

function span(
  kind: 'PRODUCER' | 'CONSUMER' | 'CLIENT',
  operation: string,
  type: string,
  target: string,
  attributes: Record<string, unknown>,
  children: ExpectedSpan[] = [],
): ExpectedSpan {
  const failed = attributes['error.type'] !== undefined;
  return {
    name: target === '' ? operation : `${operation} ${target}`,
    kind,
    scope: 'hookline/amqplib',
    status: failed ? 'ERROR' : 'UNSET',
    exactAttributes: true,
    attributes: {
      'messaging.system': 'rabbitmq',
      'messaging.operation.name': operation,
      'messaging.operation.type': type,
      'messaging.destination.name': target,
      ...server(),
      ...(kind !== 'CONSUMER' && peer),
      ...Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)),
    },
    children,
  };
}

const ROUTING_KEY = 'messaging.rabbitmq.destination.routing_key';
const TAG = 'messaging.rabbitmq.message.delivery_tag';

/** To a queue over the default exchange. */
const publish = (queue: string, children: ExpectedSpan[] = [], more: Record<string, unknown> = {}) =>
  span('PRODUCER', 'publish', 'send', queue, { [ROUTING_KEY]: queue, ...more }, children);
const consume = (queue: string, tag: number, children: ExpectedSpan[] = [], more: Record<string, unknown> = {}) =>
  span('CONSUMER', 'consume', 'process', queue, { [ROUTING_KEY]: queue, [TAG]: tag, ...more }, children);
const settle = (operation: string, queue: string, tag: number | undefined, more: Record<string, unknown> = {}) =>
  span('CLIENT', operation, 'settle', queue, { [TAG]: tag, ...more });
const get = (queue: string, more: Record<string, unknown> = {}) => span('CLIENT', 'get', 'receive', queue, more);
const work = (name: string): ExpectedSpan => ({ name, kind: 'INTERNAL' });

/** The queue of a case: those of the application are numbered. */
function queueIn(spans: readonly Span[]): string {
  for (const { kind, name } of spans)
    if (kind === 'PRODUCER' && /q\d+$/.test(name)) return name.slice('publish '.length);
  throw new Error(`no queue in\n${formatTree(spans)}`);
}

const ofKind = (spans: readonly Span[], kind: Span['kind']) => spans.filter((candidate) => candidate.kind === kind);
/** Spans of one scope arrive in the order in which they ended; times of a process may jump by a millisecond. */
const endedInOrder = (spans: readonly Span[], ...expected: Span[]) =>
  expect(expected.map((one) => spans.indexOf(one))).toEqual(
    expected.map((one) => spans.indexOf(one)).sort((a, b) => a - b),
  );
const linked = ({ links }: Span) => links.map(({ spanId }) => spanId);

const APIS = ['promise', 'callback'] as const;
const versions = testedVersions('amqplib').flatMap(({ version, packages }) =>
  APIS.map((api) => [version, api, packages] as const),
);

describe.each(versions)('amqplib %s, %s API', (version, api, packages) => {
  const env = async (more: Record<string, string> = {}) => ({
    AMQP: await testPackage(...packages),
    AMQP_VERSION: version,
    AMQP_API: api,
    AMQP_URL: broker.url,
    AMQP_PREFIX: broker.prefix,
    ...more,
  });

  let runs: Comparison;
  beforeAll(async () => {
    runs = await expectSameAsBare(CASES, { env: await env(), preloads: [api === 'promise' ? 'import' : 'require'] });
  });

  const traced = () => Object.values(runs.traced)[0]!;
  const outcome = (name: string) => outcomeOf(traced().stdout, name);
  const spansOf = (name: string) => spansOfCase(traced().spans, name);
  const expectCase = (name: string, expected: (queue: string) => ExpectedSpan[]) => {
    const spans = spansOf(name);
    expectTree(spans, expected(queueIn(spans)));
  };

  it('a message sent and consumed is one trace', () => {
    expectCase('send and consume', (queue) => [
      publish(queue, [consume(queue, 1, [work('before'), work('after'), settle('ack', queue, 1)])]),
    ]);
    const spans = spansOf('send and consume');
    const [producer, consumer] = [ofKind(spans, 'PRODUCER')[0]!, ofKind(spans, 'CONSUMER')[0]!];
    expect(linked(consumer)).toEqual([producer.spanId]);
    expect(linked(ofKind(spans, 'CLIENT')[0]!)).toEqual([producer.spanId]);
    const ack = ofKind(spans, 'CLIENT')[0]!;
    endedInOrder(spans, producer, ack, consumer);
  });

  it('a named exchange: the whole destination in the attribute, the exchange or the queue in the name', () => {
    const spans = spansOf('exchange');
    const queue = ofKind(spans, 'CONSUMER')[0]!.name.slice('consume '.length);
    const exchange = named('orders');
    const message = { 'messaging.message.id': 'm-1', 'messaging.message.conversation_id': 'c-1' };
    const from = { ...message, 'messaging.destination.name': `${exchange}:created.4711:${queue}` };
    const key = { [ROUTING_KEY]: 'created.4711' };
    const destination = { 'messaging.destination.name': `${exchange}:created.4711` };
    expectTree(spans, [
      publish(exchange, [consume(queue, 1, [settle('ack', queue, 1, from)], { ...from, ...key })], {
        ...message,
        ...key,
        ...destination,
      }),
    ]);
  });

  it('AM1: a cancellation by the broker is no message', () => {
    expect(outcome('AM1 cancelled by the broker')).toEqual({ message: null });
    expect(spansOf('AM1 cancelled by the broker')).toEqual([]);
  });

  it('what is in flight when its consumer is cancelled can still be settled', () => {
    expectCase('cancelled by the client', (queue) => [
      publish(queue, [consume(queue, 1)]),
      settle('ack', queue, 1),
      get(queue),
    ]);
  });

  it('AM2: get links to the message, and an empty queue is no error', () => {
    const key = (queue: string) => ({ [ROUTING_KEY]: queue });
    const id = { 'messaging.message.id': 'm-2' };
    expectCase('AM2 get', (queue) => [
      get(queue),
      publish(queue, [], id),
      get(queue, { ...key(queue), ...id, [TAG]: 1 }),
      work('with it'),
      settle('ack', queue, 1, id),
      publish(queue),
      get(queue, { ...key(queue), [TAG]: 2 }),
    ]);
    const spans = spansOf('AM2 get');
    const producers = ofKind(spans, 'PRODUCER').map(({ spanId }) => spanId);
    expect(ofKind(spans, 'CLIENT').map(linked)).toEqual([[], [producers[0]], [producers[0]], [producers[1]]]);
  });

  it("a broker's error is told by its reply code", () => {
    expectTree(spansOf('get from a queue that is not there'), get(named('missing'), { 'error.type': '404' }));
  });

  it('AM3: messages without headers or properties, and with unexpected ones, start traces of their own', () => {
    const queue = outcome('AM3 no headers and no properties')[0].fields.routingKey as string;
    const consumers = traced().spans.filter(({ kind, name }) => kind === 'CONSUMER' && name === `consume ${queue}`);
    expect(consumers.map(({ parentSpanId, links }) => [parentSpanId ?? '', links.length])).toEqual(
      Array(3).fill(['', 0]),
    );
    expect(new Set(consumers.map(({ traceId }) => traceId)).size).toBe(3);
    const works = traced().spans.filter(({ name }) => name === 'handled');
    expect(works.map(({ parentSpanId }) => parentSpanId).sort()).toEqual(consumers.map(({ spanId }) => spanId).sort());
  });

  it('trace fields that arrive as bytes are understood, and are the own context of the application', () => {
    expectCase('trace fields that arrive as bytes', (queue) => [publish(queue), consume(queue, 1)]);
    const spans = spansOf('trace fields that arrive as bytes');
    const [producer, consumer] = [ofKind(spans, 'PRODUCER')[0]!, ofKind(spans, 'CONSUMER')[0]!];
    // Both hang below the case.
    expect(linked(producer)).toEqual([consumer.parentSpanId]);
    expect(producer.parentSpanId).toBe(consumer.parentSpanId);
  });

  it('AM4: options and headers are left alone, whatever they are', () => {
    expectCase('AM4 options are left alone', (queue) =>
      [1, 2, 3, 4, 5].map((tag) => publish(queue, [consume(queue, tag)])),
    );
  });

  it('a context that the application has put into the headers stays, and is linked to', () => {
    const spans = spansOf('own context in the headers');
    expectTree(spans, publish(queueIn(spans)));
    expect(linked(spans[0]!)).toEqual(['2222222222222222']);
    const consumer = traced().spans.find(({ traceId }) => traceId === '1'.repeat(32))!;
    expect([consumer.kind, consumer.parentSpanId]).toEqual(['CONSUMER', '2222222222222222']);
  });

  it('trace fields for which a message has no room are left out', () => {
    // Of the two, the second has room.
    expectCase('headers that leave no room', (queue) => [publish(queue), publish(queue, [consume(queue, 2)])]);
    expectCase('baggage that leaves no room', (queue) => [publish(queue, [consume(queue, 1)])]);
  });

  it('AM5: a confirm channel’s span ends with the confirmation; callbacks run in their caller’s context', () => {
    const full = named('full');
    expectTree(spansOf('AM5 confirms'), [
      publish(full),
      work('confirmed first'),
      publish(full, [], { 'error.type': 'nack' }),
      work('confirmed second'),
      publish(full, [], { 'error.type': 'nack' }),
      work('waited'),
    ]);
    const exchange = named('no such exchange');
    expectTree(
      spansOf('AM5 closed before the confirm'),
      publish(exchange, [], {
        [ROUTING_KEY]: 'k',
        'messaging.destination.name': `${exchange}:k`,
        'error.type': '404',
      }),
    );
  });

  it("AM6: a handler runs in its message's context, and its timers too", () => {
    expectCase('AM6 context of the handler', (queue) => [
      { name: 'subscriber', kind: 'INTERNAL', children: [work('subscribed')] },
      publish(queue, [consume(queue, 1, [work('in the handler'), work('in a timer'), settle('ack', queue, 1)])]),
      work('after all'),
    ]);
  });

  it('AM7, CX9: messages handled at the same time stay apart', () => {
    for (const name of ['left', 'right']) {
      const root = traced().spans.find((candidate) => candidate.name === name && candidate.scope.name === 'app')!;
      const spans = traced().spans.filter(({ traceId }) => traceId === root.traceId);
      const queue = queueIn(spans);
      const tag = name === 'left' ? 1 : 2;
      expectTree(spans, {
        name,
        kind: 'INTERNAL',
        children: [
          publish(queue, [
            consume(queue, tag, [work(`handled ${name}`), settle('ack', queue, tag), work(`acked ${name}`)]),
          ]),
        ],
      });
    }
  });

  const three = (queue: string) => [1, 2, 3].map((tag) => publish(queue, [consume(queue, tag)]));

  it.each(['ack', 'nack', 'reject'])('AM8: %s ends the span of its message', (method) => {
    const order = method === 'ack' ? [2, 1, 3] : [1, 2, 3];
    expectCase(`AM8 ${method}`, (queue) => [...three(queue), ...order.map((tag) => settle(method, queue, tag))]);
    const spans = spansOf(`AM8 ${method}`);
    expect(ofKind(spans, 'CONSUMER').map(({ attributes }) => attributes[TAG])).toEqual(order);
  });

  it('AM8: allUpTo, ackAll and nackAll end what they settle', () => {
    const batch = (size: number) => ({ 'messaging.batch.message_count': size });
    expectCase('AM8 allUpTo', (queue) => [
      ...three(queue),
      settle('ack', queue, 2, batch(2)),
      settle('nack', queue, 3),
    ]);
    const spans = spansOf('AM8 allUpTo');
    const nack = spans.find(({ name }) => name.startsWith('nack'))!;
    const ack = spans.find(({ name }) => name.startsWith('ack'))!;
    const [first, second, third] = ofKind(spans, 'CONSUMER');
    endedInOrder(spans, ack, first!, second!, nack, third!);
    expectCase('AM8 ackAll', (queue) => [...three(queue), settle('ack', queue, undefined, batch(3))]);
    expectCase('AM8 nackAll', (queue) => [...three(queue), settle('nack', queue, undefined, batch(3))]);
  });

  it('AM8: the end of a channel or a connection ends the rest, which fails only when that did', () => {
    expectCase('AM8 channel close', three);
    expectCase('AM8 prefetch and recover', (queue) => [
      publish(queue, [consume(queue, 1), consume(queue, 2, [settle('ack', queue, 2)])]),
      publish(queue, [consume(queue, 3, [settle('ack', queue, 3)])]),
    ]);
    expectCase('AM8 channel error', (queue) => [
      publish(queue, [consume(queue, 1)]),
      publish(queue, [consume(queue, 2, [], { 'error.type': '406' })]),
      settle('ack', queue, 1),
      settle('ack', queue, 1),
    ]);
    expectCase('AM8 connection lost', (queue) => [
      publish(queue, [consume(queue, 1, [], { 'error.type': 'ECONNRESET' })]),
    ]);
  });

  it('AM11: names hold no queues that do not last', () => {
    const news = named('news');
    const generated = matching(/^amq\.gen-/);
    const traits = { 'messaging.destination.anonymous': true, 'messaging.destination.temporary': true };
    const own = { [ROUTING_KEY]: generated, 'messaging.destination.name': generated };
    const path = {
      'messaging.destination.name': matching(new RegExp(`^${news}:amq\\.gen-`)),
      [ROUTING_KEY]: undefined,
    };
    expectTree(spansOf('AM11 queue named by the broker'), [
      publish(news, [consume(news, 1, [settle('ack', news, 1, path)], { ...path, ...traits })], {
        [ROUTING_KEY]: undefined,
      }),
      publish(
        '',
        [consume('', 2, [settle('ack', '', 2, { ...own, [ROUTING_KEY]: undefined })], { ...own, ...traits })],
        {
          ...own,
          ...traits,
        },
      ),
      get('', { 'messaging.destination.name': generated, ...traits }),
    ]);

    const passing = named('passing');
    expectTree(spansOf('AM11 a queue that deletes itself'), publish(passing, [consume(passing, 1)]));

    const names = (name: string) => toNames(spansOf(name), queueIn(spansOf(name)));
    const conversation = [
      'PRODUCER publish QUEUE',
      '  CONSUMER consume QUEUE',
      '    PRODUCER publish',
      '      CONSUMER consume',
      '    CLIENT ack QUEUE',
    ];
    expect(names('AM11 reply to a queue')).toEqual(conversation);
    expect(names('AM11 direct reply')).toEqual(conversation);
  });

  it('AM13: a handler keeps this and result, and no attribute has the password', () => {
    expect(outcome('AM13 this and result')).toMatchObject({ self: true, results: ['result'] });
    const { username, password } = new URL(broker.url);
    expect(password).not.toBe('');
    const texts = traced().spans.map(({ name, attributes, status }) => JSON.stringify([name, attributes, status]));
    for (const text of texts) {
      expect(text).not.toContain(`${username}:`);
      expect(text.replaceAll(broker.prefix, '')).not.toContain(password);
    }
  });

  it('the error of a handler is on its span, and goes where it went without us', () => {
    expectCase('handler throws', (queue) => [publish(queue, [consume(queue, 1, [], { 'error.type': 'RangeError' })])]);
    expectCase('handler rejects', (queue) => [
      ...[1, 2, 3].map((tag) => publish(queue, [consume(queue, tag, [], { 'error.type': 'RangeError' })])),
      ...[4, 5].map((tag) => publish(queue, [consume(queue, tag)])),
    ]);
    const { unhandled } = outcome('handler rejects') as { unhandled: { reason: { message: string } }[] };
    expect(unhandled.map(({ reason }) => reason.message)).toEqual(['async 1', 'async 2', 'async 3', 'plain 5']);
  });

  it('calls that fail at once are errors, those without a message are none of ours', () => {
    expectCase('bad calls', (queue) => [
      publish(queue, [], { 'error.type': 'TypeError' }),
      publish(queue),
      publish(queue, [], { 'error.type': 'IllegalOperationError' }),
      { name: 'ack', kind: 'CLIENT', attributes: { 'error.type': 'IllegalOperationError' } },
    ]);
  });

  it('a returned message is told of in the context that it was sent in', () => {
    const queue = named('nobody');
    expectTree(
      spansOf('returned'),
      ['', 'back'].map((text) => ({ ...publish(queue), children: [work(`returned ${text}`)] })),
    );
  });

  it.runIf(api === 'callback')('callbacks run in the context of their caller', () => {
    expectTree(spansOf('callbacks'), [
      work('created'),
      work('asserted'),
      get(named('called')),
      work('got'),
      work('closed'),
    ]);
  });

  it('CX4: what a connection tells of its own belongs to nobody’s trace', () => {
    const closing = traced().spans.filter(({ name }) => name === 'on close');
    expect(closing.map(({ parentSpanId }) => parentSpanId ?? '')).toEqual(['']);
    const opener = traced().spans.find(({ name }) => name === 'opener')!;
    expect(traced().spans.filter(({ traceId }) => traceId === opener.traceId)).toEqual([opener]);
  });

  it('a dead letter goes on in the trace of its producer', () => {
    const mortal = named('mortal');
    const [letter] = outcome('dead letters') as [{ fields: { routingKey: string }; deaths: number }];
    const dead = letter.fields.routingKey;
    expect(letter.deaths).toBe(1);
    expectTree(
      spansOf('dead letters'),
      publish(mortal, [consume(mortal, 1, [settle('reject', mortal, 1)]), consume(dead, 2)]),
    );
  });

  it.runIf(api === 'promise')('callbacks of promises run in the context that they were given in', () => {
    expectTree(spansOf('chained promises'), [work('in then'), work('in finally')]);
  });

  it('AM9: what nobody settles is ended when its time is up', async () => {
    const { spans, stdout } = await runOptions(await env({ OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_TIMEOUT: '100' }));
    expect(stdout).toContain('still open');
    const consumers = ofKind(spans, 'CONSUMER');
    expect(consumers).toHaveLength(2);
    for (const { startTimeUnixNano, endTimeUnixNano, status } of consumers) {
      expect(status.code).toBe('UNSET');
      expect(Number(endTimeUnixNano - startTimeUnixNano) / 1e6).toBeLessThan(1000);
    }
    // Late, but still with all that there is to say.
    const ack = spans.find(({ name }) => name.startsWith('ack'))!;
    expect(ack.name).toBe(`ack ${named('options')}`);
    expect(linked(ack)).toEqual([ofKind(spans, 'PRODUCER')[0]!.spanId]);
  });

  it('AM10: with links only, a message starts a trace of its own, and its baggage is there', async () => {
    const { spans, stdout } = await runOptions(
      await env({ OTEL_INSTRUMENTATION_AMQPLIB_USE_LINKS_FOR_CONSUME: 'true' }),
    );
    expect(stdout).toContain('baggage {"user":"42"}');
    const producers = ofKind(spans, 'PRODUCER');
    for (const [index, consumer] of ofKind(spans, 'CONSUMER').entries()) {
      expect(consumer.parentSpanId ?? '').toBe('');
      expect(linked(consumer)).toEqual([producers[index]!.spanId]);
      expect(consumer.traceId).not.toBe(producers[index]!.traceId);
    }
  });

  it('with spans that end with the handler, settling changes nothing about them', async () => {
    const { spans } = await runOptions(
      await env({
        OTEL_INSTRUMENTATION_AMQPLIB_CONSUME_END: 'handler',
        OTEL_INSTRUMENTATION_AMQPLIB_SETTLE_SPANS: 'false',
      }),
    );
    expect(spans.filter(({ name }) => name.startsWith('ack'))).toEqual([]);
    const [later] = spans.filter(({ name }) => name === 'settled');
    const works = spans.filter(({ name }) => name === 'in the handler');
    expect(works).toHaveLength(2);
    for (const { parentSpanId, endTimeUnixNano } of works) {
      const consumer = spans.find(({ spanId }) => spanId === parentSpanId)!;
      expect(consumer.kind).toBe('CONSUMER');
      // The handler takes 50 ms.
      expect(Number(consumer.endTimeUnixNano - endTimeUnixNano) / 1e6).toBeGreaterThan(-10);
      expect(consumer.endTimeUnixNano).toBeLessThan(later!.startTimeUnixNano);
    }
  });

  it('without propagators, messages are sent as they are', async () => {
    const { stdout, spans } = await runOptions(await env({ OTEL_PROPAGATORS: 'none' }));
    expect(stdout).toContain('headers {}');
    expect(stdout).not.toContain('traceparent');
    for (const consumer of ofKind(spans, 'CONSUMER')) expect(consumer.parentSpanId ?? '').toBe('');
  });

  it('an instrumentation that fails is not noticed', async () => {
    await expectSameAsBare('test/e2e/fixtures/amqplib-cases/guard.mjs', {
      env: { ...(await env()), OTEL_LOG_LEVEL: 'none' },
      preloads: ['import'],
    });
  });
});

async function runOptions(env: Record<string, string>): Promise<RunResult> {
  const result = await runApp(OPTIONS, { env });
  expect([result.code, result.stderr]).toEqual([0, '']);
  return result;
}

/** Lines of an outline, with one name replaced. */
function toNames(spans: readonly Span[], queue: string): string[] {
  return formatTree(spans).replaceAll(queue, 'QUEUE').split('\n');
}

describe.each(testedVersions('amqplib').map(({ version, packages }) => [version, packages] as const))(
  'AM12: amqplib %s, from one process to another',
  (version, packages) => {
    it.each(['cjs', 'mjs'] as const)('as .%s files, in both APIs', async (extension) => {
      // Without `exports` in a package, ES modules name its files in full.
      const callbackApi = extension === 'mjs' && !isAtLeast(version, '1.2') ? 'callback_api.js' : 'callback_api';
      const head = (name: string) =>
        extension === 'cjs'
          ? `const amqp = require('${name}');\nconst { connect } = amqp;`
          : `import amqp, { connect } from '${name}';`;
      const folder = writeFolder({
        [`send.${extension}`]: `${head('amqplib')}
          const { AMQP_URL: url, QUEUE: queue } = process.env;
          connect(url).then(async (connection) => {
            const channel = await connection.createConfirmChannel();
            await channel.assertQueue(queue, { durable: false });
            channel.sendToQueue(queue, Buffer.from('over'));
            await channel.waitForConfirms();
            await connection.close();
          });`,
        [`receive.${extension}`]: `${head(`amqplib/${callbackApi}`)}
          const { AMQP_URL: url, QUEUE: queue } = process.env;
          if (amqp.connect !== connect) throw new Error('two of them');
          connect(url, (error, connection) => {
            if (error) throw error;
            connection.createChannel((error, channel) => {
              channel.assertQueue(queue, { durable: false });
              channel.consume(queue, (message) => {
                if (message === null) return;
                channel.ack(message);
                channel.deleteQueue(queue, {}, () => connection.close());
              });
            });
          });`,
      });
      symlinkSync(join(await testPackage(...packages), 'node_modules'), join(folder, 'node_modules'), 'junction');
      const receiver = await startReceiver();
      try {
        const queue = named(`two-${extension}`);
        for (const script of ['send', 'receive']) {
          const env = { AMQP_URL: broker.url, QUEUE: queue, OTEL_SERVICE_NAME: script };
          const { code, stderr } = await runApp(join(folder, `${script}.${extension}`), { env, receiver });
          expect([code, stderr]).toEqual([0, '']);
        }
        expectTree(receiver.spans, publish(queue, [consume(queue, 1, [settle('ack', queue, 1)])]));
        const services = receiver.spans.map(({ kind, resource }) => [kind, resource['service.name']]);
        expect(services).toContainEqual(['PRODUCER', 'send']);
        expect(services).toContainEqual(['CONSUMER', 'receive']);
      } finally {
        await receiver.close();
      }
    });
  },
);

describe('AM9: memory', () => {
  const newest = testedVersions('amqplib').at(-1)!;

  it.each([
    ['settled', 'reachable'],
    ['settled', 'unreachable'],
    ['never settled', 'reachable'],
  ])('messages that are %s leave the heap as it was, with a collector that is %s', async (settling, collector) => {
    const { stdout } = await runApp('test/e2e/fixtures/amqplib-cases/memory.mjs', {
      env: {
        AMQP: await testPackage(...newest.packages),
        AMQP_API: 'promise',
        AMQP_URL: broker.url,
        AMQP_PREFIX: broker.prefix,
        SETTLE: settling === 'settled' ? '1' : '',
        OTEL_LOG_LEVEL: 'none',
        ...(collector === 'unreachable' && { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }),
      },
      execArgv: ['--expose-gc'],
      waitForSpans: 0,
    });
    const { grownBytes } = JSON.parse(stdout) as { grownBytes: number };
    expect(grownBytes).toBeLessThan(4e6);
  });
});
