// What every measured application loads: it answers the benchmark over IPC, with the CPU time that the process's own
// accounting shows, all of its threads included.
let last;

/** Says that the application is ready, and answers what is asked; `run` makes as many operations as it is told. */
exports.ready = (info = {}, run) => {
  process.on('message', async (message) => {
    const answered = await answer(message, run);
    // Else the application has an answer of its own.
    if (answered !== undefined) process.send(answered);
  });
  process.on('disconnect', () => process.exit());
  process.send(info);
};

async function answer({ type, count }, run) {
  switch (type) {
    case 'run':
      await run(count);
      return {};
    case 'flush':
      // What has been recorded has to be paid for, exporting included.
      await flush();
      return { us: usedUs() };
    case 'used':
      return { us: usedUs() };
    case 'memory':
      globalThis.gc?.();
      return process.memoryUsage();
  }
  return undefined;
}

/** CPU time since the last call. */
function usedUs() {
  const { user, system } = process.cpuUsage(last);
  last = process.cpuUsage();
  return user + system;
}

/** Sends what is recorded, in each agent's own way; resolves when it has been answered. */
async function flush() {
  const hookline = globalThis[Symbol.for('hookline')];
  if (hookline !== undefined) {
    await hookline.flush(10_000);
    return;
  }
  const provider = globalThis[Symbol.for('opentelemetry.js.api.1')]?.trace;
  await (provider?.getDelegate?.() ?? provider)?.forceFlush?.();
  const exporter = globalThis._ddtrace?._tracer?._exporter;
  if (exporter !== undefined) await new Promise((resolve) => exporter.flush(resolve));
}
