import { describe, expect, it } from 'vitest';
import { type AskOptions, StatusError } from '../../src/ask';
import { gcpDetector } from '../../src/resource/gcp';
import { machine } from './fake-sources';

const BASE = 'http://169.254.169.254/computeMetadata/v1/';

/** A metadata server that wants its header and gives it back. */
function metadata(values: Record<string, string>) {
  return (url: string, { headers }: AskOptions) => {
    if (!url.startsWith(BASE) || headers?.['metadata-flavor'] !== 'Google') return undefined;
    const body = { 'project/project-id': 'my-project', ...values }[url.slice(BASE.length)];
    return body === undefined ? undefined : { body, headers: { 'metadata-flavor': 'Google' } };
  };
}

const PROJECT = { 'cloud.provider': 'gcp', 'cloud.account.id': 'my-project', 'gcp.project_id': 'my-project' };
const detect = (env: Record<string, string>, values: Record<string, string>) =>
  gcpDetector.detect(machine({ env, answer: metadata(values) }).sources);

it('a machine of Compute Engine', async () => {
  const values = {
    'instance/id': '4520031799277581759',
    'instance/machine-type': 'projects/12345/machineTypes/n1-standard-1',
    'instance/name': 'vm-1',
    'instance/hostname': 'vm-1.c.my-project.internal',
    'instance/zone': 'projects/12345/zones/us-central1-a',
  };
  expect(await detect({}, values)).toEqual({
    ...PROJECT,
    'cloud.platform': 'gcp_compute_engine',
    'cloud.region': 'us-central1',
    'cloud.availability_zone': 'us-central1-a',
    'host.id': '4520031799277581759',
    'host.type': 'n1-standard-1',
    'host.name': 'vm-1',
    'gcp.gce.instance.name': 'vm-1',
    'gcp.gce.instance.hostname': 'vm-1.c.my-project.internal',
  });
});

describe('GKE', () => {
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };

  it.each([
    ['us-east4-b', { 'cloud.region': 'us-east4', 'cloud.availability_zone': 'us-east4-b' }],
    ['us-east4', { 'cloud.region': 'us-east4' }],
  ])('of a cluster in %s', async (location, place) => {
    const values = {
      'instance/attributes/cluster-name': 'shop',
      'instance/attributes/cluster-location': location,
      'instance/id': '77',
      'instance/machine-type': 'projects/1/machineTypes/e2',
      'instance/zone': 'projects/1/zones/us-east4-b',
    };
    expect(await detect(env, values)).toEqual({
      ...PROJECT,
      'cloud.platform': 'gcp_kubernetes_engine',
      ...place,
      'k8s.cluster.name': 'shop',
      'host.id': '77',
    });
  });

  it('is not a cluster of somebody else on machines of Google', async () => {
    const values = { 'instance/id': '77', 'instance/machine-type': 'projects/1/machineTypes/e2' };
    expect(await detect(env, values)).toEqual({
      ...PROJECT,
      'cloud.platform': 'gcp_compute_engine',
      'host.id': '77',
      'host.type': 'e2',
    });
  });
});

const SERVERLESS = { 'instance/id': '00bf4bf02d', 'instance/region': 'projects/12345/regions/europe-west1' };

it.each([
  ['gcp_cloud_run', { K_SERVICE: 'shop', K_REVISION: 'shop-00001', K_CONFIGURATION: 'shop' }],
  ['gcp_cloud_functions', { K_SERVICE: 'shop', K_REVISION: '7', K_CONFIGURATION: 'shop', FUNCTION_TARGET: 'main' }],
])('%s', async (platform, env) => {
  // Knative sets the same variables elsewhere.
  expect(gcpDetector.known(machine({ env }).sources)).toEqual({});
  expect(await detect(env, SERVERLESS)).toEqual({
    ...PROJECT,
    'cloud.platform': platform,
    'cloud.region': 'europe-west1',
    'faas.name': 'shop',
    'faas.version': env.K_REVISION,
    'faas.instance': '00bf4bf02d',
  });
});

