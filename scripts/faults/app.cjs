// A server that answers with a few bytes, and tells over IPC what it used and what became of its spans.
const http = require('node:http');

const faults = [];
process.on('uncaughtException', (error) => faults.push(String(error)));
process.on('unhandledRejection', (error) => faults.push(String(error)));
process.on('warning', (warning) => faults.push(String(warning)));

const server = http.createServer((_request, response) => response.end('{"hello":"world"}'));
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));

process.on('message', () => {
  const agent = globalThis[Symbol.for('hookline')];
  process.send({ faults, rss: process.memoryUsage().rss, export: agent?.status().export });
});
