import { createHash, createHmac } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { packageToInstall } from '../../src/export/auth/sources';
import { decodeTraceRequest } from '../support/otlp-decode';
import { type OtlpReceiver, type ReceivedRequest, type ReceivedSpan, startReceiver } from '../support/otlp-receiver';
import { isAtLeast, nodeVersion, testPackage, writeFolder } from '../support/packages';
import { permissionFlags } from '../support/permission';
import { type RunningApp, root, runApp, startApp } from '../support/run-app';

const APP = join(root, 'test/e2e/fixtures/auth-app/app.cjs');
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const SESSION = `session/${'token+'.repeat(10)}`;

const AWS = supported('@aws-sdk/credential-provider-node', { '3.840.0': '18.0', '3.972.97': '20.0' });
const GOOGLE = supported('google-auth-library', { '9.15.1': '18.0', '10.5.0': '18.0', '11.3.4': '22.0' });
const AZURE = supported('@azure/identity', { '4.10.0': '18.0', '4.14.1': '22.0' });

function supported(name: string, versions: Record<string, string>): string[] {
  return Object.entries(versions).flatMap(([version, needs]) => {
    if (isAtLeast(nodeVersion, needs)) return [`${name}@${version}`];
    console.log(`${name}@${version} not run: it needs Node.js ${needs}, this is ${nodeVersion}`);
    return [];
  });
}

async function receiver(): Promise<OtlpReceiver> {
  const started = await startReceiver();
  onTestFinished(() => started.close());
  return started;
}

