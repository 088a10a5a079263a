import { startServers } from '../../scripts/servers/start.mjs';

/** vitest's global setup: what test files ask for in servers.ts outlives each of them. Returns the teardown. */
export default async function setup(): Promise<() => Promise<void>> {
  const servers = await startServers();
  return () => servers.close();
}
