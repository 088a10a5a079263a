// A process that takes OTLP over HTTP and only counts spans, so that it costs the machine as little as it can.
import { createServer } from 'node:http';

let spans = 0;

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    spans += countSpans(Buffer.concat(chunks));
    response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': 0 }).end();
  });
});
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));

process.on('message', () => process.send({ spans }));
process.on('disconnect', () => process.exit());

/** Fields of an ExportTraceServiceRequest: resource_spans = 1, in it scope_spans = 2, in it spans = 2. */
function countSpans(bytes) {
  let count = 0;
  forEachField(bytes, 0, bytes.length, 1, (resourceStart, resourceEnd) =>
    forEachField(bytes, resourceStart, resourceEnd, 2, (scopeStart, scopeEnd) =>
      forEachField(bytes, scopeStart, scopeEnd, 2, () => {
        count++;
      }),
    ),
  );
  return count;
}

/** Calls `visit` with start and end of each field of this number; all fields at these levels have a length. */
function forEachField(bytes, start, end, number, visit) {
  for (let at = start; at < end; ) {
    const field = bytes[at++] >>> 3;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (field === number) visit(at, at + length);
    at += length;
  }
}
