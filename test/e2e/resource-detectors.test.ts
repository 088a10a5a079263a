import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { containerId } from '../../src/resource';
import { type OtlpReceiver, startReceiver } from '../support/otlp-receiver';
import { isAtLeast, nodeVersion, testPackage, writeFolder } from '../support/packages';
import { type RunOptions, type RunResult, runApp, startApp } from '../support/run-app';

const APP = 'test/e2e/fixtures/resource-app/app.cjs';
const DETECTORS = 'OTEL_NODE_RESOURCE_DETECTORS';

/** Makes a span and ends at once, in one turn of the event loop. */
const SHORT = `const { createServer, get } = require('node:http');
const server = createServer((_request, response) => response.end());
server.listen(0, '127.0.0.1', () =>
  get({ host: '127.0.0.1', port: server.address().port, agent: false }, (response) => {
    response.resume().on('end', () => server.close());
  }),
);`;

interface MetadataServer {
  readonly url: string;
  /** `GET /path`, in order, with the headers of each. */
  readonly asked: { line: string; headers: IncomingMessage['headers'] }[];
  /** Resolves once somebody has asked. */
  readonly isAsked: Promise<void>;
}

/** A metadata service of the test's own; `answer` gives the body and perhaps headers, or `undefined` to hang. */
async function metadataServer(
  answer: (line: string, request: IncomingMessage, response: ServerResponse) => string | undefined,
): Promise<MetadataServer> {
  const asked: MetadataServer['asked'] = [];
  let wake: () => void = () => {};
  const isAsked = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const server = createServer((request, response) => {
    const line = `${request.method} ${request.url}`;
    asked.push({ line, headers: request.headers });
    wake();
    const body = answer(line, request, response);
    if (body === '') response.writeHead(404).end();
    else if (body !== undefined) response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, isAsked };
}

const IDENTITY = {
  accountId: '123456789012',
  availabilityZone: 'eu-west-1b',
  instanceId: 'i-0abc',
  instanceType: 't3.micro',
  imageId: 'ami-0abc',
  region: 'eu-west-1',
};

function ec2(): Promise<MetadataServer> {
  return metadataServer((line, { headers }) => {
    if (line === 'PUT /latest/api/token') return 'TOKEN';
    if (headers['x-aws-ec2-metadata-token'] !== 'TOKEN') return '';
    if (line === 'GET /latest/dynamic/instance-identity/document') return JSON.stringify(IDENTITY);
    return line === 'GET /latest/meta-data/hostname' ? 'ip-10-0-0-7' : '';
  });
}

const GCP_VALUES: Record<string, string> = {
  '': 'computeMetadata/',
  'instance/': 'attributes/',
  'project/project-id': 'my-project',
  'instance/id': '4520031799277581759',
  'instance/machine-type': 'projects/12345/machineTypes/n1-standard-1',
  'instance/name': 'vm-1',
  'instance/hostname': 'vm-1.c.my-project.internal',
  'instance/zone': 'projects/12345/zones/us-central1-a',
};

function gcp(): Promise<MetadataServer> {
  return metadataServer((line, _request, response) => {
    response.setHeader('metadata-flavor', 'Google');
    const path = line.replace(/^GET \/computeMetadata\/v1\/?|^GET \/$/, '').replace(/\?.*$/, '');
    return GCP_VALUES[path] ?? GCP_VALUES[`${path}/`] ?? '';
  });
}

const ECS_CONTAINER = {
  DockerId: 'ab12'.repeat(16),
  DockerName: 'ecs-shop-1-shop-00',
  Image: 'shop:7',
  ImageID: 'sha256:00',
  LogDriver: 'awslogs',
  LogOptions: { 'awslogs-group': '/ecs/shop', 'awslogs-region': 'us-west-2', 'awslogs-stream': 'ecs/shop/1' },
  ContainerARN: 'arn:aws:ecs:us-west-2:111122223333:container/shop/158d/0206',
};
const ECS_TASK = {
  Cluster: 'shop',
  TaskARN: 'arn:aws:ecs:us-west-2:111122223333:task/shop/158d',
  Family: 'shop',
  Revision: '26',
  LaunchType: 'FARGATE',
  AvailabilityZone: 'us-west-2a',
};

function ecs(): Promise<MetadataServer> {
  return metadataServer((line) =>
    line === 'GET /v4/abc'
      ? JSON.stringify(ECS_CONTAINER)
      : line === 'GET /v4/abc/task'
        ? JSON.stringify(ECS_TASK)
        : '',
  );
}

/** Runs the application until its two spans are there, and gives them time for nothing else. */
async function run(
  env: Record<string, string>,
  options: RunOptions & { app?: string; before?: () => Promise<void> } = {},
): Promise<RunResult & { receiver: OtlpReceiver; resource: Record<string, unknown> }> {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '1' };
  const app = await startApp(options.app ?? APP, { ...options, ipc: true, receiver, env: { ...endpoint, ...env } });
  await receiver.waitForSpans(2);
  app.child.send('end');
  const result = await app.done;
  expect(result).toMatchObject({ code: 0, signal: null });
  // Nothing of what was asked for the resource is a span, and all requests have one resource.
  expect(receiver.spans.map(({ name, kind }) => `${kind} ${name}`).sort()).toEqual(['CLIENT GET', 'SERVER GET']);
  const [first, second] = receiver.spans;
  expect(first?.resource).toEqual(second?.resource);
  return { ...result, receiver, resource: first?.resource ?? {} };
}

