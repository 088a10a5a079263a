// A process that sends HTTP requests over keep-alive connections, one at a time on each, on bare sockets: the less it
// needs, the more of the machine is left to the server.
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

process.on('message', async ({ port, count }) => {
  let left = count;
  const take = () => (left > 0 ? requests[left-- % requests.length] : undefined);
  await Promise.all(Array.from({ length: CONNECTIONS }, () => drive(port, take)));
  process.send({ count });
});
process.on('disconnect', () => process.exit());
process.send({});

function drive(port, take) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let size = 0;
    let received = 0;
    const send = () => {
      const request = take();
      if (request === undefined) socket.end(resolve);
      else socket.write(request);
    };
    socket.setNoDelay(true).on('connect', send).on('error', reject);
    socket.on('data', (chunk) => {
      // All answers have the size of the first.
      if (size === 0) size = responseSize(chunk);
      received += chunk.length;
      if (received < size) return;
      received = 0;
      send();
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
