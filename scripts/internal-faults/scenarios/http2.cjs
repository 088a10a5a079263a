const http2 = require('node:http2');
const { events, failure, once, outcome, without } = require('./tools.cjs');

const STREAM_EVENTS = ['ready', 'response', 'headers', 'trailers', 'end', 'aborted', 'error', 'close', 'timeout'];

exports.start = async () => {
  let handled = [];
  let closed = [];
  const core = http2.createServer();
  core.on('stream', (stream, headers) => {
    const list = events(stream, ['end', 'finish', 'aborted', 'error', 'wantTrailers']);
    handled.push({ path: headers[':path'], method: headers[':method'], list });
    closed.push(once(stream, 'close'));
    switch (headers[':path']) {
      case '/echo':
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
        return;
      case '/broken':
        stream.resume();
        stream.respond({ ':status': 503 }, { endStream: true });
        return;
      case '/trailers':
        stream.resume();
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-after': 'all' }));
        stream.end('body');
        return;
      case '/reset':
        stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
        return;
      case '/hang':
        stream.resume();
        return;
      default:
        stream.resume();
        stream.respond({ ':status': 200, 'content-type': 'text/plain' });
        stream.end(`hello ${headers[':path']}`);
    }
  });
  const compat = http2.createServer((request, response) => {
    const own = events(request, ['end', 'aborted', 'close']);
    const list = events(response, ['finish', 'close']);
    handled.push({
      url: request.url,
      method: request.method,
      headers: Object.keys(without(request.headers)),
      own,
      list,
    });
    closed.push(once(request.stream, 'close'));
    let text = '';
    request.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      response.statusCode = 201;
      response.setHeader('x-length', text.length);
      response.end(text.toUpperCase());
    });
  });
  for (const server of [core, compat]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const [coreUrl, compatUrl] = [core, compat].map((server) => `http://127.0.0.1:${server.address().port}`);

  const ask = async (session, headers, { body, on = () => {}, ...options } = {}) => {
    const before = JSON.stringify(headers);
    const stream = session.request(headers, { endStream: body === undefined, ...options });
    const list = events(stream, STREAM_EVENTS);
    let text = '';
    let answer;
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    stream.on('response', ({ date, ...fields }) => {
      answer = fields;
    });
    on(stream);
    if (body !== undefined) stream.end(body);
    await once(stream, 'close');
    return { list, text, answer, code: stream.rstCode, unchanged: JSON.stringify(headers) === before };
  };

  /** Calls `then` once the server has the next stream. */
  const whenHandled = async (then) => {
    for (const { length } = handled; handled.length === length; ) await new Promise(setImmediate);
    then();
  };

  return {
    async round(seen) {
      handled = [];
      closed = [];
      const session = http2.connect(coreUrl);
      const list = events(session, ['connect', 'close', 'error', 'goaway']);
      seen.get = await ask(session, { ':path': '/hello', 'x-own': '1' });
      seen.post = await ask(session, { ':path': '/echo', ':method': 'POST' }, { body: 'some text' });
      seen.broken = await ask(session, { ':path': '/broken' });
      seen.trailers = await ask(session, { ':path': '/trailers' });
      seen.reset = await ask(session, { ':path': '/reset' });
      seen.cancelled = await ask(
        session,
        { ':path': '/hang' },
        {
          on: (stream) => whenHandled(() => stream.close(http2.constants.NGHTTP2_CANCEL)),
        },
      );
      seen.destroyed = await ask(
        session,
        { ':path': '/hang' },
        {
          on: (stream) => whenHandled(() => stream.destroy(new Error('no more'))),
        },
      );
      seen.signal = await (async () => {
        const controller = new AbortController();
        whenHandled(() => controller.abort());
        return ask(session, { ':path': '/hang' }, { signal: controller.signal });
      })();
      seen.invalid = await outcome(() => session.request({ ':path': '/', connection: 'close' }));
      seen.notHeaders = await outcome(() => session.request('text'));
      await new Promise((resolve) => session.close(resolve));
      seen.afterClose = await outcome(() => session.request({ ':path': '/' }));
      seen.session = list;

      const other = http2.connect(compatUrl);
      seen.compat = await ask(other, { ':path': '/compat', ':method': 'PUT' }, { body: 'some text' });
      seen.empty = await ask(other, undefined);
      await new Promise((resolve) => other.close(resolve));

      const refused = http2.connect('http://127.0.0.1:1');
      const failures = [];
      refused.on('error', (error) => failures.push(failure(error)));
      const never = refused.request({ ':path': '/' });
      never.on('error', (error) => failures.push(failure(error)));
      await once(never, 'close');
      seen.refused = failures;
      seen.badUrl = await outcome(() => http2.connect('no url'));
      seen.badServer = await outcome(() => http2.createServer('text'));
      await Promise.all(closed);
      seen.handled = handled;
    },
    async stop() {
      for (const server of [core, compat]) await new Promise((resolve) => server.close(resolve));
    },
  };
};
