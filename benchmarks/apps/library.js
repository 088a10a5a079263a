// Makes as many calls of a library as it is told, ten at a time, and answers with the CPU time that the process took.
// LIBRARY names it, URL the server.
const { LIBRARY, URL: url } = process.env;
const AT_ONCE = 10;

const libraries = {
  async pg() {
    const { Pool } = require('pg');
    const pool = new Pool({ connectionString: url, max: AT_ONCE });
    return () => pool.query('SELECT $1::int AS n', [1]);
  },

  async mysql2() {
    const pool = require('mysql2/promise').createPool({ uri: url, connectionLimit: AT_ONCE });
    return () => pool.query('SELECT ? AS n', [1]);
  },

  async amqplib() {
    const connection = await require('amqplib').connect(url);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const waiting = [];
    const content = Buffer.from('hello');
    await channel.consume(queue, () => waiting.shift()(), { noAck: true });
    return () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        channel.sendToQueue(queue, content);
      });
  },

  async grpc() {
    const grpc = require('@grpc/grpc-js');
    const bytes = (value) => value;
    const definition = {
      Do: {
        path: '/bench.Service/Do',
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    };
    const reply = Buffer.from('hello');
    const server = new grpc.Server();
    server.addService(definition, { Do: (_call, callback) => callback(null, reply) });
    const port = await new Promise((resolve, reject) => {
      const done = (error, bound) => (error ? reject(error) : resolve(bound));
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), done);
    });
    const Client = grpc.makeGenericClientConstructor(definition, 'Service');
    const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    return () => new Promise((resolve, reject) => client.Do(reply, (error) => (error ? reject(error) : resolve())));
  },
};

async function main() {
  const call = await libraries[LIBRARY]();
  process.on('message', async (count) => {
    const before = process.cpuUsage();
    let left = count;
    const worker = async () => {
      while (left-- > 0) await call();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    // What has been recorded has to be paid for, exporting included.
    const agent = globalThis[Symbol.for('hookline')];
    await agent?.flush(10_000);
    const { user, system } = process.cpuUsage(before);
    process.send({ user, system, dropped: agent?.status().export.dropped });
  });
  process.on('disconnect', () => process.exit());
  process.send({});
}

main();
