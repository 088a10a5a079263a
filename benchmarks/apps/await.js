// Awaits as often as it is told, in a request that is being answered, as the code of an application does. STORAGE=1 does it
// in an AsyncLocalStorage of the application's own.
const http = require('node:http');
const { AsyncLocalStorage } = require('node:async_hooks');
const { ready } = require('./measure.js');

const storage = process.env.STORAGE === '1' ? new AsyncLocalStorage() : undefined;

const server = http.createServer((_request, response) => {
  const answer = async () => {
    // The request goes on for as long as the process: what is active in it stays so.
    ready({}, async (count) => {
      for (let i = 0; i < count; i++) await i;
    });
    response.flushHeaders();
  };
  if (storage === undefined) answer();
  else storage.run({}, answer);
});
server.listen(0, '127.0.0.1', () => http.get({ port: server.address().port, host: '127.0.0.1' }));