/** A metadata or token server on loopback; what it was asked, by method and URL. */
async function serve(
  answer: (request: IncomingMessage, body: string) => { status?: number; body: unknown } | undefined,
) {
  const asked: string[] = [];
  const listener: RequestListener = async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push(`${request.method} ${request.url}`);
    const given = answer(request, body);
    if (given === undefined) return;
    response.writeHead(given.status ?? 200, { 'content-type': 'application/json', 'metadata-flavor': 'Google' });
    response.end(typeof given.body === 'string' ? given.body : JSON.stringify(given.body));
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, host: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Nothing of this machine's own credentials. */
function cleanHome(): Record<string, string> {
  const home = writeFolder({ empty: '' });
  return {
    HOME: home,
    CLOUDSDK_CONFIG: home,
    AWS_EC2_METADATA_DISABLED: 'true',
    AZURE_CONFIG_DIR: home,
  };
}

/** Those of the application alone: two per request, and nobody asked for a token. */
function expectOnlyTheirs(spans: readonly ReceivedSpan[], requests: number): void {
  const ports = new Set(spans.map(({ attributes }) => attributes['server.port']));
  expect(spans).toHaveLength(2 * requests);
  expect(ports.size).toBe(1);
}

class Sha256 {
  readonly #hash;

  constructor(key?: string | Uint8Array) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  }
  update(data: string | Uint8Array): void {
    this.#hash.update(data);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
}

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** The `authorization` that AWS's own signer gives for what was received. */
async function expectedSignature(request: ReceivedRequest, credentials: Keys, region: string, service: string) {
  const folder = await testPackage('@smithy/signature-v4@5.7.5');
  const { SignatureV4 } = createRequire(join(folder, 'x.js'))('@smithy/signature-v4');
  const signer = new SignatureV4({ credentials, region, service, sha256: Sha256, applyChecksum: true });
  const [, names = ''] = /SignedHeaders=([^,]+)/.exec(String(request.headers.authorization)) ?? [];
  const headers = Object.fromEntries(names.split(';').map((name) => [name, request.headers[name]]));
  const [, ...date] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(request.headers['x-amz-date'])) ?? [];
  const [year, month, day, hour, minute, second] = date;
  const url = new URL(request.url, 'http://any');
  const signed = await signer.sign(
    {
      method: request.method,
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers,
      body: request.bytes,
    },
    { signingDate: new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) },
  );
  return {
    authorization: signed.headers.authorization,
    names: names.split(';'),
    ageMs: Date.now() - Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`),
  };
}

async function expectSigned(requests: readonly ReceivedRequest[], keys: Keys, region = 'eu-west-1', service = 'xray') {
  expect(requests.length).toBeGreaterThan(0);
  for (const request of requests) {
    const { authorization, names, ageMs } = await expectedSignature(request, keys, region, service);
    expect(request.headers.authorization).toBe(authorization);
    expect(names).toEqual(expect.arrayContaining(['host', 'x-amz-content-sha256', 'x-amz-date']));
    expect(request.headers['x-amz-content-sha256']).toBe(createHash('sha256').update(request.bytes).digest('hex'));
    expect(request.headers['x-amz-security-token']).toBe(keys.sessionToken);
    expect(Math.abs(ageMs)).toBeLessThan(300_000);
  }
}

function expectNoSecrets(app: { stdout: string; stderr: string }, ...secrets: string[]): void {
  for (const secret of [SECRET, SESSION, ...secrets]) expect(app.stdout + app.stderr).not.toContain(secret);
}

describe('HOOKLINE_OTLP_AUTH=aws', () => {
  const STATIC = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: SECRET, AWS_REGION: 'eu-west-1' };
  const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET };

  it.each([
    ['keys of the environment', {}, undefined],
    ['a session token', { AWS_SESSION_TOKEN: SESSION }, SESSION],
    ['gzip', { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' }, undefined],
  ])('signs with %s, without any package', async (_, env, sessionToken) => {
    const collector = await receiver();
    const app = await startApp(APP, {
      ipc: true,
      receiver: collector,
      env: { HOOKLINE_OTLP_AUTH: 'aws', ...STATIC, ...env },
    });
    await app.waitForOutput('ready');
    app.child.send('get');
    await collector.waitForSpans(2);
    app.child.send('end');
    const result = await app.done;
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    await expectSigned(collector.requests, { ...KEYS, ...(sessionToken && { sessionToken }) });
    expect(collector.requests[0]?.headers['content-encoding']).toBe(
      'OTEL_EXPORTER_OTLP_COMPRESSION' in env ? 'gzip' : undefined,
    );
    expectOnlyTheirs(result.spans, 1);
  });

  it.each(['none', 'gzip'])(
    'signs the last spans at process.exit, compression %s, with the region and service of its own variables',
    async (compression) => {
      const env = {
        OTEL_EXPORTER_OTLP_COMPRESSION: compression,
        ...STATIC,
        HOOKLINE_OTLP_AUTH: 'aws',
        HOOKLINE_OTLP_AUTH_REGION: 'us-west-2',
        HOOKLINE_OTLP_AUTH_SERVICE: 'osis',
      };
      const collector = await receiver();
      const result = await runApp(APP, {
        args: ['exit'],
        receiver: collector,
        env: { ...env, OTEL_BSP_SCHEDULE_DELAY: '60000' },
      });
      expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
      await expectSigned(collector.requests, KEYS, 'us-west-2', 'osis');
      expect(collector.requests[0]?.headers['content-encoding']).toBe(compression === 'gzip' ? 'gzip' : undefined);
      expectOnlyTheirs(result.spans, 1);
    },
  );

  it.each(AWS)('%s: takes keys from a shared credentials file', async (specification) => {
    const folder = writeFolder({
      credentials: `[till]\naws_access_key_id = AKIDFILE\naws_secret_access_key = ${SECRET}\naws_session_token = ${SESSION}\n`,
    });
    const collector = await receiver();
    const result = await runApp(APP, {
      args: ['once'],
      cwd: await testPackage(specification),
      receiver: collector,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: 'aws',
        AWS_REGION: 'eu-west-1',
        AWS_PROFILE: 'till',
        AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
        HOOKLINE_EXIT_TIMEOUT: '20000',
      },
    });
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    await expectSigned(collector.requests, { accessKeyId: 'AKIDFILE', secretAccessKey: SECRET, sessionToken: SESSION });
    expectOnlyTheirs(result.spans, 1);
  });

  it.each(AWS)('%s: takes keys of a container, and new ones before they expire', async (specification) => {
    let count = 0;
    const metadata = await serve(() => {
      count++;
      return {
        body: {
          AccessKeyId: `AKIDCONTAINER${count}`,
          SecretAccessKey: SECRET,
          Token: SESSION,
          Expiration: new Date(Date.now() + 2_000).toISOString(),
        },
      };
    });
    const collector = await receiver();
    const app = await startApp(APP, {
      ipc: true,
      cwd: await testPackage(specification),
      receiver: collector,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: 'aws',
        AWS_REGION: 'eu-west-1',
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${metadata.host}/credentials`,
      },
    });
    const identity = ({ headers }: ReceivedRequest) => /Credential=(\w+)/.exec(String(headers.authorization))?.[1];
    const gets = await getUntil(app, () => new Set(collector.requests.map(identity)).size > 1);
    app.child.send('end');
    const result = await app.done;
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    for (const request of collector.requests) {
      await expectSigned([request], {
        accessKeyId: identity(request)!,
        secretAccessKey: SECRET,
        sessionToken: SESSION,
      });
    }
    expect(new Set(metadata.asked)).toEqual(new Set(['GET /credentials']));
    expectOnlyTheirs(result.spans, gets);
    expectNoSecrets(result);
  });

  it.runIf(permissionFlags)('asks in this thread where others are not allowed', async () => {
    const folder = writeFolder({
      credentials: `[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = ${SECRET}\n`,
    });
    const collector = await receiver();
    const result = await runApp(APP, {
      args: ['once'],
      execArgv: [...permissionFlags!],
      cwd: await testPackage(AWS.at(-1)!),
      receiver: collector,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: 'aws',
        AWS_REGION: 'eu-west-1',
        AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
        HOOKLINE_EXIT_TIMEOUT: '20000',
      },
    });
    expect(result.code).toBe(0);
    await expectSigned(collector.requests, { accessKeyId: 'AKIDFILE', secretAccessKey: SECRET });
    expectOnlyTheirs(result.spans, 1);
    expect(result.stderr).not.toContain('hookline');
  });

  it.runIf(permissionFlags)('signs what a process of its own sends last, where threads are not allowed', async () => {
    const collector = await receiver();
    const result = await runApp(APP, {
      args: ['exit'],
      execArgv: [...permissionFlags!, '--allow-child-process'],
      receiver: collector,
      env: { ...STATIC, HOOKLINE_OTLP_AUTH: 'aws', OTEL_BSP_SCHEDULE_DELAY: '60000', HOOKLINE_EXIT_TIMEOUT: '20000' },
    });
    expect(result.code).toBe(0);
    await expectSigned(collector.requests, KEYS);
    expectOnlyTheirs(result.spans, 1);
    expectNoSecrets(result);
  });

  it('signs HTTP where gRPC is asked for, and says so', async () => {
    const collector = await receiver();
    const env = { ...STATIC, HOOKLINE_OTLP_AUTH: 'aws', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    const result = await runApp(APP, { args: ['once'], receiver: collector, env });
    expect(result.stderr).toBe(
      'hookline: OTEL_EXPORTER_OTLP_PROTOCOL=grpc cannot be signed for HOOKLINE_OTLP_AUTH=aws; using http/protobuf\n',
    );
    await expectSigned(collector.requests, KEYS);
  });

  it('without a region says what to set', async () => {
    const { AWS_REGION: _, ...keys } = STATIC;
    const collector = await receiver();
    const result = await runApp(APP, {
      args: ['once'],
      receiver: collector,
      env: { ...keys, HOOKLINE_OTLP_AUTH: 'aws' },
    });
    expect(result.stderr).toContain('no AWS region to sign for: set HOOKLINE_OTLP_AUTH_REGION or AWS_REGION\n');
    expect(collector.requests).toEqual([]);
  });
});

