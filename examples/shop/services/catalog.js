// CommonJS. Knows the products and their prices.
const http = require('node:http');

const products = { coffee: { price: 12 }, tea: { price: 8 }, mug: { price: 15 } };

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const [, collection, id] = pathname.split('/');
  const found = collection === 'products' && (id === undefined ? products : products[id]);
  response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(found || { error: 'not found' }));
});

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`catalog listens on http://127.0.0.1:${server.address().port}`);
});
