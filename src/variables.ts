export type Variables = Readonly<Record<string, string | undefined>>;

const PREFIXES = ['OTEL_', 'HOOKLINE_'] as const;

/** Those of others that the configuration reads. */
const FOREIGN: ReadonlySet<string> = new Set([
  ...['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'],
  // Set where HTTP_PROXY is a header of the request (CGI).
  'REQUEST_METHOD',
]);

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
