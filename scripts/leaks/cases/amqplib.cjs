// amqplib's promise API: one connection, a channel for what is common and channels for what ends them.
const { ignore, load, texts } = require('./tools.cjs');

/** Messages on one channel that nobody acknowledges. */
const PILE = 10;

module.exports = async () => {
  const amqp = load('amqplib');
  const connection = await amqp.connect(process.env.AMQP_URL, { noDelay: true });
  connection.on('error', ignore);
  const channel = await connection.createChannel();
  const confirming = await connection.createConfirmChannel();
  const queue = async (on = channel, name = '') =>
    (await on.assertQueue(name, { exclusive: true, autoDelete: false })).queue;
  let queues = 0;
  // Of this process alone: others have the same broker.
  const nextName = () => `one of many ${process.pid} ${queues++ % texts}`;
  const body = Buffer.from('content');

  /** Publishes to a queue of its own, whose consumer gets the message and settles it in its way. */
  const roundTrip = async (settle, options) => {
    const name = await queue();
    const waiting = [];
    await channel.consume(
      name,
      (message) => {
        settle?.(message);
        waiting.shift()();
      },
      options,
    );
    return (i) =>
      new Promise((resolve) => {
        waiting.push(resolve);
        channel.sendToQueue(name, body, { headers: { i } });
      });
  };
  const got = await queue();
  const empty = await queue();
  const published = await queue();
  await channel.consume(published, (message) => channel.ack(message));

  /** A channel on which messages pile up, closed with all of them; one for all workers at a time. */
  let pile = open();
  async function open() {
    const own = await connection.createChannel();
    own.on('error', ignore);
    const name = await queue(own, nextName());
    const waiting = [];
    // `null` tells that the queue was deleted.
    await own.consume(name, (message) => message && waiting.shift()());
    return { own, name, waiting, count: 0 };
  }
  const neverAcked = async () => {
    let current = await pile;
    while (current.count === PILE) current = await pile;
    const arrived = new Promise((resolve) => current.waiting.push(resolve));
    current.own.sendToQueue(current.name, body);
    const isLast = ++current.count === PILE;
    if (isLast) pile = open();
    await arrived;
    if (!isLast) return;
    // The others' messages, sent before this one, have come before it.
    await channel.deleteQueue(current.name);
    await current.own.close();
  };

  const fire = async (message) => {
    const response = await channel.get(got);
    if (response) message(response);
  };
  const variants = {
    acked: await roundTrip((message) => channel.ack(message)),
    rejected: await roundTrip((message) => channel.reject(message, false)),
    'not acked, not requeued': await roundTrip((message) => channel.nack(message, false, false)),
    'without acknowledgement': await roundTrip(undefined, { noAck: true }),
    'acked by a later turn': await roundTrip((message) => setImmediate(() => channel.ack(message))),
    'never acked': neverAcked,
    get: async () => {
      channel.sendToQueue(got, body);
      await fire((message) => channel.ack(message));
    },
    'get, empty': async () => {
      if (await channel.get(empty)) throw new Error('there was a message');
    },
    confirmed: () =>
      new Promise((resolve, reject) =>
        confirming.sendToQueue(published, body, {}, (error) => (error ? reject(error) : resolve())),
      ),
    returned: () =>
      new Promise((resolve) => {
        confirming.once('return', () => resolve());
        confirming.publish('', 'nobody has this name', body, { mandatory: true });
      }),
    'handler throws later': await roundTrip((message) => {
      Promise.reject(new Error('in the handler')).catch(() => channel.ack(message));
    }),
    'closed by the broker': {
      rare: true,
      async run() {
        const own = await connection.createConfirmChannel();
        const closed = new Promise((resolve) => own.on('error', resolve));
        own.publish('no such exchange', '', body, {}, ignore);
        await closed;
      },
    },
    'channel of its own': {
      rare: true,
      async run() {
        const own = await connection.createChannel();
        const name = await queue(own, nextName());
        own.sendToQueue(name, body);
        await own.get(name);
        await own.close();
        await channel.deleteQueue(name);
      },
    },
  };
  return { variants, close: () => connection.close() };
};
