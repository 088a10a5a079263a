const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const { events, failure, once, outcome, without } = require('./tools.cjs');

const REQUEST_EVENTS = [
  'socket',
  'response',
  'error',
  'abort',
  'timeout',
  'close',
  'finish',
  'upgrade',
  'information',
  'continue',
];

exports.start = async () => {
  let handled = [];
  let gone = [];
  const server = http.createServer((request, response) => {
    const list = events(response, ['finish', 'close', 'error']);
    const own = events(request, ['end', 'close', 'aborted', 'error']);
    const entry = { method: request.method, url: request.url, headers: without(request.headers), list, own };
    handled.push(entry);
    switch (request.url) {
      case '/echo': {
        const chunks = [];
        request.on('data', (chunk) => chunks.push(chunk));
        request.on('end', () => response.end(Buffer.concat(chunks)));
        return;
      }
      case '/broken':
        response.writeHead(500).end('broken');
        return;
      case '/cut':
        response.write('half');
        setImmediate(() => response.destroy());
        return;
      case '/hang':
        request.resume();
        gone.push(once(response, 'close'));
        return;
      case '/async':
        (async () => {
          let body = '';
          for await (const chunk of request) body += chunk;
          response.setHeader('x-length', body.length);
          response.end(body.toUpperCase());
        })();
        return;
      default:
        response.setHeader('content-type', 'text/plain');
        response.end(`hello ${request.url}`);
    }
  });
  server.on('upgrade', (request, socket) => {
    handled.push({ upgrade: request.url });
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  server.on('connect', (request, socket) => {
    handled.push({ connect: request.url });
    socket.end('HTTP/1.1 200 OK\r\n\r\nbye');
  });
  server.on('checkContinue', (request, response) => {
    handled.push({ checkContinue: request.url });
    response.writeContinue();
    server.emit('request', request, response);
  });
  server.on('clientError', (error, socket) => {
    handled.push({ clientError: error.code });
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  // For ever: a connection that ends between two rounds would be a difference.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const at = { host: '127.0.0.1', port, agent };

  const ask = async (options, body, on = () => {}) => {
    const before = JSON.stringify({ ...options, agent: undefined });
    let callbacks = 0;
    const request = http.request(options, () => callbacks++);
    const list = events(request, REQUEST_EVENTS);
    on(request);
    const answered = new Promise((resolve) => {
      request.once('response', async (response) => {
        const own = events(response, ['end', 'aborted', 'error']);
        const closed = once(response, 'close');
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        await closed;
        const { date, ...headers } = response.headers;
        resolve({ status: response.statusCode, headers, text, own });
      });
      request.once('close', () => setImmediate(resolve));
    });
    request.end(body);
    const answer = await answered;
    await ((request.closed ?? request.destroyed) ? undefined : once(request, 'close'));
    const unchanged = JSON.stringify({ ...options, agent: undefined }) === before;
    return { callbacks, list, answer, unchanged, listeners: request.listenerCount('response') };
  };

  return {
    async round(seen) {
      handled = [];
      gone = [];
      seen.get = await ask({ ...at, path: '/hello?a=1', headers: { 'X-Own': '1' } });
      seen.list = await ask({ ...at, path: '/list', headers: ['x-own', '1', 'Host', 'example.test'] });
      seen.post = await ask({ ...at, path: '/echo', method: 'POST' }, 'some text');
      seen.async = await ask({ ...at, path: '/async', method: 'PUT' }, 'some text');
      seen.broken = await ask({ ...at, path: '/broken' });
      seen.cut = await ask({ ...at, path: '/cut', agent: false });
      seen.expect = await ask({ ...at, path: '/echo', method: 'POST', headers: { Expect: '100-continue' } }, 'x');
      seen.destroyed = await ask({ ...at, path: '/hang', agent: false }, undefined, (request) => {
        request.on('finish', () => setImmediate(() => request.destroy(new Error('no more'))));
      });
      seen.aborted = await (async () => {
        const controller = new AbortController();
        controller.abort();
        return ask({ ...at, path: '/never', agent: false, signal: controller.signal });
      })();
      seen.timeout = await ask({ ...at, path: '/hang', agent: false }, undefined, (request) => {
        request.on('timeout', () => request.destroy());
        request.on('finish', () => request.setTimeout(1));
      });
      await Promise.all(gone);
      seen.refused = await ask({ host: '127.0.0.1', port: 1, path: '/' });
      seen.invalid = await outcome(() => http.request({ ...at, path: '/a b' }));
      seen.invalidSecure = await outcome(() => https.get('https://127.0.0.1:1/', { path: 'a b' }));
      seen.secure = await new Promise((resolve) =>
        https.get('https://127.0.0.1:1/').on('error', (error) => resolve(failure(error))),
      );
      seen.plain = await new Promise((resolve) =>
        http.get(`http://127.0.0.1:${port}/plain`, (response) =>
          response.resume().on('end', () => resolve(response.statusCode)),
        ),
      );
      seen.upgrade = await new Promise((resolve) => {
        const request = http.request({
          ...at,
          agent: false,
          path: '/socket',
          headers: { Connection: 'Upgrade', Upgrade: 'echo' },
        });
        request.on('upgrade', (response, socket) => {
          socket.once('data', (data) => {
            socket.end();
            socket.once('close', () => resolve([response.statusCode, String(data)]));
          });
          socket.write('ping');
        });
        request.on('error', (error) => resolve(failure(error)));
        request.end();
      });
      seen.connect = await new Promise((resolve) => {
        const request = http.request({ ...at, agent: false, method: 'CONNECT', path: 'example.test:80' });
        request.on('connect', (response, socket, head) => {
          let text = String(head);
          socket.on('data', (data) => {
            text += data;
          });
          socket.on('close', () => resolve([response.statusCode, text]));
          socket.end();
        });
        request.on('error', (error) => resolve(failure(error)));
        request.end();
      });
      seen.garbage = await new Promise((resolve) => {
        let text = '';
        const socket = net.connect(port, '127.0.0.1', () => socket.write('NOT HTTP\r\n\r\n'));
        socket.on('data', (data) => {
          text += data;
        });
        socket.on('close', () => resolve(text));
      });
      seen.handled = handled.map(({ headers, ...entry }) => ({ ...entry, headers: headers && Object.keys(headers) }));
      seen.listeners = server.eventNames().map((name) => [String(name), server.listenerCount(name)]);
    },
    async stop() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
