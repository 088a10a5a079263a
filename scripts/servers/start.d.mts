/**
 * Servers for the tests of this process and of those it starts; nothing is brought up before a test asks.
 * `close` stops what was started and gives back what was lent; it happens too when this process ends without.
 */
export function startServers(): Promise<{ close(): Promise<void> }>;
