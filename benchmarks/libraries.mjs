// How much CPU does a traced call of a library cost, encoding and exporting its spans included? On real servers, which
// are found or brought up as for the tests.
import { startServers } from '../scripts/servers/start.mjs';
import { PRELOADS, startProcess } from './lib/processes.mjs';
import { interleave } from './lib/statistics.mjs';

/** `spans` per call; `service` is what scripts/servers/ calls its server. */
const LIBRARIES = [
  { name: 'pg', what: 'one query of a pool', service: 'postgres', spans: 1 },
  { name: 'mysql2', what: 'one query of a pool', service: 'mysql', spans: 1 },
  { name: 'amqplib', what: 'publish and consume', service: 'amqp', spans: 2 },
  { name: 'grpc', what: 'unary call, client and server in one process', spans: 2 },
];

export async function run({ quick }) {
  const servers = await startServers();
  try {
    const rows = [];
    for (const library of LIBRARIES) rows.push(await runLibrary(library, quick));
    return rows;
  } finally {
    await servers.close();
  }
}

async function runLibrary({ name, what, service, spans }, quick) {
  const warmUp = quick ? 5_000 : 20_000;
  const count = quick ? 10_000 : 40_000;
  const receiver = await startProcess('lib/receiver.mjs');
  const lent = service && (await lend(service));
  let expected = 0;
  let dropped = 0;

  const measure = async (preload) => {
    const app = await startProcess('apps/library.js', {
      nodeArguments: PRELOADS[preload],
      env: { LIBRARY: name, URL: lent?.url, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.ready.url },
    });
    await app.ask(warmUp);
    const used = await app.ask(count);
    await app.stop();
    if (preload !== 'none') {
      expected += (warmUp + count) * spans;
      for (const lost of Object.values(used.dropped ?? {})) dropped += lost;
    }
    return (used.user + used.system) / count;
  };

  const { bare, agent } = await interleave(
    { bare: () => measure('none'), agent: () => measure('import') },
    quick ? 5 : 15,
  );
  const { spans: arrived } = await receiver.ask('count');
  await receiver.stop();
  if (lent) await giveBack(service, lent);
  const note = `${arrived} of ${expected} spans arrived${dropped > 0 ? `, ${dropped} were dropped` : ''}`;
  return { name: `${name}, ${what}`, unit: 'µs CPU', base: bare, agent, note };
}

async function lend(service) {
  const response = await fetch(`${process.env.HOOKLINE_TEST_SERVERS}/${service}`, { method: 'POST' });
  const body = await response.json();
  if (body.error !== undefined) throw new Error(body.error);
  return body;
}

function giveBack(service, { name }) {
  return fetch(`${process.env.HOOKLINE_TEST_SERVERS}/${service}/${name}`, { method: 'DELETE' });
}
