// Clients of the servers, from the packages under test: the repository itself needs none of them.
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { installPackages } from '../packages.mjs';

const VERSIONS = { pg: '8.23.1', mysql2: '3.24.5', amqplib: '0.10.9' };

/** @param path what to require, when it is not the package itself (`mysql2/promise`) */
export async function client(name, path = name) {
  const folder = await installPackages(`${name}@${VERSIONS[name]}`);
  return createRequire(join(folder, 'node_modules', 'a.js'))(path);
}

/** Rejects when nothing listens there. */
export function reach(host, port, timeoutMs = 5_000) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no connection after ${timeoutMs} ms`)));
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}

/** Whatever a foreign server does with our bytes, the answer is there in time. */
export function within(timeoutMs, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer after ${timeoutMs} ms`)), timeoutMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
