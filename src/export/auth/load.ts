import type { AuthorizationConfig } from '../../config';
import type { Authorization, Authorized, OutgoingRequest } from './authorization';
import { AwsAuthorization } from './aws';
import { BearerAuthorization } from './bearer';
import { CredentialCache } from './credential-cache';
import { HeadersFile } from './headers-file';
import { ModuleAuthorization } from './module';
import { obtainCredentials } from './obtain';

/** What HOOKLINE_OTLP_AUTH and HOOKLINE_OTLP_HEADERS_FILE ask for. Nothing is read or asked before the first request. */
export function createAuthorization(config: AuthorizationConfig): Authorization {
  const parts: Authorization[] = [];
  if (config.headersFile !== undefined) parts.push(new HeadersFile(config.headersFile));
  if (config.method !== undefined) parts.push(createMethod(config.method, config));
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : new Combined(parts);
}

function createMethod(method: string, config: AuthorizationConfig): Authorization {
  switch (method) {
    case 'aws':
      return new AwsAuthorization(config, new CredentialCache(() => obtainCredentials('aws')));
    case 'google':
      return new BearerAuthorization(
        new CredentialCache(() => obtainCredentials('google')),
        ' (may the account write traces, and is gcp.project_id in OTEL_RESOURCE_ATTRIBUTES? See HOOKLINE_OTLP_AUTH)',
      );
    case 'azure':
      return new BearerAuthorization(
        new CredentialCache(() => obtainCredentials('azure')),
        ' (is the identity a Monitoring Metrics Publisher of the data collection rule? See HOOKLINE_OTLP_AUTH)',
      );
    default:
      return new ModuleAuthorization(method);
  }
}

/** The headers of all of them; those of later ones win, and see those of earlier ones in the request. */
class Combined implements Authorization {
  readonly #parts: readonly Authorization[];

  constructor(parts: readonly Authorization[]) {
    this.#parts = parts;
  }

  get hint(): string {
    return this.#parts.map(({ hint }) => hint).join('');
  }

  async headers(request: OutgoingRequest): Promise<Authorized> {
    let headers: Readonly<Record<string, string>> = {};
    for (const part of this.#parts) {
      const given = await part.headers({ ...request, headers: { ...request.headers, ...headers } });
      if ('problem' in given) return given;
      headers = { ...headers, ...given.headers };
    }
    return { headers };
  }

  headersSync(request: OutgoingRequest, budgetMs: number): Authorized {
    let headers: Readonly<Record<string, string>> = {};
    for (const part of this.#parts) {
      const given = part.headersSync({ ...request, headers: { ...request.headers, ...headers } }, budgetMs);
      if ('problem' in given) return given;
      headers = { ...headers, ...given.headers };
    }
    return { headers };
  }

  renew(): boolean {
    // All of them: which one was not accepted, nobody says.
    return this.#parts.map((part) => part.renew()).includes(true);
  }
}