/** Asks for one request after another, each delivered before the next; how many it were. */
async function getUntil(app: RunningApp, done: () => boolean): Promise<number> {
  await app.waitForOutput('ready');
  let gets = 0;
  while (!done()) {
    gets++;
    app.child.send('get');
    await app.receiver!.waitForSpans(2 * gets);
  }
  return gets;
}

describe('HOOKLINE_OTLP_AUTH=google', () => {
  it.each(GOOGLE)('%s: takes tokens of the metadata server, and new ones before they expire', async (specification) => {
    let count = 0;
    const metadata = await serve(({ url }) => {
      if (!url?.includes('/token')) return { body: url?.includes('universe') ? 'googleapis.com' : 'ok' };
      return { body: { access_token: `ya29.token-${++count}`, expires_in: 2, token_type: 'Bearer' } };
    });
    const collector = await receiver();
    const app = await startApp(APP, {
      ipc: true,
      cwd: await testPackage(specification),
      receiver: collector,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: 'google',
        GCE_METADATA_HOST: metadata.host,
        GOOGLE_CLOUD_PROJECT: 'shop',
      },
    });
    const tokens = () => new Set(collector.requests.map(({ headers }) => headers.authorization));
    const gets = await getUntil(app, () => tokens().size > 1);
    app.child.send('end');
    const result = await app.done;
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    for (const token of tokens()) expect(token).toMatch(/^Bearer ya29\.token-\d+$/);
    expect(metadata.asked.filter((url) => url.includes('/token')).join()).toContain('cloud-platform');
    expectOnlyTheirs(result.spans, gets);
    expectNoSecrets(result, 'ya29');
  });

  it.each(GOOGLE)(
    '%s: exchanges a federated identity at process.exit, and names the quota project',
    async (specification) => {
      const sts = await serve((_request, body) => {
        if (!body.includes('the-subject-token')) return { status: 400, body: { error: 'invalid_request' } };
        const [access_token, issued_token_type] = ['ya29.federated', 'urn:ietf:params:oauth:token-type:access_token'];
        return { body: { access_token, issued_token_type, token_type: 'Bearer', expires_in: 3600 } };
      });
      const audience = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x';
      const folder = writeFolder({ subject: 'the-subject-token' });
      const credentials = {
        type: 'external_account',
        audience,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `http://${sts.host}/v1/token`,
        credential_source: { file: join(folder, 'subject') },
        quota_project_id: 'payer',
      };
      writeFileSync(join(folder, 'adc.json'), JSON.stringify(credentials));
      const collector = await receiver();
      const result = await runApp(APP, {
        args: ['exit'],
        cwd: await testPackage(specification),
        receiver: collector,
        env: {
          ...cleanHome(),
          HOOKLINE_OTLP_AUTH: 'google',
          GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'adc.json'),
          OTEL_BSP_SCHEDULE_DELAY: '60000',
          HOOKLINE_EXIT_TIMEOUT: '20000',
        },
      });
      expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
      expect(collector.requests.map(({ headers }) => [headers.authorization, headers['x-goog-user-project']])).toEqual([
        ['Bearer ya29.federated', 'payer'],
      ]);
      expect(sts.asked).toEqual(['POST /v1/token']);
      expectOnlyTheirs(result.spans, 1);
    },
  );
});

