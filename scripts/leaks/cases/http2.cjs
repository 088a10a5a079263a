// node:http2, server and client, the core API and that of `http`.
const http2 = require('node:http2');
const { event, ignore, leftBehind } = require('./tools.cjs');

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR } = http2.constants;

const REQUESTS = 1_600;

module.exports = async () => {
  const core = await listen((server) => server.on('stream', answer));
  const compatible = await listen((server) =>
    server.on('request', (request, response) => {
      request.resume();
      response.on('error', ignore);
      if (request.url === '/never') return;
      response.statusCode = request.url === '/broken' ? 500 : 200;
      response.end('hello');
    }),
  );
  const connect = ({ url }) => http2.connect(url).on('error', ignore);
  // By then all that was left behind on it is gone.
  const retired = leftBehind((session) => session.destroy(), 3);
  /** A session, and after so many requests another: a server locks out clients that have cancelled a thousand. */
  const sessions = (to) => {
    let session = connect(to);
    let requests = 0;
    return () => {
      if (++requests % REQUESTS === 0) {
        retired(session);
        session = connect(to);
      }
      return session;
    };
  };
  const session = sessions(core);
  const other = sessions(compatible);

  const ask = (path, on = session(), headers = {}) => on.request({ ':path': path, ...headers }).on('error', ignore);
  const read = async (stream) => {
    const { name, value } = await event(stream, 'response', 'close');
    if (name === 'close') throw new Error('closed without an answer');
    stream.resume();
    await event(stream, 'close');
    return value[':status'];
  };
  const cancel = (stream) => stream.close(NGHTTP2_CANCEL);
  const unread = leftBehind(cancel);
  const unended = leftBehind(cancel);
  const unanswered = leftBehind(cancel);

  const variants = {
    get: () => read(ask('/')),
    post: async () => {
      const stream = ask('/echo', session(), { ':method': 'POST' });
      stream.end('a body');
      await read(stream);
    },
    'error status': () => read(ask('/broken')),
    'reset by the server': () => event(ask('/reset'), 'close'),
    'aborted before the answer': async () => {
      const stream = ask('/never');
      await new Promise(setImmediate);
      cancel(stream);
      await event(stream, 'close');
    },
    'aborted in the body': async () => {
      const stream = ask('/half');
      await event(stream, 'response');
      stream.destroy();
      await event(stream, 'close');
    },
    'aborted by a signal': async () => {
      const controller = new AbortController();
      const stream = session().request({ ':path': '/never' }, { signal: controller.signal }).on('error', ignore);
      await new Promise(setImmediate);
      controller.abort();
      if (!stream.closed) await event(stream, 'close');
    },
    'never read': async () => {
      const stream = ask('/half');
      await event(stream, 'response');
      unread(stream);
    },
    'never ended request': async () => {
      const stream = ask('/echo', session(), { ':method': 'POST' });
      stream.write('a part');
      unended(stream);
      await new Promise(setImmediate);
    },
    'never ended answer': async () => {
      unanswered(ask('/never'));
      await new Promise(setImmediate);
    },
    'compatible get': () => read(ask('/', other())),
    'compatible error': () => read(ask('/broken', other())),
    'compatible aborted': async () => {
      const stream = ask('/never', other());
      await new Promise(setImmediate);
      cancel(stream);
      await event(stream, 'close');
    },
    'session of its own': {
      rare: true,
      async run() {
        const own = connect(core);
        await read(ask('/', own));
        const stream = ask('/never', own);
        own.destroy();
        if (!stream.closed) await event(stream, 'close');
      },
    },
  };
  return {
    variants,
    close() {
      for (const open of [session(), other()]) open.destroy();
    },
  };
};

function answer(stream, headers) {
  stream.on('error', ignore);
  switch (headers[':path']) {
    case '/never':
      stream.resume();
      return;
    case '/reset':
      stream.close(NGHTTP2_INTERNAL_ERROR);
      return;
    case '/half':
      stream.respond();
      stream.write('half of it');
      return;
    case '/broken':
      stream.respond({ ':status': 500 });
      stream.end();
      return;
    case '/echo':
      stream.respond();
      stream.pipe(stream);
      return;
    default:
      stream.respond();
      stream.end('hello');
  }
}

async function listen(set) {
  const server = set(http2.createServer()).on('sessionError', ignore);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}` };
}
