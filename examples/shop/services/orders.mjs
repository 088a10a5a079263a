// ES modules. Takes orders and has them paid.
import { createServer } from 'node:http';

const paymentUrl = process.env.PAYMENT_URL;

const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  const { id, card } = JSON.parse(text);
  const payment = await fetch(`${paymentUrl}/charges`, { method: 'POST', body: JSON.stringify({ card }) });
  const { error } = await payment.json();
  response.writeHead(payment.ok ? 201 : 502, { 'content-type': 'application/json' });
  response.end(JSON.stringify(payment.ok ? { ordered: id } : { error }));
});

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`orders listens on http://127.0.0.1:${server.address().port}`);
});