describe.each(['app.cjs', 'app.mjs'])('%s', (file) => {
  const app = `test/e2e/fixtures/resource-app/${file}`;

  it('on EC2: what the instance tells is in the first request', async () => {
    const { url, asked } = await ec2();
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: url, [DETECTORS]: 'host,aws', OTEL_SERVICE_NAME: 'shop' };
    const { stderr, resource } = await run(env, { app });
    expect(stderr).toBe('');
    expect(resource).toMatchObject({
      'service.name': 'shop',
      'cloud.provider': 'aws',
      'cloud.platform': 'aws_ec2',
      'cloud.account.id': '123456789012',
      'cloud.region': 'eu-west-1',
      'cloud.availability_zone': 'eu-west-1b',
      'host.id': 'i-0abc',
      'host.type': 't3.micro',
      'host.image.id': 'ami-0abc',
      'host.name': 'ip-10-0-0-7',
      'host.arch': expect.any(String),
    });
    // Once for the run, and not traced.
    expect(asked.map(({ line }) => line).sort()).toEqual([
      'GET /latest/dynamic/instance-identity/document',
      'GET /latest/meta-data/hostname',
      'PUT /latest/api/token',
    ]);
    for (const { headers } of asked) expect(headers).not.toHaveProperty('traceparent');
  });

  it('with a detector of a package, in CommonJS and ES modules', async () => {
    const folder = writeFolder({
      [file]: `import { createRequire } from 'node:module';`,
      'node_modules/@team/detector/package.json': '{"name":"@team/detector","main":"main.js"}',
      'node_modules/@team/detector/main.js': `exports.teamDetector = { detect: () => ({ attributes: {
        'team.name': new Promise((resolve) => setTimeout(resolve, 10, 'till')), 'host.name': 'theirs' } }) };`,
      'own.mjs': `import { get } from 'node:http';
        export default class { async detect(config) {
          // Its requests are nobody's spans.
          await new Promise((resolve) => get(process.env.ASK, (response) => response.resume().on('end', resolve)));
          return { attributes: { own: true } };
        } }`,
    });
    const { url, asked } = await metadataServer(() => 'hello');
    const env = { [DETECTORS]: '@team/detector,host,./own.mjs', ASK: `${url}/own` };
    const { stderr, resource } = await run(env, { app: join(process.cwd(), app), cwd: folder });
    expect(stderr).toBe('');
    expect(resource).toMatchObject({ 'team.name': 'till', own: true });
    // Later in the list wins.
    expect(resource['host.name']).not.toBe('theirs');
    expect(asked.map(({ line, headers }) => [line, headers['traceparent']])).toEqual([['GET /own', undefined]]);
  });
});

it('on ECS and Google Cloud', async () => {
  const task = await ecs();
  const env = { ECS_CONTAINER_METADATA_URI_V4: `${task.url}/v4/abc`, AWS_EXECUTION_ENV: 'AWS_ECS_FARGATE' };
  const onEcs = await run({ ...env, [DETECTORS]: 'aws' });
  expect(onEcs.resource).toMatchObject({
    'cloud.platform': 'aws_ecs',
    'aws.ecs.task.family': 'shop',
    'container.id': ECS_CONTAINER.DockerId,
    'container.image.tags': ['7'],
  });

  const server = await gcp();
  const onGcp = await run({ GCE_METADATA_HOST: new URL(server.url).host, [DETECTORS]: 'gcp' });
  expect(onGcp.resource).toMatchObject({
    'cloud.platform': 'gcp_compute_engine',
    'gcp.project_id': 'my-project',
    'host.id': '4520031799277581759',
  });
  expect(onEcs.stderr + onGcp.stderr).toBe('');
});