describe('HOOKLINE_OTLP_AUTH=google over gRPC', () => {
  it('sends the token as metadata, while the process runs and at its end', async () => {
    const [specification] = GOOGLE;
    const metadata = await serve(({ url }) => {
      if (!url?.includes('/token')) return { body: url?.includes('universe') ? 'googleapis.com' : 'ok' };
      return { body: { access_token: 'ya29.grpc', expires_in: 3600, token_type: 'Bearer' } };
    });
    const names: string[] = [];
    const authorizations: unknown[] = [];
    const grpcFolder = await testPackage('@grpc/grpc-js@1.14.7');
    const grpc = createRequire(join(grpcFolder, 'noop.js'))('@grpc/grpc-js');
    const bytes = (value: Buffer) => value;
    const method = {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    };
    const arrivals = new EventEmitter();
    const collector = new grpc.Server();
    const answer = (call: any, callback: (error: null, value: Buffer) => void): void => {
      authorizations.push(...call.metadata.get('authorization'));
      for (const { kind, name } of decodeTraceRequest(call.request)) names.push(`${kind} ${name}`);
      arrivals.emit('spans');
      callback(null, Buffer.alloc(0));
    };
    collector.addService({ Export: method }, { Export: answer });
    onTestFinished(() => collector.forceShutdown());
    const port = await new Promise<number>((resolve, reject) => {
      const done = (error: Error | null, bound: number) => (error === null ? resolve(bound) : reject(error));
      collector.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), done);
    });
    const app = await startApp(APP, {
      ipc: true,
      cwd: await testPackage(specification!),
      receiver: false,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: 'google',
        GCE_METADATA_HOST: metadata.host,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        OTEL_BSP_SCHEDULE_DELAY: '50',
      },
    });
    await app.waitForOutput('ready');
    app.child.send('get');
    while (names.length < 2) await once(arrivals, 'spans');
    app.child.send('exit');
    const result = await app.done;
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    expect(names.sort()).toEqual(['CLIENT GET', 'CLIENT GET', 'SERVER GET', 'SERVER GET']);
    expect(new Set(authorizations)).toEqual(new Set(['Bearer ya29.grpc']));
  });
});

