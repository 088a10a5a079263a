// Both APIs of amqplib.
const promises = require('amqplib');
const callbacks = require('amqplib/callback_api');
const { deferred, events, failure, once, outcome, without } = require('./tools.cjs');

const url = process.env.AMQP_URL;
const named = (name) => `${process.env.AMQP_PREFIX ?? ''}faults_${process.pid}_${name}`;

/** Names of this process, whoever quotes them. */
const withoutPid = (value) => JSON.parse(JSON.stringify(value ?? null).replaceAll(String(process.pid), 'PID'));

const read = (message) => {
  if (!message) return message;
  const { fields, properties, content } = message;
  const given = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
  return {
    content: String(content),
    redelivered: fields.redelivered,
    keys: Object.keys(fields).sort(),
    properties: { ...given, headers: without(properties.headers), keys: Object.keys(properties).sort() },
  };
};

exports.start = async () => {
  const apis = [];
  for (const [name, amqp] of [
    ['promise', promises],
    ['callback', callbacks],
  ]) {
    const call = (target, method, ...args) =>
      amqp === promises
        ? target[method](...args)
        : new Promise((resolve, reject) =>
            target[method](...args, (error, value) => (error ? reject(error) : resolve(value))),
          );
    const connect = () => call(amqp, 'connect', url, { noDelay: true });
    apis.push({ name, call, connect, connection: await connect() });
  }

  const play = async (seen, { name, call, connection, connect }) => {
    const queue = named(name);
    const channel = await call(connection, 'createChannel');
    const confirms = await call(connection, 'createConfirmChannel');
    const channelEvents = events(channel, ['error', 'close', 'return', 'drain']);
    await call(channel, 'assertQueue', queue, { durable: false });
    await channel.prefetch(10);
    const options = { headers: { own: 1 }, messageId: 'm1', correlationId: 'c1', replyTo: named('answers') };
    const before = JSON.stringify(options);
    seen.sent = [
      channel.sendToQueue(queue, Buffer.from('first'), options),
      channel.publish('', queue, Buffer.from('second')),
    ];
    seen.unchanged = JSON.stringify(options) === before;
    seen.badSend = await outcome(() => channel.sendToQueue(queue, 'no buffer'));
    seen.badHeaders = await outcome(() =>
      channel.sendToQueue(queue, Buffer.from('x'), { headers: { wrong: () => {} } }),
    );

    const received = [];
    const arrived = deferred();
    const handler = async (message) => {
      received.push(read(message));
      if (message === null) return;
      switch (String(message.content)) {
        case 'second':
          if (!message.fields.redelivered) channel.nack(message);
          else channel.reject(message, false);
          break;
        case 'last':
          channel.ack(message);
          arrived.resolve();
          break;
        default:
          channel.ack(message);
      }
    };
    const consumer = await call(channel, 'consume', queue, handler, {});
    // The second one is delivered again.
    while (received.length < 3) await new Promise(setImmediate);
    const confirmed = [];
    confirms.sendToQueue(queue, Buffer.from('third'), {}, (error) => confirmed.push(error ? failure(error) : 'third'));
    confirms.publish('', queue, Buffer.from('last'), {}, (error) => confirmed.push(error ? failure(error) : 'last'));
    await (name === 'promise' ? confirms.waitForConfirms() : call(confirms, 'waitForConfirms'));
    await arrived.promise;
    seen.confirmed = confirmed;
    seen.received = received;
    await call(channel, 'cancel', consumer.consumerTag);

    channel.sendToQueue(queue, Buffer.from('got'));
    await call(channel, 'checkQueue', queue);
    const got = await outcome(call(channel, 'get', queue, {}));
    seen.got = read(got);
    channel.ackAll();
    seen.gotNothing = await outcome(call(channel, 'get', queue, { noAck: true }));
    for (const text of ['a', 'b', 'c']) channel.sendToQueue(queue, Buffer.from(text));
    const several = [];
    await call(channel, 'consume', queue, (message) => several.push(message), { consumerTag: 'several' });
    while (several.length < 3) await new Promise(setImmediate);
    channel.ack(several[1], true);
    channel.nackAll(false);
    await call(channel, 'cancel', 'several');
    seen.several = several.map(read);
    const noAck = [];
    channel.sendToQueue(queue, Buffer.from('no ack'));
    await call(channel, 'consume', queue, (message) => void noAck.push(read(message)), {
      noAck: true,
      consumerTag: 'noAck',
    });
    while (noAck.length < 1) await new Promise(setImmediate);
    seen.noAck = noAck;
    seen.badAck = await outcome(() => channel.ack({}));

    channel.publish('', named('nowhere'), Buffer.from('lost'), { mandatory: true });
    await once(channel, 'return');
    await call(channel, 'recover');
    // The broker cancels what consumes from a queue that is deleted.
    const cancelled = deferred();
    await call(channel, 'consume', queue, (message) => cancelled.resolve(message), { consumerTag: 'cancelled' });
    await call(confirms, 'deleteQueue', queue, {});
    seen.cancelled = await cancelled.promise;

    const failing = await call(connection, 'createConfirmChannel');
    const failingEvents = events(failing, ['error', 'close']);
    const unconfirmed = [];
    failing.publish(named('no_exchange'), '', Buffer.from('x'), {}, (error) =>
      unconfirmed.push(error ? failure(error) : 'confirmed'),
    );
    await once(failing, 'close');
    await new Promise(setImmediate);
    seen.failing = failingEvents;
    seen.unconfirmed = unconfirmed;
    seen.afterFailure = await outcome(() => failing.sendToQueue(queue, Buffer.from('x')));
    seen.missing = await outcome(async () => {
      const other = await call(connection, 'createChannel');
      other.on('error', () => {});
      return call(other, 'get', named('missing'), {});
    });
    await call(confirms, 'close');
    await call(channel, 'close');
    seen.channelEvents = channelEvents;

    const lost = await connect();
    const lostEvents = events(lost, ['error', 'close']);
    const lostChannel = await call(lost, 'createConfirmChannel');
    const lostChannelEvents = events(lostChannel, ['error', 'close']);
    (lost.connection ?? lost).stream.destroy(new Error('lost'));
    await once(lost, 'close');
    seen.lost = lostEvents;
    seen.lostChannel = lostChannelEvents;
    const closed = await connect();
    await call(closed, 'close');
    seen.closed = await outcome(() => call(closed, 'createChannel'));
    seen.refused = await outcome(call(name === 'promise' ? promises : callbacks, 'connect', 'amqp://127.0.0.1:1'));
  };

  return {
    async round(seen) {
      for (const api of apis) {
        const own = {};
        try {
          await play(own, api);
        } finally {
          seen[api.name] = withoutPid(own);
        }
      }
    },
    async stop() {
      for (const { call, connection } of apis) await call(connection, 'close');
    },
  };
};
