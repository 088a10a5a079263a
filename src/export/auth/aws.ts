import type { Authorization, Authorized, OutgoingRequest } from './authorization';
import type { CredentialCache } from './credential-cache';
import type { Obtained } from './credentials';
import { type AwsKeys, type SigningScope, signV4 } from './sigv4';

export interface AwsOptions {
  /** HOOKLINE_OTLP_AUTH_REGION. */
  readonly region: string | undefined;
  /** HOOKLINE_OTLP_AUTH_SERVICE. */
  readonly service: string | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

/** HOOKLINE_OTLP_AUTH=aws: Signature Version 4 over each request as it is sent. */
export class AwsAuthorization implements Authorization {
  readonly hint =
    ' (may the AWS identity write to X-Ray, is the region the right one, and the clock? See HOOKLINE_OTLP_AUTH)';
  readonly #options: AwsOptions;
  readonly #cache: CredentialCache;
  readonly #env: Env;

  constructor(options: AwsOptions, cache: CredentialCache, env: Env = process.env) {
    this.#options = options;
    this.#cache = cache;
    this.#env = env;
  }

  async headers(request: OutgoingRequest): Promise<Authorized> {
    return this.#sign(request, keysFromEnv(this.#env) ?? (await this.#cache.get()));
  }

  headersSync(request: OutgoingRequest, budgetMs: number): Authorized {
    return this.#sign(request, keysFromEnv(this.#env) ?? this.#cache.getSync(budgetMs));
  }

  renew(): boolean {
    // Those of the environment are read for each request.
    return keysFromEnv(this.#env) === undefined && this.#cache.drop();
  }

  #sign(request: OutgoingRequest, obtained: Obtained): Authorized {
    if ('problem' in obtained) return obtained;
    if (obtained.keys === undefined) return { problem: 'no AWS keys', final: false };
    const scope = signingScope(new URL(request.url).hostname, this.#options, this.#env);
    if (scope === undefined) {
      return { problem: 'no AWS region to sign for: set HOOKLINE_OTLP_AUTH_REGION or AWS_REGION', final: true };
    }
    return { headers: signV4(request, obtained.keys, scope, new Date()) };
  }
}

/** The first of AWS's own sources, which needs no package; a profile comes before it, as in the AWS SDK. */
function keysFromEnv(env: Env): { keys: AwsKeys } | undefined {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE } = env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY || AWS_PROFILE) return undefined;
  return {
    keys: {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      sessionToken: AWS_SESSION_TOKEN || undefined,
    },
  };
}

/**
 * What the options say, else what the name of the endpoint does (`xray.eu-west-1.amazonaws.com`, `xray.eu-west-1.api.aws`,
 * `vpce-….xray.eu-west-1.vpce.amazonaws.com`), else the environment. `undefined` without a region.
 */
export function signingScope(host: string, { region, service }: AwsOptions, env: Env): SigningScope | undefined {
  const [, hostService, hostRegion] =
    /(?:^|\.)([a-z0-9-]+)\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$/i.exec(host) ??
    [];
  const used = region ?? hostRegion ?? (env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || undefined);
  return used === undefined ? undefined : { region: used, service: service ?? hostService ?? 'xray' };
}
