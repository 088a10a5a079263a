// @grpc/grpc-js: client and server of one process, all four kinds of calls.
const { event, failing, ignore, leftBehind, load } = require('./tools.cjs');

/** Node's server closes a session in which a thousand streams were reset, and half of the variants reset one. */
const CALLS_OF_A_CONNECTION = 1_000;

module.exports = async () => {
  const grpc = load('@grpc/grpc-js');
  const pass = (value) => value;
  const method = (name, requestStream, responseStream) => ({
    path: `/leaks.Leaks/${name}`,
    ...{ requestStream, responseStream },
    ...{ requestSerialize: pass, requestDeserialize: pass, responseSerialize: pass, responseDeserialize: pass },
  });
  const service = {
    Echo: method('Echo', false, false),
    Count: method('Count', false, true),
    Sum: method('Sum', true, false),
    Chat: method('Chat', true, true),
  };
  const server = new grpc.Server();
  server.addService(service, {
    Echo(call, callback) {
      const text = call.request.toString();
      if (text === 'never') return;
      if (text === 'error') callback({ code: grpc.status.INVALID_ARGUMENT, details: 'no' });
      else callback(null, call.request);
    },
    Count(call) {
      call.on('error', ignore);
      for (let i = 0; i < 5; i++) call.write(call.request);
      const text = call.request.toString();
      if (text === 'error') call.emit('error', { code: grpc.status.ABORTED, details: 'no' });
      else if (text !== 'never') call.end();
    },
    Sum(call, callback) {
      call
        .on('data', ignore)
        .on('end', () => callback(null, body))
        .on('error', ignore);
    },
    Chat(call) {
      call
        .on('data', (chunk) => call.write(chunk))
        .on('end', () => call.end())
        .on('error', ignore);
    },
  });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const Leaks = grpc.makeGenericClientConstructor({ ...service, None: method('None', false, false) }, 'Leaks');
  // Clients to one address share their connections unless they are told not to.
  const connect = (to) =>
    new Leaks(`127.0.0.1:${to}`, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  // Closed with the next one: there may be calls that have not found a connection yet.
  const replaced = leftBehind((client) => client.close(), 1);
  let client = connect(port);
  let calls = 0;
  const current = () => {
    if (++calls % CALLS_OF_A_CONNECTION === 0) {
      replaced(client);
      client = connect(port);
    }
    return client;
  };
  const body = Buffer.from('hello');
  const unary = (name, request = body, options = {}, on = current()) =>
    new Promise((resolve, reject) =>
      on[name](request, new grpc.Metadata(), options, (error, reply) => (error ? reject(error) : resolve(reply))),
    );
  const opened = (call) => call.on('error', ignore);
  const over = (call) => event(call, 'status');
  const cancel = (call) => call.cancel();
  const unread = leftBehind(cancel);
  const unended = leftBehind(cancel);
  const unanswered = leftBehind(cancel);

  const variants = {
    unary: () => unary('Echo'),
    'unary, error': () => failing(unary('Echo', Buffer.from('error'))),
    'unary, unknown': () => failing(unary('None')),
    'unary, deadline': () => failing(unary('Echo', Buffer.from('never'), { deadline: Date.now() + 5 })),
    'unary, cancelled': async () => {
      const call = current().Echo(Buffer.from('never'), ignore);
      setImmediate(cancel, call);
      await over(call);
    },
    'unary, never answered': async () => {
      unanswered(current().Echo(Buffer.from('never'), ignore));
      await new Promise(setImmediate);
    },
    'server stream': async () => {
      for await (const _message of current().Count(body));
    },
    'server stream, error': async () => {
      const call = opened(current().Count(Buffer.from('error')));
      call.resume();
      await over(call);
    },
    'server stream, cancelled': async () => {
      const call = opened(current().Count(Buffer.from('never')));
      await event(call, 'data');
      call.cancel();
      await over(call);
    },
    'server stream, never read': async () => {
      const call = opened(current().Count(Buffer.from('never')));
      await event(call, 'metadata', 'error');
      unread(call);
    },
    'client stream': () =>
      new Promise((resolve, reject) => {
        const call = current().Sum((error) => (error ? reject(error) : resolve()));
        call.write(body);
        call.end(body);
      }),
    'client stream, never ended': async () => {
      const call = opened(current().Sum(ignore));
      call.write(body);
      unended(call);
      await new Promise(setImmediate);
    },
    chat: async () => {
      const call = opened(current().Chat());
      call.write(body);
      await event(call, 'data');
      call.resume();
      call.end();
      await over(call);
    },
    'chat, cancelled': async () => {
      const call = opened(current().Chat());
      call.write(body);
      await event(call, 'data');
      call.cancel();
      await over(call);
    },
    'client of its own': {
      rare: true,
      async run() {
        const own = connect(port);
        await unary('Echo', body, {}, own);
        own.close();
      },
    },
    'no connection': {
      rare: true,
      async run() {
        const own = connect(1);
        await failing(unary('Echo', body, { deadline: Date.now() + 50 }, own));
        own.close();
      },
    },
  };
  return {
    variants,
    close() {
      client.close();
      server.forceShutdown();
    },
  };
};
