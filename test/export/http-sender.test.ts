import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { OtlpConfig } from '../../src/config';
import type { Authorization, Authorized, OutgoingRequest } from '../../src/export/auth/authorization';
import { isLoopback, toEndpoint } from '../../src/export/endpoint';
import { decodePartialSuccess, OTLP_JSON, OTLP_PROTOBUF, parsePartialSuccess } from '../../src/export/http-format';
import { HttpSender, parseRetryAfter } from '../../src/export/http-sender';
import { forgetLoggedKeys, setLogSink } from '../../src/log';
import { activeContext, ROOT_CONTEXT, runInContext } from '../../src/trace/context';
import { SpanIdentity } from '../../src/trace/span-identity';
import { encode, otlpConfig, until } from './support';

const BODY = Buffer.from('a request');
const MS = 10_000;

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly port: number | undefined;
}

let received: Received[] = [];
let lines: string[] = [];
const closers: (() => void)[] = [];

beforeEach(() => {
  received = [];
  lines = [];
  forgetLoggedKeys();
  setLogSink((line) => lines.push(line));
});

afterEach(() => {
  setLogSink(undefined);
  for (const close of closers.splice(0)) close();
});

type Answer = (response: ServerResponse, request: IncomingMessage, count: number) => void;

function recorder(answer: Answer): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers, socket } = request;
      received.push({ method, url, headers, body: Buffer.concat(chunks), port: socket.remotePort });
      answer(response, request, received.length);
    });
  };
}

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

function open(config: OtlpConfig): HttpSender {
  const sender = new HttpSender(config, OTLP_PROTOBUF);
  closers.push(() => sender.close());
  return sender;
}

async function serve(answer: Answer, changes: Partial<OtlpConfig> = {}): Promise<HttpSender> {
  const port = await listen(createServer(recorder(answer)));
  return open(otlpConfig(`http://127.0.0.1:${port}/v1/traces?k=v`, changes));
}

/** A collector below HTTP; `count` is the number of the connection. */
async function serveRaw(
  onConnection: (socket: Socket, count: number) => void,
  changes: Partial<OtlpConfig> = {},
): Promise<HttpSender> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket, ++count);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return open(otlpConfig(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, changes));
}

const SENT = expect.objectContaining({ kind: 'sent', rejectedSpans: 0 });

