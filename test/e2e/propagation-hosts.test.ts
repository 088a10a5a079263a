import { beforeAll, describe, expect, it } from 'vitest';
import { createCertificate } from '../support/certificate';
import { testPackage } from '../support/packages';
import { type RunResult, runApp } from '../support/run-app';

// Who is sent the headers that carry a trace, by every client; and who is not.

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const FOLDER = 'test/e2e/fixtures/propagation-hosts';
const certificate = createCertificate();
let packages: Record<string, string>;

beforeAll(async () => {
  packages = {
    GRPC: await testPackage('@grpc/grpc-js@1.14.7'),
    UNDICI: await testPackage('undici@6.29.1'),
    SIGNER: await testPackage('@smithy/signature-v4@5.7.5'),
  };
}, 120_000);

/** The calls belong to a trace with state and baggage, so that each header has something to carry. */
const run = (file: string, env: Record<string, string>): Promise<RunResult> =>
  runApp(`${FOLDER}/${file}`, {
    env: {
      ...packages,
      KEY: certificate.key,
      CERT: certificate.cert,
      NODE_EXTRA_CA_CERTS: '',
      TRACEPARENT: `00-${TRACE}-b7ad6b7169203331-01`,
      TRACESTATE: 'a=1',
      BAGGAGE: 'k=v',
      OTEL_SERVICE_NAME: 'hosts',
      ...env,
    },
    anyConventions: true,
  });

const CLIENTS = [
  'http',
  'http with a list of headers',
  'https',
  'http2',
  'fetch',
  'undici',
  'grpc Call',
  'grpc Ignored',
];
const ALL = 'traceparent tracestate baggage';

/** What each client's server got, by the name that it was called by. */
async function arrivals(
  env: Record<string, string>,
): Promise<{ result: RunResult; byHost: (host: string) => string[] }> {
  const result = await run('hosts.cjs', { OTEL_INSTRUMENTATION_GRPC_IGNORE_METHODS: 'hosts.v1.Hosts/Ign*', ...env });
  const lines = result.stdout.trim().split('\n');
  return {
    result,
    byHost: (host) =>
      CLIENTS.map((client) => {
        const line = lines.find((line) => line.startsWith(`${client} ${host}: `));
        return `${client}: ${line?.slice(client.length + host.length + 3)}`;
      }),
  };
}

const each = (fields: string): string[] => CLIENTS.map((client) => `${client}: ${fields}`);

describe('who is sent a trace', () => {
  it('everybody, when no host is named', async () => {
    const { byHost, result } = await arrivals({});
    expect(byHost('localhost')).toEqual(each(ALL));
    expect(byHost('127.0.0.1')).toEqual(each(ALL));
    expect(result.stderr).toBe('');
  });

  it('only the hosts of HOOKLINE_PROPAGATION_HOSTS; the spans are the same', async () => {
    const { byHost, result } = await arrivals({ HOOKLINE_PROPAGATION_HOSTS: 'LocalHost,*.example.com' });
    expect(byHost('localhost')).toEqual(each(ALL));
    expect(byHost('127.0.0.1')).toEqual(each('none'));
    expect(result.stderr).toBe('');
    const calls = result.spans.filter(({ kind }) => kind === 'CLIENT');
    // Every call but those of the ignored method.
    expect(calls.map(({ attributes }) => attributes['server.address']).sort()).toEqual([
      ...new Array(7).fill('127.0.0.1'),
      ...new Array(7).fill('localhost'),
    ]);
    for (const { traceId } of calls) expect(traceId).toBe(TRACE);
    // Who is not told of the trace starts one.
    const servers = result.spans.filter(({ kind }) => kind === 'SERVER');
    expect(servers.filter(({ traceId }) => traceId === TRACE)).toHaveLength(7);
    expect(servers.filter(({ traceId }) => traceId !== TRACE)).toHaveLength(7);
  });

  it('not those of HOOKLINE_PROPAGATION_EXCLUDED_HOSTS, whatever is allowed, by no propagator', async () => {
    const { byHost } = await arrivals({
      OTEL_PROPAGATORS: 'tracecontext,b3,jaeger,baggage',
      HOOKLINE_PROPAGATION_HOSTS: '*',
      HOOKLINE_PROPAGATION_EXCLUDED_HOSTS: '127.0.0.*',
    });
    expect(byHost('localhost')).toEqual(each(`${ALL} b3 uber-trace-id`));
    expect(byHost('127.0.0.1')).toEqual(each('none'));
  });

  it('a port is part of the host where it is named', async () => {
    const { byHost } = await arrivals({ HOOKLINE_PROPAGATION_EXCLUDED_HOSTS: 'localhost:1,127.0.0.1:*' });
    expect(byHost('localhost')).toEqual(each(ALL));
    expect(byHost('127.0.0.1')).toEqual(each('none'));
  });

  it('what is no host is one line, and the list still counts', async () => {
    const { byHost, result } = await arrivals({ HOOKLINE_PROPAGATION_HOSTS: 'https://localhost/' });
    expect(byHost('localhost')).toEqual(each('none'));
    expect(result.stderr).toBe(
      'hookline: HOOKLINE_PROPAGATION_HOSTS: "https://localhost/" is not a host with or without a port, such as ' +
        'api.example.com, *.example.com:8443 or [::1]; leaving it out\n',
    );
  });
});

describe('requests that are signed', () => {
  it('are sent as they are, and stay valid when they are sent and signed again', async () => {
    const { stdout, stderr, spans } = await run('signed.cjs', {});
    const http = CLIENTS.filter((name) => !name.startsWith('grpc'));
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n')).toEqual(
      http.flatMap((name) => [
        `${name}: accepted, accepted, accepted`,
        `${name}, presigned: accepted, accepted`,
        `${name}, unsigned: unsigned`,
      ]),
    );
    expect(spans.filter(({ kind }) => kind === 'CLIENT')).toHaveLength(6 * http.length);
    // The one that is not signed goes on in the trace.
    const joined = spans.filter(({ kind, traceId }) => kind === 'SERVER' && traceId === TRACE);
    expect(joined).toHaveLength(http.length);
  });
});
