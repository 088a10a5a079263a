// Takes the spans of the suites and counts them by scope, which is the name of an instrumentation.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import protobuf from 'protobufjs';
import { root } from '../suite.mjs';

const proto = protobuf.loadSync(join(root, 'test/support/proto/opentelemetry.proto'));
const Request = proto.lookupType('opentelemetry.ExportTraceServiceRequest');

/** `spans` is a Map of scope to number; `faults` are requests that could not be read. */
export async function startReceiver() {
  const spans = new Map();
  const faults = [];
  const server = createServer(async (request, response) => {
    try {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const { resourceSpans } = Request.decode(
        request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body,
      );
      for (const { scopeSpans } of resourceSpans) {
        for (const { scope, spans: some } of scopeSpans) {
          spans.set(scope.name, (spans.get(scope.name) ?? 0) + some.length);
        }
      }
    } catch (error) {
      // A process that is killed while it sends is none of our faults; what arrived whole has to be readable.
      if (request.complete) faults.push(error.message);
    }
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    spans,
    faults,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
