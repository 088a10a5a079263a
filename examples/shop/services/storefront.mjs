// ES modules. What the browser talks to: asks the catalog with fetch and the orders with http.request.
import http from 'node:http';

const catalogUrl = process.env.CATALOG_URL;
const ordersUrl = process.env.ORDERS_URL;

const server = http.createServer(async (request, response) => {
  try {
    if (request.method === 'GET') return forward(response, await fetch(`${catalogUrl}${request.url}`));
    const order = JSON.parse(await readText(request));
    const product = await fetch(`${catalogUrl}/products/${order.id}`);
    if (!product.ok) return forward(response, product);
    const { price } = await product.json();
    const { statusCode, text } = await post(`${ordersUrl}/orders`, { ...order, price });
    response.writeHead(statusCode, { 'content-type': 'application/json' }).end(text);
  } catch (error) {
    response.writeHead(500).end(error.message);
  }
});

async function forward(response, answer) {
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
}

function post(url, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST' }, async (response) => {
      resolve({ statusCode: response.statusCode, text: await readText(response) });
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

async function readText(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`storefront listens on http://127.0.0.1:${server.address().port}`);
});
