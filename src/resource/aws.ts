import type { Attributes } from '@opentelemetry/api';
import {
  type CloudDetector,
  type CloudSources,
  lastSegment,
  parseObject,
  present,
  readText,
  text,
  variable,
} from './sources';

const MEBIBYTE = 1024 * 1024;

/** What the X-Ray daemon of Elastic Beanstalk is told; the only file that names the environment. */
const BEANSTALK_FILE = '/var/elasticbeanstalk/xray/environment.conf';

/** A token's issuer names the platform; the token itself goes nowhere. */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const EKS_ISSUER = /^https:\/\/oidc\.eks(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws)\//;
/** Set in pods that have a role of AWS's, by IRSA and by Pod Identity: paths below `…/eks.amazonaws.com/`. */
const EKS_VARIABLES = ['AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];

const IMDS = 'http://169.254.169.254';
const IMDS_IPV6 = 'http://[fd00:ec2::254]';
/** Seconds; three requests use the token. */
const TOKEN_LIFETIME = '60';

/**
 * Lambda, ECS, EKS, Elastic Beanstalk and EC2 (semantic conventions: resource/cloud-provider/aws, cloud, faas, host, container).
 * EKS is told by the service account's token and by variables; the Kubernetes API, for which a pod would need rights, is not asked.
 */
export const awsDetector: CloudDetector = {
  known: (sources) => knownPlatform(sources).attributes,

  async detect(sources) {
    const { platform, attributes } = knownPlatform(sources);
    if (platform === 'lambda') return attributes;
    if (platform === 'ecs') {
      const [instance, task] = await Promise.all([detectInstanceOfTask(sources), detectTask(sources)]);
      return { ...instance, ...attributes, ...task };
    }
    if (platform === undefined) return detectInstance(sources, false);
    // The rest runs on instances, whose service may be closed to containers.
    const instance = await detectInstance(sources, platform === 'eks').catch(() => ({}));
    return { ...instance, ...attributes };
  },
};

function knownPlatform(sources: CloudSources): {
  platform: 'lambda' | 'ecs' | 'eks' | 'beanstalk' | undefined;
  attributes: Attributes;
} {
  const lambda = variable(sources, 'AWS_LAMBDA_FUNCTION_NAME');
  if (lambda !== undefined) return { platform: 'lambda', attributes: describeLambda(sources, lambda) };
  if (metadataUri(sources) !== undefined || variable(sources, 'ECS_CONTAINER_METADATA_URI') !== undefined)
    return { platform: 'ecs', attributes: { 'cloud.provider': 'aws', 'cloud.platform': 'aws_ecs' } };
  const eks = describeEks(sources);
  if (eks !== undefined) return { platform: 'eks', attributes: eks };
  const beanstalk = parseObject(readText(sources, BEANSTALK_FILE));
  if (beanstalk !== undefined) return { platform: 'beanstalk', attributes: describeBeanstalk(beanstalk) };
  return { platform: undefined, attributes: {} };
}

function describeLambda(sources: CloudSources, name: string): Attributes {
  const megabytes = Number(variable(sources, 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE'));
  const group = variable(sources, 'AWS_LAMBDA_LOG_GROUP_NAME');
  const stream = variable(sources, 'AWS_LAMBDA_LOG_STREAM_NAME');
  return present({
    'cloud.provider': 'aws',
    'cloud.platform': 'aws_lambda',
    'cloud.region': variable(sources, 'AWS_REGION'),
    'faas.name': name,
    'faas.version': variable(sources, 'AWS_LAMBDA_FUNCTION_VERSION'),
    'faas.instance': stream,
    'faas.max_memory': megabytes > 0 ? Math.round(megabytes * MEBIBYTE) : undefined,
    'aws.log.group.names': group === undefined ? undefined : [group],
    'aws.log.stream.names': stream === undefined ? undefined : [stream],
  });
}

function describeEks(sources: CloudSources): Attributes | undefined {
  if (variable(sources, 'KUBERNETES_SERVICE_HOST') === undefined) return undefined;
  const [, payload = ''] = readText(sources, SERVICE_ACCOUNT_TOKEN)?.split('.') ?? [];
  const claims = parseObject(Buffer.from(payload, 'base64url').toString('utf8'));
  const region = EKS_ISSUER.exec(text(claims?.['iss']) ?? '')?.[1];
  const hasRole = EKS_VARIABLES.some((name) => variable(sources, name)?.includes('eks.amazonaws.com/'));
  if (region === undefined && !hasRole) return undefined;
  return present({
    'cloud.provider': 'aws',
    'cloud.platform': 'aws_eks',
    'cloud.region': region ?? variable(sources, 'AWS_REGION'),
  });
}

/** Without the deployment's id, which is no instance's: all instances of a deployment have the same. */
function describeBeanstalk(file: Record<string, unknown>): Attributes {
  return present({
    'cloud.provider': 'aws',
    'cloud.platform': 'aws_elastic_beanstalk',
    'service.namespace': text(file['environment_name']),
    'service.version': text(file['version_label']),
  });
}

/** The container's address in version 4 of the task metadata service. */
function metadataUri(sources: CloudSources): string | undefined {
  return variable(sources, 'ECS_CONTAINER_METADATA_URI_V4');
}

async function detectTask(sources: CloudSources): Promise<Attributes> {
  const uri = metadataUri(sources);
  if (uri === undefined) return {};
  const document = (url: string): Promise<Record<string, unknown> | undefined> =>
    sources.ask(url).then(
      ({ body }) => parseObject(body),
      () => undefined,
    );
  const [container, task] = await Promise.all([document(uri), document(`${uri}/task`)]);
  const taskArn = text(task?.['TaskARN']);
  const containerArn = text(container?.['ContainerARN']);
  const { partition, region, account } = parseArn(taskArn ?? containerArn);
  const cluster = text(task?.['Cluster']);
  const arnPrefix = `arn:${partition}:ecs:${region}:${account}`;
  const [imageName, imageTag] = splitImage(text(container?.['Image']));
  return present({
    'cloud.account.id': account,
    'cloud.region': region,
    'cloud.availability_zone': text(task?.['AvailabilityZone']),
    'cloud.resource_id': containerArn,
    'container.id': text(container?.['DockerId']),
    'container.name': text(container?.['DockerName']) ?? text(container?.['Name']),
    'container.image.name': imageName,
    'container.image.tags': imageTag === undefined ? undefined : [imageTag],
    'container.image.id': text(container?.['ImageID']),
    'aws.ecs.container.arn': containerArn,
    'aws.ecs.cluster.arn':
      cluster === undefined || cluster.startsWith('arn:')
        ? cluster
        : account === undefined
          ? undefined
          : `${arnPrefix}:cluster/${cluster}`,
    'aws.ecs.launchtype': text(task?.['LaunchType'])?.toLowerCase(),
    'aws.ecs.task.arn': taskArn,
    'aws.ecs.task.id': lastSegment(taskArn),
    'aws.ecs.task.family': text(task?.['Family']),
    'aws.ecs.task.revision': text(task?.['Revision']),
    ...describeLogs(container, partition, region, account),
  });
}

/** Where the container's output goes, when that is CloudWatch. */
function describeLogs(
  container: Record<string, unknown> | undefined,
  partition: string | undefined,
  taskRegion: string | undefined,
  account: string | undefined,
): Attributes {
  const options = container?.['LogOptions'];
  if (container?.['LogDriver'] !== 'awslogs' || typeof options !== 'object' || options === null) return {};
  const values = options as Record<string, unknown>;
  const group = text(values['awslogs-group']);
  const stream = text(values['awslogs-stream']);
  const region = text(values['awslogs-region']) ?? taskRegion;
  if (group === undefined) return {};
  const arn = account === undefined ? undefined : `arn:${partition}:logs:${region}:${account}:log-group:${group}`;
  return {
    'aws.log.group.names': [group],
    'aws.log.group.arns': arn === undefined ? undefined : [arn],
    'aws.log.stream.names': stream === undefined ? undefined : [stream],
    'aws.log.stream.arns': arn === undefined || stream === undefined ? undefined : [`${arn}:log-stream:${stream}`],
  };
}

/** `arn:partition:service:region:account:resource`. */
function parseArn(arn: string | undefined): {
  partition: string | undefined;
  region: string | undefined;
  account: string | undefined;
} {
  const [prefix, partition, , region, account] = arn?.split(':') ?? [];
  if (prefix !== 'arn') return { partition: undefined, region: undefined, account: undefined };
  return { partition: text(partition), region: text(region), account: text(account) };
}

/** `registry:5000/name:tag@digest` to name and tag. */
function splitImage(image: string | undefined): [string | undefined, string | undefined] {
  const reference = image?.split('@')[0];
  if (reference === undefined) return [undefined, undefined];
  const colon = reference.indexOf(':', reference.lastIndexOf('/') + 1);
  return colon < 0 ? [text(reference), undefined] : [text(reference.slice(0, colon)), text(reference.slice(colon + 1))];
}

/** Fargate's tasks have no instance of their own. */
async function detectInstanceOfTask(sources: CloudSources): Promise<Attributes> {
  if (variable(sources, 'AWS_EXECUTION_ENV') === 'AWS_ECS_FARGATE') return {};
  return detectInstance(sources, false).catch(() => ({}));
}

/** The instance metadata service, version 2. */
async function detectInstance(sources: CloudSources, inCluster: boolean): Promise<Attributes> {
  if (variable(sources, 'AWS_EC2_METADATA_DISABLED')?.toLowerCase() === 'true')
    throw new Error('AWS_EC2_METADATA_DISABLED is true');
  const base = `${instanceService(sources)}/latest`;
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_LIFETIME };
  const token = await sources.ask(`${base}/api/token`, { method: 'PUT', headers: ttl });
  const headers = { 'x-aws-ec2-metadata-token': token.body.trim() };
  const optional = (path: string): Promise<string | undefined> =>
    sources.ask(`${base}/meta-data/${path}`, { headers }).then(
      ({ body }) => text(body),
      () => undefined,
    );
  const [identity, hostname, cluster] = await Promise.all([
    sources.ask(`${base}/dynamic/instance-identity/document`, { headers }),
    optional('hostname'),
    // Only there where the instance's tags are opened to it.
    inCluster ? optional('tags/instance/eks:cluster-name') : undefined,
  ]);
  const instance = parseObject(identity.body);
  if (text(instance?.['instanceId']) === undefined) throw new Error('no identity document');
  return present({
    'cloud.provider': 'aws',
    'cloud.platform': 'aws_ec2',
    'cloud.account.id': text(instance?.['accountId']),
    'cloud.region': text(instance?.['region']),
    'cloud.availability_zone': text(instance?.['availabilityZone']),
    'host.id': text(instance?.['instanceId']),
    'host.type': text(instance?.['instanceType']),
    'host.image.id': text(instance?.['imageId']),
    'host.name': hostname,
    'k8s.cluster.name': cluster,
  });
}

/** The variables that AWS's SDKs read. */
function instanceService(sources: CloudSources): string {
  const endpoint = variable(sources, 'AWS_EC2_METADATA_SERVICE_ENDPOINT');
  if (endpoint !== undefined) return endpoint.endsWith('/') ? endpoint.slice(0, -1) : endpoint;
  return variable(sources, 'AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE')?.toLowerCase() === 'ipv6' ? IMDS_IPV6 : IMDS;
}
