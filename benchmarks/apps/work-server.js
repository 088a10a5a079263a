// A server that works for a third of a millisecond on each request, as much as one that renders or validates something.
const http = require('node:http');
const { ready } = require('./measure.js');

const orders = Array.from({ length: 120 }, (_, i) => ({
  id: i,
  name: `order ${i}`,
  lines: Array.from({ length: 6 }, (_, n) => ({ article: `article ${n * i}`, price: n * 1.5, count: n + 1 })),
}));

function work() {
  const copy = JSON.parse(JSON.stringify(orders));
  let sum = 0;
  for (const { lines } of copy) for (const { price, count } of lines) sum += price * count;
  return sum;
}

const server = http.createServer((_request, response) => {
  const body = JSON.stringify({ sum: work() });
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => ready({ port: server.address().port }));
