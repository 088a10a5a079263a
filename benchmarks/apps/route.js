// Answers as many requests as it is told with a framework, without a network, and reports the CPU time that took. FRAMEWORK
// names it, PACKAGES is the folder it is installed in.
const http = require('node:http');
const { createRequire } = require('node:module');
const { Writable } = require('node:stream');

const { FRAMEWORK, PACKAGES } = process.env;
const load = createRequire(`${PACKAGES}/load.cjs`);
const PATHS = ['/api/v1/users/17', '/api/v1/users/18/posts/4', '/health'];

const frameworks = {
  async express() {
    const express = load('express');
    const v1 = express.Router();
    v1.get('/users/:id', (_request, response) => response.end('user'));
    v1.get('/users/:id/posts/:post', (_request, response) => response.end('post'));
    const app = express();
    for (let i = 0; i < 4; i++) app.use((_request, _response, next) => next());
    app.use('/api/v1', v1);
    app.get('/health', (_request, response) => response.end('well'));
    return app;
  },

  async fastify() {
    const app = load('fastify')();
    app.register(
      async (v1) => {
        v1.get('/users/:id', (_request, reply) => reply.send('user'));
        v1.get('/users/:id/posts/:post', (_request, reply) => reply.send('post'));
      },
      { prefix: '/api/v1' },
    );
    app.get('/health', (_request, reply) => reply.send('well'));
    await app.ready();
    return (request, response) => app.routing(request, response);
  },

  async koa() {
    const Koa = load('koa');
    const { Router = load('@koa/router') } = load('@koa/router');
    const router = new Router({ prefix: '/api/v1' });
    router.get('/users/:id', (ctx) => {
      ctx.body = 'user';
    });
    router.get('/users/:id/posts/:post', (ctx) => {
      ctx.body = 'post';
    });
    const app = new Koa();
    app.use(router.routes());
    app.use((ctx) => {
      ctx.body = 'well';
    });
    return app.callback();
  },
};

/** Takes everything and says so at once. */
class Sink extends Writable {
  remoteAddress = '127.0.0.1';
  remotePort = 4242;

  _write(_chunk, _encoding, callback) {
    callback();
  }

  setTimeout() {}
}

async function answer(server, path) {
  const socket = new Sink();
  const request = new http.IncomingMessage(socket);
  Object.assign(request, { method: 'GET', url: path, httpVersionMajor: 1, httpVersionMinor: 1, httpVersion: '1.1' });
  request.rawHeaders.push('Host', 'localhost');
  request.headers = { host: 'localhost' };
  request.push(null);
  const response = new http.ServerResponse(request);
  response.assignSocket(socket);
  await new Promise((resolve) => {
    response.on('finish', resolve);
    server.emit('request', request, response);
  });
}

frameworks[FRAMEWORK]().then((listener) => {
  const server = http.createServer(listener);
  process.on('message', async (count) => {
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) await answer(server, PATHS[i % PATHS.length]);
    // What has been recorded has to be paid for, exporting included.
    await globalThis[Symbol.for('hookline')]?.flush(10_000);
    const { user, system } = process.cpuUsage(before);
    process.send({ us: (user + system) / count });
  });
  process.send({});
});
process.on('disconnect', () => process.exit());
