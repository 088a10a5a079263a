// CommonJS. Knows the products and their prices, from PostgreSQL.
const http = require('node:http');
const { Pool } = require('pg');

const database = new Pool({ connectionString: process.env.POSTGRES_URL });

const server = http.createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, 'http://localhost');
    const [, collection, id] = pathname.split('/');
    const found = collection === 'products' && (id === undefined ? await all() : await one(id));
    reply(response, found ? 200 : 404, found || { error: 'not found' });
  } catch (error) {
    reply(response, 500, { error: error.message });
  }
});

async function all() {
  const { rows } = await database.query('SELECT id, price FROM products ORDER BY id');
  return rows;
}

async function one(id) {
  const { rows } = await database.query('SELECT id, price FROM products WHERE id = $1', [id]);
  return rows[0];
}

function reply(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`catalog listens on http://127.0.0.1:${server.address().port}`);
});
