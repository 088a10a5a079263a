// A server that answers with a few bytes.
const http = require('node:http');
const { ready } = require('./measure.js');

const server = http.createServer((_request, response) => {
  const body = '{"hello":"world"}';
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
});
// The load generator's connections rest while others are measured.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => ready({ port: server.address().port }));