describe('HOOKLINE_OTLP_AUTH=azure', () => {
  it.each(AZURE)('%s: takes tokens of the managed identity, a fresh one after a 401', async (specification) => {
    let count = 0;
    const identity = await serve(({ headers }) => {
      if (headers['x-identity-header'] !== 'the-identity-header') return { status: 401, body: {} };
      const expires_on = String(Math.floor(Date.now() / 1000) + 3600);
      return { body: { access_token: `entra-${++count}`, expires_on, resource: 'r', token_type: 'Bearer' } };
    });
    const collector = await receiver();
    collector.replyAlways(({ headers }) => (headers.authorization === 'Bearer entra-2' ? {} : { status: 401 }));
    const app = await startApp(APP, {
      ipc: true,
      cwd: await testPackage(specification),
      receiver: collector,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: 'azure',
        IDENTITY_ENDPOINT: `http://${identity.host}/msi/token`,
        IDENTITY_HEADER: 'the-identity-header',
      },
    });
    await app.waitForOutput('ready');
    app.child.send('get');
    await collector.waitForSpans(2);
    app.child.send('exit');
    const result = await app.done;
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    expect(collector.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer entra-1',
      'Bearer entra-2',
      'Bearer entra-2',
    ]);
    expect(identity.asked).toHaveLength(2);
    expect(identity.asked[0]).toContain(encodeURIComponent('https://monitor.azure.com'));
    expectOnlyTheirs(result.spans, 2);
    expectNoSecrets(result, 'entra-', 'the-identity-header');
  });
});

