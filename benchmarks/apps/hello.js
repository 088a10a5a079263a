// A server that answers with a few bytes, and the process's CPU time when it is asked for it.
const http = require('node:http');

const server = http.createServer((_request, response) => {
  const body = '{"hello":"world"}';
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));

process.on('message', async () => {
  // What has been recorded has to be paid for, exporting included.
  await globalThis[Symbol.for('hookline')]?.flush(10_000);
  const { user, system } = process.cpuUsage();
  process.send({ user, system, dropped: globalThis[Symbol.for('hookline')]?.status().export.dropped });
});
process.on('disconnect', () => process.exit());
