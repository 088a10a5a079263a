const http = require('node:http');
const { createRequire } = require('node:module');
const { events, once } = require('./tools.cjs');

const ws = createRequire(`${process.cwd()}/load.cjs`)('ws');

exports.start = async () => {
  const server = http.createServer((_request, response) => response.end('plain'));
  const chat = new ws.WebSocketServer({ noServer: true, path: '/chat' });
  const any = new ws.WebSocketServer({ noServer: true });
  let served = [];
  server.on('upgrade', (request, socket, head) => {
    const own = request.url.startsWith('/any') ? any : chat;
    own.handleUpgrade(request, socket, head, (client) => {
      served.push(events(client, ['close', 'error']));
      client.on('message', (data) => client.send(`${data}!`));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const talk = async (path) => {
    const client = new ws.WebSocket(`ws://127.0.0.1:${server.address().port}${path}`);
    const list = events(client, ['open', 'message', 'unexpected-response', 'error', 'close']);
    client.on('open', () => client.send('hello'));
    client.on('message', () => client.close());
    client.on('unexpected-response', () => client.terminate());
    await once(client, 'close');
    return list;
  };

  return {
    async round(seen) {
      served = [];
      seen.chat = await talk('/chat?room=1');
      seen.any = await talk('/any/7');
      seen.refused = await talk('/chat/8');
      while (served.flat().length < 2) await new Promise(setImmediate);
      seen.served = served;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
