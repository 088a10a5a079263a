// The global fetch, and undici's own ways, against a server on sockets: what is measured is the client.
const { createServer } = require('node:net');
const { CLOSED_PORT, event, failing, ignore, leftBehind, load } = require('./tools.cjs');

module.exports = async () => {
  const undici = load('undici');
  const server = createServer((socket) => {
    socket.on('error', ignore).on('data', (bytes) => {
      const [line] = bytes.toString('latin1').split('\r\n', 1);
      const path = /^(?:GET|POST) (\S+)/.exec(line)?.[1];
      if (path === '/never' || path === undefined) return;
      if (path === '/cut') socket.destroy();
      else if (path === '/half') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it');
      else if (path === '/broken') socket.write('HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n');
      else if (path === '/away') socket.write('HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n');
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const nobody = `http://127.0.0.1:${CLOSED_PORT}/`;
  const pool = new undici.Pool(url, { connections: 50 });
  const ask = (path, options = {}) => pool.request({ path, method: 'GET', ...options });

  const aborted = (start, path) => async () => {
    const controller = new AbortController();
    const asked = start(path, controller.signal);
    setImmediate(() => controller.abort());
    await failing(asked);
  };
  const left = leftBehind((controller) => controller.abort());
  const never = (start, path) => async () => {
    const controller = new AbortController();
    left(controller);
    const asked = start(path, controller.signal);
    if (path === '/never') asked.catch(ignore);
    else await asked;
    await new Promise(setImmediate);
  };
  const fetching = (path, signal) => fetch(url + path, { signal });
  const requesting = async (path, signal) => {
    const answer = await ask(path, { signal });
    // Without a listener, an abort is an unhandled error of the stream.
    answer.body.on('error', ignore);
    return answer;
  };

  const variants = {
    fetch: async () => (await fetch(`${url}/`)).text(),
    'fetch, posted': async () => (await fetch(`${url}/`, { method: 'POST', body: 'a body' })).text(),
    'fetch, error status': async () => (await fetch(`${url}/broken`)).text(),
    'fetch, redirected': async () => (await fetch(`${url}/away`)).text(),
    'fetch, refused': () => failing(fetch(nobody)),
    'fetch, cut off by the server': () => failing(fetch(`${url}/cut`)),
    'fetch, aborted before the answer': aborted(fetching, '/never'),
    'fetch, cancelled in the body': async () => (await fetch(`${url}/half`)).body.cancel(),
    'fetch, never read': never(fetching, '/half'),
    'fetch, never answered': never(fetching, '/never'),
    request: async () => (await ask('/')).body.text(),
    'request, error status': async () => (await ask('/broken')).body.text(),
    'request, cut off by the server': () => failing(ask('/cut')),
    'request, aborted before the answer': aborted(requesting, '/never'),
    'request, destroyed in the body': async () => {
      const { body } = await ask('/half');
      body.on('error', ignore).destroy();
      if (!body.closed) await event(body, 'close');
    },
    'request, never read': never(requesting, '/half'),
    'request, never answered': never(requesting, '/never'),
    stream: async () => {
      const { Writable } = require('node:stream');
      await pool.stream(
        { path: '/', method: 'GET' },
        () => new Writable({ write: (_chunk, _encoding, done) => done() }),
      );
    },
  };
  return {
    variants,
    async close() {
      await pool.destroy();
      server.close();
    },
  };
};
