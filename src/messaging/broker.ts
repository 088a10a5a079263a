/** Where a connection goes, as the application said it. */

export interface Broker {
  readonly address: string | undefined;
  readonly port: number | undefined;
}

const UNKNOWN: Broker = { address: undefined, port: undefined };

/** amqplib's defaults. */
const DEFAULT_HOST = 'localhost';
const DEFAULT_PORT = 5672;
const DEFAULT_TLS_PORT = 5671;

/**
 * Reads host and port from the first argument of amqplib's `connect`: a URL, an object with `protocol`, `hostname` and
 * `port`, or nothing. User, password, virtual host and query are not looked at.
 */
export function brokerOf(target: unknown): Broker {
  if (!target) return { address: DEFAULT_HOST, port: DEFAULT_PORT };
  if (typeof target === 'string') return fromUrl(target);
  if (typeof target !== 'object') return UNKNOWN;
  const { protocol, hostname, port } = target as { protocol?: unknown; hostname?: unknown; port?: unknown };
  return broker(hostname, port, protocol === 'amqps');
}

function fromUrl(text: string): Broker {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return UNKNOWN;
  }
  const { hostname, pathname, search, hash } = url;
  // A password that was not encoded: what reads as the host may be the user, and as the port a part of the password.
  if (`${pathname}${search}${hash}`.includes('@')) return UNKNOWN;
  return broker(hostname.startsWith('[') ? hostname.slice(1, -1) : hostname, url.port, url.protocol === 'amqps:');
}

function broker(hostname: unknown, port: unknown, isTls: boolean): Broker {
  return {
    address: typeof hostname === 'string' && hostname !== '' ? hostname : DEFAULT_HOST,
    port: Number(port) || (isTls ? DEFAULT_TLS_PORT : DEFAULT_PORT),
  };
}
