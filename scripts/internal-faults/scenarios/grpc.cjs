const { join } = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { events, once, outcome, without } = require('./tools.cjs');

const { Cases } = grpc.loadPackageDefinition(
  loader.loadSync(join(__dirname, '../../../test/e2e/fixtures/grpc-cases/cases.proto'), { keepCase: true }),
).cases.v1;
const credentials = grpc.credentials.createInsecure();

/** Without the time. */
const mapOf = (metadata) => {
  const { date, ...map } = without(metadata?.getMap?.());
  return map;
};
const failed = ({ name, code, details, message, metadata }) => ({
  name,
  code,
  details,
  message,
  metadata: mapOf(metadata),
});
const refusal = () =>
  Object.assign(new Error('not now'), { code: grpc.status.FAILED_PRECONDITION, details: 'not now' });

exports.start = async () => {
  let handled = [];
  let ends = [];
  const note = (name, call) => {
    handled.push({ name, metadata: Object.keys(without(call.metadata.getMap())), peer: typeof call.getPeer() });
    handled.at(-1).list = events(call, ['end', 'error']);
  };
  const server = new grpc.Server();
  server.addService(Cases.service, {
    Unary(call, callback) {
      note('Unary', call);
      const { text } = call.request;
      if (text === 'fail') return callback(refusal());
      if (text === 'throw') throw refusal();
      if (text === 'hang') return void ends.push(once(call, 'cancelled'));
      const trailers = new grpc.Metadata();
      trailers.set('x-after', 'all');
      call.sendMetadata(new grpc.Metadata());
      callback(null, { text: text.toUpperCase(), count: 1 }, trailers);
    },
    Upload(call, callback) {
      note('Upload', call);
      const texts = [];
      call.on('data', ({ text }) => texts.push(text));
      call.on('end', () =>
        texts.includes('fail') ? callback(refusal()) : callback(null, { text: texts.join(), count: texts.length }),
      );
    },
    Download(call) {
      note('Download', call);
      const { text, count } = call.request;
      if (text === 'fail') return call.emit('error', refusal());
      for (let n = 0; n < count; n++) call.write({ text, count: n });
      if (text === 'open') return void ends.push(once(call, 'cancelled'));
      call.end();
    },
    Chat(call) {
      note('Chat', call);
      call.on('data', ({ text }) => call.write({ text: text.toUpperCase() }));
      call.on('end', () => call.end());
    },
    Health: (_call, callback) => callback(null, { text: 'well' }),
  });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const client = new Cases(`127.0.0.1:${port}`, credentials);
  const intercepted = new Cases(`127.0.0.1:${port}`, credentials, {
    interceptors: [
      (options, next) =>
        new grpc.InterceptingCall(next(options), {
          start: (metadata, listener, go) =>
            go(metadata, { onReceiveMessage: (message, pass) => pass(message), ...listener }),
        }),
    ],
  });

  const unary = (where, request, ...rest) =>
    new Promise((resolve) => {
      let times = 0;
      const call = where.Unary(request, ...rest, (error, answer) => {
        times++;
        setImmediate(() => resolve({ times, error: error && failed(error), answer, list }));
      });
      const list = events(call, ['metadata', 'status']);
      if (request.text === 'hang') rest.cancel?.(call);
    });
  const stream = (call, write = []) =>
    new Promise((resolve) => {
      const received = [];
      const list = events(call, ['metadata', 'end']);
      let status;
      let error;
      call.on('data', ({ text, count }) => received.push([text, count]));
      call.on('error', (failure) => {
        error = failed(failure);
      });
      call.on('status', ({ code, details, metadata }) => {
        status = { code, details, metadata: mapOf(metadata) };
        setImmediate(() => resolve({ received, list, status, error }));
      });
      for (const message of write) call.write(message);
      if (write.length > 0) call.end();
    });

  return {
    async round(seen) {
      handled = [];
      ends = [];
      const metadata = new grpc.Metadata();
      metadata.set('x-own', '1');
      seen.unary = await unary(client, { text: 'hello' });
      seen.metadata = await unary(client, { text: 'hello' }, metadata);
      seen.own = mapOf(metadata);
      seen.fail = await unary(client, { text: 'fail' }, metadata, { deadline: Date.now() + 20_000 });
      seen.thrown = await unary(client, { text: 'throw' });
      seen.unwritten = await new Promise((resolve) => client.Unwritten({}, (error) => resolve(failed(error))));
      seen.intercepted = await unary(intercepted, { text: 'hello' });
      const whenHandled = async (then) => {
        for (const { length } = handled; handled.length === length; ) await new Promise(setImmediate);
        then();
      };
      seen.cancelled = await new Promise((resolve) => {
        const call = client.Unary({ text: 'hang' }, (error) => resolve(failed(error)));
        whenHandled(() => call.cancel());
      });
      seen.deadline = await new Promise((resolve) => {
        client.Unary({ text: 'hello' }, { deadline: Date.now() - 1000 }, (error) =>
          resolve({ code: error.code, name: error.name }),
        );
      });
      seen.upload = await new Promise((resolve) => {
        const call = client.Upload((error, answer) => resolve({ error, answer, list }));
        const list = events(call, ['metadata', 'finish']);
        const written = [];
        for (const text of ['a', 'b', 'c']) call.write({ text }, () => written.push(text));
        call.end();
        list.push(written);
      });
      seen.uploadFails = await new Promise((resolve) => {
        const call = client.Upload((error) => resolve(failed(error)));
        call.end({ text: 'fail' });
      });
      seen.download = await stream(client.Download({ text: 'x', count: 3 }));
      seen.downloadFails = await stream(client.Download({ text: 'fail' }));
      seen.downloadCancelled = await (async () => {
        const call = client.Download({ text: 'open', count: 1 });
        const result = stream(call);
        call.once('data', () => call.cancel());
        return result;
      })();
      seen.chat = await stream(client.Chat(), [{ text: 'a' }, { text: 'b' }]);
      seen.invalid = await outcome(() => client.Unary({ text: 'hello' }));
      seen.notSerialisable = await unary(client, { text: { toString: undefined } });
      seen.health = await new Promise((resolve) => client.Health({}, (error, answer) => resolve([error, answer])));

      const fresh = new Cases(`127.0.0.1:${port}`, credentials);
      seen.ready = await new Promise((resolve) =>
        fresh.waitForReady(Date.now() + 20_000, (error) => resolve(String(error))),
      );
      seen.together = (await Promise.all(['a', 'b'].map((text) => unary(fresh, { text })))).map(
        ({ answer }) => answer.text,
      );
      fresh.close();
      seen.afterClose = await outcome(() => unary(fresh, { text: 'a' }));
      const refused = new Cases('127.0.0.1:1', credentials);
      seen.refused = await new Promise((resolve) =>
        refused.Unary({ text: 'a' }, (error) => resolve([error.name, error.code])),
      );
      refused.close();
      seen.ends = await Promise.all(ends);
      seen.handled = handled;
    },
    async stop() {
      client.close();
      intercepted.close();
      await new Promise((resolve) => server.tryShutdown(resolve));
    },
  };
};
