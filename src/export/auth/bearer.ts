import type { Authorization, Authorized } from './authorization';
import type { CredentialCache } from './credential-cache';
import type { Obtained } from './credentials';

/** HOOKLINE_OTLP_AUTH=google and azure: a token that is the same for every request until it expires. */
export class BearerAuthorization implements Authorization {
  readonly hint: string;
  readonly #cache: CredentialCache;

  constructor(cache: CredentialCache, hint: string) {
    this.#cache = cache;
    this.hint = hint;
  }

  async headers(): Promise<Authorized> {
    return toAuthorized(await this.#cache.get());
  }

  headersSync(_request: unknown, budgetMs: number): Authorized {
    return toAuthorized(this.#cache.getSync(budgetMs));
  }

  renew(): boolean {
    return this.#cache.drop();
  }
}

function toAuthorized(obtained: Obtained): Authorized {
  if ('problem' in obtained) return obtained;
  return obtained.headers === undefined ? { problem: 'no token', final: false } : { headers: obtained.headers };
}