it('a job of Cloud Run', async () => {
  const env = { CLOUD_RUN_JOB: 'nightly', CLOUD_RUN_EXECUTION: 'nightly-abc', CLOUD_RUN_TASK_INDEX: '2' };
  const known = {
    'cloud.provider': 'gcp',
    'cloud.platform': 'gcp_cloud_run',
    'faas.name': 'nightly',
    'gcp.cloud_run.job.execution': 'nightly-abc',
    'gcp.cloud_run.job.task_index': 2,
  };
  expect(gcpDetector.known(machine({ env }).sources)).toEqual(known);
  expect(await detect(env, SERVERLESS)).toEqual({
    ...PROJECT,
    ...known,
    'cloud.region': 'europe-west1',
    'faas.instance': '00bf4bf02d',
  });
});

it.each([
  ['standard', { 'instance/region': 'projects/1/regions/us-central1', 'instance/zone': 'projects/1/zones/us15' }],
  ['flexible', { 'instance/zone': 'projects/1/zones/us-central1-b' }],
])('App Engine, %s', async (_name, values) => {
  const env = { GAE_SERVICE: 'default', GAE_VERSION: 'v1', GAE_INSTANCE: 'abc' };
  const known = {
    'cloud.provider': 'gcp',
    'cloud.platform': 'gcp_app_engine',
    'faas.name': 'default',
    'faas.version': 'v1',
    'faas.instance': 'abc',
  };
  expect(gcpDetector.known(machine({ env }).sources)).toEqual(known);
  expect(await detect(env, values)).toEqual({
    ...PROJECT,
    ...known,
    'cloud.region': 'us-central1',
    'cloud.availability_zone': values['instance/zone'].split('/').at(-1),
  });
});

describe('the metadata server', () => {
  it('is told from other services at its address by its header', async () => {
    const { sources } = machine({ answer: () => 'my-project' });
    await expect(gcpDetector.detect(sources)).rejects.toThrow('not the metadata server');
  });

  it.each([
    [{ GCE_METADATA_HOST: '127.0.0.1:8080', GCE_METADATA_IP: '10.0.0.1' }, 'http://127.0.0.1:8080/'],
    [{ GCE_METADATA_IP: '10.0.0.1' }, 'http://10.0.0.1/'],
    [{ GCE_METADATA_HOST: 'http://localhost:1' }, 'http://localhost:1/'],
  ])('is where the variables of the libraries say: %o', async (env, base) => {
    const { sources, asked } = machine({ env });
    await expect(gcpDetector.detect(sources)).rejects.toThrow('no connection');
    expect(asked).toEqual([`GET ${base}computeMetadata/v1/project/project-id`]);
  });

  it('of a new pod is asked again for as long as nobody answers', async () => {
    const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    const answer = metadata({ 'instance/attributes/cluster-name': 'shop', 'instance/id': '7' });
    let tries = 0;
    const late = machine({
      env,
      pauses: 5,
      answer: (url, options) => (++tries < 4 ? undefined : answer(url, options)),
    });
    expect(await gcpDetector.detect(late.sources)).toMatchObject({ 'k8s.cluster.name': 'shop', 'host.id': '7' });

    const never = machine({ env, pauses: 5 });
    await expect(gcpDetector.detect(never.sources)).rejects.toThrow('no connection');
    expect(never.asked).toHaveLength(6);
    const elsewhere = machine({ env, pauses: 5, answer: () => 'another service' });
    await expect(gcpDetector.detect(elsewhere.sources)).rejects.toThrow('not the metadata server');
    expect(elsewhere.asked).toHaveLength(1);
    const refusing = machine({
      env,
      pauses: 5,
      answer: () => {
        throw new StatusError(404);
      },
    });
    await expect(gcpDetector.detect(refusing.sources)).rejects.toThrow('status 404');
    expect(refusing.asked).toHaveLength(1);
    const outside = machine({ pauses: 5 });
    await expect(gcpDetector.detect(outside.sources)).rejects.toThrow('no connection');
    expect(outside.asked).toHaveLength(1);
  });

  it('is not asked where METADATA_SERVER_DETECTION says so', async () => {
    const { sources, asked } = machine({ env: { METADATA_SERVER_DETECTION: 'none' }, answer: metadata({}) });
    await expect(gcpDetector.detect(sources)).rejects.toThrow('METADATA_SERVER_DETECTION');
    expect(asked).toEqual([]);
  });

  it('that knows only the project gives the project', async () => {
    expect(await detect({}, {})).toEqual(PROJECT);
  });
});
