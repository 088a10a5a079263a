import { type ChildProcess, execFile } from 'node:child_process';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { nodeBinary } from '../support/run-app';

const demo = fileURLToPath(new URL('../../examples/shop/demo.mjs', import.meta.url));
const shop = new URL('../../examples/shop/shop.mjs', import.meta.url).href;

/** Neither RabbitMQ nor MySQL answers there. */
export const NO_SERVERS = { AMQP_URL: 'amqp://127.0.0.1:1', MYSQL_URL: 'mysql://root@127.0.0.1:1' };

/** For `change`: one more line of output, which `addressesIn` reads. */
export const SAY_ADDRESSES = `
  const storefront = services.find(({ name }) => name === 'storefront');
  const { env } = storefront;
  storefront.env = (addresses) => {
    console.log('addresses ' + JSON.stringify(addresses));
    return env(addresses);
  };`;

/** Where everything that was started before the storefront listens, by name. */
export function addressesIn(stdout: string): Record<string, string> {
  return JSON.parse(stdout.match(/^addresses (.*)$/m)![1]!);
}

/** True when something accepts connections at an address: `host:port`, or a URL with both. */
export function listens(address: string): Promise<boolean> {
  const { hostname, port } = new URL(address.includes('://') ? address : `tcp://${address}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Runs the demo to its end, in a folder that has nothing to do with it.
 * @param options.change JavaScript that runs before and may change `services` and `visits`
 * @param options.onOutput is called with all of stdout so far
 */
export function runDemo(
  options: {
    env?: Record<string, string>;
    change?: string;
    onOutput?: (stdout: string, child: ChildProcess) => void;
  } = {},
): Promise<{
  /** `130` and so on, or the signal that ended it. */
  code: number | string | null | undefined;
  stdout: string;
  stderr: string;
}> {
  const { env, change, onOutput } = options;
  const before = change && `import { services, visits } from ${JSON.stringify(shop)};\n${change}`;
  const preload = before ? ['--import', `data:text/javascript,${encodeURIComponent(before)}`] : [];
  return new Promise((resolve) => {
    const child = execFile(
      nodeBinary,
      [...preload, demo],
      { cwd: tmpdir(), env: { ...process.env, ...env }, timeout: 50_000 },
      (error, stdout, stderr) => resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    );
    if (!onOutput) return;
    let heard = '';
    child.stdout?.on('data', (text) => {
      heard += text;
      onOutput(heard, child);
    });
  });
}
