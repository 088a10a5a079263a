// A process that stands for every back end, takes what the agents send, and only counts spans, so that it costs the
// machine as little as it can. `count` says how many came since the last time it was asked.
import { createServer } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { countDatadogSpans, countOtlpSpans } from './count-spans.mjs';

/** What came since the last `count`: it is read then, when nothing is measured. */
let received = [];

/** By path: how the spans of a request are counted. What else is sent, such as metrics and logs, is taken and forgotten. */
const COUNTERS = { '/v1/traces': countOtlpSpans, '/v0.4/traces': countDatadogSpans };

const server = createServer((request, response) => {
  const { method, url, headers } = request;
  const counter = COUNTERS[url];
  const chunks = [];
  request.on('data', (chunk) => counter !== undefined && chunks.push(chunk));
  request.on('end', () => {
    if (method === 'GET') {
      // Such as Datadog's agent being asked what it can do.
      response.writeHead(404).end();
      return;
    }
    if (counter !== undefined) received.push({ url, encoding: headers['content-encoding'], chunks });
    const isDatadog = url.startsWith('/v0');
    const answer = isDatadog ? '{}' : '';
    const type = isDatadog ? 'application/json' : 'application/x-protobuf';
    response.writeHead(200, { 'content-type': type, 'content-length': answer.length }).end(answer);
  });
});
// Agents keep their connections; a reset between two batches would cost one of them a retry.
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));

process.on('message', () => {
  let spans = 0;
  let problem;
  for (const { url, encoding, chunks } of received) {
    try {
      const body = Buffer.concat(chunks);
      spans += COUNTERS[url](encoding === 'gzip' ? gunzipSync(body) : body);
    } catch (error) {
      problem ??= `${url}: ${error.message}`;
    }
  }
  received = [];
  process.send({ spans, problem });
});
process.on('disconnect', () => process.exit());