describe('nobody is asked', () => {
  it.each([undefined, 'none', 'host,os'])('where OTEL_NODE_RESOURCE_DETECTORS is %s', async (detectors) => {
    const { url, asked } = await metadataServer(() => '');
    const env = {
      AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
      GCE_METADATA_HOST: new URL(url).host,
      ECS_CONTAINER_METADATA_URI_V4: `${url}/v4/abc`,
      ...(detectors !== undefined && { [DETECTORS]: detectors }),
    };
    const { resource, stderr } = await run(env);
    expect(stderr).toBe('');
    expect(Object.keys(resource).filter((key) => key.startsWith('cloud.'))).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('before there is anything to trace, even where the start line needs the name of the service', async () => {
    const { url, asked } = await metadataServer(() => '');
    const env = { [DETECTORS]: 'aws', AWS_EC2_METADATA_SERVICE_ENDPOINT: url, OTEL_LOG_LEVEL: 'info' };
    const { stdout, stderr } = await runApp(undefined, {
      execArgv: ['-e', `setTimeout(() => console.log(process.moduleLoadList.includes('NativeModule http')), 20)`],
      env,
    });
    expect(stderr).toMatch(/^hookline: .*; service .*\n$/);
    expect(stdout).toBe('false\n');
    expect(asked).toEqual([]);
  });
});

describe('a metadata service that hangs', () => {
  it('is not waited for longer than it may take, and holds nothing', async () => {
    const { url, asked, isAsked } = await metadataServer(() => undefined);
    const env = {
      [DETECTORS]: 'os,aws',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
      HOOKLINE_RESOURCE_DETECTION_TIMEOUT: '300',
      AWS_LAMBDA_FUNCTION_NAME: '',
    };
    const { resource, stderr } = await run(env);
    await isAsked;
    expect(stderr).toBe('');
    expect(resource['os.type']).toBeDefined();
    expect(resource).not.toHaveProperty(['cloud.provider']);
    expect(asked).toHaveLength(1);
  });

  it('keeps no process alive', async () => {
    const { url, isAsked } = await metadataServer(() => undefined);
    const env = { [DETECTORS]: 'aws', AWS_EC2_METADATA_SERVICE_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '60000' };
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const app = await startApp(APP, {
      ipc: true,
      receiver,
      env: { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
    });
    await isAsked;
    app.child.send('end');
    const { stdout, code } = await app.done;
    expect(code).toBe(0);
    // What would keep it alive: its own server and channel, and no connection or timer of ours.
    expect(JSON.parse(stdout)).not.toContain('TCPSocketWrap');
    expect(JSON.parse(stdout)).not.toContain('Timeout');
    expect(receiver.spans).toHaveLength(2);
  });
});

describe('a process that ends before the answers are there', () => {
  const HANGING = `module.exports = { detect: () => new Promise(() => {}) };`;

  it('sends its spans with what variables tell', async () => {
    const folder = writeFolder({ 'short.cjs': SHORT, 'hanging.cjs': HANGING });
    const env = {
      [DETECTORS]: 'aws,./hanging.cjs',
      HOOKLINE_RESOURCE_DETECTION_TIMEOUT: '600000',
      AWS_LAMBDA_FUNCTION_NAME: 'checkout',
      OTEL_BSP_SCHEDULE_DELAY: '60000',
    };
    const { spans, stderr, code } = await runApp(join(folder, 'short.cjs'), { env, cwd: folder });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(spans).toHaveLength(2);
    expect(spans[0]?.resource).toMatchObject({ 'cloud.platform': 'aws_lambda', 'faas.name': 'checkout' });
  });

  it("gives them to somebody else's exporter without waiting", async () => {
    const exporter = `module.exports = { export(spans, done) {
      console.log(spans.length, spans[0].resource.attributes['faas.name'], spans[0].resource.asyncAttributesPending);
      done({ code: 0 });
    } };`;
    const folder = writeFolder({ 'short.cjs': SHORT, 'hanging.cjs': HANGING, 'exporter.cjs': exporter });
    const env = {
      [DETECTORS]: 'aws,./hanging.cjs',
      HOOKLINE_RESOURCE_DETECTION_TIMEOUT: '600000',
      AWS_LAMBDA_FUNCTION_NAME: 'checkout',
      OTEL_TRACES_EXPORTER: './exporter.cjs',
    };
    const { stdout, stderr, code } = await runApp(join(folder, 'short.cjs'), { env, cwd: folder, receiver: false });
    expect({ stdout, stderr, code }).toEqual({ stdout: '2 checkout false\n', stderr: '', code: 0 });
  });
});

it('a module that cannot be used is one line, and costs nothing else', async () => {
  const folder = writeFolder({ 'broken.cjs': `throw new Error('broken on purpose');` });
  const { url } = await ec2();
  const env = {
    [DETECTORS]: './broken.cjs,aws,@nobody/has-this',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
  };
  const { resource, stderr } = await run(env, { app: join(process.cwd(), APP), cwd: folder });
  expect(resource).toMatchObject({ 'cloud.platform': 'aws_ec2', 'host.id': 'i-0abc' });
  const lines = stderr.trimEnd().split('\n').sort();
  expect(lines).toHaveLength(2);
  expect(lines[0]).toBe('hookline: OTEL_NODE_RESOURCE_DETECTORS: "./broken.cjs" cannot be used: broken on purpose');
  expect(lines[1]).toMatch(
    /^hookline: OTEL_NODE_RESOURCE_DETECTORS: "@nobody\/has-this" cannot be used: Cannot find module/,
  );
});

/** The official detectors of each SDK line, with the API version that the line goes with. */
const OFFICIAL = [
  {
    line: '1.x',
    versions: { aws: '1.12.0', gcp: '0.33.1', azure: '0.6.1', container: '0.6.1' },
    api: '1.9.1',
    needs: '18.19',
  },
  {
    line: '2.x',
    versions: { aws: '2.23.0', gcp: '0.58.0', azure: '0.31.0', container: '0.8.14' },
    api: '1.9.1',
    needs: '18.19',
  },
  {
    line: '3.x',
    versions: { aws: '3.0.0', gcp: '0.59.0', azure: '0.32.0', container: '0.9.0' },
    api: '1.10.0',
    needs: '22.15',
  },
];
const runnable = OFFICIAL.filter(({ line, needs }) => {
  const isRun = isAtLeast(nodeVersion, needs);
  if (!isRun) console.log(`SDK ${line} not run: it needs Node.js ${needs}, this is ${nodeVersion}`);
  return isRun;
});

describe.each(runnable)('the official detectors of SDK $line give what ours do', ({ versions, api }) => {
  type Name = keyof typeof versions;

  const path = async (name: Name): Promise<string> => {
    const spec = `@opentelemetry/resource-detector-${name}`;
    return join(await testPackage(`${spec}@${versions[name]}`, `@opentelemetry/api@${api}`), 'node_modules', spec);
  };

  /** Resources by theirs and by ours; both without what every process has. */
  async function both(env: Record<string, string>, theirs: string, ours: string) {
    const bare = (resource: Record<string, unknown>) =>
      Object.fromEntries(Object.entries(resource).filter(([key]) => !/^telemetry\.|^service\.name$/.test(key)));
    // What their dependencies use is theirs to replace.
    const quiet = { ...env, NODE_NO_WARNINGS: '1' };
    const [a, b] = [await run({ ...quiet, [DETECTORS]: theirs }), await run({ ...quiet, [DETECTORS]: ours })];
    expect(a.stderr + b.stderr).toBe('');
    return { theirs: bare(a.resource), ours: bare(b.resource) };
  }

  it('on ECS', async () => {
    const { url } = await ecs();
    const env = { ECS_CONTAINER_METADATA_URI_V4: `${url}/v4/abc`, AWS_EXECUTION_ENV: 'AWS_ECS_FARGATE' };
    const { theirs, ours } = await both(env, `${await path('aws')}#awsEcsDetector`, 'aws');
    // Theirs is the host's name, and the id is read from control groups, which this machine does not have.
    const { 'container.name': _name, 'container.id': _id, ...same } = theirs;
    expect(Object.keys(same).length).toBeGreaterThan(12);
    expect(ours).toMatchObject(same);
  });

  it('on Lambda', async () => {
    const env = {
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x',
      AWS_LAMBDA_FUNCTION_NAME: 'checkout',
      AWS_LAMBDA_FUNCTION_VERSION: '7',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/checkout',
      AWS_LAMBDA_LOG_STREAM_NAME: 'stream',
      AWS_REGION: 'us-east-2',
    };
    const { theirs, ours } = await both(env, `${await path('aws')}#awsLambdaDetector`, 'aws');
    expect(theirs).toMatchObject({ 'faas.name': 'checkout' });
    expect(ours).toMatchObject(theirs);
  });

  it('on a machine of Google Cloud', async () => {
    const { url } = await gcp();
    const env = { GCE_METADATA_HOST: new URL(url).host };
    const { theirs, ours } = await both(env, `${await path('gcp')}#gcpDetector`, 'gcp');
    expect(theirs).toMatchObject({ 'cloud.account.id': 'my-project', 'host.id': '4520031799277581759' });
    // The newer has the whole path of the type, the older the name in DNS; the conventions' examples are as ours.
    const { 'host.type': _type, 'host.name': _name, ...same } = theirs;
    expect(ours).toMatchObject({ ...same, 'host.type': 'n1-standard-1', 'host.name': 'vm-1' });
  });

  it('in an App Service', async () => {
    const env = {
      REGION_NAME: 'West Europe',
      WEBSITE_SITE_NAME: 'shop',
      WEBSITE_INSTANCE_ID: 'i-7',
      WEBSITE_OWNER_NAME: '0815+plan-WestEuropewebspace-Linux',
      WEBSITE_RESOURCE_GROUP: 'group',
      WEBSITE_HOSTNAME: 'shop.azurewebsites.net',
      WEBSITE_SLOT_NAME: 'staging',
      WEBSITE_HOME_STAMPNAME: 'stamp',
    };
    const { theirs, ours } = await both(env, `${await path('azure')}#azureAppServiceDetector`, 'azure');
    expect(theirs).toMatchObject({ 'cloud.provider': 'azure', 'host.id': 'shop.azurewebsites.net' });
    // Older releases of the conventions wrote azure_app_service and deployment.environment.
    const { 'cloud.platform': _platform, 'deployment.environment': _environment, ...same } = theirs;
    expect(ours).toMatchObject(same);
  });

  it('in a container', async () => {
    const { theirs, ours } = await both({}, `${await path('container')}#containerDetector`, 'container');
    // Theirs takes any hexadecimal digits, which control groups have elsewhere too.
    const isContainer = String(theirs['container.id']).length === 64;
    expect(ours).toEqual(isContainer ? theirs : {});
  });
});

it('the official detector of containers reads the same of control groups', async () => {
  const folder = await testPackage('@opentelemetry/resource-detector-container@0.8.14', '@opentelemetry/api@1.9.1');
  const { extractContainerIdFromLine } = createRequire(import.meta.url)(
    join(folder, 'node_modules/@opentelemetry/resource-detector-container/build/src/detectors/utils.js'),
  );
  const id = 'ab12'.repeat(16);
  const slice = '/kubepods.slice/kubepods-pod5c5979ec_6b2b_11e9_a923_42010a800002.slice';
  const lines = [
    `11:devices:/docker/${id}`,
    `0::/system.slice/docker-${id}.scope`,
    `0::${slice}/crio-${id}.scope`,
    `11:devices:/kubepods/burstable/pod2c4b2241-5c01-11e9-8e4e-42010a800002/cri-containerd-${id}`,
    `9:perf_event:/ecs/shop/5a0d5ceddf6c44c1928d367a815d890f/${id}`,
    '0::/init.scope',
    '0::/',
    '',
  ];
  for (const line of lines)
    expect(
      containerId(line, () => ''),
      line,
    ).toBe(extractContainerIdFromLine(line));
});

it('all of them together need no more than their name, in the order that README.md tells', async () => {
  const { url } = await ec2();
  const env = {
    [DETECTORS]: 'ALL',
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
    GCE_METADATA_HOST: new URL(url).host,
    // Known by variables, so that nobody outside of this test is asked.
    WEBSITE_SITE_NAME: 'site',
  };
  const { resource, stderr } = await run(env);
  expect(stderr).toBe('');
  expect(resource).toMatchObject({
    'cloud.platform': 'azure.app_service',
    'host.id': 'i-0abc',
    'process.pid': expect.any(Number),
    'service.name': 'site',
  });
});
