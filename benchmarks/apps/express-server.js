// An Express server that makes one query of a pool per request; LIBRARY says of which, URL of which server.
const express = require('express');
const { ready } = require('./measure.js');
const { queries } = require('./calls.js');

async function main() {
  const query = await queries[process.env.LIBRARY]();
  const app = express();
  app.get('/hello', async (_request, response) => {
    response.json(await query());
  });
  const server = app.listen(0, '127.0.0.1', () => ready({ port: server.address().port }));
  server.keepAliveTimeout = 0;
}

main();
