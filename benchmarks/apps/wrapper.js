// Makes calls of LIBRARY over sockets in memory, one after the other.
const { dirname, join } = require('node:path');
const { setImmediate: turn } = require('node:timers/promises');
const { ready } = require('./measure.js');
const { MemorySocket } = require('./memory-socket.js');

const HTTP_ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\nconnection: keep-alive\r\n\r\n{"hello":"world"}',
);
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const libraries = {
  'http-server': async () => {
    const http = require('node:http');
    const request = Buffer.from(
      `GET /hello?name=world HTTP/1.1\r\nhost: localhost:8080\r\nuser-agent: bench\r\naccept: */*\r\ntraceparent: ${TRACEPARENT}\r\n\r\n`,
    );
    const server = http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 17 });
      response.end('{"hello":"world"}');
    });
    let answered;
    const socket = new MemorySocket(() => answered());
    server.emit('connection', socket);
    return () =>
      new Promise((resolve) => {
        answered = resolve;
        socket.push(request);
      });
  },

  'http-client': async () => {
    const http = require('node:http');
    const agent = new http.Agent({ keepAlive: true });
    agent.createConnection = () => new MemorySocket(() => HTTP_ANSWER);
    return () =>
      new Promise((resolve, reject) => {
        http
          .get('http://catalog.example/products/17', { agent }, (response) => response.resume().on('end', resolve))
          .on('error', reject);
      });
  },

  undici: async () => {
    const { Client } = require('undici');
    const client = new Client('http://catalog.example', {
      connect: (_options, callback) => callback(null, new MemorySocket(() => HTTP_ANSWER)),
    });
    return async () => {
      const { body } = await client.request({ method: 'GET', path: '/products/17' });
      await body.dump();
    };
  },

  pg: async () => {
    const { Client } = require('pg');
    const message = (type, body) => {
      const head = Buffer.from(`${type}0000`);
      head.writeInt32BE(body.length + 4, 1);
      return Buffer.concat([head, body]);
    };
    const isReady = message('Z', Buffer.from('I'));
    const started = Buffer.concat([message('R', Buffer.alloc(4)), isReady]);
    const column = Buffer.concat([Buffer.from('n\0'), Buffer.from('000000000000000000170004ffffffff0000', 'hex')]);
    const answer = Buffer.concat([
      message('1', Buffer.alloc(0)),
      message('2', Buffer.alloc(0)),
      message('T', Buffer.concat([Buffer.from([0, 1]), column])),
      message('D', Buffer.from('00010000000131', 'hex')),
      message('C', Buffer.from('SELECT 1\0')),
      isReady,
    ]);
    const SYNC = 0x53;
    // The first message has no type.
    const reply = (chunk) => (chunk[0] === 0 ? started : chunk[0] === SYNC ? answer : undefined);
    const client = new Client({
      host: 'db.example',
      database: 'shop',
      user: 'app',
      stream: () => new MemorySocket(reply),
    });
    await client.connect();
    return () => client.query('SELECT $1::int AS n', [1]);
  },

  mysql2: async () => {
    const { createConnection } = require('mysql2/promise');
    const OK = '0000000200000000';
    const packet = (sequence, hex) => {
      const body = Buffer.from(hex, 'hex');
      return Buffer.concat([Buffer.from([body.length, 0, 0, sequence]), body]);
    };
    const text = (value) => Buffer.from(`${value}\0`).toString('hex');
    const greeting = packet(
      0,
      `0a${text('8.0.0')}01000000${'61'.repeat(8)}0009a2210200080015${'00'.repeat(10)}${'61'.repeat(12)}00${text('mysql_native_password')}`,
    );
    const connection = await createConnection({
      host: 'db.example',
      database: 'shop',
      user: 'app',
      stream: () => {
        const socket = new MemorySocket((chunk) => packet(chunk[3] + 1, OK));
        socket.push(greeting);
        return socket;
      },
    });
    return () => connection.query('UPDATE stock SET n = ? WHERE id = ?', [1, 2]);
  },

  amqplib: async () => {
    // None of them exported.
    const part = (name) => require(join(dirname(require.resolve('amqplib')), 'lib', name));
    require('amqplib');
    const defs = part('defs.js');
    const frame = part('frame.js');
    const { Connection } = part('connection.js');
    const { ChannelModel } = part('channel_model.js');
    const method = (channel, id, fields) => defs.encodeMethod(id, channel, fields);
    const start = {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: {},
      mechanisms: Buffer.from('PLAIN'),
      locales: Buffer.from('en_US'),
    };
    const content = Buffer.from('hello');
    const delivery = Buffer.concat([
      method(1, defs.BasicDeliver, {
        consumerTag: 'bench',
        deliveryTag: 1,
        redelivered: false,
        exchange: '',
        routingKey: 'orders',
      }),
      defs.encodeProperties(defs.BasicProperties, 1, content.length, { headers: { traceparent: TRACEPARENT } }),
      frame.makeBodyFrame(1, content),
    ]);
    /** By the method's class and number. */
    const replies = {
      [defs.ConnectionStartOk]: method(0, defs.ConnectionTune, { channelMax: 0, frameMax: 0, heartbeat: 0 }),
      [defs.ConnectionOpen]: method(0, defs.ConnectionOpenOk, { knownHosts: '' }),
      [defs.ChannelOpen]: method(1, defs.ChannelOpenOk, { channelId: Buffer.alloc(0) }),
      [defs.BasicConsume]: method(1, defs.BasicConsumeOk, { consumerTag: 'bench' }),
      [defs.BasicPublish]: delivery,
    };
    const METHOD_FRAME = 1;
    const methodOf = (chunk) => chunk.readUInt16BE(7) * 65_536 + chunk.readUInt16BE(9);
    const socket = new MemorySocket((chunk) => {
      if (chunk.subarray(0, 4).toString() === 'AMQP') return method(0, defs.ConnectionStart, start);
      return chunk[0] === METHOD_FRAME ? replies[methodOf(chunk)] : undefined;
    });
    const connection = new Connection(socket);
    const options = {
      clientProperties: {},
      mechanism: 'PLAIN',
      response: Buffer.from('\0guest\0guest'),
      locale: 'en_US',
      channelMax: 0,
      frameMax: 0x1000,
      heartbeat: 0,
      virtualHost: '/',
      capabilities: '',
      insist: 0,
    };
    await new Promise((resolve, reject) => connection.open(options, (error) => (error ? reject(error) : resolve())));
    const channel = await new ChannelModel(connection).createChannel();
    let delivered;
    await channel.consume('orders', () => delivered(), { noAck: true });
    return () =>
      new Promise((resolve) => {
        delivered = resolve;
        channel.sendToQueue('orders', content);
      });
  },
};

async function main() {
  const call = await libraries[process.env.LIBRARY]();
  ready({}, async (count) => {
    for (let i = 1; i <= count; i++) {
      await call();
      // Sockets in memory never wait: without this, nobody's timers would fire.
      if (i % 32 === 0) await turn();
    }
  });
}

main();
