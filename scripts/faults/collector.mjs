// A collector that misbehaves in one way until it is healed. It counts each span that it took, by id.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { createCertificate } from '../../test/support/certificate.ts';
import { root } from '../suite.mjs';

const proto = protobuf.loadSync(join(root, 'test/support/proto/opentelemetry.proto'));
const Request = proto.lookupType('opentelemetry.ExportTraceServiceRequest');
const Response = proto.lookupType('opentelemetry.ExportTraceServiceResponse');

const take = (collector, body, response) => {
  collector.take(body);
  response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
};
const status =
  (code, headers = {}) =>
  (_collector, _body, response) =>
    response.writeHead(code, headers).end('no');

/**
 * By name: what becomes of a request while the fault lasts; one that does not listen gets none. What a collector `refuses`
 * is lost, and where nothing heals it, so is the rest.
 */
export const MODES = {
  none: { handle: take },
  'refuses connections': { listens: false },
  'accepts and hangs': { handle: () => {} },
  // Within OTEL_EXPORTER_OTLP_TIMEOUT: whoever answers later is sent it again, and may have it twice.
  'answers slowly': {
    handle: (collector, body, response) => setTimeout(() => take(collector, body, response), 300),
  },
  '503, then recovers': { handle: status(503) },
  '429 with Retry-After': { handle: status(429, { 'retry-after': '1' }) },
  400: { handle: status(400), refuses: true },
  'partial success': {
    handle: (collector, body, response) => {
      const ids = collector.spanIds(body);
      const rejected = Math.ceil(ids.length / 2);
      collector.takeIds(ids.slice(rejected));
      const answer = { partialSuccess: { rejectedSpans: rejected, errorMessage: 'half of them' } };
      response.writeHead(200, { 'content-type': 'application/x-protobuf' });
      response.end(Response.encode(Response.fromObject(answer)).finish());
    },
  },
  'answers with garbage': {
    handle: (collector, body, response) => {
      collector.take(body);
      response.writeHead(200).end(Buffer.from('\xff\xfe not protobuf \x00', 'latin1'));
    },
  },
  'is no HTTP server': { handle: (_collector, _body, response) => response.socket.end('SSH-2.0-OpenSSH_9.2\r\n') },
  'resets in the middle of the body': { onHead: (request) => request.socket.resetAndDestroy() },
  redirects: { handle: status(308, { location: '/elsewhere' }), refuses: true },
  'has the wrong certificate': { handle: take, secure: true, refuses: true },
  'answers with an endless body': {
    handle: (collector, body, response) => {
      collector.take(body);
      response.writeHead(200);
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 1)));
      };
      response.on('drain', write).on('error', () => {});
      write();
    },
  },
  'closes idle connections': {
    handle: (collector, body, response) => {
      take(collector, body, response);
      setTimeout(() => response.socket?.destroy(), 5);
    },
  },
  flaps: { handle: take, flapMs: 150 },
};

/** Starts one; `heal()` makes it a good one at the same address, and `break()` what it was. */
export async function startCollector({ handle, onHead, listens = true, secure = false, flapMs }) {
  const taken = new Map();
  let broken = true;
  let server;
  let port = 0;
  let flapping;
  const collector = {
    taken,
    spanIds: (body) =>
      Request.decode(body).resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans }) => spans.map(({ spanId }) => Buffer.from(spanId).toString('hex'))),
      ),
    takeIds(ids) {
      for (const id of ids) taken.set(id, (taken.get(id) ?? 0) + 1);
    },
    take: (body) => collector.takeIds(collector.spanIds(body)),
    get url() {
      return `${secure ? 'https' : 'http'}://127.0.0.1:${port}`;
    },
    async heal() {
      broken = false;
      clearInterval(flapping);
      await listen();
    },
    async break() {
      broken = true;
      if (listens) await listen();
      else await stop();
    },
    async close() {
      clearInterval(flapping);
      await stop();
    },
  };

  const onRequest = async (request, response) => {
    request.on('error', () => {});
    if (broken && onHead !== undefined) {
      request.once('data', () => onHead(request));
      return;
    }
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    (broken ? handle : take)(collector, Buffer.concat(chunks), response);
  };
  async function listen() {
    if (server !== undefined) return;
    server = secure ? createSecureServer(createCertificate(), onRequest) : createServer(onRequest);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = server.address().port;
  }
  async function stop() {
    const closing = server;
    server = undefined;
    if (closing === undefined) return;
    closing.close();
    closing.closeAllConnections();
    await once(closing, 'close');
  }

  await listen();
  if (!listens) await stop();
  if (flapMs !== undefined) {
    let changing = Promise.resolve();
    flapping = setInterval(() => {
      changing = changing.then(() => (server === undefined ? listen() : stop()));
    }, flapMs);
  }
  return collector;
}