describe('a source that gives nothing', () => {
  it.each([
    ['aws', '@aws-sdk/credential-provider-node'],
    ['google', 'google-auth-library'],
    ['azure', '@azure/identity'],
  ] as const)('%s: one line names the package to install, and the application runs', async (name, packageName) => {
    const collector = await receiver();
    const app = await startApp(APP, {
      ipc: true,
      cwd: writeFolder({ 'package.json': '{}' }),
      receiver: collector,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: name,
        AWS_REGION: 'eu-west-1',
        OTEL_LOG_LEVEL: 'warn',
        OTEL_BSP_SCHEDULE_DELAY: '1',
      },
    });
    await app.waitForOutput('ready');
    app.child.send('get');
    await once(app.child.stderr!, 'data');
    app.child.send('get');
    while (app.messages.length < 2) await once(app.child, 'message');
    app.child.send('end');
    const result = await app.done;
    const install = packageToInstall(name, Number.parseInt(nodeVersion, 10));
    const [first, ...more] = result.stderr.trimEnd().split('\n');
    expect(first).toBe(
      `hookline: traces are dropped: HOOKLINE_OTLP_AUTH=${name} needs the package ${packageName}: npm install ${install}`,
    );
    for (const line of more) expect(line).toMatch(/not delivered/);
    expect(more.length).toBeLessThan(2);
    expect({ code: result.code, requests: collector.requests.length }).toEqual({ code: 0, requests: 0 });
  });

  it('that never answers does not hold the process, and what it was asked for is said', async () => {
    const [specification] = AZURE;
    const hanging = await serve(() => undefined);
    const collector = await receiver();
    const result = await runApp(APP, {
      args: ['once'],
      cwd: await testPackage(specification!),
      receiver: collector,
      env: {
        ...cleanHome(),
        HOOKLINE_OTLP_AUTH: 'azure',
        IDENTITY_ENDPOINT: `http://${hanging.host}/msi/token`,
        IDENTITY_HEADER: 'the-identity-header',
        OTEL_BSP_SCHEDULE_DELAY: '0',
        HOOKLINE_EXIT_TIMEOUT: '3000',
      },
      timeoutMs: 30_000,
    });
    expect(result.code).toBe(0);
    expect(result.stderr).toMatch(/no credentials before the process ended.*\n.*spans were not delivered/);
    expect(collector.requests).toEqual([]);
    expectNoSecrets(result, 'the-identity-header');
  });
});

describe('HOOKLINE_OTLP_HEADERS_FILE', () => {
  it('is read again when it is replaced under the running process', async () => {
    const folder = writeFolder({
      'one.txt': 'authorization: Bearer first-secret\n',
      'two.txt': 'authorization=Bearer%20second-secret,x-team=a\n',
    });
    // As Kubernetes mounts secrets: a link that is replaced.
    symlinkSync(join(folder, 'one.txt'), join(folder, 'headers'));
    const collector = await receiver();
    const app = await startApp(APP, {
      ipc: true,
      receiver: collector,
      env: { HOOKLINE_OTLP_HEADERS_FILE: join(folder, 'headers') },
    });
    await app.waitForOutput('ready');
    app.child.send('get');
    await collector.waitForSpans(2);
    symlinkSync(join(folder, 'two.txt'), join(folder, 'new'));
    renameSync(join(folder, 'new'), join(folder, 'headers'));
    app.child.send('get');
    await collector.waitForSpans(4);
    const before = collector.requests.length;
    writeFileSync(join(folder, 'three.txt'), 'a third-secret without a name\n');
    symlinkSync(join(folder, 'three.txt'), join(folder, 'new'));
    renameSync(join(folder, 'new'), join(folder, 'headers'));
    app.child.send('exit');
    const result = await app.done;
    expect(collector.requests[0]?.headers.authorization).toBe('Bearer first-secret');
    expect(
      collector.requests.slice(before - 1).map(({ headers }) => [headers.authorization, headers['x-team']]),
    ).toEqual([
      ['Bearer second-secret', 'a'],
      ['Bearer second-secret', 'a'],
    ]);
    expect(result.stderr).toBe(
      `hookline: cannot read headers from HOOKLINE_OTLP_HEADERS_FILE, ${join(folder, 'headers')}: line 1 is not "name: value"; what it held before is used\n`,
    );
    expect(result.code).toBe(0);
    expectOnlyTheirs(result.spans, 3);
  });
});

