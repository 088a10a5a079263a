import type { Endpoint } from './statement';

/** What clients of both drivers, and options of pools, say about their connection. */
export interface ConnectionFields {
  readonly database?: unknown;
  readonly host?: unknown;
  readonly port?: unknown;
  readonly connectionParameters?: { readonly nativeConnectionString?: unknown };
}

const NOWHERE: Endpoint = { database: undefined, address: undefined, port: undefined };

/** The attributes' view of a connection. Not of a connection string: the driver took that apart already. */
export function endpointOf({ database, host, port, connectionParameters }: ConnectionFields): Endpoint {
  // A string for libpq that says where to connect; the other fields then hold defaults.
  if (connectionParameters?.nativeConnectionString) return NOWHERE;
  const number = Number(port);
  const validPort = Number.isInteger(number) && number > 0 && number < 65536 ? number : undefined;
  const address = withoutBrackets(withoutCredentials(host));
  const isSocket = address?.startsWith('/') === true;
  return {
    database: withoutCredentials(database),
    address: isSocket && validPort !== undefined ? `${address}/.s.PGSQL.${validPort}` : address,
    port: isSocket || address === undefined ? undefined : validPort,
  };
}

/**
 * A password with an unescaped `/` or `@` in a connection string ends up in the host or the database's name; what is
 * after the last `@` never belongs to it.
 */
function withoutCredentials(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return value.slice(value.lastIndexOf('@') + 1) || undefined;
}

/** As IPv6 addresses stand in URLs. */
function withoutBrackets(host: string | undefined): string | undefined {
  return host?.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}
