// A process that stands for every back end, takes what the agents send, and only counts spans, so that it costs the
// machine as little as it can. `count` says how many came since the last time it was asked.
import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { countDatadogSpans, countOtlpSpans } from './count-spans.mjs';

let spans = 0;
let problem;

/** By path: how the spans of a request are counted. What else is sent, such as metrics and logs, is taken and forgotten. */
const COUNTERS = { '/v1/traces': countOtlpSpans, '/v0.4/traces': countDatadogSpans };

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const isDatadog = request.url.startsWith('/v0');
    const count = COUNTERS[request.url];
    if (request.method === 'GET') {
      // Such as Datadog's agent being asked what it can do.
      response.writeHead(404).end();
      return;
    }
    try {
      const body = Buffer.concat(chunks);
      spans += count?.(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body) ?? 0;
    } catch (error) {
      problem ??= `${request.url}: ${error.message}`;
    }
    const answer = isDatadog ? '{}' : '';
    const type = isDatadog ? 'application/json' : 'application/x-protobuf';
    response.writeHead(200, { 'content-type': type, 'content-length': answer.length }).end(answer);
  });
});
// Agents keep their connections; a reset between two batches would cost one of them a retry.
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));

process.on('message', () => {
  process.send({ spans, problem });
  spans = 0;
});
process.on('disconnect', () => process.exit());
