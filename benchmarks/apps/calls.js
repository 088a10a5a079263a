// Single calls of libraries. Each entry prepares one, with the server at URL where it needs one.
const { URL: url } = process.env;
const AT_ONCE = 10;

exports.AT_ONCE = AT_ONCE;

exports.queries = {
  async pg() {
    const { Pool } = require('pg');
    const pool = new Pool({ connectionString: url, max: AT_ONCE });
    return async () => (await pool.query('SELECT $1::int AS n', [1])).rows;
  },

  async mysql2() {
    const pool = require('mysql2/promise').createPool({ uri: url, connectionLimit: AT_ONCE });
    return async () => (await pool.query('SELECT ? AS n', [1]))[0];
  },
};

exports.calls = {
  ...exports.queries,

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

  async http() {
    const http = require('node:http');
    const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
    return () =>
      new Promise((resolve, reject) => {
        http.get(url, { agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
      });
  },

  async fetch() {
    return async () => (await fetch(url)).text();
  },
};
