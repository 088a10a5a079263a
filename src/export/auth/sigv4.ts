import type { OutgoingRequest } from './authorization';

/** Of an AWS identity. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SigningScope {
  readonly region: string;
  readonly service: string;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';

/** Nobody on the way rewrites these; anything else, such as `user-agent`, a proxy may. */
const SIGNED_IF_PRESENT = ['content-type', 'content-encoding'];

/**
 * The headers that AWS Signature Version 4 adds to a request (AWS General Reference, "Create a signed AWS API request").
 * Written here and not left to a package: it is two hashes and five HMACs, and the end of a process has to do it without an
 * event loop. `host` is among them, because it is signed as it is written here.
 */
export function signV4(
  request: OutgoingRequest,
  keys: AwsKeys,
  { region, service }: SigningScope,
  now: Date,
): Record<string, string> {
  // Loaded here and not at the top: these are milliseconds.
  const { createHash, createHmac } = require('node:crypto') as typeof import('node:crypto');
  const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
  const hmac = (key: Uint8Array | string, data: string): Buffer => createHmac('sha256', key).update(data).digest();

  const url = new URL(request.url);
  const timestamp = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const date = timestamp.slice(0, 8);
  const bodyHash = sha256(request.body);
  const added: Record<string, string> = {
    host: request.headers['host'] ?? url.host,
    'x-amz-content-sha256': bodyHash,
    'x-amz-date': timestamp,
  };
  if (keys.sessionToken !== undefined) added['x-amz-security-token'] = keys.sessionToken;
  const signed: Record<string, string> = { ...added };
  for (const name of SIGNED_IF_PRESENT) {
    const value = request.headers[name];
    if (value !== undefined) signed[name] = value;
  }
  const names = Object.keys(signed).sort();
  const canonicalRequest = [
    request.method,
    canonicalPath(url.pathname),
    canonicalQuery(url.searchParams),
    ...names.map((name) => `${name}:${(signed[name] as string).trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    bodyHash,
  ].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const toSign = [ALGORITHM, timestamp, scope, sha256(canonicalRequest)].join('\n');
  let key: Buffer | string = `AWS4${keys.secretAccessKey}`;
  for (const part of [date, region, service, 'aws4_request']) key = hmac(key, part);
  const signature = hmac(key, toSign).toString('hex');
  added['authorization'] =
    `${ALGORITHM} Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return added;
}

/** What is encoded already is encoded once more: all services but S3 want it so. */
function canonicalPath(pathname: string): string {
  return pathname.split('/').map(encode).join('/');
}

function canonicalQuery(parameters: URLSearchParams): string {
  return [...parameters]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
}

/** All but the unreserved characters of RFC 3986. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
