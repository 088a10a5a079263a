// Flushes 512 spans of 8 attributes each, as often as it is told, and answers with the longest time that the event loop stood
// still in each flush: in CPU milliseconds, since what other processes take of the machine is not the agent's.
const { ready } = require('./measure.js');

const SPANS = 512;
const { trace } = globalThis[Symbol.for('opentelemetry.js.api.1')] ?? {};
const tracer = trace?.getTracer('bench');
const provider = trace?.getDelegate?.() ?? trace;
const flush = () => globalThis[Symbol.for('hookline')]?.flush() ?? provider.forceFlush();

process.on('message', async (message) => {
  if (message.type !== 'flushes') return;
  const pauses = [];
  while (pauses.length < message.count) pauses.push(await longestPause());
  process.send({ pauses });
});
ready();

async function longestPause() {
  // They wait: OTEL_BSP_MAX_EXPORT_BATCH_SIZE is larger, so that all of them are sent by the flush.
  for (let i = 0; i < SPANS; i++) record(i);
  let over = false;
  let longest = 0;
  let last = process.cpuUsage();
  const look = () => {
    const now = process.cpuUsage();
    longest = Math.max(longest, now.user + now.system - last.user - last.system);
    last = now;
    if (!over) setImmediate(look);
  };
  const flushed = flush();
  look();
  await flushed;
  over = true;
  return longest / 1000;
}

function record(i) {
  const span = tracer.startSpan('GET', {
    kind: 2,
    attributes: {
      'http.request.method': 'GET',
      'url.full': `http://catalog.example:8080/products/${i}`,
      'server.address': 'catalog.example',
      'server.port': 8080,
      'http.response.status_code': 200,
      'network.protocol.version': '1.1',
      'network.peer.address': '10.1.2.3',
      'network.peer.port': 8080,
    },
  });
  span.end();
}