describe('HOOKLINE_OTLP_AUTH by module specifier', () => {
  it('sends what the function gives, asks it again after a 401, and at process.exit uses what it gave last', async () => {
    const folder = writeFolder({
      'sign.mjs': `let count = 0;
        export const sign = async ({ method, url, headers, body }) => {
          await fetch(process.env.TOKEN_URL);
          return { Authorization: 'own ' + [++count, method, new URL(url).pathname, headers['content-type'], body.length > 100].join(' ') };
        };`,
    });
    const tokens = await serve(() => ({ body: {} }));
    const collector = await receiver();
    collector.replyNext({ status: 401 });
    const app = await startApp(APP, {
      ipc: true,
      cwd: folder,
      receiver: collector,
      env: { HOOKLINE_OTLP_AUTH: './sign.mjs#sign', TOKEN_URL: `http://${tokens.host}/` },
    });
    await app.waitForOutput('ready');
    app.child.send('get');
    await collector.waitForSpans(2);
    app.child.send('exit');
    const result = await app.done;
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    const sent = collector.requests.map(({ headers }) => headers.authorization);
    expect(sent.slice(0, 2)).toEqual([
      'own 1 POST /v1/traces application/x-protobuf true',
      'own 2 POST /v1/traces application/x-protobuf true',
    ]);
    expect(sent.at(-1)).toMatch(/^own \d/);
    expect(tokens.asked.length).toBeGreaterThan(1);
    expectOnlyTheirs(result.spans, 2);
  });

  it.each([
    ['./absent.cjs', /cannot load HOOKLINE_OTLP_AUTH=\.\/absent\.cjs: Cannot find module/],
    ['./text.cjs', /cannot load HOOKLINE_OTLP_AUTH=\.\/text\.cjs: what it exports is not a function/],
    ['./fails.cjs', /HOOKLINE_OTLP_AUTH=\.\/fails\.cjs failed: no luck/],
    ['./number.cjs', /HOOKLINE_OTLP_AUTH=\.\/number\.cjs gives no object of headers/],
  ])('says in a line what is wrong with %s', async (specifier, message) => {
    const collector = await receiver();
    const app = await startApp(APP, {
      ipc: true,
      cwd: writeFolder({
        'text.cjs': 'module.exports = "text";',
        'fails.cjs': 'module.exports = () => { throw new Error("no luck"); };',
        'number.cjs': 'module.exports = () => 7;',
      }),
      receiver: collector,
      env: { HOOKLINE_OTLP_AUTH: specifier },
    });
    await app.waitForOutput('ready');
    app.child.send('get');
    await once(app.child.stderr!, 'data');
    app.child.send('end');
    const result = await app.done;
    expect(result.stderr.split('\n')[0]).toMatch(message);
    expect({ code: result.code, requests: collector.requests.length }).toEqual({ code: 0, requests: 0 });
  });
});

describe('headers alone', () => {
  it("carry Datadog's key and source with http/protobuf", async () => {
    const collector = await receiver();
    const result = await runApp(APP, {
      args: ['once'],
      receiver: collector,
      env: {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/v1/traces`,
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'dd-api-key=0123456789abcdef,dd-protocol=otlp,dd-otlp-source=datadoghq.com',
      },
    });
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
    expect(collector.requests[0]?.url).toBe('/v1/traces');
    expect(collector.requests[0]?.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      'dd-api-key': '0123456789abcdef',
      'dd-protocol': 'otlp',
      'dd-otlp-source': 'datadoghq.com',
    });
    expectOnlyTheirs(result.spans, 1);
  });
});

describe('HOOKLINE_ID_GENERATOR=xray', () => {
  it('begins trace ids with the time', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { spans, stderr } = await runApp(APP, { args: ['once'], env: { HOOKLINE_ID_GENERATOR: 'xray' } });
    const after = Math.floor(Date.now() / 1000);
    expect(stderr).toBe('');
    expect(spans).toHaveLength(2);
    for (const { traceId } of spans) {
      const seconds = Number.parseInt(traceId.slice(0, 8), 16);
      expect(seconds).toBeGreaterThanOrEqual(before);
      expect(seconds).toBeLessThanOrEqual(after);
    }
  });
});
