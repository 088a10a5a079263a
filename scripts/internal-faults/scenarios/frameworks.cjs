// One framework of test/e2e/fixtures/routes/, in the working directory, that answers all that those are asked.
const { createRequire } = require('node:module');
const net = require('node:net');
const { pathToFileURL } = require('node:url');
const { once, outcome } = require('./tools.cjs');

const fixtures = '../../../test/e2e/fixtures/routes';
const { REQUESTS } = require(`${fixtures}/requests.cjs`);

exports.start = async (framework) => {
  const require = createRequire(`${process.cwd()}/load.cjs`);
  const load = async (name) => {
    try {
      return require(name);
    } catch (error) {
      if (error.code !== 'ERR_REQUIRE_ESM' && error.code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw error;
      return (await import(pathToFileURL(`${process.cwd()}/load.mjs`).href)).load(name);
    }
  };
  // Some print the errors that they answer with.
  for (const name of ['log', 'error', 'warn']) console[name] = () => {};
  const server = await module.require(`${fixtures}/${framework}.cjs`).start(load, process.env.VERSION);
  const { port } = server.address();

  const ask = async (method, path) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.setEncoding('latin1').on('data', (chunk) => {
      text += chunk;
    });
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    await once(socket, 'close');
    return text.replace(/\r\nDate: [^\r]*/i, '');
  };

  return {
    async round(seen) {
      for (const [id, method, path] of REQUESTS) seen[id] = await outcome(ask(method, path));
      seen.listeners = server.eventNames().map((name) => [String(name), server.listenerCount(name)]);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
