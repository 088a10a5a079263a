// A collector that changes its mind, and counts spans by process and by trace.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { root } from '../suite.mjs';

const proto = protobuf.loadSync(join(root, 'test/support/proto/opentelemetry.proto'));
const Request = proto.lookupType('opentelemetry.ExportTraceServiceRequest');

/** How it treats requests, by name. What it does not take it has not counted. */
const MOODS = {
  well: (take, response) => {
    take();
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  },
  // Within the exporter's timeout: whoever answers later is sent everything again.
  slow: (take, response) => setTimeout(() => response.destroyed || MOODS.well(take, response), 400),
  unavailable: (_take, response) => response.writeHead(503).end(),
  hanging: (_take, response, hanging) => hanging.add(response),
  resetting: (_take, response) => response.socket.resetAndDestroy(),
};

export async function startCollector() {
  /** By instance of a service: spans that arrived, and those that had arrived before. */
  const delivered = new Map();
  const twice = new Map();
  /** By trace: the ids of its spans, until somebody has looked. */
  const traces = new Map();
  const hanging = new Set();
  let mood = MOODS.well;

  const take = (body) => {
    for (const { resource, scopeSpans } of Request.decode(body).resourceSpans) {
      const { value } = resource.attributes.find(({ key }) => key === 'service.instance.id');
      for (const { spans } of scopeSpans) {
        for (const { traceId, spanId } of spans) {
          const trace = hex(traceId);
          if (!traces.has(trace)) traces.set(trace, new Set());
          const ids = traces.get(trace);
          const counts = ids.has(hex(spanId)) ? twice : delivered;
          ids.add(hex(spanId));
          counts.set(value.stringValue, (counts.get(value.stringValue) ?? 0) + 1);
        }
      }
    }
  };

  let server;
  let port = 0;
  const listen = async () => {
    if (server !== undefined) return;
    server = createServer(async (request, response) => {
      const chunks = [];
      try {
        for await (const chunk of request) chunks.push(chunk);
      } catch {
        return;
      }
      mood(() => take(Buffer.concat(chunks)), response, hanging);
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    port = server.address().port;
  };
  const stop = async () => {
    const closing = server;
    server = undefined;
    closing?.close();
    // What it said last is to be heard: spans that it has taken would else be sent again.
    await new Promise((resolve) => setTimeout(resolve, 100));
    closing?.closeAllConnections();
  };
  await listen();

  return {
    url: `http://127.0.0.1:${port}`,
    ...{ delivered, twice, traces },
    moods: [...Object.keys(MOODS).filter((name) => name !== 'well'), 'gone'],
    async be(name) {
      if (name === 'gone') return stop();
      mood = MOODS[name];
      await listen();
      // Whoever still waits gets no answer any more.
      for (const response of hanging) response.destroy();
      hanging.clear();
    },
    close: stop,
  };
}

const hex = (bytes) => Buffer.from(bytes).toString('hex');
