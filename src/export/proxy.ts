import type { ProxyConfig } from '../config';

/** A proxy that stands between this process and the collector: plain data, as the endpoint that it belongs to. */
export interface HttpProxy {
  /** TLS to the proxy itself. */
  readonly secure: boolean;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** Value of `Proxy-Authorization`; a secret. */
  readonly authorization: string | undefined;
  /** Without user and password. */
  readonly displayUrl: string;
  /** The environment variable that named it. */
  readonly variable: string;
}

export interface ProxyChoice {
  /** `undefined`: connect directly. */
  readonly proxy: HttpProxy | undefined;
  /** What is wrong with the variable, without its value, which may hold a password. */
  readonly problem: string | undefined;
}

const DIRECT: ProxyChoice = { proxy: undefined, problem: undefined };

/** In front of the four bytes of an IPv4 address, so that there is one form to compare (RFC 4291, 2.5.5.2). */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/**
 * Whether `url` is reached through the proxy of the environment. This machine itself never is, whatever the variables say,
 * as in Go; a variable that no proxy can be made of is reported only where the proxy would be used.
 */
export function chooseProxy(url: URL, config: ProxyConfig | undefined): ProxyChoice {
  if (config === undefined) return DIRECT;
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  if (isThisMachine(url.hostname) || isExempt(url.hostname, port, config.noProxy)) return DIRECT;
  return parseProxy(config);
}

function parseProxy({ url: value, variable }: ProxyConfig): ProxyChoice {
  const accepted = 'the http:// or https:// URL of a proxy; connecting directly';
  let url: URL;
  try {
    url = new URL(value.includes('://') ? value : `http://${value}`);
  } catch {
    return { proxy: undefined, problem: `${variable} is not ${accepted}` };
  }
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    return { proxy: undefined, problem: `${variable} is a ${url.protocol} URL and not ${accepted}` };
  }
  const secure = url.protocol === 'https:';
  const hasCredentials = url.username !== '' || url.password !== '';
  return {
    proxy: {
      secure,
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
      authorization: hasCredentials ? basic(url.username, url.password) : undefined,
      displayUrl: `${url.protocol}//${url.host}`,
      variable,
    },
    problem: undefined,
  };
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${decode(user)}:${decode(password)}`).toString('base64')}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * By NO_PROXY: items separated by commas or spaces. `*` is every host. A name stands for itself and everything below it, with or
 * without a dot or `*.` in front; an address for itself, however it is written; `address/bits` for a network; each but
 * the last perhaps with a port. Names are not looked up, so networks only hold addresses.
 * @param hostname as a URL has it: in lower case, IPv6 in brackets
 */
export function isExempt(hostname: string, port: number, noProxy: string): boolean {
  const address = toBytes(hostname);
  const host = withoutLastDot(hostname);
  return noProxy.split(/[\s,]+/).some((item) => {
    if (item === '*') return true;
    const slash = item.indexOf('/');
    if (slash >= 0) return address !== undefined && isInNetwork(address, item.slice(0, slash), item.slice(slash + 1));
    const portAt = portIndex(item);
    if (portAt >= 0 && Number(item.slice(portAt + 1)) !== port) return false;
    const name = portAt < 0 ? item : item.slice(0, portAt);
    const itsAddress = toBytes(name);
    if (address !== undefined || itsAddress !== undefined) {
      return address !== undefined && itsAddress !== undefined && address.every((byte, i) => byte === itsAddress[i]);
    }
    const suffix = withoutLastDot(name.toLowerCase().replace(/^\*?\./, ''));
    return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`));
  });
}

/** Of the colon in front of a port; -1 for none, as in an IPv6 address without brackets. */
function portIndex(item: string): number {
  if (item.startsWith('[')) {
    const end = item.indexOf(']');
    return end >= 0 && item[end + 1] === ':' ? end + 1 : -1;
  }
  const colon = item.indexOf(':');
  return colon === item.lastIndexOf(':') ? colon : -1;
}

function isThisMachine(hostname: string): boolean {
  const address = toBytes(hostname);
  if (address === undefined) return /^(.+\.)?localhost\.?$/i.test(hostname);
  return isInNetwork(address, '127.0.0.0', '8') || isInNetwork(address, '::1', '128');
}

function isInNetwork(address: readonly number[], network: string, bitsText: string): boolean {
  const prefix = toBytes(network);
  if (prefix === undefined || !/^\d{1,3}$/.test(bitsText)) return false;
  const offset = network.includes(':') ? 0 : 8 * MAPPED.length;
  const bits = offset + Number(bitsText);
  if (bits > 8 * prefix.length) return false;
  return prefix.every((byte, i) => {
    const counted = Math.min(Math.max(bits - 8 * i, 0), 8);
    const mask = 0xff & (0xff00 >> counted);
    return ((byte ^ (address[i] ?? 0)) & mask) === 0;
  });
}

/** The sixteen bytes of an address, with or without brackets; `undefined` for what is none. Without node:net, which nobody else needs at start. */
function toBytes(text: string): readonly number[] | undefined {
  const plain = text.replace(/^\[(.*)\]$/, '$1');
  if (!plain.includes(':')) {
    if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(plain)) return undefined;
    const bytes = plain.split('.').map(Number);
    return bytes.every((byte) => byte <= 0xff) ? [...MAPPED, ...bytes] : undefined;
  }
  let canonical: string;
  try {
    canonical = new URL(`http://[${plain}]`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
  const [head = '', tail] = canonical.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = new Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function withoutLastDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
