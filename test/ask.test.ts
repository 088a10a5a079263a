import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { ask } from '../src/ask';

async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const LIMITS = { timeoutMs: 20_000, connectTimeoutMs: 300, maxResponseBytes: 256 * 1024 };

it('gives the body and headers of an answer', async () => {
  const url = await serve((request, response) => {
    response.setHeader('metadata-flavor', 'Google');
    response.end(`${request.method} ${request.url} ${request.headers['x-token']} ${request.headers['content-length']}`);
  });
  const got = await ask(`${url}/a?b=c`, { ...LIMITS, headers: { 'x-token': 't' } });
  expect(got.body).toBe('GET /a?b=c t undefined');
  expect(got.headers['metadata-flavor']).toBe('Google');
  expect((await ask(url, { ...LIMITS, method: 'PUT' })).body).toBe('PUT / undefined 0');
  expect((await ask(url, { ...LIMITS, body: '{}' })).body).toBe('POST / undefined 2');
});

it.each([404, 500, 301, 204])('rejects status %i', async (status) => {
  const url = await serve((_request, response) => response.writeHead(status, { location: '/' }).end());
  await expect(ask(url, LIMITS)).rejects.toThrow(`status ${status}`);
});

it('rejects more than it wants to hold', async () => {
  let closed: () => void;
  const isClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const url = await serve((_request, response) => {
    const chunk = Buffer.alloc(64 * 1024);
    const write = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', write);
    response.on('close', closed);
    write();
  });
  await expect(ask(url, LIMITS)).rejects.toThrow('more than 262144 bytes');
  await isClosed;
});

it('gives up on who never answers, or only in part', async () => {
  const silent = await serve(() => {});
  await expect(ask(silent, { ...LIMITS, timeoutMs: 50 })).rejects.toThrow('no answer in time');
  const partial = await serve((_request, response) => void response.write('a'));
  await expect(ask(partial, { ...LIMITS, timeoutMs: 50 })).rejects.toThrow('no answer in time');
});

it('rejects when nobody listens, or the connection breaks', async () => {
  const tcp = createTcpServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const { port } = tcp.address() as AddressInfo;
  await expect(ask(`http://127.0.0.1:${port}`, LIMITS)).rejects.toThrow();
  await new Promise((resolve) => tcp.close(resolve));
  await expect(ask(`http://127.0.0.1:${port}`, LIMITS)).rejects.toThrow('ECONNREFUSED');
  const broken = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': 10 });
    response.write('half', () => response.destroy());
  });
  await expect(ask(broken, LIMITS)).rejects.toThrow();
});

it('rejects what is no URL of HTTP', async () => {
  await expect(ask('not a url', LIMITS)).rejects.toThrow('Invalid URL');
  await expect(ask('ftp://127.0.0.1/', LIMITS)).rejects.toThrow('not supported');
});
