// A process that sends HTTP requests over keep-alive connections, on bare sockets: the less it needs, the more of the
// machine is left to the server. Connections stay open between two messages.
//
//   { port, count }                  so many requests, each connection sends its next when the last was answered
//   { port, perSecond, durationMs }  requests at random times, whether the others were answered or not, and how long each took
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
let next = 0;

/** By port: connections without a request. */
const idle = new Map();

process.on('message', async (message) => {
  process.send(message.count === undefined ? await sendAtRate(message) : await sendAll(message));
});
process.on('disconnect', () => process.exit());
process.send({});

async function sendAll({ port, count }) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await request(port);
  };
  const answered = Promise.all(Array.from({ length: CONNECTIONS }, worker));
  await staysAwake(answered);
  return { count };
}

/** Waking a process that sleeps is charged to whoever writes to it: the slower the server, the more often it would pay. */
async function staysAwake(promise) {
  let isOver = false;
  const spin = () => isOver || setImmediate(spin);
  spin();
  await promise.finally(() => {
    isOver = true;
  });
}

/** Arrivals are independent of each other, as those of many users are. */
async function sendAtRate({ port, perSecond, durationMs }) {
  const meanMs = 1000 / perSecond;
  const startMs = performance.now();
  const latenciesMs = [];
  const under = [];
  let dueMs = startMs;
  await new Promise((resolve) => {
    const look = () => {
      const nowMs = performance.now();
      for (; dueMs <= nowMs; dueMs += meanMs * -Math.log(1 - Math.random())) {
        // Since the request was due: a server that makes others wait is not spared them.
        const due = dueMs;
        under.push(request(port).then(() => latenciesMs.push(performance.now() - due)));
      }
      if (nowMs - startMs >= durationMs) resolve();
      else setImmediate(look);
    };
    look();
  });
  await Promise.all(under);
  return { latenciesMs };
}

async function request(port) {
  const connection = idle.get(port)?.pop() ?? (await open(port));
  await new Promise((resolve, reject) => {
    connection.onAnswer = resolve;
    connection.onError = reject;
    connection.socket.write(requests[next++ % requests.length]);
  });
  connection.onError = undefined;
  idle.get(port)?.push(connection);
}

function open(port) {
  if (!idle.has(port)) idle.set(port, []);
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const connection = { socket, size: 0, received: 0, onAnswer: undefined, onError: reject };
    socket.setNoDelay(true).on('connect', () => resolve(connection));
    // A server that was stopped between two messages is none of the next one's.
    socket
      .on('error', (error) => connection.onError?.(error))
      .on('close', () => {
        connection.onError?.(new Error(`the server on port ${port} closed the connection`));
        idle.delete(port);
      });
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

function responseSize(chunk) {
  const text = chunk.toString('latin1');
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text);
  const head = text.indexOf('\r\n\r\n');
  if (!text.startsWith('HTTP/1.1 200 ') || length === null || head < 0) throw new Error(`unexpected answer: ${text}`);
  return head + 4 + Number(length[1]);
}
