import { connect, createServer } from 'node:net';

/**
 * Stands in front of a server that is not ours, so that its connections can be cut and delayed.
 * @param {string} url of the server
 * @param {number} defaultPort
 */
export async function startProxy(url, defaultPort) {
  const target = new URL(url);
  const pairs = new Set();
  let delayMs = 0;
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: target.hostname, port: Number(target.port) || defaultPort, noDelay: true });
    const pair = [near, far];
    pairs.add(pair);
    const close = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on('error', close).on('close', close);
    const pass = (from, to) =>
      from.on('data', (chunk) => {
        // Delays are equal while they last, and what follows a longer one waits for it.
        if (delayMs === 0 && !from.late) to.write(chunk);
        else {
          from.late = (from.late ?? 0) + 1;
          setTimeout(() => {
            from.late--;
            if (!to.destroyed) to.write(chunk);
          }, delayMs);
        }
      });
    pass(near, far);
    pass(far, near);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(server.address().port);
  return {
    url: through.href,
    /** Cuts every connection, without a word of either side. */
    cut() {
      for (const sockets of pairs) for (const socket of sockets) socket.resetAndDestroy();
    },
    delay(ms) {
      delayMs = ms;
    },
    close() {
      server.close();
      this.cut();
    },
  };
}
