// node:http, server and client, of one process.
const http = require('node:http');
const { CLOSED_PORT, event, ignore, leftBehind } = require('./tools.cjs');

module.exports = () => requests(http, http.createServer());

/** Of `http` and `https`. */
async function requests(library, server, options = {}) {
  server.on('request', answer).on('upgrade', (_request, socket) => {
    socket.on('error', ignore).end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n');
  });
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    answer(request, response);
  });
  server.on('clientError', (_error, socket) => socket.destroy()).on('error', ignore);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const agent = new library.Agent({ keepAlive: true, ...options });

  const ask = (path, more = {}) =>
    library.request({ port, host: '127.0.0.1', path, agent, ...options, ...more }).on('error', ignore);
  const answered = async (request) => {
    const { name, value } = await event(request, 'response', 'error');
    if (name === 'error') throw value;
    return value;
  };
  const read = async (request, status = 200) => {
    const response = await answered(request);
    if (response.statusCode !== status) throw new Error(`answered ${response.statusCode}`);
    response.resume();
    await event(response, 'end');
  };
  const closed = (request) => event(request, 'close');
  const destroy = (stream) => stream.destroy();
  const unread = leftBehind(destroy);
  const unended = leftBehind(destroy);
  const unanswered = leftBehind(destroy);

  const variants = {
    get: () => read(ask('/').end()),
    post: () => read(ask('/echo', { method: 'POST' }).end('a body')),
    'error status': () => read(ask('/broken').end(), 500),
    continued: async () => {
      const request = ask('/echo', { method: 'POST', headers: { expect: '100-continue' } });
      request.flushHeaders();
      await event(request, 'continue');
      request.end('a body');
      await read(request);
    },
    upgraded: async () => {
      const request = ask('/', { headers: { connection: 'upgrade', upgrade: 'test' }, agent: false }).end();
      const [, socket] = await new Promise((resolve, reject) => {
        request.on('upgrade', (...args) => resolve(args)).on('error', reject);
      });
      socket.on('error', ignore).destroy();
    },
    'aborted before the answer': async () => {
      const request = ask('/never').end();
      await event(request, 'finish');
      request.destroy();
      await closed(request);
    },
    'aborted by a signal': async () => {
      const controller = new AbortController();
      const request = ask('/never', { signal: controller.signal }).end();
      await event(request, 'finish');
      controller.abort();
      await closed(request);
    },
    'aborted in the body': async () => {
      const request = ask('/half').end();
      const response = await answered(request);
      response.on('error', ignore).destroy();
      await closed(request);
    },
    'cut off by the server': async () => {
      const request = ask('/cut').end();
      await closed(request);
    },
    refused: async () => {
      const request = ask('/', { port: CLOSED_PORT, agent: false }).end();
      await closed(request);
    },
    'timed out': async () => {
      const request = ask('/never', { timeout: 1 }).end();
      await event(request, 'timeout');
      request.destroy();
      await closed(request);
    },
    'never read': async () => unread((await answered(ask('/half').end())).on('error', ignore)),
    'never ended request': async () => {
      const request = ask('/echo', { method: 'POST' });
      request.write('a part');
      unended(request);
      await new Promise(setImmediate);
    },
    'never ended answer': async () => {
      unanswered(ask('/never').end());
      await new Promise(setImmediate);
    },
  };
  return {
    variants,
    close() {
      agent.destroy();
      server.close();
    },
  };
}

function answer(request, response) {
  request.on('error', ignore);
  response.on('error', ignore);
  switch (request.url) {
    case '/never':
      return;
    case '/cut':
      request.socket.destroy();
      return;
    case '/half':
      response.write('half of it');
      return;
    case '/broken':
      response.writeHead(500).end();
      return;
    case '/echo':
      request.pipe(response);
      return;
    default:
      response.end('hello');
  }
}

module.exports.requests = requests;
