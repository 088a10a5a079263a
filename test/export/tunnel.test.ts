import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { toEndpoint } from '../../src/export/endpoint';
import { OTLP_PROTOBUF } from '../../src/export/http-format';
import { openTunnel } from '../../src/export/tunnel';
import { otlpConfig } from './support';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A proxy below HTTP: what it says to the head of a request; `undefined`: nothing. */
async function proxy(answer: (head: string, socket: Socket) => string | undefined, user = ''): Promise<string> {
  const server = createServer((socket) => {
    let head = '';
    socket.on('error', () => {});
    closers.push(() => socket.destroy());
    const onData = (chunk: Buffer): void => {
      head += chunk;
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      const text = answer(head, socket);
      if (text !== undefined) socket.write(text);
    };
    socket.on('data', onData);
  });
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://${user}127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Resolves with the socket; rejects with the error. */
function open(proxyUrl: string, target = 'https://collector.test/v1/traces', stepMs = 5_000): Promise<Socket> {
  const settings = { variable: 'HTTPS_PROXY', url: proxyUrl, noProxy: '' };
  const endpoint = toEndpoint(otlpConfig(target, { proxy: settings }), OTLP_PROTOBUF);
  return new Promise((resolve, reject) => {
    openTunnel(endpoint, endpoint.proxy!, stepMs, setTimeout, (error, socket) => {
      if (socket === undefined) reject(error);
      else resolve(socket);
    });
  });
}

describe('a tunnel', () => {
  it('is asked for with the authority of the collector and the credentials of the proxy', async () => {
    let asked = '';
    const url = await proxy((head) => {
      asked = head;
      return 'HTTP/1.1 200 OK\r\n\r\n';
    }, 'me:p%40ss@');
    (await open(url, 'https://[fd00::1]/v1/traces?key=hidden')).destroy();
    const [first, ...fields] = asked.trimEnd().split('\r\n');
    expect(first).toBe('CONNECT [fd00::1]:443 HTTP/1.1');
    const headers = fields.map((line) => line.toLowerCase().split(': ')[0]).sort();
    expect(headers).toEqual(['connection', 'host', 'proxy-authorization', 'user-agent']);
    expect(fields).toContain('host: [fd00::1]:443');
    expect(fields).toContain(`proxy-authorization: Basic ${Buffer.from('me:p@ss').toString('base64')}`);
    expect(asked).not.toContain('hidden');
  });

  it('carries bytes both ways, also those that come with the answer', async () => {
    const url = await proxy((_, socket) => {
      socket.pipe(socket);
      return 'HTTP/1.1 200 OK\r\n\r\nfirst,';
    });
    const socket = await open(url);
    socket.write('second');
    let text = '';
    for await (const chunk of socket) {
      text += chunk;
      if (text.length >= 'first,second'.length) break;
    }
    expect(text).toBe('first,second');
  });

  it.each([
    [400, 'PROXY_REFUSED', 'it answered 400 Bad Request'],
    [301, 'PROXY_REFUSED', 'it answered 301 Moved Permanently'],
    [403, 'PROXY_REFUSED', 'it answered 403 Forbidden'],
    [407, 'PROXY_REFUSED', 'it answered 407 Proxy Authentication Required; see user and password in HTTPS_PROXY'],
    [429, 'PROXY_UNAVAILABLE', 'it answered 429 Too Many Requests'],
    [501, 'PROXY_REFUSED', 'it answered 501 Not Implemented'],
    [502, 'PROXY_UNAVAILABLE', 'it answered 502 Bad Gateway'],
    [599, 'PROXY_UNAVAILABLE', 'it answered 599'],
  ])('that is refused with %i fails, without what the proxy says', async (status, code, said) => {
    const url = await proxy(() => `HTTP/1.1 ${status} s3cret\r\ncontent-length: 100\r\n\r\nan explanation`);
    await expect(open(url)).rejects.toMatchObject({ code, message: `proxy ${url}: ${said}` });
  });

  it.each([
    ['what is not HTTP', 'SSH-2.0-x\r\n\r\n', 'PROXY_REFUSED', 'what answers there is no HTTP proxy'],
    ['an endless head', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}`, 'PROXY_REFUSED', 'what answers there'],
  ])('fails with %s', async (_name, answer, code, said) => {
    const url = await proxy(() => answer);
    await expect(open(url)).rejects.toMatchObject({ code, message: expect.stringContaining(said) });
  });

  it('fails with a proxy that hangs up, that is silent, and that is not there', async () => {
    const hangsUp = await proxy((_, socket) => {
      socket.end();
      return undefined;
    });
    await expect(open(hangsUp)).rejects.toMatchObject({ code: 'ECONNRESET' });
    const silent = await proxy(() => undefined);
    const noAnswer = { code: 'PROXY_TIMEOUT', message: `proxy ${silent}: no answer in time` };
    await expect(open(silent, undefined, 50)).rejects.toMatchObject(noAnswer);
    await expect(open('http://127.0.0.1:1')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      message: 'proxy http://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1',
    });
  });

  it('that is given up is closed, and nobody hears of it', async () => {
    let closed: () => void;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    let abort = (): void => {};
    const url = await proxy((_, socket) => {
      socket.on('close', () => closed());
      abort();
      return undefined;
    });
    const settings = { variable: 'HTTPS_PROXY', url, noProxy: '' };
    const endpoint = toEndpoint(otlpConfig('https://collector.test', { proxy: settings }), OTLP_PROTOBUF);
    const heard: unknown[] = [];
    abort = openTunnel(endpoint, endpoint.proxy!, 5_000, setTimeout, (...args) => heard.push(args));
    await gone;
    expect(heard).toEqual([]);
  });
});
