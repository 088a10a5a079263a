// ES modules. Takes orders: reserves the goods (gRPC), has them paid (fetch), keeps the order (MySQL) and tells
// shipping about it (RabbitMQ, where there is one).
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import amqp from 'amqplib';
import mysql from 'mysql2/promise';

const { AMQP_URL, MYSQL_URL, PAYMENT_URL, PORT, SHIPPING_QUEUE, STOCK_ADDRESS } = process.env;

const database = mysql.createPool(MYSQL_URL);
const proto = protoLoader.loadSync(fileURLToPath(new URL('stock.proto', import.meta.url)));
const { shop } = grpc.loadPackageDefinition(proto);
const stock = new shop.Stock(STOCK_ADDRESS, grpc.credentials.createInsecure());
const reserve = promisify(stock.reserve.bind(stock));
const release = promisify(stock.release.bind(stock));
await promisify(stock.waitForReady.bind(stock))(Date.now() + 10_000);
const channel = AMQP_URL && (await (await amqp.connect(AMQP_URL)).createChannel());

const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  const { status, ...answer } = await place(JSON.parse(text)).catch(({ message }) => ({ status: 500, error: message }));
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
});

async function place({ id, price, card }) {
  const goods = { product: id, quantity: 1 };
  try {
    await reserve(goods);
  } catch (error) {
    if (error.code === grpc.status.RESOURCE_EXHAUSTED) return { status: 409, error: error.details };
    throw error;
  }
  const payment = await fetch(`${PAYMENT_URL}/charges`, { method: 'POST', body: JSON.stringify({ card }) });
  const { error } = await payment.json();
  if (!payment.ok) {
    await release(goods);
    return { status: 502, error };
  }
  const [{ insertId }] = await database.query('INSERT INTO orders (product, price) VALUES (?, ?)', [id, price]);
  if (channel) channel.sendToQueue(SHIPPING_QUEUE, Buffer.from(JSON.stringify({ order: insertId })));
  return { status: 201, order: insertId };
}

server.listen(Number(PORT ?? 0), '127.0.0.1', () => {
  console.log(`orders listens on http://127.0.0.1:${server.address().port}`);
});
