// What applications under measurement talk to: databases and brokers, found or brought up as for the tests, and a plain
// HTTP server. Each is started when the first asks for it.
import { startServers } from '../../scripts/servers/start.mjs';
import { startProcess } from './processes.mjs';

export function createServices() {
  let servers;
  let upstream;
  return {
    /** @returns {Promise<{ url: string, giveBack(): Promise<void> }>} something empty, of the caller's own */
    async lend(service) {
      if (service === 'upstream') {
        upstream ??= await startProcess('lib/upstream.mjs');
        return { url: upstream.ready.url, giveBack: async () => {} };
      }
      servers ??= await startServers();
      const base = `${process.env.HOOKLINE_TEST_SERVERS}/${service}`;
      const { name, url } = await ask(base, 'POST');
      return { url, giveBack: () => ask(`${base}/${name}`, 'DELETE') };
    },
    async close() {
      await upstream?.stop();
      await servers?.close();
    },
  };
}

async function ask(url, method) {
  const response = await fetch(url, { method });
  const body = await response.json();
  if (body.error !== undefined) throw new Error(body.error);
  return body;
}
