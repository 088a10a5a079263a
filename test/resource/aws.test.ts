import { describe, expect, it } from 'vitest';
import type { AskOptions } from '../../src/ask';
import { awsDetector } from '../../src/resource/aws';
import { machine } from './fake-sources';

const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const BEANSTALK_FILE = '/var/elasticbeanstalk/xray/environment.conf';

/** Version 2 of the instance metadata service: nothing without a token. */
function instanceService(more: Record<string, string> = {}) {
  const documents: Record<string, string> = {
    '/latest/dynamic/instance-identity/document': JSON.stringify({
      accountId: '123456789012',
      architecture: 'x86_64',
      availabilityZone: 'eu-west-1b',
      imageId: 'ami-0abc',
      instanceId: 'i-0abc',
      instanceType: 't3.micro',
      privateIp: '10.0.0.7',
      region: 'eu-west-1',
      version: '2017-09-30',
    }),
    '/latest/meta-data/hostname': 'ip-10-0-0-7.eu-west-1.compute.internal',
    ...more,
  };
  return (url: string, { method, headers }: AskOptions) => {
    const { host, pathname } = new URL(url);
    if (host !== '169.254.169.254') return undefined;
    if (pathname === '/latest/api/token')
      return method === 'PUT' && headers?.['x-aws-ec2-metadata-token-ttl-seconds'] === '60' ? 'TOKEN' : undefined;
    return headers?.['x-aws-ec2-metadata-token'] === 'TOKEN' ? documents[pathname] : undefined;
  };
}

const INSTANCE = {
  'cloud.provider': 'aws',
  'cloud.platform': 'aws_ec2',
  'cloud.account.id': '123456789012',
  'cloud.region': 'eu-west-1',
  'cloud.availability_zone': 'eu-west-1b',
  'host.id': 'i-0abc',
  'host.type': 't3.micro',
  'host.image.id': 'ami-0abc',
  'host.name': 'ip-10-0-0-7.eu-west-1.compute.internal',
};

