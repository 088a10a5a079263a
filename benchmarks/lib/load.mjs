// A process that sends HTTP requests over keep-alive connections, one at a time on each, on bare sockets: the less it
// needs, the more of the machine is left to the server. Connections stay open between two messages.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const CONNECTIONS = 16;

/** Each request belongs to a sampled trace of its own, as behind a gateway. */
const requests = Array.from({ length: 1024 }, () => {
  const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
  return Buffer.from(
    `GET /hello?name=world HTTP/1.1\r\nhost: localhost:8080\r\nuser-agent: bench\r\naccept: */*\r\ntraceparent: ${traceparent}\r\n\r\n`,
  );
});

/** By port. */
const connections = new Map();

process.on('message', async ({ port, count }) => {
  if (!connections.has(port))
    connections.set(port, await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port))));
  let left = count;
  const take = () => (left > 0 ? requests[left-- % requests.length] : undefined);
  await Promise.all(connections.get(port).map((connection) => drive(connection, take)));
  process.send({ count });
});
process.on('disconnect', () => process.exit());
process.send({});

function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const connection = { socket, size: 0, received: 0, onAnswer: undefined, onError: reject };
    socket.setNoDelay(true).on('connect', () => resolve(connection));
    // A server that was stopped between two messages is none of the next one's.
    socket.on('error', (error) => connection.onError?.(error)).on('close', () => connections.delete(port));
    socket.on('data', (chunk) => {
      // All answers have the size of the first.
      if (connection.size === 0) connection.size = responseSize(chunk);
      connection.received += chunk.length;
      if (connection.received < connection.size) return;
      connection.received = 0;
      connection.onAnswer();
    });
  });
}

function drive(connection, take) {
  return new Promise((resolve, reject) => {
    connection.onError = reject;
    connection.onAnswer = () => {
      const request = take();
      if (request !== undefined) {
        connection.socket.write(request);
        return;
      }
      connection.onError = undefined;
      resolve();
    };
    connection.onAnswer();
  });
}

function responseSize(chunk) {
  const text = chunk.toString('latin1');
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text);
  const head = text.indexOf('\r\n\r\n');
  if (!text.startsWith('HTTP/1.1 200 ') || length === null || head < 0) throw new Error(`unexpected answer: ${text}`);
  return head + 4 + Number(length[1]);
}
