// How much CPU does a traced request cost an HTTP server, encoding and exporting its span included?
import { PRELOADS, startProcess } from './lib/processes.mjs';
import { interleave, summarize } from './lib/statistics.mjs';

export async function run({ quick }) {
  const warmUp = quick ? 10_000 : 20_000;
  const count = quick ? 15_000 : 40_000;
  const load = await startProcess('lib/load.mjs');
  const receiver = await startProcess('lib/receiver.mjs');
  let expected = 0;
  let dropped = 0;
  const userUs = { none: [], import: [] };

  const measure = async (preload) => {
    const server = await startProcess('apps/hello.js', {
      nodeArguments: PRELOADS[preload],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.ready.url },
    });
    const { port } = server.ready;
    await load.ask({ port, count: warmUp });
    const before = await server.ask('cpu');
    await load.ask({ port, count });
    const after = await server.ask('cpu');
    await server.stop();
    if (preload !== 'none') {
      expected += warmUp + count;
      for (const spans of Object.values(after.dropped ?? {})) dropped += spans;
    }
    userUs[preload].push((after.user - before.user) / count);
    return (after.user + after.system - before.user - before.system) / count;
  };

  const results = await interleave({ bare: () => measure('none'), agent: () => measure('import') }, quick ? 5 : 15);
  const { spans } = await receiver.ask('count');
  await Promise.all([load.stop(), receiver.stop()]);
  const note = `${spans} of ${expected} spans arrived${dropped > 0 ? `, ${dropped} were dropped` : ''}`;
  const user = (preload) => ({ ...summarize(userUs[preload]), values: userUs[preload] });
  return [
    { name: 'http server, per request', unit: 'µs CPU', base: results.bare, agent: results.agent, note },
    // The kernel's part is mostly the network's, and varies with what else the machine does.
    { name: 'http server, per request, without the kernel', unit: 'µs CPU', base: user('none'), agent: user('import') },
  ];
}
