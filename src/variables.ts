export type Variables = Readonly<Record<string, string | undefined>>;

const PREFIXES = ['OTEL_', 'HOOKLINE_'] as const;

/** Those of others that the configuration reads, in upper or lower case; the last says that HTTP_PROXY is a header (CGI). */
export const PROXY_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'REQUEST_METHOD'] as const;

const FOREIGN: ReadonlySet<string> = new Set(PROXY_VARIABLES.flatMap((name) => [name, name.toLowerCase()]));

/**
 * What of the environment the configuration is made of; `undefined` where there is nothing, and the defaults are all. One
 * pass over the names: to ask an environment for a hundred variables takes longer than to read this off.
 */
export function ownVariables(env: Variables): Variables | undefined {
  // Names are the same in any case there, which only the environment itself knows.
  if (process.platform === 'win32') return env;
  let own: Record<string, string | undefined> | undefined;
  for (const name of Object.keys(env)) {
    if (!isOwn(name)) continue;
    own ??= Object.create(null) as Record<string, string | undefined>;
    own[name] = env[name];
  }
  return own;
}

export function isOwn(name: string): boolean {
  return PREFIXES.some((prefix) => name.startsWith(prefix)) || FOREIGN.has(name);
}