describe('a request', () => {
  it('is a POST of protobuf to the configured URL, with the configured headers', async () => {
    const sender = await serve((response) => response.end(), {
      headers: { 'X-Team': 'a', 'Content-Type': 'text/plain', 'content-length': '1' },
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(received[0]).toMatchObject({ method: 'POST', url: '/v1/traces?k=v', body: BODY });
    expect(received[0]?.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'content-length': '9',
      'x-team': 'a',
    });
    expect(received[0]?.headers['user-agent']).toMatch(/^hookline\/\d/);
    expect(lines).toEqual([]);
  });

  it('takes credentials from the URL and never prints them', async () => {
    const port = await listen(createServer(recorder((response) => response.writeHead(401).end())));
    const sender = open(otlpConfig(`http://me:s%40cret@127.0.0.1:${port}/v1/traces?key=hidden`));
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(received[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:s@cret').toString('base64')}`);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`http://127.0.0.1:${port}/v1/traces answered 401`);
    expect(lines.join()).not.toMatch(/cret|hidden/);
  });

  it('is compressed when asked', async () => {
    const sender = await serve((response) => response.end(), { compression: 'gzip' });
    const body = Buffer.alloc(50_000, 'spans ');
    expect(await sender.send(body, MS)).toEqual(SENT);
    expect(received[0]?.headers['content-encoding']).toBe('gzip');
    expect(received[0]?.body.length).toBeLessThan(5_000);
    expect(gunzipSync(received[0]?.body as Buffer)).toEqual(body);
  });

  it('reuses its connection', async () => {
    const sender = await serve((response) => response.end('ok'));
    for (let i = 0; i < 3; i++) expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(new Set(received.map(({ port }) => port)).size).toBe(1);
  });

  it('runs where nothing is traced', async () => {
    const net = require('node:net') as typeof import('node:net');
    const original = net.connect;
    const suppressed: boolean[] = [];
    const look = (): void => void suppressed.push(activeContext().suppressed);
    net.connect = ((...args: Parameters<typeof original>) => {
      look();
      return original(...args).on('data', look);
    }) as typeof original;
    try {
      const sender = await serve((response, _, count) => response.writeHead(count === 1 ? 503 : 200).end());
      const traced = ROOT_CONTEXT.withIdentity(SpanIdentity.root(true, undefined));
      expect(await runInContext(traced, () => sender.send(BODY, MS))).toEqual(SENT);
    } finally {
      net.connect = original;
    }
    // One connection, two answers.
    expect(suppressed).toEqual([true, true, true]);
  });

  it('with a header that HTTP does not allow fails in one line', async () => {
    const sender = await serve((response) => response.end(), { headers: { 'x-bad': 'a\nb' } });
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(lines).toHaveLength(1);
    expect(received).toEqual([]);
  });
});

describe('answers', () => {
  it.each([400, 401, 403, 404, 500, 501])('%i is not tried again, one line with URL and status', async (status) => {
    const sender = await serve((response) => response.writeHead(status).end());
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(received).toHaveLength(2);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`answered ${status}`);
    if (status === 404) expect(lines[0]).toContain('/v1/traces');
  });

  it('413 is not tried again and no loss: the batch comes back in parts', async () => {
    const sender = await serve((response) => response.writeHead(413).end());
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'too_large' });
    expect(received).toHaveLength(1);
    expect(lines).toEqual([]);
  });

  it('a request over the limit is not sent at all, by what it is when it is sent', async () => {
    const port = await listen(createServer(recorder((response) => response.writeHead(200).end())));
    const spans = [{ traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1), name: 'a span' }];
    const request = encode('ExportTraceServiceRequest', { resourceSpans: [{ scopeSpans: [{ spans }] }] });
    const config = otlpConfig(`http://127.0.0.1:${port}/v1/traces`, { maxRequestBytes: request.length });
    expect(await open(config).send(request, MS)).toEqual(SENT);
    const json = new HttpSender(config, OTLP_JSON);
    expect(await json.send(request, MS)).toEqual({ kind: 'too_large' });
    expect(json.sendSync([request], MS)).toEqual(['too_large']);
    expect(received).toHaveLength(1);
    json.close();
  });

  it.each([429, 502, 503, 504])('%i is tried again', async (status) => {
    const sender = await serve((response, _, count) => response.writeHead(count === 1 ? status : 200).end());
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(received).toHaveLength(2);
    expect(received[1]?.body).toEqual(BODY);
    expect(lines).toEqual([]);
  });

  it('Retry-After beyond the time left is handed on', async () => {
    const sender = await serve((response) => response.writeHead(503, { 'retry-after': '60' }).end());
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'unreachable', retryAfterMs: 60_000 });
    expect(received).toHaveLength(1);
  });

  it('Retry-After is waited for', async () => {
    const times: number[] = [];
    const sender = await serve((response, _, count) => {
      times.push(performance.now());
      response.writeHead(count === 1 ? 429 : 200, { 'retry-after': '1' }).end();
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(900);
  });

  it('never goes on beyond the timeout', async () => {
    const sender = await serve((response) => response.writeHead(503).end(), { timeoutMs: 50 });
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'unreachable' });
    expect(received).toHaveLength(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('status 503');
  });

  it('redirects are not followed', async () => {
    const sender = await serve((response) =>
      response.writeHead(307, { location: 'http://127.0.0.1:1/elsewhere' }).end(),
    );
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(received).toHaveLength(1);
    expect(lines[0]).toContain('307');
  });

  it('partial success: rejected spans are counted, the message is printed once', async () => {
    const partial = encode('ExportTraceServiceResponse', {
      partialSuccess: { rejectedSpans: 3, errorMessage: 'too old' },
    });
    const sender = await serve((response) => response.end(partial));
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'sent', rejectedSpans: 3 });
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'sent', rejectedSpans: 3 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('too old');
  });

  it.each([
    ['garbage', Buffer.from([0xff, 0xff, 0xff, 0x07, 0x00])],
    ['text', Buffer.from('{"partialSuccess":{}}')],
    ['truncated', Buffer.from([0x0a, 0x50, 0x08])],
  ])('a body of %s is success without rejected spans', async (_name, body) => {
    const sender = await serve((response) => response.end(body));
    expect(await sender.send(BODY, MS)).toEqual(SENT);
  });

  it('a huge body is cut off and the next request is sent', async () => {
    let written = 0;
    const sender = await serve((response, _, count) => {
      if (count > 1) return response.end();
      const chunk = Buffer.alloc(64 * 1024);
      const more = (): void => {
        while (!response.destroyed && written < 200 * chunk.length) {
          written += chunk.length;
          if (!response.write(chunk)) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      response.on('error', () => {});
      more();
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(new Set(received.map(({ port }) => port)).size).toBe(2);
    expect(written).toBeLessThan(200 * 64 * 1024);
  });

  it('a body that never ends does not take the success away', async () => {
    const sender = await serve(
      (response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('x');
      },
      { timeoutMs: 100 },
    );
    expect(await sender.send(BODY, MS)).toEqual(SENT);
  });

  it('a body that breaks off does not either', async () => {
    const sender = await serve((response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('x', () => response.destroy());
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
  });
});

describe('connections', () => {
  it('nobody listens: kept for later, one line, and one when somebody does', async () => {
    const server = createServer(recorder((response) => response.end()));
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const sender = open(otlpConfig(`http://127.0.0.1:${port}/v1/traces`, { timeoutMs: 50 }));
    for (let i = 0; i < 3; i++) expect(await sender.send(BODY, MS)).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('ECONNREFUSED');
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain('again');
  });

  it('a collector that comes within the timeout gets the request', async () => {
    const server = createServer(recorder((response) => response.end()));
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const sender = open(otlpConfig(`http://127.0.0.1:${port}/v1/traces`, { timeoutMs: 8_000 }));
    const sending = sender.send(BODY, MS);
    setTimeout(() => server.listen(port, '127.0.0.1'), 100);
    expect(await sending).toEqual(SENT);
    expect(lines).toEqual([]);
  });

  it('silence ends with the timeout, and the next request gets a fresh connection', async () => {
    const sender = await serve((response, _, count) => void (count > 1 && response.end()), { timeoutMs: 200 });
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'unreachable' });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(new Set(received.map(({ port }) => port)).size).toBe(2);
  });

  it('a reset is tried again', async () => {
    const sender = await serveRaw((socket, count) => {
      socket.on('data', () => {
        if (count === 1) socket.resetAndDestroy();
        else socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      });
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
  });

  it('an idle connection that the collector closed costs no waiting', async () => {
    let requests = 0;
    const sender = await serveRaw(
      (socket, count) => {
        socket.on('data', () => {
          requests++;
          // The second request on the first connection meets a collector that has just gone.
          if (count === 1 && requests === 2) socket.resetAndDestroy();
          else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        });
      },
      { timeoutMs: 300 },
    );
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    // Within 300 ms only because the first back-off, 375 ms at least, is left out.
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(requests).toBe(3);
  });

  it('a connection closed without an answer is tried again', async () => {
    const sender = await serveRaw((socket, count) => {
      socket.on('data', () => socket.end(count === 1 ? '' : 'HTTP/1.1 204 No Content\r\n\r\n'));
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
  });

  it('what is not HTTP is given up with a hint', async () => {
    const sender = await serveRaw((socket) => socket.on('data', () => socket.write('\0\0\x12\x04garbage\r\n\r\n')));
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('4317');
  });

  it('a request counts as handed over once it is written, and abort ends it', async () => {
    let arrived = false;
    const sender = await serveRaw((socket) => socket.on('data', () => (arrived = true)));
    const sending = sender.send(BODY, MS);
    expect(sender.handedOver).toBe(false);
    await until(() => arrived && sender.handedOver, 'the request');
    sender.abort();
    expect(await sending).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    expect(sender.handedOver).toBe(false);
  });

  it('abort also ends a wait between two tries', async () => {
    const sender = await serve((response) => response.writeHead(503, { 'retry-after': '4' }).end());
    const sending = sender.send(BODY, MS);
    await until(() => received.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    sender.abort();
    expect(await sending).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
  });

  it('IPv6 addresses work', async (context) => {
    const server = createServer(recorder((response) => response.end()));
    const port = await listen(server, '::1').catch(() => context.skip('no IPv6'));
    expect(await open(otlpConfig(`http://[::1]:${port}/v1/traces`)).send(BODY, MS)).toEqual(SENT);
  });
});

describe('TLS', () => {
  let folder: string;
  const file = (name: string): string => join(folder, name);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hookline-tls-'));
    const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
    for (const name of ['one', 'two']) {
      openssl(
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        '-subj',
        `/CN=${name}`,
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.pem`,
      );
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function serveTls(name: string, options: object, changes: Partial<OtlpConfig>): Promise<HttpSender> {
    const server = createTlsServer(
      { key: readFileSync(file(`${name}.key`)), cert: readFileSync(file(`${name}.pem`)), ...options },
      recorder((response, request) =>
        response.end(String((request.socket as unknown as { authorized: boolean }).authorized)),
      ),
    );
    const port = await listen(server as unknown as Server);
    return open(otlpConfig(`https://127.0.0.1:${port}/v1/traces`, changes));
  }

  it('a certificate that nobody vouches for is refused with a hint, the spans are kept', async () => {
    const sender = await serveTls('one', {}, {});
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('OTEL_EXPORTER_OTLP_CERTIFICATE');
    expect(received).toEqual([]);
  });

  it('the configured certificate is trusted, and read again when it changes', async () => {
    copyFileSync(file('two.pem'), file('ca.pem'));
    const sender = await serveTls('one', {}, { certificateFile: file('ca.pem') });
    expect(await sender.send(BODY, MS)).toMatchObject({ kind: 'unreachable' });
    rmSync(file('ca.pem'));
    copyFileSync(file('one.pem'), file('ca.pem'));
    expect(await sender.send(BODY, MS)).toEqual(SENT);
  });

  it('a client certificate is shown', async () => {
    const mutual = { requestCert: true, rejectUnauthorized: true, ca: readFileSync(file('two.pem')) };
    const sender = await serveTls('one', mutual, {
      certificateFile: file('one.pem'),
      clientCertificateFile: file('two.pem'),
      clientKeyFile: file('two.key'),
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    const without = await serveTls('one', mutual, { certificateFile: file('one.pem'), timeoutMs: 100 });
    expect(await without.send(BODY, MS)).toMatchObject({ kind: 'unreachable' });
  });

  it('a file that cannot be read is named once', async () => {
    const sender = await serveTls('one', {}, { certificateFile: file('missing.pem') });
    await sender.send(BODY, MS);
    await sender.send(BODY, MS);
    expect(lines.filter((line) => line.includes('missing.pem'))).toHaveLength(1);
  });
});

describe('configuration', () => {
  it.each([
    ['http://collector:4318/v1/traces', { authorization: 'x' }, true],
    ['http://127.evil.example/v1/traces', { 'x-api-key': 'x' }, true],
    ['http://collector:4318/v1/traces', { 'x-team': 'x' }, false],
    ['http://127.0.0.1:4318/v1/traces', { authorization: 'x' }, false],
    ['http://localhost:4318/v1/traces', { authorization: 'x' }, false],
    ['https://collector/v1/traces', { authorization: 'x' }, false],
  ])('credentials in the clear: %s %o warns: %s', (url, headers, warns) => {
    open(otlpConfig(url, { headers: headers as Record<string, string> }));
    open(otlpConfig(url, { headers: headers as Record<string, string> }));
    expect(lines.filter((line) => line.includes('unencrypted'))).toHaveLength(warns ? 1 : 0);
  });

  it.each(['', 'not a url', 'ftp://x/y'])('%j is reported and refused', async (url) => {
    const sender = open(otlpConfig(url));
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(sender.sendSync([BODY], 100)).toEqual(['refused']);
    expect(lines).toHaveLength(1);
  });

  it('knows this machine', () => {
    for (const host of ['localhost', 'a.localhost', '127.0.0.1', '127.9.9.9', '::1'])
      expect(isLoopback(host)).toBe(true);
    for (const host of ['127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1', 'notlocalhost'])
      expect(isLoopback(host)).toBe(false);
  });

  it('takes default ports by scheme', () => {
    expect(toEndpoint(otlpConfig('https://c/v1/traces'), OTLP_PROTOBUF).port).toBe(443);
    expect(toEndpoint(otlpConfig('http://c/v1/traces'), OTLP_PROTOBUF).port).toBe(80);
    expect(toEndpoint(otlpConfig('http://[::1]:4318/v1/traces'), OTLP_PROTOBUF).host).toBe('::1');
  });
});

describe('authorization', () => {
  interface Fake extends Authorization {
    readonly asked: OutgoingRequest[];
    renewals: number;
  }

  function fake(answer: (count: number) => Authorized | Promise<Authorized>, renew = () => true): Fake {
    const asked: OutgoingRequest[] = [];
    return {
      asked,
      renewals: 0,
      hint: ' (ask the fake)',
      async headers(request) {
        asked.push(request);
        return answer(asked.length);
      },
      headersSync: () => ({ problem: 'nothing to give', final: false }),
      renew() {
        this.renewals++;
        return renew();
      },
    };
  }

  async function serveAuthorized(authorization: Authorization, answer: Answer, changes: Partial<OtlpConfig> = {}) {
    const port = await listen(createServer(recorder(answer)));
    let made = 0;
    const config = otlpConfig(`http://127.0.0.1:${port}/v1/traces?k=v`, changes);
    const sender = new HttpSender(config, OTLP_PROTOBUF, 1000, () => {
      made++;
      return authorization;
    });
    closers.push(() => sender.close());
    return { sender, port, made: () => made };
  }

  it('is made for the first request, sees what is sent and wins over the configured headers', async () => {
    const authorization = fake((count) => ({ headers: { authorization: `token ${count}` } }));
    const { sender, port, made } = await serveAuthorized(authorization, (response) => response.end(), {
      compression: 'gzip',
      headers: { authorization: 'configured', 'x-team': 'a' },
    });
    expect(made()).toBe(0);
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(made()).toBe(1);
    expect(received.map(({ headers }) => headers.authorization)).toEqual(['token 1', 'token 2']);
    expect(received[0]?.headers['x-team']).toBe('a');
    expect(authorization.asked[0]).toMatchObject({
      method: 'POST',
      url: `http://127.0.0.1:${port}/v1/traces?k=v`,
      headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' },
      body: received[0]?.body,
    });
    expect(lines).toEqual([]);
  });

  it('is renewed once when the collector does not accept it', async () => {
    const authorization = fake((count) => ({ headers: { authorization: `token ${count}` } }));
    const { sender } = await serveAuthorized(authorization, (response, { headers }) => {
      response.writeHead(headers.authorization === 'token 2' ? 200 : 401).end();
    });
    expect(await sender.send(BODY, MS)).toEqual(SENT);
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(received.map(({ headers }) => headers.authorization)).toEqual(['token 1', 'token 2', 'token 3', 'token 4']);
    expect(lines).toEqual([expect.stringMatching(/traces are dropped: .* answered 401 \(ask the fake\)\n$/)]);
  });

  it('that cannot be renewed is refused at once', async () => {
    const authorization = fake(
      () => ({ headers: {} }),
      () => false,
    );
    const { sender } = await serveAuthorized(authorization, (response) => response.writeHead(403).end());
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(received).toHaveLength(1);
    expect(authorization.renewals).toBe(1);
  });

  it('that is not there now keeps the batch, one that never will be does not', async () => {
    const authorization = fake((count) => ({ problem: `no luck ${count}`, final: count > 1 }));
    const { sender } = await serveAuthorized(authorization, (response) => response.end());
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    expect(await sender.send(BODY, MS)).toEqual({ kind: 'refused' });
    expect(received).toEqual([]);
    expect(lines).toEqual([expect.stringMatching(/cannot export traces to .*: no luck 1; trying again later\n$/)]);
  });

  it('that takes longer than the export may keeps the batch, and its late answer disturbs nothing', async () => {
    let giveFirst = (_: Authorized): void => {};
    const authorization = fake((count) =>
      count === 1
        ? new Promise((resolve) => {
            giveFirst = resolve;
          })
        : { headers: {} },
    );
    const { sender } = await serveAuthorized(authorization, (response) => response.end());
    expect(await sender.send(BODY, 30)).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    const second = sender.send(BODY, MS);
    giveFirst({ headers: {} });
    expect(await second).toEqual(SENT);
    expect(received).toHaveLength(1);
    expect(lines[0]).toContain('no credentials in time; trying again later');
  });

  it('that is under way ends with abort, and nothing is sent after that', async () => {
    let give = (_: Authorized): void => {};
    const authorization = fake(
      () =>
        new Promise((resolve) => {
          give = resolve;
        }),
    );
    const { sender } = await serveAuthorized(authorization, (response) => response.end());
    const sending = sender.send(BODY, MS);
    await until(() => authorization.asked.length === 1);
    sender.abort();
    expect(await sending).toEqual({ kind: 'unreachable', retryAfterMs: 0 });
    give({ headers: {} });
    expect(received).toEqual([]);
  });

  it('that is missing at the end of the process is told with its reason', async () => {
    const { sender } = await serveAuthorized(
      fake(() => ({ headers: {} })),
      (response) => response.end(),
    );
    expect(sender.sendSync([BODY, BODY], 500)).toEqual(['lost', 'lost']);
    expect(lines).toEqual([expect.stringContaining('nothing to give')]);
  });

  it('over an unencrypted connection gets a warning, except on this machine', () => {
    const authorize = () => fake(() => ({ headers: {} }));
    new HttpSender(otlpConfig('http://localhost:4318/v1/traces'), OTLP_PROTOBUF, 1000, authorize).close();
    new HttpSender(otlpConfig('https://collector.test/v1/traces'), OTLP_PROTOBUF, 1000, authorize).close();
    expect(lines).toEqual([]);
    new HttpSender(otlpConfig('http://collector.test/v1/traces'), OTLP_PROTOBUF, 1000, authorize).close();
    expect(lines).toEqual([expect.stringMatching(/is sent unencrypted to http:\/\/collector\.test.*; use https/)]);
  });
});

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['99999999999999', 300_000],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j is %j ms', (value, expected) => expect(parseRetryAfter(value)).toBe(expected));

  it('may be a date', () => {
    const delayMs = parseRetryAfter(new Date(Date.now() + 60_000).toUTCString());
    expect(delayMs).toBeGreaterThan(50_000);
    expect(delayMs).toBeLessThanOrEqual(60_000);
  });
});

describe('partial success', () => {
  it('reads fields in any order and skips unknown ones', () => {
    const inner = Buffer.concat([
      Buffer.from([0x12, 2]),
      Buffer.from('no'),
      Buffer.from([0x19, 1, 2, 3, 4, 5, 6, 7, 8]),
      Buffer.from([0x08, 0xac, 0x02]),
    ]);
    const bytes = Buffer.concat([Buffer.from([0x10, 5]), Buffer.from([0x0a, inner.length]), inner]);
    expect(decodePartialSuccess(bytes)).toEqual({ rejectedSpans: 300, message: 'no' });
  });

  it.each([
    ['{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}', 3, 'too old'],
    ['{"partialSuccess":{"rejectedSpans":4}}', 4, ''],
    ['{"partialSuccess":{"rejectedSpans":-1,"errorMessage":5}}', 0, ''],
    ['{"partialSuccess":null}', 0, ''],
    ['{}', 0, ''],
    ['null', 0, ''],
    ['<html>', 0, ''],
    ['', 0, ''],
  ])('of OTLP/JSON: %s', (text, rejectedSpans, message) => {
    expect(parsePartialSuccess(Buffer.from(text))).toEqual({ rejectedSpans, message });
    expect(parsePartialSuccess(undefined)).toEqual({ rejectedSpans: 0, message: '' });
  });

  it('makes nothing of a negative count', () => {
    const bytes = encode('ExportTraceServiceResponse', { partialSuccess: { rejectedSpans: -1 } });
    expect(decodePartialSuccess(bytes).rejectedSpans).toBe(0);
  });
});
