import type { PropagationHostsConfig } from '../config';
import type { Receiver } from '../hook/instrumentation';
import { parseAuthority } from '../http/authority';
import { Glob } from '../sampling/glob';

/** Answers that are remembered. A crawler asks for more hosts than that; all of them are then forgotten at once. */
const MAX_KNOWN = 1000;

/** Longer than any host; never remembered. */
const MAX_HOST_LENGTH = 255;

/**
 * HOOKLINE_PROPAGATION_HOSTS and HOOKLINE_PROPAGATION_EXCLUDED_HOSTS.
 *
 * A pattern is a host, in which `*` stands for any characters and `?` for one, perhaps with a port; without one it holds
 * for all ports. Hosts are compared without regard to case, to a dot at their end, and to how an IPv6 address or a name
 * beyond ASCII is written. Excluded wins over allowed.
 */
export class PropagationHosts {
  readonly #allowed: readonly Pattern[] | undefined;
  readonly #excluded: readonly Pattern[];
  readonly #known = new Map<string, boolean>();

  constructor({ allowed, excluded }: PropagationHostsConfig) {
    this.#allowed = allowed?.map(toPattern);
    this.#excluded = excluded.map(toPattern);
  }

  /** A receiver that nobody can name is in no list. */
  mayReceive(receiver: Receiver | undefined): boolean {
    if (receiver === undefined || receiver.host.length > MAX_HOST_LENGTH) return this.#allowed === undefined;
    const key = `${receiver.port ?? ''} ${receiver.host}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.#decide(canonical(receiver.host), receiver.port);
      if (this.#known.size === MAX_KNOWN) this.#known.clear();
      this.#known.set(key, known);
    }
    return known;
  }

  #decide(host: string, port: number | undefined): boolean {
    const portText = port === undefined ? '' : String(port);
    const has = (pattern: Pattern): boolean =>
      (pattern.port === undefined || pattern.port.matches(portText)) && pattern.host.matches(host);
    return !this.#excluded.some(has) && (this.#allowed === undefined || this.#allowed.some(has));
  }
}

interface Pattern {
  readonly host: Glob;
  /** `undefined`: any. */
  readonly port: Glob | undefined;
}

/** The configuration lets only `host`, `host:port`, `[v6]` and `[v6]:port` through. */
function toPattern(text: string): Pattern {
  const [, address, name, port] = /^(?:\[(.*)\]|([^:]*))(?::(.*))?$/s.exec(text) ?? [];
  return {
    host: new Glob(canonical(address ?? name ?? '')),
    port: port === undefined ? undefined : new Glob(port),
  };
}

/** One writing of a host, or of a pattern of hosts. */
function canonical(host: string): string {
  let text = host.toLowerCase();
  if (text.endsWith('.') && text.length > 1) text = text.slice(0, -1);
  const isAddress = text.includes(':');
  // What URL does for names and addresses; a `?` would end its host.
  if ((isAddress && !text.includes('*')) || !isAscii(text)) text = throughUrl(text, isAddress) ?? text;
  return text;
}

function throughUrl(host: string, isAddress: boolean): string | undefined {
  if (host.includes('?')) return undefined;
  try {
    return parseAuthority(new URL(`http://${isAddress ? `[${host}]` : host}`).host)?.host;
  } catch {
    return undefined;
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
