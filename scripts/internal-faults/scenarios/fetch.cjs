const http = require('node:http');
const undici = require('undici');
const { once, outcome, without } = require('./tools.cjs');

exports.start = async () => {
  let handled = [];
  let gone = [];
  const server = http.createServer((request, response) => {
    const { host, ...headers } = without(request.headers);
    let body = '';
    request.setEncoding('utf8').on('data', (chunk) => {
      body += chunk;
    });
    const entry = { method: request.method, url: request.url, headers: Object.keys(headers) };
    handled.push(entry);
    if (request.url === '/hang') {
      gone.push(once(response, 'close'));
      request.resume();
      return;
    }
    request.on('end', () => {
      entry.body = body;
      if (request.url === '/redirect') return response.writeHead(302, { location: '/target' }).end();
      if (request.url === '/broken') return response.writeHead(500).end('broken');
      if (request.url === '/cut') return response.destroy();
      response.setHeader('x-method', request.method);
      response.end(`hello ${request.url} ${body}`);
    });
  });
  server.on('upgrade', (request, socket) => {
    handled.push({ upgrade: request.url });
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi');
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${server.address().port}`;
  const read = async (response) => ({
    status: response.status,
    redirected: response.redirected,
    url: response.url.replace(base, ''),
    type: response.type,
    method: response.headers.get('x-method'),
    text: await response.text(),
  });
  const failed = (error) => {
    const { name, message, cause } = error;
    return { name, message, cause: cause && `${cause.name} ${cause.code} ${cause.message}`.replace(base, '') };
  };
  const go = (...args) => fetch(...args).then(read, failed);
  const dispatcher = new undici.Agent({ connections: 1, keepAliveTimeout: 60_000 });
  const pooled = { dispatcher };

  return {
    async round(seen) {
      handled = [];
      gone = [];
      const headers = { 'X-Own': '1' };
      seen.get = await go(`${base}/hello`, { headers });
      seen.headers = headers;
      seen.post = await go(new Request(`${base}/post`, { method: 'POST', body: 'some text' }));
      seen.redirect = await go(`${base}/redirect`);
      seen.broken = await go(`${base}/broken`);
      seen.cut = await go(`${base}/cut`);
      seen.refused = await go('http://127.0.0.1:1/');
      seen.invalid = await go('no url');
      seen.aborted = await (async () => {
        const controller = new AbortController();
        const answer = go(`${base}/hang`, { signal: controller.signal });
        while (handled.at(-1)?.url !== '/hang') await new Promise(setImmediate);
        controller.abort();
        return answer;
      })();
      seen.before = await go(`${base}/never`, { signal: AbortSignal.abort() });
      await Promise.all(gone);
      seen.together = (await Promise.all([1, 2, 3].map((i) => go(`${base}/${i}`)))).map(({ text }) => text);

      const text = async ({ statusCode, headers: { date, ...fields }, body }) => ({
        statusCode,
        fields,
        text: await body.text(),
      });
      seen.request = await outcome(
        undici.request(`${base}/request`, { ...pooled, method: 'PUT', body: 'x', headers: ['x-own', '1'] }),
        text,
      );
      seen.requestBroken = await outcome(undici.request(`${base}/broken`, { ...pooled, throwOnError: true }), text);
      seen.stream = await outcome(async () => {
        const chunks = [];
        const { Writable } = require('node:stream');
        const sink = ({ opaque }) =>
          new Writable({
            write: (chunk, _encoding, done) => {
              opaque.push(String(chunk));
              done();
            },
          });
        await undici.stream(`${base}/stream`, { ...pooled, opaque: chunks, method: 'GET' }, sink);
        return chunks.join('');
      });
      seen.callback = await new Promise((resolve) => {
        let times = 0;
        dispatcher.request({ origin: base, path: '/callback', method: 'GET' }, async (error, data) => {
          times++;
          resolve({ times, error, text: await data?.body.text() });
        });
      });
      seen.upgrade = await outcome(undici.upgrade(`${base}/upgrade`, { protocol: 'echo' }), async ({ socket }) => {
        const [data] = await once(socket, 'data');
        socket.destroy();
        return String(data);
      });
      seen.handler = await new Promise((resolve) => {
        const calls = [];
        dispatcher.dispatch(
          { origin: base, path: '/handler', method: 'GET' },
          {
            onConnect: () => calls.push('connect'),
            onHeaders: (status) => calls.push(['headers', status]) > 0,
            onData: (chunk) => calls.push(['data', String(chunk)]) > 0,
            onComplete: () => resolve([...calls, 'complete']),
            onError: (error) => resolve([...calls, String(error)]),
          },
        );
      });
      seen.dispatchInvalid = await outcome(
        () => dispatcher.request({ origin: base, path: 'no slash', method: 'GET' }),
        text,
      );
      seen.handled = handled;
    },
    async stop() {
      await dispatcher.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
