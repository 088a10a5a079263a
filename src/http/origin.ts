import { SERVER_ADDRESS, SERVER_PORT } from '../semconv';
import { AttributeBlock } from '../trace/attribute-block';
import { type Authority, defaultPort, parseAuthority } from './authority';

/** Entries of an `OriginCache`; beyond these it starts anew, so that what is used again comes back soon. */
const MAX_ENTRIES = 512;

/** Longer ones are not kept. */
const MAX_LENGTH = 256;

/** The origin that a client sends requests to, taken apart. */
export class Origin {
  /** Without colon. */
  readonly scheme: string;
  /** As it was given. */
  readonly authority: string;
  /** Of `url.full`, before the path: without user and password. */
  readonly prefix: string;
  readonly server: Authority | undefined;
  /** `server.address` and `server.port`. */
  readonly block: AttributeBlock;

  constructor(readonly text: string) {
    this.scheme = text.startsWith('https:') ? 'https' : 'http';
    const start = text.indexOf('://') + 3;
    const slash = text.indexOf('/', start);
    this.authority = slash < 0 ? text.slice(start) : text.slice(start, slash);
    this.prefix = `${this.scheme}://${this.authority.slice(this.authority.lastIndexOf('@') + 1)}`;
    const server = parseAuthority(this.authority);
    this.server = server && { host: server.host, port: server.port ?? defaultPort(this.scheme) };
    this.block = new AttributeBlock({ [SERVER_ADDRESS]: this.server?.host, [SERVER_PORT]: this.server?.port });
  }
}

/** Origins by their text; a client has few. */
export class OriginCache {
  readonly #origins = new Map<string, Origin>();
  #last: Origin | undefined = undefined;

  get(text: string): Origin {
    // Each request may come with a string of its own: comparing it costs less than hashing it.
    if (this.#last?.text === text) return this.#last;
    let origin = this.#origins.get(text);
    if (origin === undefined) {
      origin = new Origin(text);
      if (text.length > MAX_LENGTH) return origin;
      if (this.#origins.size >= MAX_ENTRIES) this.#origins.clear();
      this.#origins.set(text, origin);
    }
    this.#last = origin;
    return origin;
  }
}
