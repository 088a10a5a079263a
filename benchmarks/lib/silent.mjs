// A process that stands for a collector that hangs: it takes connections and what is sent, and never answers.
import { createServer } from 'node:net';

const server = createServer((socket) => socket.on('error', () => {}).resume());
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));

process.on('disconnect', () => process.exit());
