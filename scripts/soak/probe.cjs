// Preloaded into each service, beside the agent: tells over IPC what the process uses and what became of its spans. It does not
// hold the process, and changes nothing in it.
const v8 = require('node:v8');
const { runInNewContext } = require('node:vm');

v8.setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');

process.on('message', ({ id, collect }) => {
  if (collect) gc();
  const { heapUsed, rss } = process.memoryUsage();
  const spans = globalThis[Symbol.for('hookline')]?.status().export;
  process.send({ id, heapUsed, rss, spans }, () => {});
});
process.channel?.unref();