describe('EC2', () => {
  it('is known by the identity document, with a token', async () => {
    const { sources, asked } = machine({ answer: instanceService() });
    expect(awsDetector.known(sources)).toEqual({});
    expect(asked).toEqual([]);
    expect(await awsDetector.detect(sources)).toEqual(INSTANCE);
    expect(asked).toHaveLength(3);
  });

  it('needs no host name', async () => {
    const answer = instanceService();
    const { sources } = machine({ answer: (url, o) => (url.endsWith('/hostname') ? undefined : answer(url, o)) });
    const { 'host.name': _, ...rest } = INSTANCE;
    expect(await awsDetector.detect(sources)).toEqual(rest);
  });

  it('is not asked where AWS_EC2_METADATA_DISABLED says so', async () => {
    const { sources, asked } = machine({ env: { AWS_EC2_METADATA_DISABLED: 'TRUE' }, answer: instanceService() });
    await expect(awsDetector.detect(sources)).rejects.toThrow('AWS_EC2_METADATA_DISABLED');
    expect(asked).toEqual([]);
  });

  it.each([
    [{ AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1338/' }, 'PUT http://127.0.0.1:1338/latest/api/token'],
    [{ AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: 'IPv6' }, 'PUT http://[fd00:ec2::254]/latest/api/token'],
  ])('is asked where the variables of the SDKs say: %o', async (env, first) => {
    const { sources, asked } = machine({ env });
    await expect(awsDetector.detect(sources)).rejects.toThrow('no connection');
    expect(asked).toEqual([first]);
  });

  it.each(['', 'not json', '[]', 'null', '{"instanceId":7}'])('is not what answers with %j', async (document) => {
    const { sources } = machine({
      answer: instanceService({ '/latest/dynamic/instance-identity/document': document }),
    });
    await expect(awsDetector.detect(sources)).rejects.toThrow('no identity document');
  });
});

describe('Lambda', () => {
  const env = {
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x',
    AWS_LAMBDA_FUNCTION_NAME: 'checkout',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
    AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/checkout',
    AWS_LAMBDA_LOG_STREAM_NAME: '2026/01/01/[$LATEST]abc',
    AWS_REGION: 'us-east-2',
  };

  it('is known by its variables, and nobody is asked', async () => {
    const { sources, asked } = machine({ env, answer: instanceService() });
    const expected = {
      'cloud.provider': 'aws',
      'cloud.platform': 'aws_lambda',
      'cloud.region': 'us-east-2',
      'faas.name': 'checkout',
      'faas.version': '$LATEST',
      'faas.instance': '2026/01/01/[$LATEST]abc',
      'faas.max_memory': 536_870_912,
      'aws.log.group.names': ['/aws/lambda/checkout'],
      'aws.log.stream.names': ['2026/01/01/[$LATEST]abc'],
    };
    expect(awsDetector.known(sources)).toEqual(expected);
    expect(await awsDetector.detect(sources)).toEqual(expected);
    expect(asked).toEqual([]);
  });

  it('of an image has no AWS_EXECUTION_ENV, and SnapStart no log stream', () => {
    const { sources } = machine({
      env: { AWS_LAMBDA_FUNCTION_NAME: 'checkout', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: 'x' },
    });
    expect(awsDetector.known(sources)).toEqual({
      'cloud.provider': 'aws',
      'cloud.platform': 'aws_lambda',
      'faas.name': 'checkout',
    });
  });
});

describe('ECS', () => {
  const URI = 'http://169.254.170.2/v4/abc-123';
  const TASK_ARN = 'arn:aws-cn:ecs:cn-north-1:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c';
  const CONTAINER = {
    DockerId: 'ab12'.repeat(16),
    Name: 'curl',
    DockerName: 'ecs-curltest-24-curl-cca48e8dcadd97805600',
    Image: 'registry.example:5000/team/curl:1.2@sha256:00',
    ImageID: 'sha256:d691691e9652791a60114e67b365688d20d19940dde7c4736ea30e660d8d3553',
    LogDriver: 'awslogs',
    LogOptions: { 'awslogs-group': '/ecs/metadata', 'awslogs-region': 'cn-north-1', 'awslogs-stream': 'ecs/curl/8f0' },
    ContainerARN: 'arn:aws-cn:ecs:cn-north-1:111122223333:container/0206b271-b33f-47ab-86c6-a0ba208a70a9',
    Labels: { secret: 's3cret' },
  };
  const TASK = {
    Cluster: 'default',
    TaskARN: TASK_ARN,
    Family: 'curltest',
    Revision: '26',
    LaunchType: 'FARGATE',
    AvailabilityZone: 'cn-north-1a',
  };
  const fargate = { AWS_EXECUTION_ENV: 'AWS_ECS_FARGATE', ECS_CONTAINER_METADATA_URI_V4: URI };
  const documents = (container: object, task: object) => (url: string) =>
    url === URI ? JSON.stringify(container) : url === `${URI}/task` ? JSON.stringify(task) : undefined;

  it('is known by the documents of container and task', async () => {
    const { sources, asked } = machine({ env: fargate, answer: documents(CONTAINER, TASK) });
    expect(awsDetector.known(sources)).toEqual({ 'cloud.provider': 'aws', 'cloud.platform': 'aws_ecs' });
    const group = 'arn:aws-cn:logs:cn-north-1:111122223333:log-group:/ecs/metadata';
    expect(await awsDetector.detect(sources)).toEqual({
      'cloud.provider': 'aws',
      'cloud.platform': 'aws_ecs',
      'cloud.account.id': '111122223333',
      'cloud.region': 'cn-north-1',
      'cloud.availability_zone': 'cn-north-1a',
      'cloud.resource_id': CONTAINER.ContainerARN,
      'container.id': CONTAINER.DockerId,
      'container.name': CONTAINER.DockerName,
      'container.image.name': 'registry.example:5000/team/curl',
      'container.image.tags': ['1.2'],
      'container.image.id': CONTAINER.ImageID,
      'aws.ecs.container.arn': CONTAINER.ContainerARN,
      'aws.ecs.cluster.arn': 'arn:aws-cn:ecs:cn-north-1:111122223333:cluster/default',
      'aws.ecs.launchtype': 'fargate',
      'aws.ecs.task.arn': TASK_ARN,
      'aws.ecs.task.id': '158d1c8083dd49d6b527399fd6414f5c',
      'aws.ecs.task.family': 'curltest',
      'aws.ecs.task.revision': '26',
      'aws.log.group.names': ['/ecs/metadata'],
      'aws.log.group.arns': [group],
      'aws.log.stream.names': ['ecs/curl/8f0'],
      'aws.log.stream.arns': [`${group}:log-stream:ecs/curl/8f0`],
    });
    // Fargate's tasks have no instance.
    expect(asked.sort()).toEqual([`GET ${URI}`, `GET ${URI}/task`]);
  });

  it('on EC2 has the instance below it', async () => {
    const cluster = 'arn:aws:ecs:us-west-2:111122223333:cluster/shop';
    const task = documents({ ...CONTAINER, Image: 'curl' }, { ...TASK, Cluster: cluster, LaunchType: 'EC2' });
    const instance = instanceService();
    const answer = (url: string, options: AskOptions) => task(url) ?? instance(url, options);
    const { sources } = machine({ env: { ECS_CONTAINER_METADATA_URI_V4: URI }, answer });
    const attributes = await awsDetector.detect(sources);
    expect(attributes).toMatchObject({
      'cloud.platform': 'aws_ecs',
      'cloud.account.id': '111122223333',
      'aws.ecs.cluster.arn': cluster,
      'aws.ecs.launchtype': 'ec2',
      'container.image.name': 'curl',
      'host.id': 'i-0abc',
      'host.type': 't3.micro',
    });
    expect(attributes).not.toHaveProperty(['container.image.tags']);
  });

  it('is what the document of the container tells where that of the task is missing', async () => {
    const answer = (url: string) => (url === URI ? JSON.stringify(CONTAINER) : undefined);
    expect(await awsDetector.detect(machine({ env: fargate, answer }).sources)).toMatchObject({
      'cloud.platform': 'aws_ecs',
      'cloud.account.id': '111122223333',
      'container.id': CONTAINER.DockerId,
    });
  });

  it('with an older agent is a name, and with broken documents no more than what they have', async () => {
    const old = machine({ env: { ECS_CONTAINER_METADATA_URI: 'http://169.254.170.2/v3/abc' } });
    expect(await awsDetector.detect(old.sources)).toEqual({ 'cloud.provider': 'aws', 'cloud.platform': 'aws_ecs' });
    const { sources } = machine({ env: fargate, answer: documents({ Image: 7 }, { Cluster: 'shop', TaskARN: 'x' }) });
    expect(await awsDetector.detect(sources)).toEqual({
      'cloud.provider': 'aws',
      'cloud.platform': 'aws_ecs',
      'aws.ecs.task.arn': 'x',
      'aws.ecs.task.id': 'x',
    });
  });
});

describe('EKS', () => {
  const env = { KUBERNETES_SERVICE_HOST: '10.100.0.1' };
  const token = (issuer: string) =>
    ['{"alg":"RS256"}', JSON.stringify({ iss: issuer, sub: 'system:serviceaccount:shop:default' }), 'signature']
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.');
  const issuer = 'https://oidc.eks.ap-southeast-2.amazonaws.com/id/0123456789ABCDEF';

  it("is told by the issuer of the account's token, which goes nowhere", async () => {
    const { sources, asked } = machine({ env, files: { [TOKEN_FILE]: token(issuer) } });
    const expected = { 'cloud.provider': 'aws', 'cloud.platform': 'aws_eks', 'cloud.region': 'ap-southeast-2' };
    expect(awsDetector.known(sources)).toEqual(expected);
    expect(await awsDetector.detect(sources)).toEqual(expected);
    expect(asked).toEqual(['PUT http://169.254.169.254/latest/api/token']);
  });

  it('has the node below it, and the cluster where the node tells', async () => {
    const answer = instanceService({ '/latest/meta-data/tags/instance/eks:cluster-name': 'production' });
    const { sources } = machine({ env, files: { [TOKEN_FILE]: token(issuer) }, answer });
    expect(await awsDetector.detect(sources)).toEqual({
      ...INSTANCE,
      'cloud.platform': 'aws_eks',
      'cloud.region': 'ap-southeast-2',
      'k8s.cluster.name': 'production',
    });
  });

  it.each([
    ['AWS_WEB_IDENTITY_TOKEN_FILE', '/var/run/secrets/eks.amazonaws.com/serviceaccount/token'],
    [
      'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
      '/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token',
    ],
  ])('is told by %s', (name, path) => {
    const { sources } = machine({ env: { ...env, AWS_REGION: 'eu-west-3', [name]: path } });
    expect(awsDetector.known(sources)).toEqual({
      'cloud.provider': 'aws',
      'cloud.platform': 'aws_eks',
      'cloud.region': 'eu-west-3',
    });
  });

  it.each([
    token('https://kubernetes.default.svc.cluster.local'),
    token('https://oidc.eks.evil.example/amazonaws.com/'),
    'no token',
    'a.b.c',
    '',
  ])('is not any other cluster (%#)', (text) => {
    expect(awsDetector.known(machine({ env, files: { [TOKEN_FILE]: text } }).sources)).toEqual({});
  });
});

describe('Elastic Beanstalk', () => {
  it('is known by its file, on its instance', async () => {
    const file = JSON.stringify({ environment_name: 'Shop-env', version_label: 'v7', deployment_id: 12 });
    const { sources } = machine({ files: { [BEANSTALK_FILE]: file }, answer: instanceService() });
    const own = {
      'cloud.provider': 'aws',
      'cloud.platform': 'aws_elastic_beanstalk',
      'service.namespace': 'Shop-env',
      'service.version': 'v7',
    };
    expect(awsDetector.known(sources)).toEqual(own);
    expect(await awsDetector.detect(sources)).toEqual({ ...INSTANCE, ...own });
  });
});

it('nowhere is nothing', async () => {
  const { sources } = machine({});
  expect(awsDetector.known(sources)).toEqual({});
  await expect(awsDetector.detect(sources)).rejects.toThrow('no connection');
});
